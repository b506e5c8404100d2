"""The threaded matrix product: blocks of the result, or parts of its sums, are tasks for threads (`_product.py`).

An element has the same bits on any number of threads, and whatever rows and columns are computed with it.
"""

import numpy as np

from minidl._flat import add, copy
from minidl._jit import device, kernel, n_chunks, prange
from minidl._product import TILE_BYTES, multiply, part_depth
from minidl._vector import TILE_ROWS

__all__ = ["matmul"]

_WORK = 2**19  # multiplications aimed at for a block: some microseconds, against one or two for starting another
_LARGE = 2**17  # numbers in b from which blocks are columns too; a smaller one stays in the second-level cache whole
_BLOCKS = 16  # aimed at: enough for some threads to share evenly; more would pack the same parts of b again


@device
def _block(rows, columns, depth, parts, width):
    """How many rows and columns a task takes; the last one across takes the rest, too."""
    blocks = min(_BLOCKS, rows * columns * depth // _WORK) // parts
    if columns * depth > _LARGE and parts == 1:
        wide, down = width, n_chunks(blocks, max(1, columns // width))
    else:
        wide, down = columns, min(blocks, rows // (2 * TILE_ROWS))
    high = n_chunks(rows, max(1, down))
    return max(1, n_chunks(high, 4) * 4), max(1, wide)  # tiles are 8 or 12 rows high, or 4 or 6


@kernel(cost=8)  # an element of a takes part in as many products as b has columns
def _product(a, b, out, turned):
    """a and b flat; turned: 1 if a is stored by columns, + 2 if b is. Few arguments, as each costs small products time.

    Where b is much larger than the result, each part of the sums is a task, or some. A thread then needs some of b's rows
    only, and in training they are rows of a weight matrix that the same core has moved in the step before, so they lie in
    its cache: 60×784×100 in a step of the MLP, 58 → 41 µs.
    """
    (rows, columns), flat = out.shape, out.reshape(-1)
    depth = b.size // max(1, columns)
    row, step = (1, rows) if turned & 1 else (depth, 1)
    line, column = (1, depth) if turned & 2 else (columns, 1)
    deep = part_depth(depth)
    parts = max(1, n_chunks(depth, deep)) if rows <= deep else 1
    if parts == 1:
        deep = depth
    high, wide = _block(rows, columns, depth, parts, TILE_BYTES // out.itemsize)
    down, across = n_chunks(rows, high), max(1, columns // wide)
    sums = flat if parts == 1 else np.empty(parts * flat.size, flat.dtype)
    for task in prange(parts * down * across):
        part, block = divmod(np.int64(task), down * across)
        i, j = divmod(block, across)
        k, first_row, first = part * deep, i * high, j * wide
        shape = min(high, rows - first_row), min(deep, depth - k), columns - first if j == across - 1 else wide
        multiply(
            a, first_row * row + k * step, row, step, b, k * line + first * column, line, column,
            sums, part * flat.size + first_row * columns + first, columns, shape, 0,
        )  # fmt: skip
    if parts > 1:
        copy(sums, 0, flat, 0, flat.size)
        for part in range(1, parts):
            add(sums, part * flat.size, flat, 0, flat.size)


def matmul(a, b):
    """a @ b for matrices (M, K) and (K, N), each of which may be a transposed one."""
    out = np.empty((a.shape[0], b.shape[1]), a.dtype)
    (a, a_turned), (b, b_turned) = _laid_flat(a), _laid_flat(b)
    _product(a, b, out, a_turned + 2 * b_turned)
    return out


def _laid_flat(matrix):
    """Its numbers in one row, and whether they are stored by columns."""
    flags = matrix.flags
    if not flags.c_contiguous and flags.f_contiguous:
        return matrix.T.ravel(), 1
    return matrix.ravel(), 0  # a copy, if no axis is contiguous

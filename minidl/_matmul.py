"""The threaded matrix product: blocks of the result, or parts of its sums, each by one thread (`_product.py`).

How a product is cut depends on its size alone, so results are the same bits on any number of threads.
"""

import numpy as np

from minidl._flat import add, copy
from minidl._jit import kernel, n_chunks, prange
from minidl._product import TILE_BYTES, multiply
from minidl._vector import TILE_ROWS

__all__ = ["matmul"]

_WORK = 2**19  # multiplications aimed at for a block: some microseconds, against one or two for starting another
_LARGE = 2**17  # numbers in b from which blocks are columns too; a smaller one stays in the second-level cache whole
_BLOCKS = 16  # aimed at: enough for some threads to share evenly; more would pack the same parts of b again
_DEEP = 256  # terms in a part of the sums, at least
_FEW = 2**15  # results, at most, whose sums are cut: for 512×4096×512 the parts' way through memory costs 9 %


@kernel(cost=8)  # an element of a takes part in as many products as b has columns
def _product(a, b, out, turned):
    """a and b flat; turned: 1 if a is stored by columns, + 2 if b is. Few arguments, as each costs small products time.

    Where b is much larger than the result, the sums are cut, for each thread some of the terms, in parts of fixed size. A
    thread then needs some of b's rows only; and in training they are the rows of a weight matrix that the same core has
    moved in the step before, so they lie in its cache: 60×784×100 in a step of the MLP, 58 → 41 µs.
    """
    (rows, columns), width, flat = out.shape, TILE_BYTES // out.itemsize, out.reshape(-1)
    depth = b.size // max(1, columns)
    row, step = (1, rows) if turned & 1 else (depth, 1)
    line, column = (1, depth) if turned & 2 else (columns, 1)
    parts = 1
    while (
        parts < 8 and flat.size <= _FEW and depth >= 2 * parts * max(_DEEP, 4 * rows)
    ):  # b's part is 4 times the result
        parts *= 2
    deep = n_chunks(depth, parts)
    blocks = min(_BLOCKS, rows * columns * depth // _WORK) // parts
    across = 1
    if b.size > _LARGE and parts == 1:
        across = max(1, columns // width)
    else:
        blocks = min(blocks, rows // (2 * TILE_ROWS))
    high = n_chunks(n_chunks(rows, max(1, n_chunks(blocks, across))), 4) * 4  # tiles are 8 or 12 rows high, or 4 or 6
    tasks = n_chunks(rows, max(1, high)) * across
    sums = flat if parts == 1 else np.empty(parts * flat.size, flat.dtype)
    for task in prange(parts * tasks):
        k, block = divmod(np.int64(task), tasks)
        i, j = divmod(block, across)
        k, i, j, last, to = k * deep, i * high, j * width, j == across - 1, k * flat.size
        part = min(high, rows - i), min(deep, depth - k), columns - j if last else width  # the last takes the rest too
        multiply(
            a, i * row + k * step, row, step, b, k * line + j * column, line, column, sums, to + i * columns + j, columns,
            part, 0,
        )  # fmt: skip
    if parts > 1:
        copy(sums, 0, flat, 0, flat.size)
        for k in range(1, parts):
            add(sums, k * flat.size, flat, 0, flat.size)


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

"""The threaded matrix product: blocks of the result, each by one thread (`_product.py`)."""

import numpy as np

from minidl._jit import kernel, n_chunks, prange
from minidl._product import TILE_BYTES, add_product
from minidl._vector import TILE_ROWS

__all__ = ["matmul"]

_WORK = 2**19  # multiplications aimed at for a block: some microseconds, against one or two for starting another
_LARGE = 2**17  # numbers in b from which blocks are columns too; a smaller one stays in the second-level cache whole
_BLOCKS = 16  # aimed at: enough for some threads to share evenly; more would pack the same parts of b again


@kernel(cost=8)  # an element of a takes part in as many products as b has columns
def _product(a, b, out, turned):
    """a and b flat; turned: 1 if a is stored by columns, + 2 if b is. Few arguments, as each costs small products time."""
    (rows, columns), width = out.shape, TILE_BYTES // out.itemsize
    depth, flat = b.size // max(1, columns), out.reshape(-1)
    row, step = (1, rows) if turned & 1 else (depth, 1)
    line, column = (1, depth) if turned & 2 else (columns, 1)
    blocks = min(_BLOCKS, rows * columns * depth // _WORK)
    across = 1
    if b.size > _LARGE:
        across = max(1, columns // width)
    else:
        blocks = min(blocks, rows // (2 * TILE_ROWS))
    high = n_chunks(n_chunks(rows, max(1, n_chunks(blocks, across))), 4) * 4  # tiles are 8 or 12 rows high, or 4 or 6
    for block in prange(n_chunks(rows, max(1, high)) * across):
        i, j = divmod(np.int64(block), across)  # prange counts unsigned, which does not divide by signed
        i, j, last = i * high, j * width, j == across - 1
        part = min(high, rows - i), depth, columns - j if last else width  # the last takes the rest too
        add_product(a, i * row, row, step, b, j * column, line, column, flat, i * columns + j, columns, part, 0)


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

"""The threaded matrix product: blocks of the result, each by one thread (`_product.py`)."""

import numpy as np

from minidl._jit import kernel, n_chunks, prange
from minidl._product import TILE_BYTES, add_product

__all__ = ["matmul"]

_WORK = 2**19  # multiplications aimed at for a block: some microseconds, against one or two for starting another
_BLOCKS = 16  # aimed at: enough for some threads to share evenly; more would pack the same parts of b again


@kernel(cost=8)  # an element of a takes part in as many products as b has columns
def _product(a, row, step, b, line, column, out, shape):
    rows, depth, columns = shape
    width = TILE_BYTES // out.itemsize
    across = max(1, columns // width)
    blocks = min(_BLOCKS, rows * columns * depth // _WORK)
    if blocks <= 1:
        across = 1
    high = n_chunks(n_chunks(rows, max(1, n_chunks(blocks, across))), 4) * 4  # tiles are 8 or 12 rows high, or 4 or 6
    for block in prange(n_chunks(rows, max(1, high)) * across):
        i, j = divmod(np.int64(block), across)  # prange counts unsigned, which does not divide by signed
        i, j, last = i * high, j * width, j == across - 1
        part = min(high, rows - i), depth, columns - j if last else width  # the last takes the rest too
        add_product(a, i * row, row, step, b, j * column, line, column, out, i * columns + j, columns, part, 0)


def matmul(a, b):
    """a @ b for matrices (M, K) and (K, N), each of which may be a transposed one."""
    out = np.empty((a.shape[0], b.shape[1]), a.dtype)
    _product(*_laid_flat(a), *_laid_flat(b), out.ravel(), (a.shape[0], *b.shape))
    return out


def _laid_flat(matrix):
    """Its numbers in one row, and how far it is there from an element to the one below, and to the one beside."""
    if matrix.flags.f_contiguous and not matrix.flags.c_contiguous:
        return matrix.T.ravel(), 1, matrix.shape[0]
    return matrix.ravel(), matrix.shape[1], 1  # a copy, if no axis is contiguous

"""The threaded matrix product: blocks of the result, each by one thread (`_product.py`)."""

import numpy as np

from minidl._jit import kernel, n_chunks, prange
from minidl._product import TILE_BYTES, add_product

__all__ = ["matmul"]

_WORK = 2**19  # multiplications in a block, at least: a dozen microseconds, so that more of them do not cost more
_BLOCKS = 16  # enough for some threads to share evenly; more would pack the same parts of b again


@kernel(cost=8)  # an element of a takes part in as many products as b has columns
def _product(a, b, out):
    (rows, columns), width = out.shape, TILE_BYTES // out.itemsize
    across = max(1, columns // width)
    blocks = min(_BLOCKS, rows * columns * b.shape[0] // _WORK)
    if blocks <= 1:
        across = 1
    high = n_chunks(n_chunks(rows, max(1, n_chunks(blocks, across))), 4) * 4  # lines of tiles are 8 or 12 rows high
    for block in prange(n_chunks(rows, max(1, high)) * across):
        i, j = divmod(np.int64(block), across)  # prange counts unsigned, which does not divide by signed
        end = (j + 1) * width if j + 1 < across else columns  # the last takes the rest too
        part = out[i * high : (i + 1) * high, j * width : end]
        add_product(a[i * high : (i + 1) * high], b[:, j * width : end], part, 0)


def matmul(a, b):
    """a @ b for matrices (M, K) and (K, N), each of which may be a transposed one."""
    out = np.empty((a.shape[0], b.shape[1]), a.dtype)
    _product(_ordered(a), _ordered(b), out)
    return out


def _ordered(matrix):
    """As it is if an axis is contiguous, else a copy."""
    return matrix if matrix.flags.forc else np.ascontiguousarray(matrix)

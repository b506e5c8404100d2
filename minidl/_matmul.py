"""The threaded matrix product: blocks of the result, each by one thread (`_product.py`)."""

import numpy as np

from minidl._jit import kernel, n_chunks, prange
from minidl._product import TILE_BYTES, add_product
from minidl._vector import TILE_ROWS

__all__ = ["matmul"]

_ROWS = 20 * TILE_ROWS  # of a block: with 512 numbers each, they fit into the second-level cache


@kernel(cost=8)  # an element of a takes part in as many products as b has columns
def _product(a, b, out):
    rows, wide = a.shape[0], TILE_BYTES // out.itemsize
    high = n_chunks(rows, max(1, n_chunks(rows, _ROWS)))  # blocks of equal height,
    high = max(1, n_chunks(high, TILE_ROWS)) * TILE_ROWS  # in whole tiles
    across = max(1, out.shape[1] // wide)
    for block in prange(n_chunks(rows, high) * across):
        i, j = divmod(np.int64(block), across)  # prange counts unsigned, which does not divide by signed
        lines = slice(i * high, (i + 1) * high)
        columns = slice(j * wide, (j + 1) * wide if j + 1 < across else out.shape[1])  # the last takes the rest too
        add_product(a[lines], b[:, columns], out[lines, columns], 0)


def matmul(a, b):
    """a @ b for matrices (M, K) and (K, N), each of which may be a transposed one."""
    out = np.empty((a.shape[0], b.shape[1]), a.dtype)
    _product(_ordered(a), _ordered(b), out)
    return out


def _ordered(matrix):
    """As it is if an axis is contiguous, else a copy."""
    return matrix if matrix.flags.forc else np.ascontiguousarray(matrix)

"""The threaded matrix product: Numba splits the result by rows, BLAS multiplies each block on one thread.

One thread pool for everything: a BLAS with threads of its own would fight Numba's (see `_jit._start`). The blocks have a
fixed size, so that the sums inside them are the same ones whatever the number of threads.
"""

import numpy as np

from minidl._blas import add_product, row_block
from minidl._jit import kernel, n_chunks, prange

__all__ = ["matmul"]


@kernel(cost=8)  # an element of a takes part in as many products as b has columns
def _product(a, b, out):
    rows = a.shape[0]
    size = n_chunks(rows, max(1, n_chunks(rows, row_block(a.shape[1], b.shape[1]))))  # equal blocks
    for k in prange(n_chunks(rows, max(1, size))):
        block = slice(k * size, (k + 1) * size)
        add_product(a[block], b, out[block], 0)


def matmul(a, b):
    """a @ b for matrices (M, K) and (K, N), each of which may be a transposed one."""
    out = np.empty((a.shape[0], b.shape[1]), a.dtype)
    _product(_ordered(a), _ordered(b), out)
    return out


def _ordered(matrix):
    """As it is if an axis is contiguous, else a copy."""
    return matrix if matrix.flags.forc else np.ascontiguousarray(matrix)

"""The threaded matrix product: Numba splits the result by rows, BLAS multiplies each block on one thread.

One thread pool for everything: a BLAS with threads of its own would fight Numba's (see `_jit._start`). The blocks have a
fixed size, so that the sums inside them are the same ones whatever the number of threads.
"""

import numpy as np

from minidl._jit import device, kernel, n_chunks, prange

__all__ = ["matmul", "matmul_nt", "matmul_tn"]

_COST = 8  # of an element of the left matrix, which takes part in as many products as the right one has columns


@device
def _block(rows, most):
    """Rows in a block: as many as in all others, but for rounding, and no more than `most`.

    Every block makes BLAS pack the other matrix anew, so there are few: a batch of 60 is one, one of 128 is two.
    """
    return n_chunks(rows, n_chunks(rows, most)) if rows else 1


@kernel(cost=_COST)
def _nn(a, b, out):
    size = _block(a.shape[0], 64)
    for k in prange(n_chunks(a.shape[0], size)):
        block = slice(k * size, (k + 1) * size)
        np.dot(a[block], b, out[block])


@kernel(cost=_COST)
def _nt(a, b, out):
    size = _block(a.shape[0], 64)
    for k in prange(n_chunks(a.shape[0], size)):
        block = slice(k * size, (k + 1) * size)
        np.dot(a[block], b.T, out[block])


@kernel(cost=_COST)
def _tn(a, b, out):
    size = _block(a.shape[1], 400)
    for k in prange(n_chunks(a.shape[1], size)):
        block = slice(k * size, (k + 1) * size)
        columns = np.empty((a.shape[0], out[block].shape[0]), a.dtype)
        for row in range(a.shape[0]):
            columns[row] = a[row, block]  # BLAS needs whole rows
        np.dot(columns.T, b, out[block])


def matmul(a, b):
    """a @ b for matrices (M, K) and (K, N)."""
    return _into(_nn, a, b, (a.shape[0], b.shape[1]))


def matmul_nt(a, b):
    """a @ b.T for matrices (M, K) and (N, K)."""
    return _into(_nt, a, b, (a.shape[0], b.shape[0]))


def matmul_tn(a, b):
    """a.T @ b for matrices (K, M) and (K, N)."""
    return _into(_tn, a, b, (a.shape[1], b.shape[1]))


def _into(product, a, b, shape):
    out = np.empty(shape, a.dtype)
    product(np.ascontiguousarray(a), np.ascontiguousarray(b), out)
    return out

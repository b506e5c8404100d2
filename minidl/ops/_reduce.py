"""Sums over rows, for gradients of biases, scales and shifts: chunks of rows, added up in the order of the chunks."""

import numpy as np

from minidl._jit import CHUNK, device, kernel, n_chunks, prange

__all__ = ["chunk_rows", "column_sums"]


@device
def chunk_rows(columns):
    """How many rows of so many columns make a chunk."""
    return max(1, CHUNK // max(1, columns))


@kernel
def _partial_sums(x, partial):
    size = chunk_rows(x.shape[1])
    for k in prange(partial.shape[0]):
        total = partial[k]
        total[:] = 0
        for row in x[k * size : (k + 1) * size]:
            for c in range(total.size):
                total[c] += row[c]


def column_sums(x):
    """Σ over rows of a matrix (M, C): (C,)."""
    partial = np.empty((n_chunks(x.shape[0], chunk_rows(x.shape[1])), x.shape[1]), x.dtype)
    _partial_sums(x, partial)
    return partial[0] if len(partial) == 1 else partial.sum(0)

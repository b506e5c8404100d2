"""Biases, added to every row, and sums over rows, which are their gradients: chunk by chunk, in the order of the chunks."""

import numpy as np

from minidl.kernels.jit import CHUNK, device, kernel, n_chunks, prange
from minidl.kernels.runs import add, copy

__all__ = ["TERMS", "add_bias", "add_up", "chunk_rows", "column_sums"]

TERMS = 1024  # so many float32 numbers may be added one after another; a longer sum is one of such sums, else it stalls


@device
def chunk_rows(columns):
    """Return how many rows of so many columns make a chunk."""
    return max(1, CHUNK // max(1, columns))


@device
def add_up(parts):
    """Add up what chunks have summed, (chunks, …), into the first of them, in their order; groups first, then the groups."""
    flat, size, step = parts.reshape(-1), parts.size // len(parts), 1
    while step < len(parts):
        for k in range(0, len(parts), step):
            first = k - k % (step * TERMS)
            if k > first:
                add(flat, k * size, flat, first * size, size)
        step *= TERMS


@kernel
def add_bias(y, bias):
    """y (M, C) += bias (C,), in place."""
    size, flat = chunk_rows(y.shape[1]), y.reshape(-1)
    for k in prange(n_chunks(y.shape[0], size)):
        for row in range(np.int64(k) * size, min(np.int64(k + 1) * size, y.shape[0])):
            add(bias, 0, flat, row * bias.size, bias.size)


@kernel
def _column_sums(x, sums):
    size = chunk_rows(x.shape[1])
    partial = np.zeros((max(1, n_chunks(x.shape[0], size)), x.shape[1]), x.dtype)
    for k in prange(len(partial)):
        total = partial[k]
        for row in x[k * size : (k + 1) * size]:
            for c in range(total.size):
                total[c] += row[c]
    add_up(partial)
    copy(
        partial.reshape(-1), 0, sums, 0, sums.size
    )  # `sums[:] = …` would compile an error about shapes for two seconds


def column_sums(x):
    """Σ over rows of a matrix (M, C): (C,)."""
    sums = np.empty(x.shape[1], x.dtype)
    _column_sums[x.size](x, sums)
    return sums

"""Embedding: a table of vectors, looked up by number. The gradient adds up what each row was used for."""

import operator

import numpy as np
from numpy.typing import ArrayLike

from minidl.kernels.jit import assign, contiguous, kernel, n_chunks, numpy_kernel, prange
from minidl.kernels.reduce import TERMS, chunk_rows
from minidl.kernels.runs import add, clear, copy
from minidl.ops._check import check_tensors, matrix
from minidl.tensor import Tensor

__all__ = ["embedding"]

_ONE_CORE = 0  # work for a loop in which each step needs the one before


def embedding(input: ArrayLike | Tensor, weight: Tensor, padding_idx: int | None = None) -> Tensor:
    """Look up a row of the weight for every number of the input.

    Forward   y[i] = weight[input[i]]
    Backward  ∂weight[v] = Σ ∂y[i] over all i with input[i] = v, in the order of i; 0 for v = padding_idx
    Shape     input (…): whole numbers from 0 to V − 1, an array or a tensor; weight (V, D); y (…, D)
              padding_idx: a row that the gradient leaves alone, from −V (which counts from the end) to V − 1; or None
    Errors    TypeError: numbers that are not whole; ValueError: numbers outside of the table, in a replay, too
    Source    Bengio et al. 2003
    """
    check_tensors("embedding", weight=weight)
    given = np.asarray(input.data if isinstance(input, Tensor) else input)
    if given.dtype.kind not in "iu":
        raise TypeError(
            f"embedding: input is {given.dtype}; it must be whole numbers, a row of the weight each: "
            "Tensor(array.astype(int))"
        )
    if weight.ndim != 2:
        raise ValueError(f"embedding: weight is {weight.shape}; it must be (V, D), a row for each of V numbers")
    padding = padding_row("embedding", padding_idx, len(weight.data))
    table = contiguous(weight.data)
    rows = np.empty(given.size, np.int64)  # a copy: the backward needs them as they are now
    assign(rows, given.reshape(-1))
    (count, width), dtype = table.shape, table.dtype
    y, outside = np.empty((rows.size, width), dtype), np.empty((), np.int64)
    look_up[y.size](rows, table, y, outside)
    _check_rows(outside, rows, count)

    def backward(grad_y):
        grad_weight = np.empty((count, width), dtype)
        starts, places = np.empty(count + 1, np.int64), np.empty(rows.size, np.int64)
        _sort_places[_ONE_CORE](rows, starts, places)
        add_rows[grad_y.size + grad_weight.size](matrix(grad_y), starts, places, padding, grad_weight)
        return (grad_weight,)

    return Tensor._from_op(y.reshape(*given.shape, width), (weight,), backward)


def padding_row(op, padding_idx, count):
    """Check padding_idx, and return the row that it means; −1 for None."""
    if padding_idx is None:
        return -1
    try:
        row = operator.index(padding_idx)
    except TypeError:
        row = count
    if not -count <= row < count:
        raise ValueError(
            f"{op}: padding_idx is {padding_idx!r} and there are {count} rows; it must be a whole number from {-count} to "
            f"{count - 1}, or None"
        )
    return row % count


@kernel
def look_up(rows, table, y, outside):
    """Copy rows of the table, and count the numbers that none has, which are passed over."""
    (count, width), size = table.shape, chunk_rows(table.shape[1])
    strays, flat, out = np.zeros(n_chunks(rows.size, size), np.int64), table.reshape(-1), y.reshape(-1)
    for k in prange(len(strays)):
        for i in range(np.int64(k) * size, min((np.int64(k) + 1) * size, rows.size)):
            if 0 <= rows[i] < count:
                copy(flat, rows[i] * width, out, i * width, width)
            else:
                strays[k] += 1
    outside[()] = strays.sum()


@numpy_kernel
def _check_rows(outside, rows, count):
    if outside:
        raise ValueError(
            f"embedding: input runs from {rows.min()} to {rows.max()} but weight has {count} rows; input must be from 0 to "
            f"{count - 1}"
        )


@kernel
def _sort_places(rows, starts, places):
    """Sort the places by the row that is looked up there, in their order: row v's are places[starts[v] : starts[v + 1]]."""
    starts[:] = 0
    for i in range(rows.size):
        starts[rows[i] + 1] += 1
    for v in range(starts.size - 1):
        starts[v + 1] += starts[v]
    following = starts.copy()
    for i in range(rows.size):
        places[following[rows[i]]] = i
        following[rows[i]] += 1


@kernel
def add_rows(grad_y, starts, places, padding, grad_weight):
    """Each row is added up by one task, in the order of the places: first so many that float32 can take, then these sums."""
    (count, width), size = grad_weight.shape, chunk_rows(grad_weight.shape[1])
    grads, out = grad_y.reshape(-1), grad_weight.reshape(-1)
    for k in prange(n_chunks(count, size)):
        part = np.empty(width, grad_weight.dtype)
        for v in range(np.int64(k) * size, min((np.int64(k) + 1) * size, count)):
            clear(out, v * width, width)
            last = starts[v] if v == padding else starts[v + 1]
            for first in range(starts[v], last, TERMS):
                clear(part, 0, width)
                for i in range(first, min(first + TERMS, last)):
                    add(grads, places[i] * width, part, 0, width)
                add(part, 0, out, v * width, width)

"""Joining tensors."""

import math
from collections.abc import Sequence

import numpy as np

from minidl._arrays import check_cat
from minidl.kernels.jit import CHUNK, kernel, n_chunks, prange
from minidl.kernels.runs import copy
from minidl.ops._check import row
from minidl.tensor import Operand, Tensor

__all__ = ["cat", "concatenate"]


def cat(tensors: Sequence[Operand], dim: int = 0) -> Tensor:
    """Join tensors along an existing dimension.

    Forward   y holds the entries of the first tensor along `dim`, then those of the next
    Backward  each tensor gets its own part of ∂y
    Shape     all alike but for their length along `dim`; y has the sum of the lengths there
    """
    if isinstance(tensors, Tensor | np.ndarray) or not tensors:
        raise TypeError(f"cat: got a {type(tensors).__name__}; it must be a list of at least one tensor: cat([a, b])")
    parts = tuple(t if isinstance(t, Tensor) else Tensor(t) for t in tensors)
    check_cat([t.shape for t in parts], dim)
    if len({t.dtype for t in parts}) != 1:
        raise TypeError(f"cat: got types {[str(t.dtype) for t in parts]}; convert them to one with .to(dtype)")
    dim %= parts[0].ndim
    before, after = parts[0].shape[:dim], parts[0].shape[dim + 1 :]
    rows, widths = math.prod(before), [math.prod(t.shape[dim:]) for t in parts]
    y = np.empty((*before, sum(t.shape[dim] for t in parts), *after), parts[0].dtype)
    ends = np.cumsum([0, *widths]).tolist()
    for t, width, at in zip(parts, widths, ends, strict=False):
        _copy_rows[t.data.size](row(t.data), 0, width, row(y), at, ends[-1], rows, width)

    def backward(grad):
        grad, grads = row(grad), []
        for t, width, at in zip(parts, widths, ends, strict=False):
            grads.append(np.empty(t.shape, t.dtype) if t.requires_grad else None)
            if t.requires_grad:
                _copy_rows[t.data.size](grad, at, ends[-1], row(grads[-1]), 0, width, rows, width)
        return tuple(grads)

    return Tensor._from_op(y, parts, backward)


concatenate = cat  # NumPy's name; PyTorch has both


@kernel
def _copy_rows(x, x_at, x_step, y, y_at, y_step, rows, width):
    """Copy `rows` runs of `width` numbers: run i from x[x_at + i·x_step] on to y[y_at + i·y_step] on.

    A chunk may begin and end within a run, as dimension 0 has only one.
    """
    for k in prange(n_chunks(rows * width)):
        at, end = np.int64(k) * CHUNK, min((np.int64(k) + 1) * CHUNK, rows * width)
        i, j = at // width, at % width
        while at < end:
            n = min(width - j, end - at)
            copy(x, x_at + i * x_step + j, y, y_at + i * y_step + j, n)
            at, i, j = at + n, i + 1, 0

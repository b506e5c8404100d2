"""Joining tensors."""

from collections.abc import Sequence

import numpy as np

from minidl._arrays import check_cat
from minidl.kernels.jit import computed
from minidl.tensor import Operand, Tensor

__all__ = ["cat", "concatenate"]


def cat(tensors: Sequence[Operand], dim: int = 0) -> Tensor:
    """Join tensors along an existing dimension."""
    if isinstance(tensors, Tensor | np.ndarray) or not tensors:
        raise TypeError(f"cat: got a {type(tensors).__name__}; it must be a list of at least one tensor: cat([a, b])")
    parts = tuple(t if isinstance(t, Tensor) else Tensor(t) for t in tensors)
    check_cat([t.shape for t in parts], dim)
    if len({t.dtype for t in parts}) != 1:
        raise TypeError(f"cat: got types {[str(t.dtype) for t in parts]}; convert them to one with .to(dtype)")
    ends = np.cumsum([t.shape[dim] for t in parts])

    def backward(grad):
        return tuple(np.split(grad, ends[:-1], axis=dim))

    return Tensor._from_op(computed(_joined, dim, *(t.data for t in parts)), parts, backward)


def _joined(dim, *arrays):
    return np.concatenate(arrays, axis=dim)


concatenate = cat  # NumPy's name; PyTorch has both

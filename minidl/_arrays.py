"""Small questions about arrays that the tensor asks: which type, which shape, and how to undo broadcasting."""

import numpy as np

__all__ = ["as_array", "float_type", "reduce_to", "spread"]


def as_array(data):
    """data as an array of a type that a tensor can hold; Python numbers become float32."""
    array = np.asarray(data)
    if not isinstance(data, np.ndarray | np.generic) and array.dtype.kind in "iuf":
        return array.astype(np.float32)
    if array.dtype not in (np.float32, np.float64) and array.dtype.kind not in "iub":
        raise TypeError(f"Tensor: got {array.dtype}; convert it to float32, float64 or an integer type first")
    return array


def float_type(array):
    """The type of a result that cannot be a whole number: the array's own, or float32 for integers."""
    return array.dtype if array.dtype.kind == "f" else np.dtype(np.float32)


def reduce_to(grad, shape):
    """Undo broadcasting: sum grad over the dimensions along which an array of `shape` was repeated."""
    if grad.shape == shape:
        return grad
    extra = grad.ndim - len(shape)
    repeated = tuple(i + extra for i, n in enumerate(shape) if n == 1 and grad.shape[i + extra] != 1)
    return grad.sum((*range(extra), *repeated), keepdims=True).reshape(shape)


def spread(reduced, shape, dim, keepdim):
    """What a reduction over `dim` made, repeated to the shape of what was reduced again (a read-only view)."""
    if dim is not None and not keepdim:
        reduced = np.expand_dims(reduced, dim)
    return np.broadcast_to(reduced, shape)

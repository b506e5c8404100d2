"""Small questions about arrays that the tensor asks: which type, which shape, and how to undo broadcasting."""

import numpy as np

__all__ = ["as_array", "as_numbers", "float_type", "reduce_to", "spread", "takes_once"]


def as_array(data):
    """data as an array of a type that a tensor can hold; Python numbers become float32."""
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise ValueError(
            f"Tensor: the data are not a regular grid of numbers ({error}); make all rows equally long"
        ) from None
    if not isinstance(data, np.ndarray | np.generic) and array.dtype.kind in "iuf":
        return array.astype(np.float32)
    if array.dtype not in (np.float32, np.float64) and array.dtype.kind not in "iub":
        raise TypeError(f"Tensor: got {array.dtype}; convert it to float32, float64 or an integer type first")
    return array


def as_numbers(op, other):
    """The operand beside a tensor as an array of numbers."""
    try:
        array = np.asarray(other)
    except ValueError:  # a list of rows that are not equally long
        array = np.array(None)
    if array.dtype.kind not in "iufb":
        raise TypeError(f"{op}: a tensor and {type(other).__name__} do not mix; convert it to numbers first")
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


def takes_once(index):
    """Whether an index takes no element twice for sure: slices and single numbers, no arrays."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(part is None or part is ... or isinstance(part, int | slice) for part in parts)

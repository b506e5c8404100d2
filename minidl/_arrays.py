"""Small questions about arrays that the tensor asks: which type, which shape, how to add up, how to undo broadcasting."""

import math
import operator
from numbers import Integral

import numpy as np

__all__ = ["as_array", "as_float", "as_numbers", "check_cat", "check_dims", "check_permutation", "check_shapes",
           "common_type", "dims_of", "float_type", "frozen", "mean_over", "reduce_to", "spread", "sum_over",
           "takes_once"]  # fmt: skip

_TERMS = 1024  # so many float32 numbers may be added one after another: they lose 6e-5 of their sum at most


def as_array(data):
    """Return data as an array of a type that a tensor can hold; Python numbers become float32."""
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
    """Return the operand beside a tensor as an array of numbers."""
    try:
        array = np.asarray(other)
    except ValueError:  # a list of rows that are not equally long
        array = np.array(None)
    if array.dtype.kind not in "iufb":
        raise TypeError(f"{op}: a tensor and {type(other).__name__} do not mix; convert it to numbers first")
    return array


def float_type(array):
    """Return the type of a result that cannot be a whole number: the array's own, or float32 for integers."""
    return array.dtype if array.dtype.kind == "f" else np.dtype(np.float32)


def as_float(array):
    """Return an array of floats, of the type that `float_type` says."""
    return array if array.dtype.kind == "f" else array.astype(np.float32)


def common_type(op, a, b):
    """Return the type in which two tensors' arrays of different types meet: floats win, and arrays over single numbers."""
    floats = a.dtype.kind == "f", b.dtype.kind == "f"
    if floats == (True, False) or (all(floats) and b.ndim == 0 < a.ndim):
        return a.dtype
    if floats == (False, True) or (all(floats) and a.ndim == 0 < b.ndim):
        return b.dtype
    if all(floats):
        raise TypeError(f"{op}: {a.dtype} and {b.dtype} do not mix; convert one with .to(dtype)")
    return np.result_type(a.dtype, b.dtype)


def reduce_to(grad, shape):
    """Undo broadcasting: sum grad over the dimensions along which an array of `shape` was repeated."""
    if grad.shape == shape:
        return grad
    extra = grad.ndim - len(shape)
    repeated = tuple(i + extra for i, n in enumerate(shape) if n == 1 and grad.shape[i + extra] != 1)
    return sum_over(grad, (*range(extra), *repeated), keepdims=True).reshape(shape)


def sum_over(x, dims=None, keepdims=False):
    """Sum over dimensions: floats in their own type, integers and bools as int64, which a few hundred pixels do not fill."""
    if x.dtype.kind in "bi":
        return x.sum(dims, np.int64, keepdims=keepdims)
    if x.dtype.kind == "u":
        return x.sum(dims, np.uint64 if x.dtype == np.uint64 else np.int64, keepdims=keepdims)
    if _adds_one_by_one(x, dims):
        return x.sum(dims, np.float64, keepdims=keepdims).astype(x.dtype)
    return x.sum(dims, keepdims=keepdims)


def mean_over(x, dims=None, keepdims=False):
    """Mean over dimensions, of the type that `float_type` says."""
    if x.dtype.kind != "f" or _adds_one_by_one(x, dims):
        return x.mean(dims, np.float64, keepdims=keepdims).astype(float_type(x))
    return x.mean(dims, keepdims=keepdims)


def _adds_one_by_one(x, dims):
    """Return whether NumPy would add many float32 numbers one after another: after 16,777,216 ones it stays there.

    It adds by halves only what lies side by side in memory: the whole array, or its last dimensions.
    """
    if x.size <= _TERMS or x.dtype != np.float32:
        return False
    if dims is None:
        return not x.flags.forc
    dims = [d % x.ndim for d in dims]
    side_by_side = x.flags.c_contiguous and min(dims, default=0) >= x.ndim - len(dims)
    return not side_by_side and math.prod(x.shape[d] for d in dims) > _TERMS


def spread(reduced, shape, dim, keepdim):
    """Return what a reduction over `dim` made, repeated to the shape of what was reduced again (a read-only view)."""
    if dim is not None and not keepdim:
        reduced = np.expand_dims(reduced, dim)
    return np.broadcast_to(reduced, shape)


def frozen(index, copy=np.array):
    """Return an index as it is now, which no later change of a caller's array or list reaches; `copy` copies arrays."""
    if isinstance(index, tuple):
        return tuple(frozen(part, copy) for part in index)
    if isinstance(index, slice):
        ends = (index.start, index.stop, index.step)
        return slice(*(end if end is None else operator.index(end) for end in ends))
    if isinstance(index, list):
        return np.array(index, None if index else np.intp)
    changes = hasattr(index, "__array__") and not isinstance(index, np.generic)  # an array, a tensor
    return copy(np.asarray(index)) if changes else index


def takes_once(index):
    """Return whether an index takes no element twice for sure: slices and single numbers, no arrays."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(part is None or part is ... or isinstance(part, int | slice) for part in parts)


def check_shapes(op, a, b):
    """Check that shapes a and b fit each other by NumPy's broadcasting."""
    for m, n in zip(reversed(a), reversed(b), strict=False):
        if m != n and 1 not in (m, n):
            raise ValueError(
                f"{op}: shapes {a} and {b} do not fit; from the last, sizes must be equal, or one of them 1"
            )


def check_dims(op, dims, shape):
    """Check that `dims`, a number or a list of them, names dimensions of that shape."""
    for d in dims if isinstance(dims, tuple | list) else (dims,):
        if not isinstance(d, Integral) or not -len(shape) <= d < len(shape):
            span = f"from {-len(shape)} to {len(shape) - 1}" if shape else "None, as there are no dimensions"
            raise np.exceptions.AxisError(f"{op}: dim is {dims!r} but the tensor is {shape}; dim must be {span}")


def dims_of(op, dim, shape, empty=True):
    """Return what a reduction goes over, None or a tuple; check it, and that it is of size 0 nowhere, if not `empty`."""
    if dim is not None:
        check_dims(op, dim, shape)
        dim = tuple(dim) if isinstance(dim, tuple | list) else (dim,)
        if len({d % len(shape) for d in dim}) < len(dim):
            raise ValueError(f"{op}: dim is {dim} but the tensor is {shape}; each dimension must be named once")
    if not empty:
        for d in range(len(shape)) if dim is None else dim:
            if shape[d] == 0:
                raise ValueError(f"{op}: the tensor is {shape}; there must be at least one number along dim {d}")
    return dim


def check_permutation(dims, shape):
    """Check that `dims` names each dimension of that shape once."""
    check_dims("permute", dims, shape)
    if sorted(d % len(shape) for d in dims) != list(range(len(shape))):
        raise ValueError(f"permute: dims are {dims} but the tensor is {shape}; each dimension must be named once")


def check_cat(shapes, dim):
    """Check that arrays of these shapes can be joined along `dim`."""
    if not isinstance(dim, Integral):
        raise TypeError(f"cat: dim is {dim!r}; it must be a whole number")
    check_dims("cat", dim, shapes[0])
    others = [[n for d, n in enumerate(shape) if d != dim % len(shapes[0])] for shape in shapes]
    if any(other != others[0] for other in others) or len({len(shape) for shape in shapes}) > 1:
        raise ValueError(f"cat: shapes are {shapes} and dim is {dim}; all sizes but the one of dim must be equal")

"""What every operation asks of its tensors, with errors that say what to change."""

import math
import operator

import numpy as np

from minidl.tensor import Tensor

__all__ = ["check_between", "check_tensors", "flatten", "matrix", "pair", "row"]


def check_tensors(op, optional=("bias",), **tensors):
    """All tensors are Tensors of one float type, which x, or the first, sets; None is allowed for the optional ones."""
    dtype = None
    for name, tensor in tensors.items():
        if tensor is None and name in optional:
            continue
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{op}: {name} is a {type(tensor).__name__}, not a Tensor; wrap it: Tensor({name})")
        if tensor.data.dtype == dtype:
            continue
        if dtype is None and tensor.data.dtype.kind == "f":
            dtype, first = tensor.data.dtype, name
        elif dtype is None:
            raise TypeError(f"{op}: {name} is {tensor.data.dtype}, not a float type; convert it: {name}.to(np.float32)")
        else:
            raise TypeError(f"{op}: {first} is {dtype} but {name} is {tensor.data.dtype}; convert one: .to({dtype})")


def check_between(op, name, value, least, most=math.inf):
    """A number from `least` to `most`; a NaN is none."""
    try:
        if least <= value <= most:
            return
    except TypeError:  # no number at all
        pass
    span = f"of at least {least}" if most == math.inf else f"from {least} to {most}"
    raise ValueError(f"{op}: {name} is {value!r}; it must be a number {span}")


def flatten(op, x):
    """The numbers of a float tensor as one contiguous row: what an elementwise kernel takes."""
    check_tensors(op, x=x)
    return row(x.data)


def row(array):
    """An array's numbers as one contiguous row; a strided view would make Numba compile the kernel once more."""
    return np.ascontiguousarray(array).reshape(-1)


def matrix(array):
    """An array's vectors along the last axis as the rows of one contiguous matrix: the array itself if it is one."""
    array = np.ascontiguousarray(array)
    return array if array.ndim == 2 else array.reshape(-1, array.shape[-1])


def pair(op, name, value, least):
    """A whole number, or a pair of them, as a pair of ints; none below `least`."""
    try:
        height, width = map(operator.index, value if isinstance(value, tuple | list) else (value, value))
    except (TypeError, ValueError):
        height = width = least - 1
    if min(height, width) < least:
        raise ValueError(f"{op}: {name} is {value}; it must be a whole number of at least {least}, or a pair of them")
    return height, width

"""What every operation asks of its tensors, with errors that say what to change."""

import math

import numpy as np

from minidl.kernels.jit import contiguous
from minidl.tensor import Tensor

__all__ = ["check_tensors", "flatten", "matrix", "row"]


def check_tensors(op, optional=("bias",), **tensors):
    """Check that all are Tensors of one float type, which x, or the first, sets; the optional ones may be None."""
    dtype = None
    for name, tensor in tensors.items():
        if tensor is None and name in optional:
            continue
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{op}: {name} is a {type(tensor).__name__}, not a Tensor; wrap it: Tensor({name})")
        data = tensor.data
        own = data.dtype if type(data) is np.ndarray else tensor._settle().dtype
        if dtype is None:  # asked first, because NumPy finds that float64 == None
            if own.kind != "f":
                raise TypeError(f"{op}: {name} is {own}, not a float type; convert it: {name}.to(np.float32)")
            dtype, first = own, name
        elif own != dtype:
            odd, right = (first, own) if own == np.float32 else (name, dtype)
            raise TypeError(
                f"{op}: {first} is {dtype} but {name} is {own}; convert one: {odd}.to(np.{right}), or its array by "
                f".astype(np.{right})"
            )


def flatten(op, x):
    """Return the numbers of a float tensor as one contiguous row: what an elementwise kernel takes."""
    check_tensors(op, x=x)
    return row(x.data)


def row(array):
    """Return an array's numbers as one contiguous row; a strided view would make Numba compile the kernel once more."""
    return contiguous(array).reshape(-1)


def matrix(array):
    """Return an array's vectors along the last axis as the rows of one contiguous matrix: the array itself if it is one."""
    array = contiguous(array)
    return array if array.ndim == 2 else array.reshape(math.prod(array.shape[:-1]), array.shape[-1])

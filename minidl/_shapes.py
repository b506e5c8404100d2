"""Whether shapes and dimensions fit what a tensor is asked to do; errors say what would."""

from numbers import Integral

import numpy as np

__all__ = ["check_cat", "check_dims", "check_permutation", "check_shapes"]


def check_shapes(op, a, b):
    """Whether shapes a and b fit each other by NumPy's broadcasting."""
    for m, n in zip(reversed(a), reversed(b), strict=False):
        if m != n and 1 not in (m, n):
            raise ValueError(
                f"{op}: shapes {a} and {b} do not fit; from the last, sizes must be equal, or one of them 1"
            )


def check_dims(op, dim, shape, empty=True):
    """Whether `dim` (None, a number or a tuple of them) names dimensions of that shape, if not `empty` of some size."""
    if dim is None and (empty or 0 not in shape):
        return
    dims = range(len(shape)) if dim is None else dim if isinstance(dim, tuple | list) else (dim,)
    for d in dims:
        if not isinstance(d, Integral) or not -len(shape) <= d < len(shape):
            span = f"from {-len(shape)} to {len(shape) - 1}" if shape else "None, as there are no dimensions"
            raise np.exceptions.AxisError(f"{op}: dim is {dim!r} but the tensor is {shape}; dim must be {span}")
        if not empty and shape[d] == 0:
            raise ValueError(f"{op}: the tensor is {shape}; there must be at least one number along dim {d}")


def check_permutation(dims, shape):
    """Whether `dims` names each dimension of that shape once."""
    check_dims("permute", dims, shape)
    if sorted(d % len(shape) for d in dims) != list(range(len(shape))):
        raise ValueError(f"permute: dims are {dims} but the tensor is {shape}; each dimension must be named once")


def check_cat(shapes, dim):
    """Whether arrays of these shapes can be joined along `dim`."""
    check_dims("cat", dim, shapes[0])
    others = [[n for d, n in enumerate(shape) if d != dim % len(shapes[0])] for shape in shapes]
    if any(other != others[0] for other in others) or len({len(shape) for shape in shapes}) > 1:
        raise ValueError(f"cat: shapes are {shapes} and dim is {dim}; all sizes but the one of dim must be equal")

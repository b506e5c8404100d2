"""What every operation asks of its tensors, with errors that say what to change."""

from minidl.tensor import Tensor

__all__ = ["check_tensors", "flatten", "pair"]


def check_tensors(op, **tensors):
    """All given tensors (None is allowed) are Tensors of one float type; x, or the first, sets the type."""
    dtype = None
    for name, tensor in tensors.items():
        if tensor is None:
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


def flatten(op, x):
    """The numbers of a float tensor as one contiguous row: what an elementwise kernel takes."""
    check_tensors(op, x=x)
    return x.data.reshape(-1)


def pair(op, name, value, least):
    """An int or a pair of ints, as a pair; none below `least`."""
    values = (value, value) if not isinstance(value, tuple | list) else tuple(value)
    if len(values) != 2 or any(not isinstance(v, int) or v < least for v in values):
        raise ValueError(f"{op}: {name} is {value}; it must be a whole number of at least {least}, or a pair of them")
    return values

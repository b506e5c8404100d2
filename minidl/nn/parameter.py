"""Parameter: a tensor that training changes, with an array of its own."""

from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import ArrayLike

from minidl.autograd import changed_in_place
from minidl.tensor import Tensor

__all__ = ["Parameter", "set_numbers"]

_of_parameters: WeakValueDictionary[int, np.ndarray] = WeakValueDictionary()  # id → array that a Parameter owns


class Parameter(Tensor):
    """A tensor that training changes: `requires_grad` is True.

    data    numbers, which are copied: a step changes no array but the parameter's own
    Tied    weights are one Parameter in several places, with `w.T` in `forward` where its transpose is needed
    Errors  ValueError for the array of another parameter, or a view of it, which PyTorch would tie: pass a copy
    """

    __slots__ = ()

    def __init__(self, data: ArrayLike | Tensor):
        super().__init__(data, requires_grad=True)
        owner = self.data
        while isinstance(owner.base, np.ndarray):
            owner = owner.base
        if _of_parameters.get(id(owner)) is owner:
            raise ValueError(
                "Parameter: got a view of another parameter's array; to tie the two, use one Parameter in both places "
                "(w.T in forward), otherwise pass a copy: w.data.copy()"
            )
        self._own(np.array(self.data, order="C"))

    def _own(self, array):
        self.data = _of_parameters[id(array)] = array


def set_numbers(tensor, values):
    """Write values into a parameter's own array, and return it: how initial weights are set."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"init: got a {type(tensor).__name__}; it must be a parameter, such as layer.weight")
    if not tensor.data.flags.writeable:
        raise ValueError(f"init: the array of the tensor {tensor.shape} is read-only; it must be a copy: w.data.copy()")
    tensor.data[...] = values
    changed_in_place([tensor])
    return tensor

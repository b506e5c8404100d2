"""What Python itself asks of a tensor: its length, its elements, its number, its truth, its text.

What is not answered here Python makes up from `__getitem__`, and often wrongly: a tensor without dimensions would be an
empty list.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

__all__ = ["Value"]


class Value:
    """An array, `.data`, as a Python object."""

    __slots__ = ()
    data: np.ndarray

    def item(self) -> float:
        """Return the one element as a Python number."""
        if self.data.size != 1:
            raise ValueError(f"item: the tensor has shape {self.shape}; only a tensor of one element is a number")
        return self.data.item()

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of all dimensions."""
        return self.data.shape

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self.data.ndim

    @property
    def dtype(self) -> np.dtype:
        """The type of the elements."""
        return self.data.dtype

    def numel(self) -> int:
        """Return the number of elements."""
        return self.data.size

    def __len__(self) -> int:
        if not self.data.ndim:
            raise TypeError("len: the tensor has no dimensions; it must have at least one")
        return len(self.data)

    def __iter__(self) -> Iterator[Any]:
        if not self.data.ndim:
            raise TypeError("iter: the tensor has no dimensions; it must have at least one: take .item()")
        return (self[i] for i in range(len(self)))  # type: ignore[index]

    def __contains__(self, element: object) -> bool:
        return bool(np.any(self.data == (element.data if isinstance(element, Value) else element)))

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if self.data.ndim or self.data.dtype.kind not in "iub":  # as in NumPy: array[Tensor([1])] keeps a dimension
            raise TypeError(f"index: the tensor is {self.dtype} of shape {self.shape}; it must be one whole number, ()")
        return int(self.item())

    def __bool__(self) -> bool:
        if self.data.size != 1:
            raise ValueError(f"bool: the tensor has shape {self.shape}; it must have one element: take .data.any()")
        return bool(self.data)

    def __format__(self, spec: str) -> str:
        if spec and self.data.size != 1:
            raise TypeError(
                f"format: the tensor has shape {self.shape}; it must have one element to be written as {spec!r}"
            )
        return format(self.item(), spec) if spec else str(self)

    def __setitem__(self, index, value):
        raise TypeError("setitem: tensors do not change in place; write to .data, before the tensor is used")

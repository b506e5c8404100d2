"""Sequential: one module after another."""

from collections.abc import Iterator
from typing import Any

from minidl.nn.module import Module
from minidl.tensor import Tensor

__all__ = ["Sequential"]


class Sequential(Module):
    """Modules applied one after another. `model[i]` is the i-th, `model[a:b]` a Sequential of several."""

    def __init__(self, *layers: Module):
        for i, layer in enumerate(layers):
            if not isinstance(layer, Module):
                raise TypeError(
                    f"Sequential: layer {i} is a {type(layer).__name__}; it must be a Module: Sequential(a, b)"
                )
            setattr(self, str(i), layer)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the modules in order."""
        for layer in self._layers():
            x = layer(x)
        return x

    def _layers(self):
        return [layer for layer in vars(self).values() if isinstance(layer, Module)]

    def __getitem__(self, index: int | slice) -> Any:
        layers = self._layers()
        if not isinstance(index, slice) and not -len(layers) <= index < len(layers):
            raise IndexError(f"Sequential: index is {index}; it must be from {-len(layers)} to {len(layers) - 1}")
        return Sequential(*layers[index]) if isinstance(index, slice) else layers[index]

    def __len__(self) -> int:
        return len(self._layers())

    def __iter__(self) -> Iterator[Module]:
        return iter(self._layers())

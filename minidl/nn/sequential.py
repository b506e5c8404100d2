"""Sequential: one module after another."""

from collections.abc import Iterator
from typing import Any

from minidl import functional as F
from minidl.nn.layers import MaxPool2d, ReLU
from minidl.nn.module import Module
from minidl.nn.norm import BatchNorm
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
        """Apply the modules in order; a batch norm, ReLU and 2×2 max-pooling together, see `ops/fused.py`."""
        layers = [layer for layer in vars(self).values() if isinstance(layer, Module)]
        i = 0
        while i < len(layers):
            if type(layers[i]) is BatchNorm and _fuses(layers[i : i + 3], x):
                x = layers[i].normalise(F.batch_norm_relu_max_pool2d, x)
                i += 3
            else:
                x = layers[i](x)
                i += 1
        return x

    def __getitem__(self, index: int | slice) -> Any:
        layers = list(self.children())
        if not isinstance(index, slice) and not -len(layers) <= index < len(layers):
            raise IndexError(f"Sequential: index is {index}; it must be from {-len(layers)} to {len(layers) - 1}")
        return Sequential(*layers[index]) if isinstance(index, slice) else layers[index]

    def __len__(self) -> int:
        return len(list(self.children()))

    def __iter__(self) -> Iterator[Module]:
        return self.children()


def _fuses(layers, x):
    """Whether these are batch norm, ReLU and 2×2 max-pooling of images, and nobody looks at what is between them."""
    return (
        getattr(x, "ndim", 0) == 4
        and [type(layer) for layer in layers] == [BatchNorm, ReLU, MaxPool2d]
        and layers[2].kernel_size in (2, (2, 2))
        and layers[2].stride in (None, 2, (2, 2))
        and min(x.shape[1:3]) >= 2
        and not any(layer._forward_hooks for layer in layers)
    )

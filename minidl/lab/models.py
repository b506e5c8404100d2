"""The networks that minidl is measured by: the paper's own, and two convolutional ones."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from minidl import nn

__all__ = ["cifar_conv", "initialise", "mnist_conv", "paper_mlp", "spare_generator"]


def paper_mlp(
    norm: str | Callable[[int], nn.Module] = "batch", init_std: float = 0.1,
    sizes: Sequence[int] = (784, 100, 100, 100, 10), generator: np.random.Generator | None = None,
    activation: Callable[[], nn.Module] = nn.Sigmoid,
) -> nn.Sequential:  # fmt: skip
    """Build the network of the paper's Figure 1: sigmoid layers of 100 units, with or without batch norm before each.

    norm        "batch" or "none"; or a function that makes another layer in batch norm's place, from the number of
                features. A batch norm makes the bias before it redundant (§3.2), so there is none
    init_std    weights are normal with this standard deviation, biases 0; equal generators give equal weights
                with any norm
    activation  what makes the layer after it
    Shape       (N, 784) → (N, 10)
    Source      Ioffe and Szegedy 2015, §4.1
    """
    if not callable(norm):
        _check_norm("paper_mlp", norm)
    if len(sizes) < 2:
        raise ValueError(f"paper_mlp: sizes are {sizes}; there must be at least two, of the input and of the output")
    make: Any = nn.BatchNorm if norm == "batch" else norm
    spare = spare_generator()
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes[:-1]):
        layers.append(nn.Linear(n_in, n_out, bias=norm == "none", generator=spare))
        layers += [] if norm == "none" else [make(n_out)]
        layers.append(activation())
    layers.append(nn.Linear(sizes[-2], sizes[-1], generator=spare))
    model = nn.Sequential(*layers)
    return initialise(model, lambda weight: nn.init.normal_(weight, 0, init_std, generator))


def mnist_conv(norm: str = "batch", generator: np.random.Generator | None = None) -> nn.Sequential:
    """Build a small convolutional network for 28×28 images: two convolutions with pooling, one hidden layer; ReLU.

    norm        "batch" or "none", as for `paper_mlp`
    Shape       (N, 28, 28, 1) → (N, 10)
    """
    _check_norm("mnist_conv", norm)

    def block(layer, n):
        return [layer, *([nn.BatchNorm(n)] if norm == "batch" else []), nn.ReLU()]

    options = {"bias": norm == "none", "generator": spare_generator()}
    model = nn.Sequential(
        *block(nn.Conv2d(1, 32, 3, padding=1, **options), 32),
        nn.MaxPool2d(2),
        *block(nn.Conv2d(32, 64, 3, padding=1, **options), 64),
        nn.MaxPool2d(2),
        nn.Flatten(),
        *block(nn.Linear(7 * 7 * 64, 128, **options), 128),
        nn.Linear(128, 10, generator=options["generator"]),
    )
    return initialise(model, lambda weight: nn.init.kaiming_normal_(weight, generator))


def cifar_conv(generator: np.random.Generator | None = None) -> nn.Sequential:
    """Build a convolutional network for 32×32 colour images, with GELU; the largest of the three in the benchmark.

    Shape       (N, 32, 32, 3) → (N, 10)
    """

    spare = spare_generator()

    def conv(n_in, n_out):
        return nn.Conv2d(n_in, n_out, 3, padding=1, bias=False, generator=spare)

    def group(n_in, n_out):
        return [
            conv(n_in, n_out), nn.MaxPool2d(2), nn.BatchNorm(n_out), nn.GELU(),
            conv(n_out, n_out), nn.BatchNorm(n_out), nn.GELU(),
        ]  # fmt: skip

    model = nn.Sequential(
        nn.Conv2d(3, 24, 2, generator=spare), nn.GELU(), *group(24, 64), *group(64, 256), *group(256, 256),
        nn.MaxPool2d(3), nn.Flatten(), nn.Linear(256, 10, bias=False, generator=spare), Scale(1 / 9),
    )  # fmt: skip
    return initialise(model, lambda weight: nn.init.kaiming_normal_(weight, generator))


class Scale(nn.Module):
    """y = factor · x."""

    def __init__(self, factor):
        self.factor = factor

    def forward(self, x):
        """Scale x of any shape."""
        return x * self.factor

    def extra_repr(self):
        """Return the factor."""
        return f"{self.factor:.4g}"


def spare_generator():
    """Return a generator for the initial weights of layers, which `initialise` replaces: the real one must be left alone.

    Layers with and without a bias draw different amounts, and equal seeds must give equal weights with any norm.
    """
    return np.random.default_rng(0)


def initialise(model, weights):
    """Draw all weights with `weights(weight)`, in order, and set biases to 0; batch norms keep γ = 1, β = 0."""
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            weights(module.weight)
            if module.bias is not None:
                module.bias.data[...] = np.float32(0)
    return model


def _check_norm(network, norm):
    if norm not in ("batch", "none"):
        raise ValueError(f'{network}: norm is {norm!r}; it must be "batch" or "none"')

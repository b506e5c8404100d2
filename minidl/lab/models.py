"""The networks that minidl is measured by: the paper's own, and convolutional ones."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from minidl import Tensor, nn

__all__ = ["cifar_conv", "cifar_net", "initialise", "mnist_conv", "paper_mlp", "resnet8", "spare_generator"]


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

    options: dict[str, Any] = {"bias": norm == "none", "generator": spare_generator()}
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
    model = _photo_network((64, 256, 256), 10, nn.BatchNorm)
    return initialise(model, lambda weight: nn.init.kaiming_normal_(weight, generator))


def cifar_net(
    widths: Sequence[int] = (64, 256, 256), norm: str = "batch", classes: int = 10,
    generator: np.random.Generator | None = None, pool: int = 2,
) -> nn.Sequential:  # fmt: skip
    """Build the network of `minidl cifar`: that of `cifar_conv`, with the norms and initial weights of its recipe.

    widths      channels of the three groups
    norm        "batch": without γ, ε = 1e-12, running statistics keep 0.6 of themselves; "group": group norm, 16 channels
                in a group if that divides them; "none", where convolutions have biases
    pool        side of the windows that halve a map; 2 leaves out the last row and column of odd ones, 3 does not
    Weights     uniform in ±1/√fan_in, as PyTorch has them; in ±√(6/fan_in), as He says, where no norm keeps the scale. The
                first filters of each 3×3 convolution pass the input's channels on unchanged; biases are 0. The first layer
                is meant for `init.whitening_`
    Shape       (N, 32, 32, 3) → (N, classes)
    Source      Jordan 2024, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU"
    """
    if len(widths) != 3:
        raise ValueError(f"cifar_net: widths are {widths}; there must be three, the channels of each group")
    model = _photo_network(widths, classes, _norm_of_photos(norm), pool)
    spread = 6.0 if norm == "none" else 1.0

    def weights(weight):
        bound = math.sqrt(spread / math.prod(weight.shape[:-1]))
        nn.init.uniform_(weight, -bound, bound, generator)
        if weight.shape[:2] == (3, 3):
            same = min(weight.shape[2:])
            weight.data[..., :same] = nn.init.dirac_(Tensor(np.empty((*weight.shape[:3], same), np.float32))).data

    return initialise(model, weights)


def resnet8(classes: int = 10, generator: np.random.Generator | None = None) -> nn.Sequential:
    """Build the smallest residual network for 32×32 colour images: three blocks of 16, 32 and 64 channels.

    Weights     as He says, biases 0; where a block halves the image, its shortcut is a convolution of 1×1 with batch norm
    Shape       (N, 32, 32, 3) → (N, classes)
    Source      He et al. 2016, "Deep Residual Learning for Image Recognition", §4.2 with n = 1
    """
    spare = spare_generator()

    def conv(n_in, n_out, size=3, stride=1):
        layer = nn.Conv2d(n_in, n_out, size, stride, padding=size // 2, bias=False, generator=spare)
        return [layer, nn.BatchNorm(n_out)]

    def block(n_in, n_out):
        stride = n_out // n_in
        shortcut = None if stride == 1 else nn.Sequential(*conv(n_in, n_out, 1, stride))
        body = nn.Sequential(*conv(n_in, n_out, stride=stride), nn.ReLU(), *conv(n_out, n_out))
        return [nn.Residual(body, shortcut), nn.ReLU()]

    model = nn.Sequential(
        *conv(3, 16), nn.ReLU(), *block(16, 16), *block(16, 32), *block(32, 64), nn.GlobalAvgPool2d(),
        nn.Linear(64, classes, generator=spare),
    )  # fmt: skip
    return initialise(model, lambda weight: nn.init.kaiming_normal_(weight, generator))


def _norm_of_photos(norm):
    """Return what makes a norm from the number of channels; None for none."""
    _check_norm("cifar_net", norm, ("batch", "group", "none"))
    if norm == "batch":
        return lambda channels: nn.BatchNorm(channels, eps=1e-12, momentum=0.4, weight=False)
    if norm == "none":
        return None
    return lambda channels: nn.GroupNorm(math.gcd(channels, max(1, channels // 16)), channels)


def _photo_network(widths, classes, make_norm, pool=2):
    """Stack the layers of `cifar_conv`; the initial weights are the caller's."""
    spare = spare_generator()

    def block(n_in, n_out, first=()):
        conv = nn.Conv2d(n_in, n_out, 3, padding=1, bias=make_norm is None, generator=spare)
        return [conv, *first, *([make_norm(n_out)] if make_norm else []), nn.GELU()]

    layers, n_in = [nn.Conv2d(3, 24, 2, generator=spare), nn.GELU()], 24
    for width in widths:
        layers += [*block(n_in, width, [nn.MaxPool2d(pool, 2)]), *block(width, width)]
        n_in = width
    layers += [nn.MaxPool2d(3), nn.Flatten(), nn.Linear(n_in, classes, bias=False, generator=spare), Scale(1 / 9)]
    return nn.Sequential(*layers)


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


def spare_generator() -> np.random.Generator:
    """Return a generator for the initial weights of layers, which `initialise` replaces: the real one must be left alone.

    Layers with and without a bias draw different amounts, and equal seeds must give equal weights with any norm.
    """
    return np.random.default_rng(0)


def initialise(model: nn.Sequential, weights: Callable[[nn.Parameter], Any]) -> nn.Sequential:
    """Draw all weights with `weights(weight)`, in order, and set biases to 0; batch norms keep γ = 1, β = 0."""
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            weights(module.weight)
            if module.bias is not None:
                module.bias.data[...] = np.float32(0)
    return model


def _check_norm(network, norm, known=("batch", "none")):
    if norm not in known:
        names = " or ".join(", ".join(f'"{name}"' for name in known).rsplit(", ", 1))
        raise ValueError(f"{network}: norm is {norm!r}; it must be {names}")

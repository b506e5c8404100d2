"""The networks of the claim `steps`: a small Inception for 32 × 32 photographs, and a plain stack of convolutions."""

from collections.abc import Callable

import numpy as np

from minidl import functional as F
from minidl import nn
from minidl.autograd import no_grad
from minidl.lab.models import initialise, spare_generator
from minidl.ops.join import cat
from minidl.tensor import Tensor

__all__ = ["Border", "Branches", "LocalResponse", "plain_stack", "small_inception", "standardise"]


def small_inception(
    norm: str = "none", activation: Callable[[], nn.Module] = nn.ReLU, width: int = 16, response: bool = True,
    dropout: float = 0.4, generator: np.random.Generator | None = None, drops: np.random.Generator | None = None,
) -> nn.Sequential:  # fmt: skip
    """Build the paper's Inception, scaled down: 12 layers of weights along the longest path, 24 in all.

    Two convolutions with pooling, then three Inception modules: two at 8 × 8, one at 4 × 4. A module has four branches: a
    1×1 convolution; 1×1 and 3×3; 1×1 and two 3×3 (where GoogLeNet had one 5×5); average pooling and 1×1. With a width of 16
    there are 120,000 parameters, and 7.2 million multiplications for an image.

    norm        "batch" or "none"; batch norm comes before each activation, and replaces the biases there (§3.2)
    activation  what makes the layer after it
    width       channels of the narrowest branch
    response    whether there is a local response normalisation after the first two convolutions
    dropout     before the last layer; 0 for none
    generator   equal generators give equal weights with any norm, activation, response and dropout
    drops       the generator of the dropout
    Shape       (N, 32, 32, 3) → (N, 10)
    Source      Ioffe and Szegedy 2015, §4.2 and Figure 5; Szegedy et al. 2014
    """
    w, unit = width, _Units(norm, activation)
    model = nn.Sequential(
        *unit.conv(3, 2 * w, 3), nn.MaxPool2d(2),
        *unit.conv(2 * w, 2 * w, 3), nn.MaxPool2d(2),
        *([LocalResponse(2 * w)] if response else []),
        unit.module(2 * w, w, (w, 2 * w), (w, w), w),
        unit.module(5 * w, 2 * w, (2 * w, 3 * w), (w, 2 * w), w),
        nn.MaxPool2d(2),
        unit.module(8 * w, 3 * w, (3 * w, 4 * w), (w, 2 * w), 2 * w),
        nn.GlobalAvgPool2d(),
        *([nn.Dropout(dropout, drops)] if dropout else []),
        nn.Linear(11 * w, 10, generator=unit.spare),
    )  # fmt: skip
    return initialise(model, lambda weight: nn.init.kaiming_normal_(weight, generator))


def plain_stack(
    norm: str = "none", activation: Callable[[], nn.Module] = nn.ReLU, width: int = 16, response: bool = True,
    dropout: float = 0.4, generator: np.random.Generator | None = None, drops: np.random.Generator | None = None,
) -> nn.Sequential:  # fmt: skip
    """Build a stack of eight 3×3 convolutions in four pairs, with pooling after the first three pairs.

    With a width of 16 there are 147,000 parameters, and 11 million multiplications for an image. Arguments and shapes are
    those of `small_inception`.
    """
    unit, layers, before = _Units(norm, activation), [], 3
    for pair, channels in enumerate((width, 2 * width, 4 * width, 4 * width)):
        layers += [*unit.conv(before, channels, 3), *unit.conv(channels, channels, 3)]
        layers += [nn.MaxPool2d(2)] if pair < 3 else []
        layers += [LocalResponse(channels)] if pair == 1 and response else []
        before = channels
    layers += [nn.GlobalAvgPool2d(), *([nn.Dropout(dropout, drops)] if dropout else [])]
    model = nn.Sequential(*layers, nn.Linear(before, 10, generator=unit.spare))
    return initialise(model, lambda weight: nn.init.kaiming_normal_(weight, generator))


class _Units:
    """Convolutions with what follows them."""

    def __init__(self, norm, activation):
        if norm not in ("batch", "none"):
            raise ValueError(f'the norm is {norm!r}; it must be "batch" or "none"')
        self.norm, self.activation, self.spare = norm, activation, spare_generator()

    def conv(self, n_in, n_out, size):
        """A convolution that keeps height and width, batch norm if there is one, the activation."""
        bias = self.norm == "none"
        layer = nn.Conv2d(n_in, n_out, size, padding=size // 2, bias=bias, generator=self.spare)
        return [layer, *([] if bias else [nn.BatchNorm(n_out)]), self.activation()]

    def module(self, n_in, single, three, double, pool):
        """An Inception module."""
        (before, three), (first, double) = three, double
        return Branches(
            nn.Sequential(*self.conv(n_in, single, 1)),
            nn.Sequential(*self.conv(n_in, before, 1), *self.conv(before, three, 3)),
            nn.Sequential(*self.conv(n_in, first, 1), *self.conv(first, double, 3), *self.conv(double, double, 3)),
            nn.Sequential(Border(), nn.AvgPool2d(3, stride=1), *self.conv(n_in, pool, 1)),
        )


class Branches(nn.Module):
    """Several modules on the same input, side by side; their outputs are joined along the channels."""

    def __init__(self, *branches: nn.Module):
        for i, branch in enumerate(branches):
            setattr(self, str(i), branch)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, H, W, the sum of the branches' channels) for x (N, H, W, C)."""
        return cat([branch(x) for branch in self.children()], -1)


class Border(nn.Module):
    """A border of zeros, one pixel wide: pooling then keeps height and width."""

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, H + 2, W + 2, C) for x (N, H, W, C)."""
        n, height, width, channels = x.shape
        row = np.zeros((n, 1, width, channels), x.dtype)
        column = np.zeros((n, height + 2, 1, channels), x.dtype)
        return cat([column, cat([row, x, row], 1), column], 2)


class LocalResponse(nn.Module):
    """Local response normalisation: y_c = x_c / (1 + α·Σ x²)^β, the sum over five channels around c.

    α = 0.1 suits activations near 1; Krizhevsky's 1e-4 was for those of images from −128 to 127.
    Shape   (…, C)
    Source  Krizhevsky et al. 2012, §3.3
    """

    alpha, beta, reach = 0.1, 0.75, 2

    def __init__(self, channels: int):
        place = np.arange(channels)
        near = abs(place[:, None] - place) <= self.reach
        self.band = Tensor(near * np.float32(self.alpha))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x."""
        return x * (1 + F.linear(x * x, self.band)) ** -self.beta


@no_grad()
def standardise(model: nn.Module, images: np.ndarray) -> nn.Module:
    """Give every layer of weights but the last a start at which its units have mean 0 and variance 1 on these images.

    It is what batch norm would do, once: a good start for a network without it. A layer without a bias is only scaled, and a
    unit that is the same for all images is left as it is. Returns the model.
    Source  Krähenbühl et al. 2016; the idea also in Mishkin and Matas 2016
    """
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d | nn.Linear)][:-1]

    def put(layer, inputs, y):
        units = y.data.reshape(-1, y.shape[-1])
        std = units.std(0)
        scale = np.divide(1, std, out=np.ones_like(std), where=std > 1e-6)
        layer.weight.data *= scale
        if layer.bias is None:
            return Tensor(y.data * scale)
        mean = np.where(std > 1e-6, units.mean(0), 0).astype(y.dtype)
        layer.bias.data[...] = (layer.bias.data - mean) * scale
        return Tensor((y.data - mean) * scale)

    handles = [layer.register_forward_hook(put) for layer in layers]
    model.eval()
    try:
        model(Tensor(images))
    finally:
        for handle in handles:
            handle.remove()
        model.train()
    return model

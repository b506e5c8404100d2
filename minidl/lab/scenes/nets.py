"""A small encoder and decoder for scenes, for a class at each pixel or a map of centres; norms with fixed statistics."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minidl import Tensor, nn
from minidl import functional as F
from minidl._numbers import check_whole
from minidl.lab.models import initialise, spare_generator
from minidl.lab.scenes.centres import BOX
from minidl.nn.replace import replace_child
from minidl.ops._check import check_tensors
from minidl.optim import update_bn

__all__ = ["NORMS", "FrozenBatchNorm", "SceneNet", "detector", "freeze", "pixels", "segmenter"]

GROUP = 4  # channels in a group of group norm
NORMS: dict[str, Callable[[int], nn.Module] | None] = {
    "batch": nn.BatchNorm,
    "group": lambda channels: nn.GroupNorm(math.gcd(channels, max(1, channels // GROUP)), channels),
    "none": None,
}


def pixels(images: np.ndarray) -> np.ndarray:
    """Turn bytes, 0 … 255, into float32 from −1 to 1: what networks take.

    Errors  ValueError for other than bytes
    """
    images = np.asarray(images)
    if images.dtype != np.uint8:
        raise ValueError(f"pixels: images are {images.dtype}; they must be bytes (uint8), as draw_scenes gives them")
    return images * np.float32(2 / 255) - np.float32(1)


class SceneNet(nn.Module):
    """Images become small and their channels many, then large again, with the sum of what was there on the way down.

    A convolution of stride 2 and a 3×3 convolution at each of the sizes 1/2, 1/4 and 1/8 (at 1/2 only the first); then back:
    enlarged twice, mapped by a 1×1 convolution to the channels of that size, added to them, a 3×3 convolution. Each
    convolution of the former kind is followed by a norm and ReLU. A last 1×1 convolution gives the outputs.

    outputs     channels of the result
    stride      1: back to the size of the image, for a class at each pixel; the last step is only enlarged, bilinearly.
                4: a quarter of it, for centres of objects
    norm        "batch", "group" (groups of four channels) or "none", where convolutions have biases; or a function that
                makes a layer from the number of channels
    widths      channels at 1/2, 1/4 and 1/8
    generator   equal generators give equal weights with any norm
    Shape       x (N, H, W, 1), with sides that are multiples of 8; y (N, H / stride, W / stride, outputs)
    Source      after Lin et al. 2017, "Feature Pyramid Networks" (not read), and Ronneberger et al. 2015, "U-Net" (not read)
    """

    def __init__(
        self, outputs: int, stride: int = 1, norm: str | Callable[[int], nn.Module] = "batch",
        widths: tuple[int, int, int] = (8, 16, 32), generator: np.random.Generator | None = None,
    ):  # fmt: skip
        check_whole("SceneNet", "outputs", outputs)
        if stride not in (1, 4):
            raise ValueError(
                f"SceneNet: stride is {stride!r}; it must be 1, the size of the image, or 4, a quarter of it"
            )
        make, spare = _maker(norm), spare_generator()

        def block(n_in, n_out, step=1):
            conv = nn.Conv2d(n_in, n_out, 3, step, padding=1, bias=make is None, generator=spare)
            return nn.Sequential(conv, *([make(n_out)] if make else []), nn.ReLU())

        def thin(n_in, n_out):
            return nn.Conv2d(n_in, n_out, 1, bias=False, generator=spare)

        if not isinstance(widths, tuple | list) or len(widths) != 3:
            raise ValueError(f"SceneNet: widths are {widths!r}; they must be three: channels at 1/2, 1/4 and 1/8")
        half, quarter, eighth = (check_whole("SceneNet", "a width", width) for width in widths)
        self.stride = stride
        self.half = block(1, half, 2)
        self.quarter = nn.Sequential(block(half, quarter, 2), block(quarter, quarter))
        self.eighth = nn.Sequential(block(quarter, eighth, 2), block(eighth, eighth))
        self.to_quarter, self.at_quarter = thin(eighth, quarter), block(quarter, quarter)
        if stride == 1:
            self.to_half, self.at_half = thin(quarter, half), block(half, half)
        self.head: Any = nn.Conv2d(half if stride == 1 else quarter, outputs, 1, generator=spare)
        net: Any = self  # not a Sequential, but it has modules
        initialise(net, lambda weight: nn.init.kaiming_normal_(weight, generator))

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs for x (N, H, W, 1)."""
        check_tensors("SceneNet", x=x)
        if x.ndim != 4 or x.shape[1] % 8 or x.shape[2] % 8 or 0 in x.shape:
            raise ValueError(f"SceneNet: x is {x.shape}; it must be (N, H, W, 1), with sides that are multiples of 8")
        half = self.half(x)
        quarter = self.quarter(half)
        eighth = self.eighth(quarter)
        y = self.at_quarter(quarter + F.interpolate(self.to_quarter(eighth), 2))
        if self.stride == 4:
            return self.head(y)
        y = self.at_half(half + F.interpolate(self.to_half(y), 2))
        return F.interpolate(self.head(y), 2, "bilinear")


def segmenter(
    classes: int, norm: str | Callable[[int], nn.Module] = "batch", generator: np.random.Generator | None = None
) -> SceneNet:
    """Build a `SceneNet` for the class of each pixel: 0, the background, and 1 to `classes`.

    At first the biases say that nine pixels in ten are background, so that training need not begin with that.
    """
    net = SceneNet(check_whole("segmenter", "classes", classes) + 1, 1, norm, generator=generator)
    net.head.bias.data[0] = math.log(9 * classes)
    return net


def detector(
    classes: int, norm: str | Callable[[int], nn.Module] = "batch", generator: np.random.Generator | None = None
) -> SceneNet:
    """Build a `SceneNet` for `centre_loss`: a map of centres for each class, and four of boxes, at a quarter of the size.

    At first the centres' biases say 1 % everywhere, so that the many cells without one do not outweigh the few with one, and
    those of height and width say one unit.
    """
    net = SceneNet(check_whole("detector", "classes", classes) + BOX, 4, norm, generator=generator)
    net.head.bias.data[:classes] = -math.log(99)
    net.head.bias.data[classes : classes + 2] = 1
    return net


def _maker(norm) -> Any:
    if callable(norm):
        return norm
    if not isinstance(norm, str) or norm not in NORMS:
        raise ValueError(f"SceneNet: norm is {norm!r}; it must be one of {', '.join(map(repr, NORMS))}, or a function")
    return NORMS[norm]


class FrozenBatchNorm(nn.Module):
    """Batch norm whose statistics never change: y = γ·(x − mean)/√(var + ε) + β, in training and in evaluation.

    norm        a `BatchNorm` with running statistics, which are copied; γ and β are shared, and learned if they were
    Buffers     running_mean, running_var (C,)
    """

    _optional = "weight", "bias"

    def __init__(self, norm: nn.BatchNorm):
        if not isinstance(norm, nn.BatchNorm) or not norm.track_running_stats:
            raise TypeError(f"FrozenBatchNorm: norm is {norm!r}; it must be a BatchNorm that tracks running statistics")
        self.eps, self.weight, self.bias = norm.eps, norm.weight, norm.bias
        self.register_buffer("running_mean", norm.running_mean.copy())
        self.register_buffer("running_var", norm.running_var.copy())

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x (N, C) or (N, H, W, C)."""
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)

    def extra_repr(self) -> str:
        """Return features and ε."""
        return f"{len(self.running_mean)}, eps={self.eps:g}"


def freeze(model: nn.Module, inputs: np.ndarray) -> nn.Module:
    """Put norms with fixed statistics in the place of all batch norms, those of these inputs; returns the model.

    The statistics of a layer are taken after the layers before it have been normalised by theirs. Where the network has not
    been trained yet, this is a start in which every unit has mean 0 and variance 1.

    inputs  one batch of the network's inputs; the more, the better the statistics
    Errors  ValueError for a network without batch norm that tracks statistics
    """
    norms = [
        (parent, name, child)
        for parent in model.modules()
        for name, child in parent.named_children()
        if isinstance(child, nn.BatchNorm) and child.track_running_stats
    ]
    if not norms:
        raise ValueError(
            f"freeze: {type(model).__name__} has no BatchNorm whose statistics could be fixed; it must have one"
        )
    update_bn([inputs], model)
    for parent, name, norm in norms:
        replace_child(parent, name, FrozenBatchNorm(norm))
    return model

"""Layers: an operation of `functional` with its parameters or settings. The maths is in the operations' docstrings."""

import math

import numpy as np

from minidl import functional as F
from minidl._numbers import check_between, check_whole, pair
from minidl.nn import init
from minidl.nn.module import Module
from minidl.nn.parameter import Parameter
from minidl.random import as_generator
from minidl.tensor import Tensor

__all__ = ["GELU", "AvgPool2d", "Conv2d", "Dropout", "Flatten", "GlobalAvgPool2d", "Linear", "MaxPool2d", "ReLU",
           "Sigmoid", "Tanh"]  # fmt: skip


class Linear(Module):
    """y = x·W + b, see `F.linear`.

    Parameters  weight (in, out) and bias (out,), both uniform in ±1/√in at first, as in PyTorch
    """

    _optional = ("bias",)

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, generator: np.random.Generator | None = None
    ):
        check_whole("Linear", "in_features", in_features)
        check_whole("Linear", "out_features", out_features)
        bound = 1 / math.sqrt(in_features)
        self.weight = Parameter(np.empty((in_features, out_features), np.float32))
        init.uniform_(self.weight, -bound, bound, generator)
        self.bias = Parameter(np.empty(out_features, np.float32)) if bias else None
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound, generator)

    def forward(self, x: Tensor) -> Tensor:
        """Map x (…, in) to (…, out)."""
        return F.linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"{self.weight.shape[0]}, {self.weight.shape[1]}, bias={self.bias is not None}"


class Conv2d(Module):
    """Two-dimensional convolution of (N, H, W, C), see `F.conv2d`.

    kernel_size, stride, padding    a whole number, or a pair for height and width
    Parameters  weight (kh, kw, C, O) and bias (O,), uniform in ±1/√(kh·kw·C) at first, as in PyTorch
    """

    _optional = ("bias",)

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int | tuple[int, int], stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0, bias: bool = True, generator: np.random.Generator | None = None,
    ):  # fmt: skip
        check_whole("Conv2d", "in_channels", in_channels)
        check_whole("Conv2d", "out_channels", out_channels)
        height, width = pair("Conv2d", "kernel_size", kernel_size, 1)
        pair("Conv2d", "stride", stride, 1)
        pair("Conv2d", "padding", padding, 0)
        bound = 1 / math.sqrt(height * width * in_channels)
        self.stride, self.padding = stride, padding
        self.weight = Parameter(np.empty((height, width, in_channels, out_channels), np.float32))
        init.uniform_(self.weight, -bound, bound, generator)
        self.bias = Parameter(np.empty(out_channels, np.float32)) if bias else None
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound, generator)

    def forward(self, x: Tensor) -> Tensor:
        """Map x (N, H, W, C) to (N, H′, W′, O)."""
        return F.conv2d(x, self.weight, self.bias, self.stride, self.padding)

    def extra_repr(self) -> str:
        """Return channels, kernel and settings."""
        height, width, channels, out = self.weight.shape
        return (
            f"{channels}, {out}, kernel_size={(height, width)}, stride={self.stride}, padding={self.padding}, "
            f"bias={self.bias is not None}"
        )


class ReLU(Module):
    """max(x, 0), see `F.relu`."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply ReLU to x of any shape."""
        return F.relu(x)


class Sigmoid(Module):
    """1 / (1 + exp(−x)), see `F.sigmoid`."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply the sigmoid to x of any shape."""
        return F.sigmoid(x)


class Tanh(Module):
    """tanh(x), see `F.tanh`."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply tanh to x of any shape."""
        return F.tanh(x)


class GELU(Module):
    """x·Φ(x), exactly, see `F.gelu`."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply GELU to x of any shape."""
        return F.gelu(x)


class Dropout(Module):
    """In training, drops each number with probability p, see `F.dropout`."""

    def __init__(self, p: float = 0.5, generator: np.random.Generator | None = None):
        check_between("Dropout", "p", p, 0, 1)
        as_generator(generator)  # a wrong one is refused now, not in the first step
        self.p, self.generator = p, generator

    def forward(self, x: Tensor) -> Tensor:
        """Drop numbers of x, of any shape."""
        return F.dropout(x, self.p, self.training, self.generator)

    def extra_repr(self) -> str:
        """Return the probability."""
        return f"p={self.p}"


class Flatten(Module):
    """(N, …) → (N, product of the rest). Images flatten in the order H, W, C (in PyTorch: C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        """Flatten x (N, …)."""
        if x.ndim == 0:
            raise ValueError("Flatten: x has no dimensions; it must be (N, …)")
        return x.reshape(x.shape[0], math.prod(x.shape[1:]))


class _Pool(Module):
    def __init__(self, kernel_size: int | tuple[int, int], stride: int | tuple[int, int] | None = None):
        pair(type(self).__name__, "kernel_size", kernel_size, 1)
        if stride is not None:
            pair(type(self).__name__, "stride", stride, 1)
        self.kernel_size, self.stride = kernel_size, stride

    def extra_repr(self) -> str:
        """Return window and step."""
        return f"kernel_size={self.kernel_size}, stride={self.stride or self.kernel_size}"


class MaxPool2d(_Pool):
    """The largest number of each window, see `F.max_pool2d`."""

    def forward(self, x: Tensor) -> Tensor:
        """Pool x (N, H, W, C)."""
        return F.max_pool2d(x, self.kernel_size, self.stride)


class AvgPool2d(_Pool):
    """The mean of each window, see `F.avg_pool2d`."""

    def forward(self, x: Tensor) -> Tensor:
        """Pool x (N, H, W, C)."""
        return F.avg_pool2d(x, self.kernel_size, self.stride)


class GlobalAvgPool2d(Module):
    """The mean of each channel over the image, see `F.global_avg_pool2d`."""

    def forward(self, x: Tensor) -> Tensor:
        """Average x (N, H, W, C) to (N, C)."""
        return F.global_avg_pool2d(x)

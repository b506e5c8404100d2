"""Layers that the paper does not need: SiLU, LeakyReLU, Embedding, ConvTranspose2d, Upsample. The maths is in `ops/`."""

import math

import numpy as np

from minidl import functional as F
from minidl._numbers import check_bool, check_whole, pair
from minidl.nn import init
from minidl.nn.module import Module
from minidl.nn.parameter import Parameter
from minidl.ops.conv_transpose import check_output_padding
from minidl.ops.embedding import padding_row
from minidl.ops.rectifiers import check_slope
from minidl.ops.upsample import factors
from minidl.tensor import Tensor

__all__ = ["ConvTranspose2d", "Embedding", "LeakyReLU", "SiLU", "Upsample"]


class SiLU(Module):
    """x / (1 + exp(−x)), see `F.silu`."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply SiLU to x of any shape."""
        return F.silu(x)


class LeakyReLU(Module):
    """x where x > 0, else negative_slope·x, see `F.leaky_relu`."""

    def __init__(self, negative_slope: float = 0.01):
        self.negative_slope = check_slope("LeakyReLU", negative_slope)

    def forward(self, x: Tensor) -> Tensor:
        """Apply leaky ReLU to x of any shape."""
        return F.leaky_relu(x, self.negative_slope)

    def extra_repr(self) -> str:
        """Return the slope."""
        return f"negative_slope={self.negative_slope}"


class Embedding(Module):
    """A vector for each of num_embeddings numbers, see `F.embedding`.

    padding_idx    a number whose vector is 0 at first, and is not trained; it may count from the end
    Parameters     weight (num_embeddings, embedding_dim), standard normal at first, as in PyTorch
    Called with    whole numbers, in an array or a tensor; `Tensor([1, 2])` holds floats, `Tensor(np.array([1, 2]))` does not
    """

    def __init__(
        self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None,
        generator: np.random.Generator | None = None,
    ):  # fmt: skip
        count = check_whole("Embedding", "num_embeddings", num_embeddings)
        width = check_whole("Embedding", "embedding_dim", embedding_dim)
        row = padding_row("Embedding", padding_idx, count)
        self.padding_idx = None if padding_idx is None else row
        self.weight = Parameter(np.empty((count, width), np.float32))
        init.normal_(self.weight, generator=generator)
        if padding_idx is not None:
            self.weight.data[row] = 0

    def forward(self, x: Tensor) -> Tensor:
        """Look up the vectors of whole numbers x (…): (…, embedding_dim)."""
        return F.embedding(x, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        """Return sizes and the padding."""
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.weight.shape[0]}, {self.weight.shape[1]}{padding}"


class ConvTranspose2d(Module):
    """Transposed convolution of (N, H, W, C), see `F.conv_transpose2d`.

    kernel_size, stride, padding, output_padding    a whole number, or a pair for height and width
    Parameters  weight (kh, kw, C, O) and bias (O,), uniform in ±1/√(kh·kw·O) at first, as in PyTorch. (There the weight is
                (C, O, kh, kw), and its fan_in, taken from the second size, O·kh·kw.) `nn.init` counts as for any weight:
                fan_in kh·kw·C and fan_out kh·kw·O; with a stride s, an output is fed by fan_in / s² of these on average
    """

    _optional = ("bias",)

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int | tuple[int, int], stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0, output_padding: int | tuple[int, int] = 0, bias: bool = True,
        generator: np.random.Generator | None = None,
    ):  # fmt: skip
        check_whole("ConvTranspose2d", "in_channels", in_channels)
        check_whole("ConvTranspose2d", "out_channels", out_channels)
        height, width = pair("ConvTranspose2d", "kernel_size", kernel_size, 1)
        pair("ConvTranspose2d", "padding", padding, 0)
        check_output_padding("ConvTranspose2d", output_padding, pair("ConvTranspose2d", "stride", stride, 1))
        check_bool("ConvTranspose2d", "bias", bias)
        bound = 1 / math.sqrt(height * width * out_channels)
        self.stride, self.padding, self.output_padding = stride, padding, output_padding
        self.weight = Parameter(np.empty((height, width, in_channels, out_channels), np.float32))
        init.uniform_(self.weight, -bound, bound, generator)
        self.bias = Parameter(np.empty(out_channels, np.float32)) if bias else None
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound, generator)

    def forward(self, x: Tensor) -> Tensor:
        """Map x (N, H, W, C) to (N, H′, W′, O)."""
        return F.conv_transpose2d(x, self.weight, self.bias, self.stride, self.padding, self.output_padding)

    def extra_repr(self) -> str:
        """Return channels, kernel and settings."""
        height, width, channels, out = self.weight.shape
        return (
            f"{channels}, {out}, kernel_size={(height, width)}, stride={self.stride}, padding={self.padding}, "
            f"output_padding={self.output_padding}, bias={self.bias is not None}"
        )


class Upsample(Module):
    """Images resized by a factor, see `F.interpolate`.

    scale_factor     a number above 0, or a pair for height and width. (PyTorch has a `size` before it: name it there)
    mode             "nearest" or "bilinear"
    align_corners    for "bilinear": corner pixels keep their places, in place of the borders of the image
    """

    def __init__(self, scale_factor: float | tuple[float, float], mode: str = "nearest", align_corners: bool = False):
        factors("Upsample", scale_factor, mode, align_corners)
        self.scale_factor, self.mode, self.align_corners = scale_factor, mode, align_corners

    def forward(self, x: Tensor) -> Tensor:
        """Resize x (N, H, W, C) to (N, ⌊H·s⌋, ⌊W·s⌋, C)."""
        return F.interpolate(x, self.scale_factor, self.mode, self.align_corners)

    def extra_repr(self) -> str:
        """Return the factor and the mode."""
        corners = ", align_corners=True" if self.align_corners else ""
        return f"scale_factor={self.scale_factor}, mode={self.mode!r}{corners}"

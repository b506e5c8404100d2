"""GroupNorm: each example normalised on its own, in groups of channels. The maths is in `ops/group_norm.py`."""

import numpy as np

from minidl import functional as F
from minidl._numbers import check_between, check_bool, check_whole
from minidl.nn.module import Module
from minidl.nn.parameter import Parameter
from minidl.tensor import Tensor

__all__ = ["GroupNorm", "GroupNormReLU"]


class GroupNorm(Module):
    """Group normalization over pixels and groups of channels, see `F.group_norm`; the same in training and evaluation.

    num_groups      must divide num_channels. num_groups = num_channels is instance norm
    num_channels    C, the size of the last axis: for vectors (N, C) and images (N, H, W, C) alike
    affine          learn γ (weight, at first 1) and β (bias, at first 0), both (C,)
    """

    _optional = "weight", "bias"

    def __init__(self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True):
        groups = check_whole("GroupNorm", "num_groups", num_groups)
        channels = check_whole("GroupNorm", "num_channels", num_channels)
        if channels % groups:
            raise ValueError(
                f"GroupNorm: num_groups is {groups} and num_channels {channels}; the first must divide the second"
            )
        check_between("GroupNorm", "eps", eps, 0)
        check_bool("GroupNorm", "affine", affine)
        self.num_groups, self.num_channels, self.eps = groups, channels, eps
        self.weight = Parameter(np.ones(channels, np.float32)) if affine else None
        self.bias = Parameter(np.zeros(channels, np.float32)) if affine else None

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x (N, C) or (N, …, C)."""
        return F.group_norm(self._checked(x), self.num_groups, self.weight, self.bias, self.eps)

    def _checked(self, x):
        """Return x; check its channels, which without γ and β nothing else would."""
        if isinstance(x, Tensor) and x.shape[-1:] != (self.num_channels,):
            raise ValueError(f"{type(self).__name__}: x is {x.shape}; its last size must be {self.num_channels}")
        return x

    def extra_repr(self) -> str:
        """Return groups, channels and settings."""
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps:g}, affine={self.weight is not None}"


class GroupNormReLU(GroupNorm):
    """Group norm and ReLU in one, with the parameters of the group norm: see `fuse`."""

    def forward(self, x: Tensor) -> Tensor:
        """Return max(0, group norm of x)."""
        return F.group_norm_relu(self._checked(x), self.num_groups, self.weight, self.bias, self.eps)

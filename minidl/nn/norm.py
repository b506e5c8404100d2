"""Normalisation layers: parameters γ and β, and for batch norm the statistics of the training data. Maths: `ops/norm.py`."""

import numpy as np

from minidl import functional as F
from minidl._numbers import check_between, check_bool, check_whole
from minidl.kernels.jit import numpy_kernel
from minidl.nn.module import Module
from minidl.nn.parameter import Parameter
from minidl.tensor import Tensor

_STATISTICS = "running_mean", "running_var", "num_batches_tracked"

__all__ = ["BatchNorm", "LayerNorm"]


class BatchNorm(Module):
    """Batch normalization over all axes but the last, see `F.batch_norm`.

    features    C, the size of the last axis: for vectors (N, C) and images (N, H, W, C) alike
    momentum    weight of the new batch in the running statistics (PyTorch's meaning); None: the plain average of all
                batches since the last `reset_running_stats()`
    affine      learn γ (weight, at first 1) and β (bias, at first 0)
    weight      False: without γ, as where the next layer is linear and has a scale of its own; β is learned if `affine`
    track_running_stats    keep statistics for evaluation; without them, evaluation uses those of its batch too
    Buffers     running_mean, running_var (C,), num_batches_tracked: arrays, updated in place
    Source      Ioffe and Szegedy 2015, Algorithms 1 and 2
    """

    _optional = "weight", "bias"

    def __init__(
        self, features: int, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True,
        track_running_stats: bool = True, weight: bool = True,
    ):  # fmt: skip
        check_whole("BatchNorm", "features", features)
        check_between("BatchNorm", "eps", eps, 0)
        check_bool("BatchNorm", "weight", weight)
        if momentum is not None:
            check_between("BatchNorm", "momentum", momentum, 0, 1)
        self.features, self.eps, self.momentum = features, eps, momentum
        self.weight = Parameter(np.ones(features, np.float32)) if affine and weight else None
        self.bias = Parameter(np.zeros(features, np.float32)) if affine else None
        self.track_running_stats = track_running_stats
        if track_running_stats:
            self.register_buffer("running_mean", np.zeros(features, np.float32))
            self.register_buffer("running_var", np.ones(features, np.float32))
            self.register_buffer("num_batches_tracked", np.array(0))

    def reset_running_stats(self) -> None:
        """Forget the statistics: mean 0, variance 1, no batch seen."""
        if self.track_running_stats:
            self._check_buffers()
            self.running_mean[:], self.running_var[:], self.num_batches_tracked[...] = 0, 1, 0

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x (N, C) or (N, H, W, C)."""
        y = F.batch_norm(x, *self._arguments())
        self._count_batch()
        return y

    def _arguments(self):
        """What the operation takes besides x, from the running statistics to ε."""
        if not self.track_running_stats:
            return None, None, self.weight, self.bias, True, 0.0, self.eps
        if self.training:
            self._check_buffers()
        momentum = self.momentum
        if momentum is None:
            momentum = 1 / (int(self.num_batches_tracked) + 1)
        return self.running_mean, self.running_var, self.weight, self.bias, self.training, momentum, self.eps

    def _check_buffers(self):
        """Check that all three can be written to, before one of them is."""
        for name in _STATISTICS:
            array = getattr(self, name)
            if array is not None and not array.flags.writeable:
                raise ValueError(f"BatchNorm: {name} is read-only; it must be a copy: norm.{name} = norm.{name}.copy()")

    def _count_batch(self):
        if self.training and self.track_running_stats:
            count_batch(self.num_batches_tracked)

    def extra_repr(self) -> str:
        """Return features and settings."""
        affine = "" if self.weight is not None else ", affine=False" if self.bias is None else ", weight=False"
        track = "" if self.track_running_stats else ", track_running_stats=False"
        return f"{self.features}, eps={self.eps:g}, momentum={self.momentum}{affine}{track}"


@numpy_kernel
def count_batch(batches):
    batches[...] = int(batches) + 1  # a third of the time that += 1 takes


class LayerNorm(Module):
    """Normalises each example over its last axis, see `F.layer_norm`.

    Parameters  weight (features,), at first 1, and bias (features,), at first 0
    """

    def __init__(self, features: int, eps: float = 1e-5):
        check_whole("LayerNorm", "features", features)
        check_between("LayerNorm", "eps", eps, 0)
        self.eps = eps
        self.weight = Parameter(np.ones(features, np.float32))
        self.bias = Parameter(np.zeros(features, np.float32))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x (…, features)."""
        return F.layer_norm(x, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Return features and settings."""
        return f"{self.weight.shape[0]}, eps={self.eps:g}"

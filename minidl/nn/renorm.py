"""BatchRenorm and GhostBatchNorm: batch norm for batches too small or too large. The maths is in `ops/renorm.py`."""

import numpy as np

from minidl import functional as F
from minidl._numbers import check_between, check_bool, check_whole
from minidl.kernels.jit import numpy_kernel
from minidl.nn.module import Module
from minidl.nn.norm import BatchNorm, count_batch
from minidl.nn.parameter import Parameter
from minidl.tensor import Tensor

__all__ = ["BatchRenorm", "GhostBatchNorm"]


class BatchRenorm(Module):
    """Batch renormalization over all axes but the last, see `F.batch_renorm`.

    features    C, the size of the last axis: for vectors (N, C) and images (N, H, W, C) alike
    momentum    weight of the new batch in the running statistics; the paper's is 0.01
    affine      learn γ (weight, at first 1) and β (bias, at first 0)
    r_max, d_max     the most that r and d may become. Until then they grow in straight lines (in the paper, gradually):
    warmup           for so many training batches it is batch norm: r = 1, d = 0
    r_steps, d_steps     after so many training batches, counted from the first, the limit of r is r_max, that of d is d_max;
                     with all three 0, from the start
    Buffers     running_mean, running_std (C,), num_batches_tracked: arrays, updated in place
    Source      Ioffe 2017, Algorithm 1; §4 for the schedule, whose numbers are the defaults
    """

    _optional = "weight", "bias"

    def __init__(
        self, features: int, eps: float = 1e-5, momentum: float = 0.01, affine: bool = True, r_max: float = 3.0,
        d_max: float = 5.0, warmup: int = 5_000, r_steps: int = 40_000, d_steps: int = 25_000,
    ):  # fmt: skip
        check_whole("BatchRenorm", "features", features)
        check_between("BatchRenorm", "eps", eps, 0)
        check_between("BatchRenorm", "momentum", momentum, 0, 1)
        check_bool("BatchRenorm", "affine", affine)
        check_between("BatchRenorm", "r_max", r_max, 1)
        check_between("BatchRenorm", "d_max", d_max, 0)
        check_whole("BatchRenorm", "warmup", warmup, 0)
        check_whole("BatchRenorm", "r_steps", r_steps, warmup)
        check_whole("BatchRenorm", "d_steps", d_steps, warmup)
        self.features, self.eps, self.momentum = features, eps, momentum
        self.r_max, self.d_max, self.warmup, self.r_steps, self.d_steps = r_max, d_max, warmup, r_steps, d_steps
        self.weight = Parameter(np.ones(features, np.float32)) if affine else None
        self.bias = Parameter(np.zeros(features, np.float32)) if affine else None
        self.register_buffer("running_mean", np.zeros(features, np.float32))
        self.register_buffer("running_std", np.ones(features, np.float32))
        self.register_buffer("num_batches_tracked", np.array(0))
        self._limits = np.array(1.0), np.array(0.0)  # arrays, which a replay sets anew for every batch

    def reset_running_stats(self) -> None:
        """Forget the statistics: mean 0, standard deviation 1, no batch seen."""
        self._check_buffers()
        self.running_mean[:], self.running_std[:], self.num_batches_tracked[...] = 0, 1, 0

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x (N, C) or (N, H, W, C)."""
        if self.training:
            self._check_buffers()
            _set_limit(self._limits[0], self.num_batches_tracked, 1.0, self.r_max, self.warmup, self.r_steps)
            _set_limit(self._limits[1], self.num_batches_tracked, 0.0, self.d_max, self.warmup, self.d_steps)
        y = F.batch_renorm(
            x, self.running_mean, self.running_std, self.weight, self.bias, self.training, self.momentum, self.eps,
            *self._limits,
        )  # fmt: skip
        if self.training:
            count_batch(self.num_batches_tracked)
        return y

    def _check_buffers(self):
        """Check that all three can be written to, before one of them is."""
        for name in self._buffers:
            array = getattr(self, name)
            if array is not None and not array.flags.writeable:
                raise ValueError(
                    f"BatchRenorm: {name} is read-only; it must be a copy: norm.{name} = norm.{name}.copy()"
                )

    def extra_repr(self) -> str:
        """Return features and settings."""
        affine = "" if self.weight is not None else ", affine=False"
        return f"{self.features}, eps={self.eps:g}, momentum={self.momentum}{affine}, r_max={self.r_max}, d_max={self.d_max}"


@numpy_kernel
def _set_limit(limit, batches, first, last, begin, end):
    """From `first` until `begin` batches were seen, in a straight line to `last` at `end` of them."""
    done = (int(batches) - begin) / (end - begin) if end > begin else 1.0 if int(batches) >= begin else 0.0
    limit[...] = first + (last - first) * min(max(done, 0.0), 1.0)


class GhostBatchNorm(BatchNorm):
    """Batch norm over parts of a batch, see `F.ghost_batch_norm`; in evaluation it is batch norm.

    features      C, the size of the last axis: for vectors (N, C) and images (N, H, W, C) alike
    ghost_size    examples in a part. The last part is what is left over
    momentum      weight of a part in the running statistics: a batch of eight parts counts like eight batches; None for
                  the plain average over all batches, whose parts count alike
    affine        learn γ (weight, at first 1) and β (bias, at first 0)
    Buffers       those of `BatchNorm`, under the same names; num_batches_tracked counts whole batches
    Source        Hoffer, Hubara and Soudry 2017, Algorithm 1
    """

    def __init__(
        self, features: int, ghost_size: int, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True
    ):
        check_whole("GhostBatchNorm", "features", features)
        check_between("GhostBatchNorm", "eps", eps, 0)
        if momentum is not None:
            check_between("GhostBatchNorm", "momentum", momentum, 0, 1)
        check_bool("GhostBatchNorm", "affine", affine)
        self.ghost_size = check_whole("GhostBatchNorm", "ghost_size", ghost_size)
        super().__init__(features, eps, momentum, affine)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x (N, C) or (N, H, W, C)."""
        mean, var, weight, bias, training, _, eps = self._arguments()
        before = int(self.num_batches_tracked)
        y = F.ghost_batch_norm(x, self.ghost_size, mean, var, weight, bias, training, self.momentum, eps, before)
        self._count_batch()
        return y

    def extra_repr(self) -> str:
        """Return features and settings."""
        return f"{self.features}, ghost_size={self.ghost_size}, {super().extra_repr().partition(', ')[2]}"

"""Lesson 13: batch norm by the statistics of small groups of a batch, and the formulas of its exercises."""

import math

import numpy as np

from minidl import functional as F
from minidl import nn
from minidl.tensor import Tensor

__all__ = ["GroupedNorm", "mean_noise", "variance_ratio"]


class GroupedNorm(nn.BatchNorm):
    """Batch norm that, in training, takes mean and variance of `group` examples at a time; None: of the whole batch.

    The gradient is still that of the whole batch, so only the noise of the statistics depends on `group`. Grouped training
    keeps no statistics for evaluation: take them with `update_bn`, ungrouped.
    Errors   ValueError for a batch that `group` does not divide
    Source   Hoffer et al. 2017, "Train longer, generalize better" (there "ghost batch norm")
    """

    group: int | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Return γ·x̂ + β, where x̂ is normalised within each group."""
        if not self.training or self.group is None:
            return super().forward(x)
        n, features = x.shape
        m = self.group
        if m < 1 or n % m:
            raise ValueError(
                f"GroupedNorm: the batch has {n} examples and a group {m}; the group must divide the batch"
            )
        groups = n // m
        columns = x.reshape(groups, m, features).transpose(1, 0, 2).reshape(m, groups * features)
        x_hat = F.batch_norm(columns, None, None, training=True, eps=self.eps)
        y = x_hat.reshape(m, groups, features).transpose(1, 0, 2).reshape(n, features)
        return y if self.weight is None or self.bias is None else y * self.weight + self.bias


def mean_noise(m: int, n: int) -> float:
    """Return the standard deviation, in σ, of the mean of m examples drawn from n without replacement."""
    return math.sqrt((n - m) / (m * (n - 1)))


def variance_ratio(x: np.ndarray, weights: np.ndarray, p: float) -> np.ndarray:
    """Return by what dropout before a layer multiplies the variance of its sums in training, against evaluation.

    1 + p/(1 − p) · Σ w²E[x²] / Var[Σ w x], for each unit
    x         (N, inputs), what enters the dropout
    weights   (inputs,) or (inputs, units)
    Source    after Li et al. 2019, "Understanding the Disharmony between Dropout and Batch Normalization by Variance Shift"
    """
    noise = p / (1 - p) * (np.square(x).mean(0) @ np.square(weights))
    return 1 + noise / (x @ weights).var(0)

"""Lesson 16: norms from one function over axes, whitening as a layer, and changes that a norm may not see."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from minidl import functional as F
from minidl import nn
from minidl.lab.after._deep_sigmoids import Shift
from minidl.tensor import Tensor

__all__ = ["CHANGES", "Shift", "Whitening", "changed_by", "normalise", "three_norms", "unchanged", "whitened_distance"]

Change = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
Norm = Callable[[np.ndarray], np.ndarray]


def normalise(x: Tensor, axes: Sequence[int], eps: float) -> Tensor:
    """Return (x − mean) / √(variance + ε), with mean and variance over some axes; autograd has the gradient.

    axes    the axes that share a mean: (0,) of a table (N, C) is batch norm, (1,) layer norm
    """
    distance = x - x.mean(tuple(axes), keepdims=True)
    return distance / ((distance * distance).mean(tuple(axes), keepdims=True) + eps) ** 0.5


def three_norms(x: Tensor, groups: int, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return batch norm, layer norm and group norm of images (N, H, W, C), without γ and β.

    Layer norm here is over all of an example, and group norm over its pixels and C / groups neighbouring channels.
    """
    n, height, width, channels = x.shape
    parts = x.reshape(n, height, width, groups, channels // groups)
    grouped = normalise(parts, (1, 2, 4), eps).reshape(*x.shape)
    return normalise(x, (0, 1, 2), eps), normalise(x, (1, 2, 3), eps), grouped


class Whitening(nn.Module):
    """Whitens the features over the batch (`F.zca_whiten`), then γ and β; in evaluation with running statistics.

    features    C
    momentum    weight of the new batch in the running mean and covariance; 1: of the last batch alone
    Buffers     running_mean (C,), running_cov (C, C), without ε
    """

    def __init__(self, features: int, eps: float = 1e-5, momentum: float = 0.1):
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(np.ones(features, np.float32))
        self.bias = nn.Parameter(np.zeros(features, np.float32))
        self.register_buffer("running_mean", np.zeros(features, np.float32))
        self.register_buffer("running_cov", np.eye(features, dtype=np.float32))

    def forward(self, x: Tensor) -> Tensor:
        """Return γ·(x − mean)·S^(−1/2) + β, with S the covariance and ε on its diagonal."""
        if self.training:
            mean = x.data.mean(0)
            centred = x.data - mean
            self.running_mean[...] += self.momentum * (mean - self.running_mean)
            self.running_cov[...] += self.momentum * (centred.T @ centred / len(centred) - self.running_cov)
            return F.zca_whiten(x, self.eps) * self.weight + self.bias
        values, vectors = np.linalg.eigh(self.running_cov.astype(np.float64))
        whitener = (vectors / np.sqrt(np.maximum(values, 0) + self.eps) @ vectors.T).astype(np.float32)
        return (x - self.running_mean) @ Tensor(whitener) * self.weight + self.bias


def whitened_distance(m: int) -> float:
    """Return how far apart any two examples of a whitened batch are, if m is at most the number of features: √(2m).

    y·yᵀ = m·(1 − 1/m everywhere): the projection that centres, whatever the batch was
    """
    return math.sqrt(2 * m)


def _one_unit(x, w):
    w = w.copy()
    w[:, 0] *= 3
    return x, w


def _one_group(x, w):
    w = w.copy()
    w[:, :8] *= 3
    return x, w


def _one_example(x, w):
    x = x.copy()
    x[0] *= 3
    return x, w


def _batch_mates(x, w):
    x = x.copy()
    x[1:] = x[1:] ** 2 + 1
    return x, w


CHANGES: dict[str, Change] = {
    "all weights × 3": lambda x, w: (x, 3 * w),
    "one unit's weights × 3": _one_unit,
    "the weights of the first 8 units × 3": _one_group,
    "the same vector added to every unit's weights": lambda x, w: (x, w + np.linspace(-1, 2, len(w))[:, None]),
    "all inputs × 3": lambda x, w: (3 * x, w),
    "the same vector added to every input": lambda x, w: (x + np.linspace(-1, 2, x.shape[1]), w),
    "one example × 3": _one_example,
    "the other examples replaced": _batch_mates,
}


def changed_by(norm: Norm, change: Change, x: np.ndarray, w: np.ndarray) -> float:
    """Return by how much a change moves the outputs of the first example, relative to their largest.

    norm      (N, C) → (N, C), of the sums x·w
    change    (x, w) → (x, w)
    """
    before, after = norm(x @ w)[0], norm(np.matmul(*change(x, w)))[0]
    return float(np.abs(after - before).max() / np.abs(before).max())


def unchanged(norm: Norm, change: Change, x: np.ndarray, w: np.ndarray, tol: float = 1e-3) -> bool:
    """Return whether a change leaves the outputs of the first example as they were, but for rounding and ε."""
    return changed_by(norm, change, x, w) < tol

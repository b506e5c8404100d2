"""Batch norms that are wrong, or noisy, on purpose; biases where batch norm needs none."""

import numpy as np

from minidl import nn
from minidl.tensor import Tensor

__all__ = ["NoisyNorm", "PathNorm", "add_biases", "normalise"]


def normalise(x: Tensor, mean: bool = True, variance: bool = True, eps: float = 1e-5) -> Tensor:
    """Return x̂ = (x − μ_B) / √(σ²_B + ε), operation by operation; a gradient may miss its path through μ_B or σ²_B.

    mean, variance    whether the gradient flows through them; else it takes them for constants, which §2 warns against
    Shape             x, x̂ (m, C)
    """
    mu = x.mean(0)
    centred = x - (mu if mean else mu.detach())
    var = (centred * centred).mean(0)
    return centred / ((var if variance else var.detach()) + eps) ** 0.5


class PathNorm(nn.Module):
    """`normalise` as a layer, in the place of a batch norm; without γ and β."""

    eps = 1e-5

    def __init__(self, features: int, mean: bool = True, variance: bool = True):
        self.features, self.mean, self.variance = features, mean, variance

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x (m, C)."""
        return normalise(x, self.mean, self.variance, self.eps)


class NoisyNorm(nn.Module):
    """Batch norm, and after it noise that makes a shift where batch norm took one away.

    In training each step draws for each unit a factor from 0.5 to 2 and a shift from −1 to 1, the same for all examples of
    the batch; with `hold` True those of the last step are used again. In evaluation it is batch norm.
    Source      after Santurkar et al. 2018, who also draw for each example
    """

    def __init__(self, features, generator):
        self.norm, self.features, self.generator = nn.BatchNorm(features), features, generator
        self.hold, self.noise = False, None

    def forward(self, x):
        """Normalise x (N, C), and add the noise."""
        y = self.norm(x)
        if not self.training:
            return y
        if self.noise is None or not self.hold:
            draw = self.generator.uniform(size=(2, self.features)).astype(np.float32)
            self.noise = np.float32(0.5) + np.float32(1.5) * draw[0], 2 * draw[1] - 1
        factor, shift = self.noise
        return y * factor + shift


def add_biases(model):
    """Give every linear layer that has no bias one, zero at first; returns the model."""
    for layer in model.modules():
        if isinstance(layer, nn.Linear) and layer.bias is None:
            layer.bias = nn.Parameter(np.zeros(layer.weight.shape[1], layer.weight.dtype))
    return model

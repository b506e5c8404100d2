"""Batch norms that are wrong, or noisy, on purpose; biases where batch norm would do without."""

import numpy as np

from minidl import functional as F
from minidl import nn

__all__ = ["NoisyNorm", "StoppedNorm", "add_biases"]


class StoppedNorm(nn.Module):
    """Batch norm without γ and β whose gradient takes mean and variance for constants: what §2 warns against."""

    def __init__(self, features):
        self.features = features

    def forward(self, x):
        """x (N, C) → the same shape, normalised by the statistics of this batch."""
        return F.batch_norm(x, x.data.mean(0), x.data.var(0))


class NoisyNorm(nn.Module):
    """Batch norm, and after it noise that makes a shift where batch norm took one away.

    In training each step draws for each unit a factor from 0.5 to 2 and a shift from −1 to 1, the same for all examples of
    the batch; with `hold` True those of the last step are used again. In evaluation it is batch norm.
    Source      after Santurkar et al. 2018, who draw besides for each example
    """

    def __init__(self, features, generator):
        self.norm, self.features, self.generator = nn.BatchNorm(features), features, generator
        self.hold, self.noise = False, None

    def forward(self, x):
        """x (N, C) → the same shape."""
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

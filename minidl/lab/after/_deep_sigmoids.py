"""Networks of sigmoids whose layers may differ in what comes before each activation, and halves of batch norm for it."""

import numpy as np

from minidl import Tensor, nn
from minidl.autograd import no_grad
from minidl.lab.models import initialise, paper_mlp

__all__ = ["WIDTH", "HalfNorm", "Shift", "sigmoids"]

WIDTH = 100


class HalfNorm(nn.Module):
    """One half of batch norm, with γ and β: x − μ_B, or x / √(σ²_B + ε); for evaluation by the running statistics.

    centre   which half: True subtracts the mean, False divides by the standard deviation (about that mean)
    Shape    (m, C)
    """

    def __init__(self, features: int, centre: bool):
        self.features, self.centre = features, centre
        self.statistics = nn.BatchNorm(features, affine=False)  # for evaluation only
        self.weight = nn.Parameter(np.ones(features, np.float32))
        self.bias = nn.Parameter(np.zeros(features, np.float32))

    def forward(self, x: Tensor) -> Tensor:
        """Return γ·(half of x̂) + β."""
        statistics = self.statistics
        if statistics.training:  # as `update_bn` sets it, too
            with no_grad():
                statistics(x)
            mu = x.mean(0)
            var = ((x - mu) ** 2).mean(0)
        else:
            mu, var = Tensor(statistics.running_mean), Tensor(statistics.running_var)
        half = x - mu if self.centre else x / (var + statistics.eps) ** 0.5
        return self.weight * half + self.bias


class Shift(nn.Module):
    """A bias alone, x + b, in the place of a batch norm."""

    def __init__(self, features: int):
        self.bias = nn.Parameter(np.zeros(features, np.float32))

    def forward(self, x: Tensor) -> Tensor:
        """Return x + b for x (N, C)."""
        return x + self.bias


def sigmoids(depth, make, generator):
    """Build `depth` layers of 100 sigmoids for digits, from four times Glorot's weights.

    Glorot's scale keeps the variance where an activation's slope is 1; a sigmoid's is 1/4 at most.
    make   make(layer, features) gives what comes before the activation of a layer, from 0 on
    Shape  (N, 784) → (N, 10)
    """
    layers = iter(range(depth))
    model = paper_mlp(lambda features: make(next(layers), features), sizes=(784, *[WIDTH] * depth, 10))
    return initialise(model, lambda weight: nn.init.xavier_normal_(weight, 4, generator))

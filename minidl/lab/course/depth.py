"""Deep stacks for lesson 12: plain, with batch norm, as residual blocks; and the formulas of its exercises."""

import math
from collections.abc import Callable

import numpy as np

from minidl import nn
from minidl.lab.after._residual import linear, residual_stack

__all__ = ["ACTIVATIONS", "branch_scale", "deepest", "explosion", "residual_stack", "stack"]

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "ReLU": nn.ReLU}


def stack(
    depth: int, gain: float = 1.0, activation: str = "ReLU", norm: bool = False, width: int = 50, seed: int = 0
) -> nn.Sequential:
    """Build `depth` hidden layers whose weights have the standard deviation gain / √fan_in; the first and the last gain 1.

    norm     batch norm before each activation, and no biases there
    Shape    (N, 784) → (N, 10)
    """
    generator, sizes = np.random.default_rng(seed), [784, *[width] * depth]
    layers: list[nn.Module] = []
    for i in range(depth):
        layers.append(linear(sizes[i], sizes[i + 1], gain if i else 1.0, generator, bias=not norm))
        layers += [nn.BatchNorm(width)] if norm else []
        layers.append(ACTIVATIONS[activation]())
    return nn.Sequential(*layers, linear(width, 10, 1.0, generator))


def deepest(gain: float, ratio: float) -> float:
    """Return how many ReLU layers keep a size between 1 / ratio and ratio of what it was; inf if it does not change.

    A layer multiplies the mean square of what goes into its ReLUs by gain² / 2.
    """
    step = abs(math.log(gain / math.sqrt(2)))
    return math.floor(math.log(ratio) / step) if step > 1e-12 else math.inf


def branch_scale(blocks: int, growth: float) -> float:
    """Return the scale α of the branches with which `blocks` residual blocks multiply the variance by `growth` in all.

    Each block multiplies it by 1 + α².
    """
    return math.sqrt(growth ** (1 / blocks) - 1)


def explosion(f: Callable[[np.ndarray], np.ndarray], slope: Callable[[np.ndarray], np.ndarray]) -> float:
    """Return by how much a layer with batch norm multiplies the mean square of the gradient, going back: E[f′²] / Var[f].

    For what goes into f normal, with mean 0 and variance 1. ReLU: π / (π − 1).
    Source   Yang et al. 2019, "A Mean Field Theory of Batch Normalization"
    """
    x = np.linspace(-8, 8, 160_001)
    weight = np.exp(-x * x / 2)
    weight /= weight.sum()
    y = f(x)
    return float(weight @ slope(x) ** 2 / (weight @ (y - weight @ y) ** 2))

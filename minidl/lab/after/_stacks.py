"""Deep stacks as they are before training, and by how much batch norm multiplies gradients in them."""

import math
from collections.abc import Callable

import numpy as np

from minidl import Tensor, nn
from minidl.lab.after._residual import linear

__all__ = ["ACTIVATIONS", "explosion", "explosion_in_batches", "squared_gradients", "stack"]

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "ReLU": nn.ReLU}


def stack(
    depth: int, gain: float = 1.0, activation: str = "ReLU", norm: bool = False, width: int = 50, seed: int = 0,
    inputs: int = 784,
) -> nn.Sequential:  # fmt: skip
    """Build `depth` hidden layers whose weights have the standard deviation gain / √fan_in; the first and the last gain 1.

    activation  one of `ACTIVATIONS`, or "identity"
    norm        batch norm before each activation, and no biases there
    Shape       (N, inputs) → (N, 10)
    """
    generator, sizes = np.random.default_rng(seed), [inputs, *[width] * depth]
    layers: list[nn.Module] = []
    make = {**ACTIVATIONS, "identity": nn.Identity}[activation]
    for i in range(depth):
        layers.append(linear(sizes[i], sizes[i + 1], gain if i else 1.0, generator, bias=not norm))
        layers += [nn.BatchNorm(width)] if norm else []
        layers.append(make())
    return nn.Sequential(*layers, linear(width, 10, 1.0, generator))


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


def explosion_in_batches(activation: str, batch: int) -> float:
    """Return the same factor for a batch of this size, in infinitely wide stacks of "ReLU" or "identity".

    In deep layers all pairs of examples are alike: x̂ of a unit is a random point of the sphere of radius √B whose mean is
    0, so x̂ᵢ and x̂ⱼ correlate by ρ = −1/(B − 1). With K₁ = E[f(x̂ᵢ)²] and K₂ = E[f(x̂ᵢ)f(x̂ⱼ)], a unit of the next layer is
    normal with covariance K₁ − K₂ among centred vectors. Hence E[1/σ²] = B / ((B − 3)(K₁ − K₂)), as E[1/χ²] = 1/(B − 3) for
    B − 1 degrees of freedom. What arrives from above is centred, and as large in all other directions, with trace B − 1. Of
    it f′ lets a part through; batch norm then takes away its mean, and its share along x̂.
    The identity gives (B − 2)/(B − 3). For B → ∞ both are those of `explosion`.
    Errors   ValueError for batches of less than 4, where E[1/σ²] is infinite, and for other activations
    """
    if activation not in ("ReLU", "identity"):
        raise ValueError(f'explosion_in_batches: the activation is {activation!r}; it must be "ReLU" or "identity"')
    if not batch >= 4:
        raise ValueError(
            f"explosion_in_batches: the batch is {batch}; with less than 4 examples there is no finite mean"
        )
    b, rho = batch, -1 / (batch - 1)
    if activation == "identity":
        first, second, kept = 1.0, rho, b - 2.0
    else:
        first = 1 / 2
        second = (math.sqrt(1 - rho * rho) + rho * (math.pi - math.acos(rho))) / (2 * math.pi)
        both = 1 / 4 + math.asin(rho) / (2 * math.pi)  # that two examples are positive
        through = b / 2 * (1 - 1 / b)  # the trace that f′ lets through, for a mask of b/2 examples on average
        positive, pairs = b / 2, b * (b - 1)
        mean = (positive - (positive + pairs * both) / b) / b
        along = (b * first - (b * first + pairs * second) / b) / b
        kept = through - mean - along
    return kept / (b - 1) * b / ((b - 3) * (first - second))


def squared_gradients(model: nn.Sequential, x: np.ndarray, cotangent: np.ndarray) -> np.ndarray:
    """Return the mean square of the gradient at the output of each linear layer and residual block, the first one first.

    The gradient of Σ cotangent · model(x), in training mode.
    Shape   x (N, inputs), cotangent like the model's output → (layers,)
    """
    h, seen = Tensor(x), []
    for layer in model:
        h = layer(h)
        if isinstance(layer, nn.Linear | nn.Residual):
            h.retain_grad()
            seen.append(h)
    h.backward(cotangent)
    return np.array([np.square(s.grad, dtype=np.float64).mean() for s in seen])

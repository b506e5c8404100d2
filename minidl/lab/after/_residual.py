"""Residual networks of dense layers: with batch norm in the branches, without, or with a learned number on each branch."""

import math

import numpy as np

from minidl import nn
from minidl.tensor import Tensor

__all__ = ["Gate", "linear", "residual_stack", "sizes"]


class Gate(nn.Module):
    """y = α·x, with one learned number α.

    start       what α is at first; at 0 a residual block begins as the identity
    Parameters  weight (): α
    Source      De and Smith 2020, SkipInit
    """

    def __init__(self, start: float):
        self.weight = nn.Parameter(np.full((), start, np.float32))

    def forward(self, x: Tensor) -> Tensor:
        """Return α·x for x of any shape."""
        return x * self.weight


def residual_stack(
    blocks: int, norm: bool = False, scale: float = 1.0, width: int = 50, seed: int = 0, gate: float | None = None,
    inputs: int = 784,
) -> nn.Sequential:  # fmt: skip
    """Build `blocks` residual blocks x + Linear(ReLU(x)), between a first and a last layer.

    norm     batch norm before each ReLU of a block
    scale    what the weights of the blocks' layers are multiplied by, from He's standard deviation, √(2 / fan_in)
    gate     where the learned factor of each branch starts (see `Gate`); None: there is none
    Shape    (N, inputs) → (N, 10)
    Source   He et al. 2016, "Identity Mappings in Deep Residual Networks": normalise, activate, then the weights
    """
    generator = np.random.default_rng(seed)
    layers: list[nn.Module] = [linear(inputs, width, 1.0, generator)]
    for _ in range(blocks):
        body: list[nn.Module] = [nn.BatchNorm(width)] if norm else []
        body += [nn.ReLU(), linear(width, width, scale * math.sqrt(2), generator)]
        body += [] if gate is None else [Gate(gate)]
        layers.append(nn.Residual(nn.Sequential(*body)))
    return nn.Sequential(*layers, nn.ReLU(), linear(width, 10, 1.0, generator))


def linear(n_in: int, n_out: int, gain: float, generator: np.random.Generator, bias: bool = True) -> nn.Linear:
    """Make a linear layer whose weights have the standard deviation gain / √n_in; its biases are 0."""
    layer = nn.Linear(n_in, n_out, bias=bias, generator=np.random.default_rng(0))
    layer.weight.data[...] = generator.normal(0, gain / math.sqrt(n_in), (n_in, n_out))
    if layer.bias is not None:
        layer.bias.data[...] = 0
    return layer


def sizes(model: nn.Sequential, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean squares on the skip path before each block and after the last, (L + 1,), and of the branches, (L,).

    A mean is over examples and units. Batch norms act as in the mode in which the model is.
    """
    skip, branch, y = [], [], Tensor(x)
    for layer in model.children():
        if isinstance(layer, nn.Residual):
            skip.append(_mean_square(y))
            branch.append(_mean_square(layer.body(y)))
        elif skip:
            break
        y = layer(y)
    return np.array([*skip, _mean_square(y)]), np.array(branch)


def _mean_square(x):
    return float(np.square(x.data, dtype=np.float64).mean())

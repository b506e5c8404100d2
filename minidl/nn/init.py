"""Initial weights, written into a parameter in place; the names are PyTorch's.

fan_in is how many numbers feed one output of a weight, (in, out) or (kh, kw, C, O): the product of all sizes but the
last. fan_out is how many outputs one input feeds: the product of all but the last but one.
"""

import math
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike

from minidl.nn.parameter import set_numbers
from minidl.nn.whitening import whitening_
from minidl.random import as_generator
from minidl.tensor import Tensor

T = TypeVar("T", bound=Tensor)

__all__ = ["constant_", "dirac_", "kaiming_normal_", "kaiming_uniform_", "normal_", "orthogonal_", "uniform_",
           "whitening_", "xavier_normal_", "xavier_uniform_"]  # fmt: skip


def constant_(tensor: T, value: ArrayLike) -> T:
    """Set every element to the same value."""
    return set_numbers(tensor, value)


def uniform_(tensor: T, a: float = 0.0, b: float = 1.0, generator: np.random.Generator | None = None) -> T:
    """Draw uniformly from a to b."""
    if not a <= b:
        raise ValueError(f"uniform_: a is {a} and b {b}; a must not be above b")
    return set_numbers(tensor, as_generator(generator).uniform(a, b, tensor.shape))


def normal_(tensor: T, mean: float = 0.0, std: float = 1.0, generator: np.random.Generator | None = None) -> T:
    """Draw from a normal distribution of given mean and standard deviation."""
    if not std >= 0:
        raise ValueError(f"normal_: std is {std}; it must not be negative")
    return set_numbers(tensor, as_generator(generator).normal(mean, std, tensor.shape))


def xavier_uniform_(tensor: T, gain: float = 1.0, generator: np.random.Generator | None = None) -> T:
    """Draw uniformly with variance gain² · 2 / (fan_in + fan_out) (Glorot and Bengio 2010): for tanh and sigmoid."""
    bound = gain * math.sqrt(6 / sum(_fans("xavier_uniform_", tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: T, gain: float = 1.0, generator: np.random.Generator | None = None) -> T:
    """Draw normally with variance gain² · 2 / (fan_in + fan_out) (Glorot and Bengio 2010): for tanh and sigmoid."""
    return normal_(tensor, 0, gain * math.sqrt(2 / sum(_fans("xavier_normal_", tensor))), generator)


def kaiming_uniform_(tensor: T, generator: np.random.Generator | None = None) -> T:
    """Draw uniformly with variance 2 / fan_in (He et al. 2015): keeps the scale of activations through ReLU."""
    bound = math.sqrt(6 / _fans("kaiming_uniform_", tensor)[0])
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(tensor: T, generator: np.random.Generator | None = None) -> T:
    """Draw normally with variance 2 / fan_in (He et al. 2015): keeps the scale of activations through ReLU."""
    return normal_(tensor, 0, math.sqrt(2 / _fans("kaiming_normal_", tensor)[0]), generator)


def orthogonal_(tensor: T, gain: float = 1.0, generator: np.random.Generator | None = None) -> T:
    """Draw a matrix (fan_in, out) with orthonormal columns (or rows, if there are fewer), times gain (Saxe et al. 2014).

    Uniform over all such matrices: the Q of a Gaussian matrix, its signs fixed by R's diagonal.
    """
    fan_in, out = _fans("orthogonal_", tensor)[0], tensor.shape[-1]
    gaussian = as_generator(generator).standard_normal((max(fan_in, out), min(fan_in, out)))
    q, r = np.linalg.qr(gaussian)
    q *= np.sign(np.diag(r))
    return set_numbers(tensor, gain * (q if fan_in >= out else q.T).reshape(tensor.shape))


def dirac_(tensor: T) -> T:
    """Make a convolution (kh, kw, C, O) that passes each input channel on unchanged: 1 in the middle, 0 elsewhere."""
    if tensor.ndim != 4:
        raise ValueError(f"dirac_: the tensor is {tensor.shape}; it must be a convolution's weight, (kh, kw, C, O)")
    height, width, channels, out = tensor.shape
    set_numbers(tensor, 0)
    for c in range(min(channels, out)):
        tensor.data[height // 2, width // 2, c, c] = 1
    return tensor


def _fans(name, tensor):
    if tensor.ndim < 2:
        raise ValueError(f"{name}: the tensor is {tensor.shape}; it must be a weight, (in, out) or (kh, kw, C, O)")
    return math.prod(tensor.shape[:-1]), math.prod(tensor.shape[:-2]) * tensor.shape[-1]

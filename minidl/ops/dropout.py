"""Dropout: silence a random part of the numbers while training."""

import numpy as np

from minidl._numbers import check_between
from minidl.kernels.jit import computed, numpy_kernel
from minidl.ops._check import check_tensors
from minidl.random import as_generator
from minidl.tensor import Tensor

__all__ = ["dropout"]


def dropout(x: Tensor, p: float, training: bool, generator: np.random.Generator | None = None) -> Tensor:
    """Set each number to 0 with probability p, and scale the others so that the mean stays; in evaluation, do nothing.

    Forward   y = x · mask / (1 − p),  mask = 1 with probability 1 − p, else 0
    Backward  ∂x = ∂y · mask / (1 − p)
    Shape     x, y: any
    Source    Srivastava et al. 2014
    """
    check_tensors("dropout", x=x)
    check_between("dropout", "p", p, 0, 1)
    if not training or p == 0:
        return x
    as_generator(generator)  # a wrong one is refused before anything is computed
    mask = np.empty(x.shape, x.dtype)
    _draw(mask, p, x.dtype.type(0 if p == 1 else 1 / (1 - p)), generator)

    def backward(grad_y):
        return (computed(np.multiply, grad_y, mask),)

    return Tensor._from_op(computed(np.multiply, x.data, mask), (x,), backward)


@numpy_kernel
def _draw(mask, p, scale, generator):
    """Fill a mask with `scale` with probability 1 − p, else 0; without a generator, from the one that is the default now."""
    as_generator(generator).random(dtype=mask.dtype, out=mask)
    np.multiply(mask >= p, scale, out=mask)

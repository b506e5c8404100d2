"""Dropout: silence a random part of the numbers while training."""

import numpy as np

from minidl._numbers import check_between
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
    chance = as_generator(generator).random(x.shape, dtype=x.dtype)
    scale = x.dtype.type(0 if p == 1 else 1 / (1 - p))
    mask = (chance >= p) * scale

    def backward(grad_y):
        return (grad_y * mask,)

    return Tensor._from_op(x.data * mask, (x,), backward)

"""Rectifiers that came after ReLU: SiLU and leaky ReLU. Their kernels have the form that `activation.py` explains."""

import math

import numpy as np

from minidl.kernels.elementary import exp, fma
from minidl.kernels.jit import CHUNK, kernel, n_chunks, prange
from minidl.ops._check import flatten, row
from minidl.tensor import Tensor

__all__ = ["leaky_relu", "silu"]


def silu(x: Tensor) -> Tensor:
    """Multiply x by its own sigmoid: a smooth ReLU that dips a little below 0, also called swish.

    Forward   y = x · s,  s = 1 / (1 + exp(−x))
    Backward  ∂x = ∂y · s · (1 + x · (1 − s))
    Shape     x, y: any
    Source    Elfwing, Uchibe and Doya 2018; Ramachandran, Zoph and Le 2017
    """
    flat = flatten("silu", x)
    y = np.empty_like(flat)
    _silu_forward[flat.size](flat, y)

    def backward(grad_y):
        grad_x = np.empty(x.shape, flat.dtype)
        _silu_backward[flat.size](row(grad_y), flat, row(grad_x))
        return (grad_x,)

    return Tensor._from_op(y.reshape(x.shape), (x,), backward)


@kernel(cost=4)
def _silu_forward(x, y):
    one = x.dtype.type(1)
    for k in prange(n_chunks(x.size)):
        xs, ys = x[k * CHUNK : (k + 1) * CHUNK], y[k * CHUNK : (k + 1) * CHUNK]
        for i in range(xs.size):
            ys[i] = xs[i] / (one + exp(-xs[i]))  # not x·s: far below 0 that would be right, too, but lose a digit


@kernel(cost=4)
def _silu_backward(grad_y, x, grad_x):
    one = x.dtype.type(1)
    for k in prange(n_chunks(x.size)):
        chunk = slice(k * CHUNK, (k + 1) * CHUNK)
        gs, xs, out = grad_y[chunk], x[chunk], grad_x[chunk]
        for i in range(xs.size):
            s = one / (one + exp(-xs[i]))
            out[i] = gs[i] * (s * fma(xs[i], one - s, one))


def leaky_relu(x: Tensor, negative_slope: float = 0.01) -> Tensor:
    """Keep what is positive, and make the rest small: a ReLU whose gradient is 0 nowhere.

    Forward   y = x where x > 0, else a·x,  a = negative_slope
    Backward  ∂x = ∂y where x > 0, else a·∂y
    Shape     x, y: any; negative_slope: a finite number
    Source    Maas, Hannun and Ng 2013
    """
    flat = flatten("leaky_relu", x)
    slope = check_slope("leaky_relu", negative_slope)
    y = np.empty_like(flat)
    _leaky_forward[flat.size](flat, slope, y)

    def backward(grad_y):
        grad_x = np.empty(x.shape, flat.dtype)
        _leaky_backward[flat.size](row(grad_y), flat, slope, row(grad_x))
        return (grad_x,)

    return Tensor._from_op(y.reshape(x.shape), (x,), backward)


def check_slope(op, slope):
    """Check that a slope is a finite number, and return it as a float; as in PyTorch it may be negative."""
    try:
        number = float(slope) if np.ndim(slope) == 0 and not isinstance(slope, str | bytes) else math.nan
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{op}: negative_slope is {slope!r}; it must be a finite number")
    return number


@kernel
def _leaky_forward(x, slope, y):
    zero, slope = x.dtype.type(0), x.dtype.type(slope)
    for k in prange(n_chunks(x.size)):
        xs, ys = x[k * CHUNK : (k + 1) * CHUNK], y[k * CHUNK : (k + 1) * CHUNK]
        for i in range(xs.size):
            ys[i] = xs[i] if xs[i] > zero else slope * xs[i]  # NaN times a slope is NaN


@kernel
def _leaky_backward(grad_y, x, slope, grad_x):
    zero, slope = x.dtype.type(0), x.dtype.type(slope)
    for k in prange(n_chunks(x.size)):
        chunk = slice(k * CHUNK, (k + 1) * CHUNK)
        gs, xs, out = grad_y[chunk], x[chunk], grad_x[chunk]
        for i in range(xs.size):
            out[i] = gs[i] if xs[i] > zero else slope * gs[i]

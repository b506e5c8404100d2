"""Activations: one number in, one number out, no parameters.

All kernels have the same form: chunk by chunk (on any thread), then a loop over a view of the chunk that LLVM turns into
vector instructions. The backward works from what is at hand: from y for sigmoid and tanh, from x for the others. It
returns an array of its own, no reshaped view of one: a view would be copied before a leaf keeps it as its gradient.
"""

import numpy as np

from minidl.kernels.elementary import exp, fma, normal
from minidl.kernels.elementary import tanh as tanh_of
from minidl.kernels.jit import CHUNK, kernel, n_chunks, prange
from minidl.ops._check import flatten, row
from minidl.tensor import Tensor

__all__ = ["gelu", "relu", "sigmoid", "tanh"]


def relu(x: Tensor) -> Tensor:
    """Keep what is positive, and set the rest to 0: the rectified linear unit.

    Forward   y = max(x, 0)
    Backward  ∂x = ∂y where x > 0, else 0
    Shape     x, y: any
    """
    flat = flatten("relu", x)
    y = np.empty_like(flat)
    _relu_forward[flat.size](flat, y)

    def backward(grad_y):
        grad_x = np.empty(x.shape, flat.dtype)
        _relu_backward[flat.size](row(grad_y), flat, row(grad_x))
        return (grad_x,)

    return Tensor._from_op(y.reshape(x.shape), (x,), backward)


@kernel
def _relu_forward(x, y):
    zero = x.dtype.type(0)
    for k in prange(n_chunks(x.size)):
        xs, ys = x[k * CHUNK : (k + 1) * CHUNK], y[k * CHUNK : (k + 1) * CHUNK]
        for i in range(xs.size):
            ys[i] = zero if xs[i] < zero else xs[i]  # so that NaN is kept


@kernel
def _relu_backward(grad_y, x, grad_x):
    zero = x.dtype.type(0)
    for k in prange(n_chunks(x.size)):
        chunk = slice(k * CHUNK, (k + 1) * CHUNK)
        gs, xs, out = grad_y[chunk], x[chunk], grad_x[chunk]
        for i in range(xs.size):
            out[i] = gs[i] if xs[i] > zero else zero


def sigmoid(x: Tensor) -> Tensor:
    """Map any number to one between 0 and 1: the logistic function.

    Forward   y = 1 / (1 + exp(−x))
    Backward  ∂x = ∂y · y · (1 − y)
    Shape     x, y: any
    Lesson    03 shows where it saturates
    """
    flat = flatten("sigmoid", x)
    y = np.empty_like(flat)
    _sigmoid_forward[flat.size](flat, y)

    def backward(grad_y):
        grad_x = np.empty(x.shape, y.dtype)
        _sigmoid_backward[y.size](row(grad_y), y, row(grad_x))
        return (grad_x,)

    return Tensor._from_op(y.reshape(x.shape), (x,), backward)


@kernel(cost=4)
def _sigmoid_forward(x, y):
    one = x.dtype.type(1)
    for k in prange(n_chunks(x.size)):
        xs, ys = x[k * CHUNK : (k + 1) * CHUNK], y[k * CHUNK : (k + 1) * CHUNK]
        for i in range(xs.size):
            ys[i] = one / (one + exp(-xs[i]))


@kernel
def _sigmoid_backward(grad_y, y, grad_x):
    one = y.dtype.type(1)
    for k in prange(n_chunks(y.size)):
        chunk = slice(k * CHUNK, (k + 1) * CHUNK)
        gs, ys, out = grad_y[chunk], y[chunk], grad_x[chunk]
        for i in range(ys.size):
            out[i] = gs[i] * ys[i] * (one - ys[i])


def tanh(x: Tensor) -> Tensor:
    """Map any number to one between −1 and 1: the hyperbolic tangent.

    Forward   y = tanh(x)
    Backward  ∂x = ∂y · (1 − y²)
    Shape     x, y: any
    """
    flat = flatten("tanh", x)
    y = np.empty_like(flat)
    _tanh_forward[flat.size](flat, y)

    def backward(grad_y):
        grad_x = np.empty(x.shape, y.dtype)
        _tanh_backward[y.size](row(grad_y), y, row(grad_x))
        return (grad_x,)

    return Tensor._from_op(y.reshape(x.shape), (x,), backward)


@kernel(cost=8)
def _tanh_forward(x, y):
    for k in prange(n_chunks(x.size)):
        xs, ys = x[k * CHUNK : (k + 1) * CHUNK], y[k * CHUNK : (k + 1) * CHUNK]
        for i in range(xs.size):
            ys[i] = tanh_of(xs[i])


@kernel
def _tanh_backward(grad_y, y, grad_x):
    one = y.dtype.type(1)
    for k in prange(n_chunks(y.size)):
        chunk = slice(k * CHUNK, (k + 1) * CHUNK)
        gs, ys, out = grad_y[chunk], y[chunk], grad_x[chunk]
        for i in range(ys.size):
            out[i] = gs[i] * (one - ys[i] * ys[i])


def gelu(x: Tensor) -> Tensor:
    """Multiply x by the probability that a standard normal lies below x: the exact Gaussian error linear unit.

    Forward   y = x · Φ(x),  Φ(x) = (1 + erf(x / √2)) / 2
    Backward  ∂x = ∂y · (Φ(x) + x · φ(x)),  φ(x) = exp(−x² / 2) / √(2π)
    Shape     x, y: any
    Source    Hendrycks and Gimpel 2016
    """
    flat = flatten("gelu", x)
    y = np.empty_like(flat)
    _gelu_forward[flat.size](flat, y)

    def backward(grad_y):
        grad_x = np.empty(x.shape, flat.dtype)
        _gelu_backward[flat.size](row(grad_y), flat, row(grad_x))
        return (grad_x,)

    return Tensor._from_op(y.reshape(x.shape), (x,), backward)


@kernel(cost=8)
def _gelu_forward(x, y):
    for k in prange(n_chunks(x.size)):
        xs, ys = x[k * CHUNK : (k + 1) * CHUNK], y[k * CHUNK : (k + 1) * CHUNK]
        for i in range(xs.size):
            below, _ = normal(xs[i])
            ys[i] = xs[i] * below


@kernel(cost=8)
def _gelu_backward(grad_y, x, grad_x):
    for k in prange(n_chunks(x.size)):
        chunk = slice(k * CHUNK, (k + 1) * CHUNK)
        gs, xs, out = grad_y[chunk], x[chunk], grad_x[chunk]
        for i in range(xs.size):
            below, density = normal(xs[i])
            out[i] = gs[i] * fma(xs[i], density, below)

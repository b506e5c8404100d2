"""Batch norm, ReLU and max-pooling in one kernel, which `nn/fuse.py` puts into networks: the fewest passes over memory.

One after the other, the three read and write six arrays of the size of x forward and nine backward, and memory is what
they wait for. Together they write only the pooled result and where in its window each maximum stood; the backward finds
the gradient of batch norm's output from those, a chunk at a time, and never writes it down. `nn.fuse` puts this
in the place of the three layers; the results are the same to the bit.
"""

from itertools import compress

import numpy as np

from minidl.kernels.jit import contiguous, device, kernel, n_chunks, prange
from minidl.kernels.reduce import chunk_rows
from minidl.kernels.runs import offset
from minidl.ops._check import matrix
from minidl.ops.norm import (
    add_gradients,
    check_batch_norm,
    input_coefficients,
    input_gradient,
    merge_gradients,
    prepare,
)
from minidl.tensor import Tensor

__all__ = ["batch_norm_relu_max_pool2d"]

_NOWHERE = np.int32(-1)  # the place of a maximum that ReLU made 0: no gradient goes anywhere


def batch_norm_relu_max_pool2d(
    x: Tensor, running_mean: np.ndarray | None, running_var: np.ndarray | None, weight: Tensor | None,
    bias: Tensor | None, training: bool = False, momentum: float = 0.1, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """Compute max_pool2d(relu(batch_norm(x)), 2), with the arguments of `batch_norm`.

    Forward   z = batch_norm(x)    y[n, i, j, c] = max(0, max_{a, b in 0, 1} z[n, 2i + a, 2j + b, c])
    Backward  ∂z = ∂y at the place of each maximum above 0, 0 elsewhere; then as in `batch_norm`
    Shape     x (N, H, W, C), y (N, ⌊H / 2⌋, ⌊W / 2⌋, C)
    """
    op = "batch_norm_relu_max_pool2d"
    check_batch_norm(op, x, running_mean, running_var, weight, bias, training, momentum, eps)
    if x.ndim != 4 or min(x.shape[1:3]) < 2 or not x.shape[3]:
        raise ValueError(f"{op}: x is {x.shape}; it must be (N, H, W, C), with at least 2×2 pixels and one channel")
    rows = matrix(x.data)
    stats, gamma, beta = prepare(rows, running_mean, running_var, weight, bias, training, momentum, eps)
    share = rows.dtype.type(1 / len(rows) if training else 0)
    data, (n, height, width, features) = rows.reshape(x.shape), x.shape
    y = np.empty((n, height // 2, width // 2, features), data.dtype)
    place = np.empty(y.shape, np.int32)
    _forward[data.size](data, stats, gamma, beta, y, place)
    given = weight is not None, bias is not None

    def backward(grad_y):
        grad_y = contiguous(grad_y)
        grad_gamma, grad_beta = np.empty_like(gamma), np.empty_like(gamma)
        _gradient_sums[data.size](data, grad_y, place, stats, grad_gamma, grad_beta)
        grad_x = None
        if x.requires_grad:
            grad_x = np.empty_like(data)
            _backward[data.size](data, grad_y, place, stats, gamma, (grad_gamma, grad_beta), share, grad_x)
        return grad_x, *compress((grad_gamma, grad_beta), given)

    return Tensor._from_op(y, (x, *compress((weight, bias), given)), backward)


@device
def _largest(x, at, line, norm, y, place, to):
    """The window whose first pixel is at x[at]; `line` numbers further on starts the line below."""
    mean, scale, beta = norm
    width, to = offset(mean.size), offset(to)
    a0, a2 = offset(at), offset(at) + offset(line)
    a1, a3 = a0 + width, a2 + width
    zero = x.dtype.type(0)
    for c in range(width):
        z0 = (x[a0 + c] - mean[c]) * scale[c] + beta[c]
        z1 = (x[a1 + c] - mean[c]) * scale[c] + beta[c]
        z2 = (x[a2 + c] - mean[c]) * scale[c] + beta[c]
        z3 = (x[a3 + c] - mean[c]) * scale[c] + beta[c]
        best, where = zero, _NOWHERE
        best, where = (z0, np.int32(0)) if z0 > best else (best, where)
        best, where = (z1, np.int32(1)) if z1 > best else (best, where)
        best, where = (z2, np.int32(2)) if z2 > best else (best, where)
        best, where = (z3, np.int32(3)) if z3 > best else (best, where)
        nan = z0 != z0 or z1 != z1 or z2 != z2 or z3 != z3
        y[to + c] = zero / zero if nan else best
        place[to + c] = _NOWHERE if nan else where


@kernel(cost=2)
def _forward(x, stats, gamma, beta, y, place):
    (_, height, width, features), (mean, inv_std) = x.shape, stats
    scale, line = inv_std * gamma, width * features
    pixels, out, places = x.reshape(-1), y.reshape(-1), place.reshape(-1)
    for row in prange(y.shape[0] * y.shape[1]):
        n, i = divmod(np.int64(row), y.shape[1])
        at, to = (n * height + 2 * i) * line, np.int64(row) * y.shape[2] * features
        for j in range(y.shape[2]):
            _largest(pixels, at + 2 * j * features, line, (mean, scale, beta), out, places, to + j * features)


@device
def _unpool(grad_y, place, height, width, first, grad):
    """∂z of pixels first, first + 1, … (counted through all images), one in each row of `grad` (rows, C)."""
    high, wide, features = grad_y.shape[1], grad_y.shape[2], grad.shape[1]
    grads, places, out, zero = grad_y.reshape(-1), place.reshape(-1), grad.reshape(-1), grad.dtype.type(0)
    n, pixel = divmod(first, height * width)
    h, w = divmod(pixel, width)
    for r in range(grad.shape[0]):
        i, j, to = h >> 1, w >> 1, offset(r * features)
        if i < high and j < wide:
            where, at = np.int32(((h & 1) << 1) + (w & 1)), offset(((n * high + i) * wide + j) * features)
            for c in range(offset(features)):
                here, there = grads[at + c], places[at + c]
                out[to + c] = here if there == where else zero
        else:  # a rest that no window covers
            for c in range(offset(features)):
                out[to + c] = zero
        w += 1
        if w == width:
            h, w = h + 1, 0
        if h == height:
            n, h = n + 1, 0


@kernel(cost=2)
def _gradient_sums(x, grad_y, place, stats, grad_gamma, grad_beta):
    (_, height, width, features), (mean, inv_std) = x.shape, stats
    flat, total = x.reshape(-1), x.size // features
    size = chunk_rows(features)
    partial = np.zeros((n_chunks(total, size), 2, features), x.dtype)
    for k in prange(len(partial)):
        first = np.int64(k) * size
        grad = np.empty((min(size, total - first), features), x.dtype)
        _unpool(grad_y, place, height, width, first, grad)
        add_gradients((grad.reshape(-1), 0), (flat, first * features), len(grad), mean, partial[k, 0], partial[k, 1])
    merge_gradients(partial, inv_std, grad_gamma, grad_beta)


@kernel(cost=2)
def _backward(x, grad_y, place, stats, gamma, grads, share, grad_x):
    _, height, width, features = x.shape
    flat, out, total = x.reshape(-1), grad_x.reshape(-1), x.size // features
    size = chunk_rows(features)
    coefficients = input_coefficients(stats, gamma, grads[0], grads[1], share)
    for k in prange(n_chunks(total, size)):
        first = np.int64(k) * size
        grad = np.empty((min(size, total - first), features), x.dtype)
        _unpool(grad_y, place, height, width, first, grad)
        input_gradient((grad.reshape(-1), 0), (flat, first * features), len(grad), coefficients, out)

"""The operations of two networks in plain NumPy, any precision: a second minidl without a kernel, to train beside the first.

`swap_in` puts them in the place of minidl's own; `PlainSGD` takes the optimizer's.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from minidl import Tensor
from minidl import functional as F


def linear(x, weight, bias=None):
    y = x.data @ weight.data

    def backward(grad_y):
        grads = grad_y @ weight.data.T, x.data.T @ grad_y
        return grads if bias is None else (*grads, grad_y.sum(0))

    parents = (x, weight) if bias is None else (x, weight, bias)
    return Tensor._from_op(y if bias is None else y + bias.data, parents, backward)


def conv2d(x, weight, bias=None, stride=1, padding=0):
    """One product over patches, with stride 1 and the same padding on all sides."""
    assert stride in (1, (1, 1))
    p = padding if isinstance(padding, int) else padding[0]
    size = weight.shape[0]
    frame = ((0, 0), (p, p), (p, p), (0, 0))
    patches = sliding_window_view(np.pad(x.data, frame), (size, size), (1, 2))  # (N, H′, W′, C, kh, kw)
    y = np.tensordot(patches, weight.data, ([4, 5, 3], [0, 1, 2]))

    def backward(grad_y):
        q = size - 1 - p
        seen = sliding_window_view(np.pad(grad_y, ((0, 0), (q, q), (q, q), (0, 0))), (size, size), (1, 2))
        grad_x = np.tensordot(seen, weight.data[::-1, ::-1], ([4, 5, 3], [0, 1, 3])) if x.requires_grad else None
        grad_weight = np.tensordot(patches, grad_y, ([0, 1, 2], [0, 1, 2])).transpose(1, 2, 0, 3)
        return (grad_x, grad_weight) if bias is None else (grad_x, grad_weight, grad_y.sum((0, 1, 2)))

    parents = (x, weight) if bias is None else (x, weight, bias)
    return Tensor._from_op(y if bias is None else y + bias.data, parents, backward)


def batch_norm(x, running_mean, running_var, weight, bias, training=False, momentum=0.1, eps=1e-5):
    """Sums are taken in float64: down a column NumPy adds one number after another, and loses two digits of float32."""
    axes = tuple(range(x.ndim - 1))
    m = x.data.size // x.shape[-1]
    mean, var = running_mean, running_var
    if training:
        mean, var = x.data.mean(axes, np.float64), x.data.var(axes, np.float64)
        running_mean[:] += momentum * (mean - running_mean)
        running_var[:] += momentum * (var * (m / (m - 1)) - running_var)
    mean, inv_std = mean.astype(x.dtype), (1 / np.sqrt(var + eps)).astype(x.dtype)
    x_hat = (x.data - mean) * inv_std

    def backward(grad_y):
        grad_gamma, grad_beta = (a.sum(axes, np.float64).astype(x.dtype) for a in (grad_y * x_hat, grad_y))
        share = x.dtype.type(1 / m if training else 0)
        return (weight.data * inv_std * (grad_y - share * (grad_beta + x_hat * grad_gamma)), grad_gamma, grad_beta)

    return Tensor._from_op(weight.data * x_hat + bias.data, (x, weight, bias), backward)


def batch_norm_relu_max_pool2d(*arguments):
    return max_pool2d(relu(batch_norm(*arguments)), 2)


def relu(x):
    return Tensor._from_op(np.maximum(x.data, 0), (x,), lambda grad_y: (grad_y * (x.data > 0),))


def sigmoid(x):
    y = 1 / (1 + np.exp(-x.data))
    return Tensor._from_op(y, (x,), lambda grad_y: (grad_y * y * (1 - y),))


def max_pool2d(x, kernel_size, stride=None):
    """Windows of 2×2 beside each other, on sides of even length."""
    assert (kernel_size, stride) in [(2, None), (2, 2)]
    n, height, width, c = x.shape
    windows = x.data.reshape(n, height // 2, 2, width // 2, 2, c).transpose(0, 1, 3, 5, 2, 4).reshape(-1, 4)
    place = windows.argmax(1)
    y = windows[np.arange(len(windows)), place].reshape(n, height // 2, width // 2, c)

    def backward(grad_y):
        grads = np.zeros_like(windows)
        grads[np.arange(len(windows)), place] = grad_y.reshape(-1)
        return (grads.reshape(n, height // 2, width // 2, c, 2, 2).transpose(0, 1, 4, 2, 5, 3).reshape(x.shape),)

    return Tensor._from_op(y, (x,), backward)


def cross_entropy(logits, labels):
    rows = np.arange(len(labels))
    shifted = logits.data - logits.data.max(1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))

    def backward(grad):
        grad_logits = np.exp(log_p)
        grad_logits[rows, labels] -= 1
        return ((grad_logits * (grad / len(labels))).astype(logits.dtype),)

    return Tensor._from_op(-log_p[rows, labels].mean(), (logits,), backward)


PLAIN = [linear, conv2d, batch_norm, batch_norm_relu_max_pool2d, relu, sigmoid, max_pool2d, cross_entropy]


def swap_in(monkeypatch, **others):
    """Let networks compute by the operations above, or by others of their names, until `monkeypatch` is undone."""
    for op in PLAIN:
        monkeypatch.setattr(F, op.__name__, others.get(op.__name__, op))


class PlainSGD:
    """Gradient descent with momentum, as in `optim.SGD`."""

    def __init__(self, parameters, lr, momentum):
        self.parameters, self.lr, self.momentum = list(parameters), lr, momentum
        self.buffers = [np.zeros_like(p.data) for p in self.parameters]

    def zero_grad(self):
        for p in self.parameters:
            p.grad = None

    def step(self):
        for p, buffer in zip(self.parameters, self.buffers, strict=True):
            buffer[:] = p.data.dtype.type(self.momentum) * buffer + p.grad
            p.data -= p.data.dtype.type(self.lr) * buffer

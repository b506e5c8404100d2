"""Batch normalization, and layer normalization, which differs in the axis.

Everything that the paper's Algorithm 1 does is in this file. Its point: for each feature, the numbers of a
batch are shifted and scaled to mean 0 and variance 1, and the *gradient knows it*: mean and variance are functions of
the batch, so ∂x has a part through each of them. Those parts make it a projection: what would only shift or stretch the
batch is removed from ∂y, because the forward would undo it.
"""

import numpy as np

from minidl._jit import kernel, n_chunks, prange
from minidl.ops._check import check_tensors
from minidl.ops._reduce import chunk_rows
from minidl.tensor import Tensor

__all__ = ["batch_norm", "layer_norm"]


def batch_norm(x, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
    """Normalise each feature over the batch (training) or by fixed statistics (evaluation), then scale and shift.

    Forward   x̂ = (x − mean) / √(var + ε)    y = γ·x̂ + β        with γ = weight, β = bias
              training: mean = Σx / m, var = Σ(x − mean)² / m over all axes but the last; m = N, or N·H·W for images
              evaluation: mean = running_mean, var = running_var
    Backward  ∂γ = Σ ∂y·x̂    ∂β = Σ ∂y
              training: ∂x = γ/√(var + ε) · (∂y − ∂β/m − x̂·∂γ/m)    evaluation: ∂x = γ/√(var + ε) · ∂y
    Shape     x, y (N, C) or (N, H, W, C); all others (C,)
    Updates   training: running ← (1 − momentum)·running + momentum·batch, in place, in plain arrays (or None); the
              stored variance is the unbiased one, Σ(x − mean)² / (m − 1), of Algorithm 2
    Errors    ValueError: shapes; one value per feature in training; evaluation without running statistics
    Source    Ioffe and Szegedy 2015, Algorithms 1 and 2, §3.2
    """
    check_tensors("batch_norm", x=x, weight=weight, bias=bias)
    _check_batch_norm(x, running_mean, running_var, weight, bias, training, momentum, eps)
    features = x.shape[-1]
    rows = np.ascontiguousarray(x.data.reshape(-1, features))
    gamma = np.ones(features, rows.dtype) if weight is None else np.ascontiguousarray(weight.data)
    beta = np.zeros(features, rows.dtype) if bias is None else bias.data
    if training:
        mean, var = _batch_statistics(rows)
        if running_mean is not None:
            _update_running(mean, var, running_mean, running_var, momentum, len(rows))
    else:
        mean, var = running_mean.astype(np.float64), running_var.astype(np.float64)
    inv_std = 1 / np.sqrt(var + eps)
    mean, inv_std = mean.astype(rows.dtype), inv_std.astype(rows.dtype)
    y = np.empty_like(rows)
    _normalise(rows, mean, inv_std * gamma, beta, y)

    def backward(grad_y):
        grad_y = np.ascontiguousarray(grad_y.reshape(-1, features))
        grad_gamma, grad_beta = _gradient_sums(grad_y, rows, mean, inv_std)
        grad_x = None
        if x.requires_grad:
            grad_x = np.empty_like(rows)
            share = np.asarray(1 / len(rows) if training else 0, rows.dtype)  # constants have no share in ∂x
            _batch_norm_backward(grad_y, rows, mean, inv_std, gamma, grad_gamma * share, grad_beta * share, grad_x)
            grad_x = grad_x.reshape(x.shape)
        return [g for g, parent in ((grad_x, x), (grad_gamma, weight), (grad_beta, bias)) if parent is not None]

    parents = tuple(p for p in (x, weight, bias) if p is not None)
    return Tensor._from_op(y.reshape(x.shape), parents, backward)


def _batch_statistics(x):
    """Mean and biased variance of each column, in float64.

    Each chunk of rows takes two passes while it lies in the cache: Σx² − (Σx)² in one pass cancels, and in float32 gives
    −8 for a variance of 1 at mean 10,000. Chunks are then merged in their order, as in Chan et al. 1979:
    Σ(x − mean)² over a union = the sum of both + (difference of means)² · n₁·n₂ / (n₁ + n₂).
    """
    size = chunk_rows(x.shape[1])
    means = np.empty((n_chunks(len(x), size), x.shape[1]), x.dtype)
    squares = np.empty_like(means)
    _chunk_statistics(x, means, squares)
    mean, var = np.empty(x.shape[1]), np.empty(x.shape[1])
    _merge_statistics.serial(means, squares, len(x), mean, var)
    return mean, var


@kernel
def _chunk_statistics(x, means, squares):
    size = chunk_rows(x.shape[1])
    for k in prange(means.shape[0]):
        chunk, mean, square = x[k * size : (k + 1) * size], means[k], squares[k]
        first = chunk[0]  # near the mean, so that sums stay small
        count = x.dtype.type(chunk.shape[0])
        mean[:] = 0
        square[:] = 0
        for row in chunk:
            for c in range(mean.size):
                mean[c] += row[c] - first[c]
        for c in range(mean.size):
            mean[c] = mean[c] / count + first[c]
        for row in chunk:
            for c in range(mean.size):
                distance = row[c] - mean[c]
                square[c] += distance * distance


@kernel
def _merge_statistics(means, squares, rows, mean, var):
    size = chunk_rows(means.shape[1])
    mean[:] = 0
    var[:] = 0
    for k in range(means.shape[0]):
        before, now = float(k * size), float(min(size, rows - k * size))
        for c in range(mean.size):
            distance = means[k, c] - mean[c]
            var[c] += squares[k, c] + distance * distance * (before * now / (before + now))
            mean[c] += distance * (now / (before + now))
    for c in range(mean.size):
        var[c] /= rows


def _update_running(mean, var, running_mean, running_var, momentum, m):
    running_mean += momentum * (mean - running_mean)
    running_var += momentum * (var * (m / (m - 1)) - running_var)


@kernel
def _normalise(x, mean, scale, shift, y):
    size = chunk_rows(x.shape[1])
    for k in prange(n_chunks(x.shape[0], size)):
        for r in range(k * size, min((k + 1) * size, x.shape[0])):
            row, out = x[r], y[r]
            for c in range(row.size):
                out[c] = (row[c] - mean[c]) * scale[c] + shift[c]


def _gradient_sums(grad_y, x, mean, inv_std):
    """∂γ = Σ ∂y·x̂ and ∂β = Σ ∂y."""
    partial = np.empty((n_chunks(len(x), chunk_rows(x.shape[1])), 2, x.shape[1]), x.dtype)
    _partial_gradient_sums(grad_y, x, mean, inv_std, partial)
    total = partial.sum(0)
    return total[0].copy(), total[1].copy()


@kernel
def _partial_gradient_sums(grad_y, x, mean, inv_std, partial):
    size = chunk_rows(x.shape[1])
    for k in prange(partial.shape[0]):
        grad_gamma, grad_beta = partial[k, 0], partial[k, 1]
        grad_gamma[:] = 0
        grad_beta[:] = 0
        for r in range(k * size, min((k + 1) * size, x.shape[0])):
            row, grad = x[r], grad_y[r]
            for c in range(row.size):
                grad_gamma[c] += grad[c] * (row[c] - mean[c])
                grad_beta[c] += grad[c]
        for c in range(grad_gamma.size):
            grad_gamma[c] *= inv_std[c]


@kernel
def _batch_norm_backward(grad_y, x, mean, inv_std, gamma, gamma_share, beta_share, grad_x):
    size = chunk_rows(x.shape[1])
    for k in prange(n_chunks(x.shape[0], size)):
        for r in range(k * size, min((k + 1) * size, x.shape[0])):
            row, grad, out = x[r], grad_y[r], grad_x[r]
            for c in range(row.size):
                x_hat = (row[c] - mean[c]) * inv_std[c]
                out[c] = gamma[c] * inv_std[c] * (grad[c] - beta_share[c] - x_hat * gamma_share[c])


def _check_batch_norm(x, running_mean, running_var, weight, bias, training, momentum, eps):
    if x.ndim < 2:
        raise ValueError(f"batch_norm: x is {x.shape}; it must be (N, C) or (N, H, W, C), features last")
    features = x.shape[-1:]
    given = {"running_mean": running_mean, "running_var": running_var, "weight": weight, "bias": bias}
    for name, array in given.items():
        if array is not None and array.shape != features:
            raise ValueError(f"batch_norm: x is {x.shape} but {name} is {array.shape}; it must be {features}")
    if (running_mean is None) != (running_var is None):
        raise ValueError("batch_norm: got one of running_mean and running_var; pass both, or None for both")
    if training and x.data.size <= features[0]:
        raise ValueError(
            f"batch_norm: x is {x.shape}, one value for each feature, and training needs at least two (the variance of "
            "one is 0); use a larger batch, or eval()"
        )
    if not training and running_mean is None:
        raise ValueError("batch_norm: evaluation needs running_mean and running_var; pass them, or training=True")
    if eps < 0 or not 0 <= momentum <= 1:
        raise ValueError(f"batch_norm: eps is {eps} and momentum {momentum}; they must be ≥ 0 and in 0 … 1")


def layer_norm(x, weight, bias, eps=1e-5):
    """Normalise each example over its own features, then scale and shift; the same in training and evaluation.

    Forward   x̂ = (x − mean) / √(var + ε)    y = γ·x̂ + β     with mean and var over the last axis, γ = weight, β = bias
    Backward  ∂γ = Σ ∂y·x̂    ∂β = Σ ∂y    ∂x = (g − mean(g) − x̂·mean(g·x̂)) / √(var + ε) with g = γ·∂y
    Shape     x, y (…, C), weight and bias (C,)
    Source    Ba, Kiros and Hinton 2016
    """
    check_tensors("layer_norm", x=x, weight=weight, bias=bias)
    features = x.shape[-1] if x.ndim else 0
    if not features or weight.shape != (features,) or bias.shape != (features,):
        raise ValueError(
            f"layer_norm: x is {x.shape}, weight {weight.shape}, bias {bias.shape}; the last two must be x's last size"
        )
    if eps < 0:
        raise ValueError(f"layer_norm: eps is {eps}; it must be ≥ 0")
    rows = np.ascontiguousarray(x.data.reshape(-1, features))
    x_hat, inv_std = np.empty_like(rows), np.empty(len(rows), rows.dtype)
    y = np.empty_like(rows)
    _layer_norm_forward(rows, weight.data, bias.data, rows.dtype.type(eps), x_hat, inv_std, y)

    def backward(grad_y):
        grad_y = np.ascontiguousarray(grad_y.reshape(-1, features))
        grad_x = np.empty_like(rows)
        partial = np.empty((n_chunks(len(rows), chunk_rows(features)), 2, features), rows.dtype)
        _layer_norm_backward(grad_y, x_hat, inv_std, weight.data, grad_x, partial)
        total = partial.sum(0)
        return grad_x.reshape(x.shape), total[0].copy(), total[1].copy()

    return Tensor._from_op(y.reshape(x.shape), (x, weight, bias), backward)


@kernel
def _layer_norm_forward(x, gamma, beta, eps, x_hat, inv_std, y):
    size = chunk_rows(x.shape[1])
    count = x.dtype.type(x.shape[1])
    for k in prange(n_chunks(x.shape[0], size)):
        for r in range(k * size, min((k + 1) * size, x.shape[0])):
            row, hat, out = x[r], x_hat[r], y[r]
            mean, square = x.dtype.type(0), x.dtype.type(0)
            for c in range(row.size):
                mean += row[c] - row[0]  # near the mean, so that sums stay small
            mean = mean / count + row[0]
            for c in range(row.size):
                square += (row[c] - mean) * (row[c] - mean)
            inv_std[r] = 1 / np.sqrt(square / count + eps)
            for c in range(row.size):
                hat[c] = (row[c] - mean) * inv_std[r]
                out[c] = hat[c] * gamma[c] + beta[c]


@kernel
def _layer_norm_backward(grad_y, x_hat, inv_std, gamma, grad_x, partial):
    size = chunk_rows(grad_y.shape[1])
    count = grad_y.dtype.type(grad_y.shape[1])
    for k in prange(partial.shape[0]):
        grad_gamma, grad_beta = partial[k, 0], partial[k, 1]
        grad_gamma[:] = 0
        grad_beta[:] = 0
        for r in range(k * size, min((k + 1) * size, grad_y.shape[0])):
            grad, hat, out = grad_y[r], x_hat[r], grad_x[r]
            mean, projection = grad.dtype.type(0), grad.dtype.type(0)
            for c in range(grad.size):
                mean += grad[c] * gamma[c]
                projection += grad[c] * gamma[c] * hat[c]
                grad_gamma[c] += grad[c] * hat[c]
                grad_beta[c] += grad[c]
            for c in range(grad.size):
                out[c] = inv_std[r] * (grad[c] * gamma[c] - mean / count - hat[c] * projection / count)

"""Batch normalization, and layer normalization, which differs in the axis.

Everything that the paper's Algorithm 1 does is in this file. Its point: for each feature, the numbers of a
batch are shifted and scaled to mean 0 and variance 1, and the *gradient knows it*: mean and variance are functions of
the batch, so ∂x has a part through each of them. Those parts make it a projection: what would only shift or stretch the
batch is removed from ∂y, because the forward would undo it.
"""

from itertools import compress

import numpy as np

from minidl._numbers import check_between
from minidl.kernels.jit import device, kernel, n_chunks, prange
from minidl.kernels.reduce import add_up, chunk_rows
from minidl.kernels.runs import offset
from minidl.ops._check import check_tensors, matrix
from minidl.tensor import Tensor

__all__ = ["batch_norm", "layer_norm"]

_FLOATS = {np.dtype(np.float32), np.dtype(np.float64)}  # what a kernel can take


def batch_norm(
    x: Tensor, running_mean: np.ndarray | None, running_var: np.ndarray | None, weight: Tensor | None = None,
    bias: Tensor | None = None, training: bool = False, momentum: float = 0.1, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
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
    Lessons   05 derives the forward, 06 the gradient in training, 08 evaluation and the running statistics, 09 the images
    """
    check_batch_norm("batch_norm", x, running_mean, running_var, weight, bias, training, momentum, eps)
    rows = matrix(x.data)
    stats, gamma, beta = prepare(rows, running_mean, running_var, weight, bias, training, momentum, eps)
    share = rows.dtype.type(1 / len(rows) if training else 0)  # constant statistics have no share in ∂x
    y = np.empty(x.data.shape, rows.dtype)
    normalise[rows.size](rows, stats, gamma, beta, matrix(y))
    given = weight is not None, bias is not None

    def backward(grad_y):
        grad_gamma, grad_beta = np.empty_like(gamma), np.empty_like(gamma)
        grad_x = np.empty(grad_y.shape, grad_y.dtype)
        batch_norm_backward[rows.size](matrix(grad_y), rows, stats, gamma, share, grad_gamma, grad_beta, matrix(grad_x))
        return grad_x, *compress((grad_gamma, grad_beta), given)

    return Tensor._from_op(y, (x, *compress((weight, bias), given)), backward)


def prepare(rows, running_mean, running_var, weight, bias, training, momentum, eps):
    """Return mean and 1/√(var + ε) of the columns of rows (M, C), and γ and β; training updates the running statistics."""
    features, dtype = rows.shape[1], rows.dtype
    gamma = np.ones(features, dtype) if weight is None else np.ascontiguousarray(weight.data)
    beta = np.zeros(features, dtype) if bias is None else np.ascontiguousarray(bias.data)
    mean, inv_std = np.empty(features, dtype), np.empty(features, dtype)
    if training:
        if running_mean is None:
            running_mean = running_var = np.empty(0, dtype)
        _batch_statistics[rows.size](rows, running_mean, running_var, momentum, eps, mean, inv_std)
    else:
        mean[:] = running_mean
        inv_std[:] = 1 / np.sqrt(running_var.astype(np.float64) + eps)
    return (mean, inv_std), gamma, beta


@device
def merge_statistics(x, size, sums):
    """Mean and Σ(x − mean)² of each column, from the sums over chunks; columns in the inner loop fill vector registers."""
    rows, columns = x.shape
    center, square = np.zeros(columns, np.float64), np.zeros(columns, np.float64)
    for k in range(len(sums)):
        before, now = float(k * size), float(min(size, rows - k * size))
        first, total, squares = x[k * size], sums[k, 0].astype(np.float64), sums[k, 1]
        for c in range(columns):
            distance = first[c] + total[c] / now - center[c]
            square[c] += squares[c] - total[c] * total[c] / now + distance * distance * (before * now / (before + now))
            center[c] += distance * (now / (before + now))
    return center, square


@device
def shifted_sums(x, at, rows, sums, squares):
    """Σ(x − f) and Σ(x − f)² of `rows` rows from x[at] on, f being the first; two rows at a time, which halves the loads."""
    width, first = offset(sums.size), offset(at)
    at = first
    for _ in range(rows // 2):
        for c in range(width):
            a, b = x[at + c] - x[first + c], x[at + width + c] - x[first + c]
            sums[c] += a + b
            squares[c] += a * a + b * b
        at += width + width
    for _ in range(rows % 2):
        for c in range(width):
            a = x[at + c] - x[first + c]
            sums[c] += a
            squares[c] += a * a


@kernel
def _batch_statistics(x, running_mean, running_var, momentum, eps, mean, inv_std):
    """Statistics of each column; running ones are updated if there are any.

    A chunk of rows is summed in one pass, Σ(x − f) and Σ(x − f)² with f its first row. Without the shift by f, Σx² − (Σx)²
    cancels: in float32 it gives −8 for a variance of 1 at mean 10,000. As f is one of the rows, (f − mean)² is at most the
    number of rows times the variance, so no more digits than that can be lost. Chunks are merged in float64, in
    their order, as in Chan et al. 1979: Σ(x − mean)² over a union = both sums + (difference of means)²·n₁·n₂ / (n₁ + n₂).
    """
    rows, columns = x.shape
    size, flat = chunk_rows(columns), x.reshape(-1)
    sums = np.zeros((n_chunks(rows, size), 2, columns), x.dtype)
    for k in prange(len(sums)):
        first = np.int64(k) * size
        shifted_sums(flat, first * columns, min(size, rows - first), sums[k, 0], sums[k, 1])
    center, square = merge_statistics(x, size, sums)
    for c in range(columns):
        squares = 0.0 if square[c] < 0.0 else square[c]  # unlike max, keeps NaN
        if squares == np.inf:
            squares = np.nan  # too large for x's type: better NaN than 1/∞ = 0, which would look like a result
        mean[c] = center[c]
        inv_std[c] = 1 / np.sqrt(squares / rows + eps)
        if running_mean.size:
            running_mean[c] += momentum * (center[c] - running_mean[c])
            running_var[c] += momentum * (squares / (rows - 1) - running_var[c])


@kernel
def normalise(x, stats, gamma, beta, y):
    mean, inv_std = stats
    width, size = offset(mean.size), chunk_rows(mean.size)
    x, y = x.reshape(-1), y.reshape(-1)
    scale = inv_std * gamma
    for k in prange(n_chunks(x.size, size * max(1, mean.size))):
        at = offset(k) * offset(size) * width
        for _ in range(min(offset(size), (offset(x.size) - at) // width)):
            for c in range(width):
                y[at + c] = (x[at + c] - mean[c]) * scale[c] + beta[c]
            at += width


@device
def add_gradients(grad_y, x, rows, mean, grad_gamma, grad_beta):
    """Add the part of some rows in Σ ∂y·(x − mean), which `merge_gradients` makes ∂γ, and in ∂β = Σ ∂y.

    grad_y and x  a flat array, and where the rows begin in it
    """
    (grads, from_), (x, at), width = grad_y, x, offset(mean.size)
    from_, at = offset(from_), offset(at)
    for _ in range(rows // 2):  # two rows at a time, in the same order, load and store the sums half as often
        for c in range(width):
            first, second = grads[from_ + c], grads[from_ + width + c]
            x_first, x_second = x[at + c] - mean[c], x[at + width + c] - mean[c]
            grad_gamma[c] = (grad_gamma[c] + first * x_first) + second * x_second
            grad_beta[c] = (grad_beta[c] + first) + second
        from_, at = from_ + width + width, at + width + width
    for _ in range(rows % 2):
        for c in range(width):
            grad_gamma[c] += grads[from_ + c] * (x[at + c] - mean[c])
            grad_beta[c] += grads[from_ + c]


@device
def _add_chunks(partial, grad_gamma, grad_beta):
    """Add up the chunks' parts (chunks, 2, C), in their order."""
    grad_gamma[:] = 0
    grad_beta[:] = 0
    if len(partial):
        add_up(partial)
        grad_gamma[:], grad_beta[:] = partial[0, 0], partial[0, 1]


@device
def merge_gradients(partial, inv_std, grad_gamma, grad_beta):
    """∂γ and ∂β from the chunks' parts (chunks, 2, C)."""
    _add_chunks(partial, grad_gamma, grad_beta)
    for c in range(inv_std.size):
        grad_gamma[c] *= inv_std[c]


@device
def input_coefficients(stats, gamma, grad_gamma, grad_beta, share):
    """Return what does not change from row to row in ∂x = scale·(∂y − shift − (x − mean)·slope): mean, scale, slope, shift.

    share is 1/m, or 0 where the statistics are constants. With x̂ = (x − mean)·inv_std
        ∂x = γ/√(var + ε) · (∂y − ∂β/m − x̂·∂γ/m):    scale = γ·inv_std    slope = inv_std·∂γ/m    shift = ∂β/m
    """
    mean, inv_std = stats
    return mean, gamma * inv_std, inv_std * grad_gamma * share, grad_beta * share


@device
def input_gradient(grad_y, x, rows, coefficients, grad_x):
    """Fill some rows of ∂x by what `input_coefficients` gave; grad_y and x as in `add_gradients`."""
    (grads, from_), (x, at), (mean, scale, slope, shift) = grad_y, x, coefficients
    from_, at, width = offset(from_), offset(at), offset(mean.size)
    for _ in range(rows):
        for c in range(width):
            grad_x[at + c] = scale[c] * (grads[from_ + c] - shift[c] - (x[at + c] - mean[c]) * slope[c])
        from_ += width
        at += width


@kernel
def batch_norm_backward(grad_y, x, stats, gamma, share, grad_gamma, grad_beta, grad_x):
    """Two passes: ∂γ = Σ ∂y·x̂ and ∂β = Σ ∂y, then ∂x, which needs both. `ops/fused.py` is built from the same parts."""
    size, width = chunk_rows(x.shape[1]), x.shape[1]
    partial = np.zeros((n_chunks(len(x), size), 2, width), x.dtype)
    grads, flat, out = grad_y.reshape(-1), x.reshape(-1), grad_x.reshape(-1)
    mean, inv_std = stats
    for k in prange(len(partial)):
        at = np.int64(k) * size * width
        rows = min(size, len(x) - np.int64(k) * size)
        add_gradients((grads, at), (flat, at), rows, mean, partial[k, 0], partial[k, 1])
    merge_gradients(partial, inv_std, grad_gamma, grad_beta)
    coefficients = input_coefficients(stats, gamma, grad_gamma, grad_beta, share)
    for k in prange(len(partial)):
        at = np.int64(k) * size * width
        rows = min(size, len(x) - np.int64(k) * size)
        input_gradient((grads, at), (flat, at), rows, coefficients, out)


def check_batch_norm(op, x, running_mean, running_var, weight, bias, training, momentum, eps, spread="running_var"):
    """Check the arguments of `batch_norm`; spread: what the operation calls running_var."""
    check_tensors(op, optional=("weight", "bias"), x=x, weight=weight, bias=bias)
    shape = x.data.shape
    if len(shape) < 2:
        raise ValueError(f"{op}: x is {shape}; it must be (N, C) or (N, H, W, C), features last")
    features = shape[-1:]
    running = ("running_mean", running_mean), (spread, running_var)
    for name, array in running:  # anything else could not be updated in place
        if array is None:
            continue
        if not isinstance(array, np.ndarray) or array.dtype not in _FLOATS:
            kind = getattr(array, "dtype", type(array).__name__)
            raise TypeError(f"{op}: {name} is a {kind}; it must be a plain array of floats, which training updates")
        if training and not array.flags.writeable:
            raise ValueError(f"{op}: {name} is a read-only array; training updates it, so it must be writable: .copy()")
    for name, array in (*running, ("weight", weight), ("bias", bias)):
        if array is not None and array.shape != features:
            raise ValueError(f"{op}: x is {shape} but {name} is {array.shape}; it must be {features}")
    if (running_mean is None) != (running_var is None):
        raise ValueError(f"{op}: got one of running_mean and {spread}; pass both, or None for both")
    if training and x.data.size <= features[0]:
        raise ValueError(
            f"{op}: x is {x.shape}, one value for each feature, and training needs at least two (the variance of "
            "one is 0); use a larger batch, drop_last=True in the DataLoader, or eval()"
        )
    if not training and running_mean is None:
        raise ValueError(f"{op}: evaluation needs running_mean and {spread}; pass them, or training=True")
    check_between(op, "eps", eps, 0)
    check_between(op, "momentum", momentum, 0, 1)


def layer_norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float = 1e-5) -> Tensor:
    """Normalise each example over its own features, then scale and shift; the same in training and evaluation.

    Forward   x̂ = (x − mean) / √(var + ε)    y = γ·x̂ + β     with mean and var over the last axis, γ = weight, β = bias
    Backward  ∂γ = Σ ∂y·x̂    ∂β = Σ ∂y    ∂x = (g − mean(g) − x̂·mean(g·x̂)) / √(var + ε) with g = γ·∂y
    Shape     x, y (…, C), weight and bias (C,)
    Source    Ba, Kiros and Hinton 2016
    """
    check_tensors("layer_norm", optional=(), x=x, weight=weight, bias=bias)
    features = x.shape[-1] if x.ndim else 0
    if not features or weight.shape != (features,) or bias.shape != (features,):
        raise ValueError(
            f"layer_norm: x is {x.shape}, weight {weight.shape}, bias {bias.shape}; the last two must be x's last size"
        )
    check_between("layer_norm", "eps", eps, 0)
    rows = matrix(x.data)
    x_hat, inv_std = np.empty_like(rows), np.empty(len(rows), rows.dtype)
    y = np.empty_like(rows)
    _layer_norm_forward[rows.size](rows, weight.data, bias.data, rows.dtype.type(eps), x_hat, inv_std, y)

    def backward(grad_y):
        grad_y = matrix(grad_y)
        grad_x = np.empty_like(rows)
        grad_gamma, grad_beta = np.empty(features, rows.dtype), np.empty(features, rows.dtype)
        _layer_norm_backward[grad_y.size](grad_y, x_hat, inv_std, weight.data, grad_x, grad_gamma, grad_beta)
        return grad_x.reshape(x.shape), grad_gamma, grad_beta

    return Tensor._from_op(y.reshape(x.shape), (x, weight, bias), backward)


@kernel
def _layer_norm_forward(x, gamma, beta, eps, x_hat, inv_std, y):
    size = chunk_rows(x.shape[1])
    count = x.dtype.type(x.shape[1])
    for k in prange(n_chunks(x.shape[0], size)):
        for r in range(k * size, min((k + 1) * size, x.shape[0])):
            row, hat, out = x[r], x_hat[r], y[r]
            total, square = 0.0, 0.0  # in float64: a million features would be too many for float32
            for c in range(row.size):
                total += row[c] - row[0]  # near the mean, so that sums stay small
            mean = x.dtype.type(total / count + row[0])
            for c in range(row.size):
                square += (row[c] - mean) * (row[c] - mean)
            inv_std[r] = 1 / np.sqrt(square / count + eps) if square < np.inf else np.nan  # as in _batch_statistics
            for c in range(row.size):
                hat[c] = (row[c] - mean) * inv_std[r]
                out[c] = hat[c] * gamma[c] + beta[c]


@kernel
def _layer_norm_backward(grad_y, x_hat, inv_std, gamma, grad_x, grad_gamma, grad_beta):
    size = chunk_rows(grad_y.shape[1])
    count = grad_y.dtype.type(grad_y.shape[1])
    partial = np.zeros((n_chunks(grad_y.shape[0], size), 2, grad_y.shape[1]), grad_y.dtype)
    for k in prange(len(partial)):
        gammas, betas = partial[k, 0], partial[k, 1]
        for r in range(k * size, min((k + 1) * size, grad_y.shape[0])):
            grad, hat, out = grad_y[r], x_hat[r], grad_x[r]
            total, projections = 0.0, 0.0
            for c in range(grad.size):
                total += grad[c] * gamma[c]
                projections += grad[c] * gamma[c] * hat[c]
                gammas[c] += grad[c] * hat[c]
                betas[c] += grad[c]
            mean, projection = grad.dtype.type(total / count), grad.dtype.type(projections / count)
            for c in range(grad.size):
                out[c] = inv_std[r] * (grad[c] * gamma[c] - mean - hat[c] * projection)
    _add_chunks(partial, grad_gamma, grad_beta)

"""Group normalization: each example is normalised on its own, a group of channels at a time; nothing depends on the batch.

What batch norm sums over all examples is summed here over one, in the same passes: the sums of a chunk of pixels are taken
channel by channel, so that neighbours in memory fill vector registers, and merged in float64, first over the chunks of an
image, as batch norm does, then over the channels of a group. Chunks are tasks of their own, so even one large image
keeps all threads busy. Images that fit into a chunk, and vectors, have kernels of their own: `group_norm_small.py`.

ReLU behind it takes no pass of its own: the one that normalises applies it, and the backward sees from the output where
it was 0.
"""

from itertools import compress

import numpy as np

from minidl._numbers import check_between, check_whole
from minidl.kernels.jit import contiguous, device, kernel, n_chunks, prange
from minidl.kernels.reduce import TERMS, add_up, chunk_rows
from minidl.kernels.runs import copy, offset
from minidl.ops._check import check_tensors
from minidl.ops.group_norm_small import small_backward, small_forward
from minidl.ops.norm import add_gradients, merge_statistics, shifted_sums
from minidl.tensor import Tensor

__all__ = ["group_norm", "group_norm_relu"]


def group_norm(
    x: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """Normalise each example over its pixels and a group of neighbouring channels, then scale and shift each channel.

    Forward   x̂ = (x − mean) / √(var + ε)    y = γ·x̂ + β        with γ = weight, β = bias
              mean and var of each example and group: over all axes but the first, and C / num_groups channels
    Backward  ∂γ = Σ ∂y·x̂    ∂β = Σ ∂y    ∂x = (g − mean(g) − x̂·mean(g·x̂)) / √(var + ε) with g = γ·∂y, means as above
    Shape     x, y (N, C) or (N, …, C), C a multiple of num_groups; weight and bias (C,)
              num_groups = C is instance norm; 1 is layer norm, but over the pixels, too. The same in training and evaluation
    Errors    ValueError: shapes; a number of groups that does not divide C. A group of a single number is always its shift β
    Source    Wu and He 2018; Ulyanov, Vedaldi and Lempitsky 2016 for instance norm
    """
    return _group_norm("group_norm", x, num_groups, weight, bias, eps, False)


def group_norm_relu(
    x: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """Compute relu(group_norm(x)), with the same bits, and fewer passes over memory.

    Forward   y = max(z, 0) with z = group_norm(x)
    Backward  ∂z = ∂y where y > 0, else 0; then as in `group_norm`
    Shape     as in `group_norm`
    """
    return _group_norm("group_norm_relu", x, num_groups, weight, bias, eps, True)


def _group_norm(op, x, groups, weight, bias, eps, relu):
    groups = _check(op, x, groups, weight, bias, eps)
    data = contiguous(x.data)
    n, features = data.shape[0], data.shape[-1]
    data = data.reshape(n, data.size // (n * features) if n else 0, features)
    dtype = data.dtype
    gamma = np.ones(features, dtype) if weight is None else contiguous(weight.data)
    beta = np.zeros(features, dtype) if bias is None else contiguous(bias.data)
    y, least = np.empty(data.shape, dtype), 0.0 if relu else -np.inf
    if data.shape[1] <= chunk_rows(features):
        stats, forward, gradients = np.empty((2, n, groups), dtype), small_forward, small_backward
    else:
        stats, forward, gradients = np.empty((n, 2, features), dtype), _group_norm_forward, _group_norm_backward
    forward[data.size](data, groups, eps, gamma, beta, least, stats, y)
    positive = y if relu else np.empty((0, 0, 0), dtype)  # where the gradient passes: everywhere
    given = weight is not None, bias is not None

    def backward(grad_y):
        grad_x = np.empty(x.shape, dtype)
        grad_gamma, grad_beta = np.empty(features, dtype), np.empty(features, dtype)
        grad_y = contiguous(grad_y).reshape(data.shape)
        gradients[data.size](
            grad_y, data, positive, stats, gamma, groups, (grad_gamma, grad_beta), grad_x.reshape(data.shape)
        )
        return grad_x, *compress((grad_gamma, grad_beta), given)

    backward.__qualname__ = f"{op}.<locals>.backward"  # after which the graph names the operation
    return Tensor._from_op(y.reshape(x.shape), (x, *compress((weight, bias), given)), backward)


# ---- images of several chunks --------------------------------------------------------------------------------------------


@device
def _cut(x):
    """Return how images are cut: chunks in an image, and pixels in a chunk."""
    size = chunk_rows(x.shape[2])
    return n_chunks(x.shape[1], size), size


@device
def _place(task, x, chunks, size):
    """Return a task's image and chunk, where its numbers begin, and how many pixels it has."""
    image, chunk = divmod(np.int64(task), chunks)
    begin = chunk * size
    return image, chunk, (image * x.shape[1] + begin) * x.shape[2], min(size, x.shape[1] - begin)


@device
def _group_statistics(image, size, sums, groups, eps, stats):
    """Merge the sums of an image's chunks, then the channels of each group; fill stats (2, C): mean and 1/√(var + ε).

    All in float64: channels of one group may lie far apart.
    """
    center, square = merge_statistics(image, size, sums)
    width = center.size // groups
    for g in range(groups):
        mean, squares = 0.0, 0.0
        for c in range(g * width, (g + 1) * width):
            mean += center[c]
        mean /= width
        for c in range(g * width, (g + 1) * width):
            squares += (0.0 if square[c] < 0.0 else square[c]) + (center[c] - mean) * (center[c] - mean) * len(image)
        if squares == np.inf:
            squares = np.nan  # as in batch norm: better NaN than 1/∞ = 0
        for c in range(g * width, (g + 1) * width):
            stats[0, c] = mean
            stats[1, c] = 1 / np.sqrt(squares / (width * len(image)) + eps)


@device
def _normalise_part(x, at, rows, norm, least, y):
    mean, scale, beta = norm
    at, width = offset(at), offset(mean.size)
    for _ in range(rows):
        for c in range(width):
            z = (x[at + c] - mean[c]) * scale[c] + beta[c]
            y[at + c] = least if z < least else z  # so that NaN is kept
        at += width


@kernel
def _group_norm_forward(x, groups, eps, gamma, beta, least, stats, y):
    """Fill stats (N, 2, C) and y. What is below `least` becomes `least`: 0 is ReLU, −∞ leaves all as it is."""
    (n, _, width), (chunks, size) = x.shape, _cut(x)
    flat, out, least = x.reshape(-1), y.reshape(-1), x.dtype.type(least)
    sums = np.zeros((n, chunks, 2, width), x.dtype)
    for task in prange(n * chunks):
        i, chunk, at, rows = _place(task, x, chunks, size)
        shifted_sums(flat, at, rows, sums[i, chunk, 0], sums[i, chunk, 1])
    for i in prange(n):
        _group_statistics(x[i], size, sums[i], groups, eps, stats[i])
    for task in prange(n * chunks):
        i, _, at, rows = _place(task, x, chunks, size)
        _normalise_part(flat, at, rows, (stats[i, 0], stats[i, 1] * gamma, beta), least, out)


# ---- backward ----------------------------------------------------------------------------------------------------------


@device
def _through_relu(grad_y, positive, at, count):
    """The gradient of some numbers from `at` on: an array, its own behind a ReLU, and where in it they begin."""
    if positive.size == 0:
        return grad_y, at
    grad, zero, at = np.empty(count, grad_y.dtype), grad_y.dtype.type(0), offset(at)
    for i in range(offset(count)):
        grad[i] = grad_y[at + i] if positive[at + i] > zero else zero
    return grad, np.int64(0)


@device
def _group_sums(image, sums, stats, gamma, groups, parts):
    """Turn the sums of an image's chunks, Σ ∂y·(x − mean) and Σ ∂y, into what its pixels' gradients share.

    sums   (chunks, 2, C); afterwards sums[0] holds slope and shift: ∂x = inv_std·(γ·∂y − shift − (x − mean)·slope), with
           shift = mean(g) and slope = mean(g·x̂)·inv_std, of each group with g = γ·∂y
    parts  (2, C): this image's part in ∂γ and ∂β is added
    """
    add_up(sums)
    width = gamma.size // groups
    for c in range(gamma.size):
        parts[0, c] += sums[0, 0, c] * stats[1, c]
        parts[1, c] += sums[0, 1, c]
    for g in range(groups):
        slope, shift = 0.0, 0.0
        for c in range(g * width, (g + 1) * width):
            slope += sums[0, 0, c] * gamma[c]
            shift += sums[0, 1, c] * gamma[c]
        inv_std, count = stats[1, g * width], width * len(image)
        for c in range(g * width, (g + 1) * width):
            sums[0, 0, c] = slope / count * inv_std * inv_std
            sums[0, 1, c] = shift / count


@device
def _part_gradient(grad_y, x, rows, stats, gamma, added, grad_x):
    (grads, from_), (x, at), mean, inv_std, slope, shift = grad_y, x, stats[0], stats[1], added[0], added[1]
    from_, at, width = offset(from_), offset(at), offset(gamma.size)
    for _ in range(rows):
        for c in range(width):
            grad_x[at + c] = inv_std[c] * (grads[from_ + c] * gamma[c] - shift[c] - (x[at + c] - mean[c]) * slope[c])
        from_ += width
        at += width


@kernel
def _group_norm_backward(grad_y, x, positive, stats, gamma, groups, grads, grad_x):
    """Two passes as in batch norm: the sums, then ∂x, which needs them; ∂γ and ∂β are added up image by image."""
    (n, _, width), (chunks, size) = x.shape, _cut(x)
    flat, from_, kept, out = x.reshape(-1), grad_y.reshape(-1), positive.reshape(-1), grad_x.reshape(-1)
    sums = np.zeros((n, chunks, 2, width), x.dtype)
    for task in prange(n * chunks):
        i, chunk, at, rows = _place(task, x, chunks, size)
        grad = _through_relu(from_, kept, at, rows * width)
        add_gradients(grad, (flat, at), rows, stats[i, 0], sums[i, chunk, 0], sums[i, chunk, 1])
    together = min(chunk_rows(width), TERMS)
    parts = np.zeros((max(1, n_chunks(n, together)), 2, width), x.dtype)
    for block in prange(n_chunks(n, together)):
        for i in range(np.int64(block) * together, min((np.int64(block) + 1) * together, n)):
            _group_sums(x[i], sums[i], stats[i], gamma, groups, parts[block])
    add_up(parts)
    copy(parts.reshape(-1), 0, grads[0], 0, width)
    copy(parts.reshape(-1), width, grads[1], 0, width)
    for task in prange(n * chunks):
        i, _, at, rows = _place(task, x, chunks, size)
        grad = _through_relu(from_, kept, at, rows * width)
        _part_gradient(grad, (flat, at), rows, stats[i], gamma, sums[i, 0], out)


def _check(op, x, groups, weight, bias, eps):
    check_tensors(op, optional=("weight", "bias"), x=x, weight=weight, bias=bias)
    groups, shape = check_whole(op, "num_groups", groups), x.data.shape
    if len(shape) < 2 or not shape[-1] or shape[-1] % groups:
        raise ValueError(
            f"{op}: x is {shape} and num_groups {groups}; x must be (N, C) or (N, H, W, C), features last, and C a multiple "
            "of num_groups"
        )
    for name, tensor in (("weight", weight), ("bias", bias)):
        if tensor is not None and tensor.shape != shape[-1:]:
            raise ValueError(f"{op}: x is {shape} but {name} is {tensor.shape}; it must be {shape[-1:]}")
    check_between(op, "eps", eps, 0)
    return groups

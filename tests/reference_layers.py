"""What the operations that came after the paper should give: a second part of `reference.py`, and like it.

Naive loops in float64, then composites in Tensor arithmetic, whose gradients know nothing of hand-written backward passes.
"""

import math

import numpy as np

from minidl import Tensor
from tests import reference
from tests.reference import pair


def group_norm(x, num_groups, weight=None, bias=None, eps=1e-5):
    """Each example and group of channels gets mean 0 and variance 1, over all its pixels; then scale and shift.

    x is (N, …, C); groups are neighbouring channels.
    """
    n, channels = x.shape[0], x.shape[-1]
    pixels = np.asarray(x, np.float64).reshape(n, -1, channels)
    y = np.zeros(pixels.shape)
    size = channels // int(num_groups)
    for i in range(n):
        for first in range(0, channels, size):
            numbers = [float(v) for v in pixels[i, :, first : first + size].flat]
            mean = sum(numbers) / len(numbers)
            var = sum((v - mean) ** 2 for v in numbers) / len(numbers)
            for p in range(pixels.shape[1]):
                for c in range(first, first + size):
                    y[i, p, c] = (pixels[i, p, c] - mean) / math.sqrt(var + eps)
    y = y if weight is None else y * weight
    return (y if bias is None else y + bias).reshape(x.shape)


def batch_renorm(x, running_mean, running_std, weight, bias, momentum, eps, r_max, d_max):
    """Batch norm's x̂, times r, plus d, which lead to what evaluation gives; then scale and shift: training mode.

    Returns (y, running_mean, running_std): new arrays.
    """
    columns = np.asarray(x, np.float64).reshape(-1, x.shape[-1])
    y, new_mean, new_std = np.zeros(columns.shape), np.array(running_mean, float), np.array(running_std, float)
    for c in range(columns.shape[1]):
        mean = sum(columns[:, c]) / len(columns)
        std = math.sqrt(sum((v - mean) ** 2 for v in columns[:, c]) / len(columns) + eps)
        r = min(max(std / running_std[c], 1 / r_max), r_max)
        d = min(max((mean - running_mean[c]) / running_std[c], -d_max), d_max)
        for m in range(len(columns)):
            y[m, c] = (columns[m, c] - mean) / std * r + d
        new_mean[c] += momentum * (mean - running_mean[c])
        new_std[c] += momentum * (std - running_std[c])
    y = y if weight is None else y * weight + bias
    return y.reshape(x.shape), new_mean, new_std


def ghost_batch_norm(x, ghost_size, running_mean, running_var, weight=None, bias=None, momentum=0.1, eps=1e-5):
    """Batch norm of one part of the examples after another; a rest of one value per feature joins the last part.

    Returns (y, running_mean, running_var): new arrays.
    """
    ends = [*range(ghost_size, len(x), ghost_size), len(x)]
    if len(ends) > 1 and x[ends[-2] :].size == x.shape[-1]:
        ends.pop(-2)
    results, first = [], 0
    for end in ends:
        y, running_mean, running_var = reference.batch_norm(
            x[first:end], running_mean, running_var, weight, bias, True, momentum, eps
        )
        results.append(y)
        first = end
    return np.concatenate(results), running_mean, running_var


def embedding(input, weight):
    """The row of the weight that each number names.

    input (…) whole numbers, weight (V, D): y (…, D).
    """
    y = np.zeros((*np.shape(input), weight.shape[1]))
    for index in np.ndindex(*np.shape(input)):
        y[index] = weight[input[index]]
    return y


def embedding_grad(input, grad_y, rows, padding_idx=None):
    """Each ∂y goes to the row that was looked up, and adds up there; that of the padding stays 0.

    Returns (V, D).
    """
    grad = np.zeros((rows, grad_y.shape[-1]))
    for index in np.ndindex(*np.shape(input)):
        if padding_idx is None or input[index] != padding_idx % rows:
            grad[input[index]] += grad_y[index]
    return grad


def conv_transpose2d(x, weight, bias=None, stride=1, padding=0, output_padding=0):
    """Each pixel puts the filter, times itself, around its place in a larger image, whose border is then cut off.

    x (N, H, W, C), weight (kh, kw, C, O).
    """
    (s_h, s_w), (p_h, p_w), (o_h, o_w) = pair(stride), pair(padding), pair(output_padding)
    n, height, width, _ = x.shape
    kernel_h, kernel_w, _, out = weight.shape
    y = np.zeros((n, (height - 1) * s_h - 2 * p_h + kernel_h + o_h, (width - 1) * s_w - 2 * p_w + kernel_w + o_w, out))
    for i, h, w, a, b in np.ndindex(n, height, width, kernel_h, kernel_w):
        row, column = h * s_h + a - p_h, w * s_w + b - p_w
        if 0 <= row < y.shape[1] and 0 <= column < y.shape[2]:
            for o in range(out):
                y[i, row, column, o] += np.sum(x[i, h, w].astype(np.float64) * weight[a, b, :, o])
    return y if bias is None else y + bias


def interpolate(x, scale_factor, mode="nearest", align_corners=False):
    """Resize images: each new pixel is the old one under it, or a mean of the four around its middle.

    x (N, H, W, C); scale_factor one number or a pair.
    """
    factors = scale_factor if isinstance(scale_factor, tuple) else (scale_factor, scale_factor)
    n, height, width, channels = x.shape
    shape = (n, math.floor(height * factors[0]), math.floor(width * factors[1]), channels)

    def sources(place, size, out, factor):
        if mode == "nearest":
            return [(min(math.floor(place / factor), size - 1), 1.0)]
        at = place * (size - 1) / max(1, out - 1) if align_corners else max((place + 0.5) / factor - 0.5, 0)
        first = min(math.floor(at), size - 1)
        second = min(first + 1, size - 1)
        return [(first, 1 - (at - first)), (second, at - first)]

    y = np.zeros(shape)
    for i, h, w, c in np.ndindex(*shape):
        for a, v in sources(h, height, shape[1], factors[0]):
            for b, u in sources(w, width, shape[2], factors[1]):
                y[i, h, w, c] += v * u * x[i, a, b, c]
    return y


# --- composites: Tensors in, Tensors out, small differentiable steps -------------------------------------------------


def composite_group_norm(x, num_groups, weight, bias, eps=1e-5):
    """Rows of all numbers of an example and a group, normalised like a layer's.

    x (N, P, C).
    """
    n, pixels, channels = x.shape
    rows = x.reshape(n, pixels, num_groups, -1).permute(0, 2, 1, 3).reshape(n * num_groups, -1)
    x_hat = reference.composite_normalise(rows, -1, eps)
    x_hat = (
        x_hat.reshape(n, num_groups, pixels, channels // num_groups).permute(0, 2, 1, 3).reshape(n, pixels, channels)
    )
    return x_hat * weight + bias


def composite_batch_renorm(x, running_mean, running_std, weight, bias, eps, r_max, d_max):
    """Batch norm's x̂ times r plus d, which are arrays here, so that no gradient flows into them.

    x (N, C), training mode.
    """
    std = np.sqrt(x.data.var(0) + eps)
    r = np.clip(std / running_std, 1 / r_max, r_max)
    d = np.clip((x.data.mean(0) - running_mean) / running_std, -d_max, d_max)
    return (reference.composite_normalise(x, 0, eps) * Tensor(r) + Tensor(d)) * weight + bias


def sparse_matmul(rows, columns, values, x, count):
    """Entry by entry: values (E,) or (E, H), x (N, F) or (N, H, F)."""
    y = np.zeros((count, *x.shape[1:]))
    for e, (i, j) in enumerate(zip(rows, columns, strict=True)):
        y[i] += values[e, ..., None] * x[j]
    return y


def edge_softmax(rows, x):
    """The share of each edge among those of its row, by the definition."""
    y = np.zeros(x.shape)
    for e, i in enumerate(rows):
        y[e] = np.exp(x[e]) / sum(np.exp(x[f]) for f, other in enumerate(rows) if other == i)
    return y


def edge_sum(rows, x, count):
    """Add what is on each edge to its row."""
    y = np.zeros((count, *x.shape[1:]))
    for e, i in enumerate(rows):
        y[i] += x[e]
    return y

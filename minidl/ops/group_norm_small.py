"""Group norm of vectors and small images: whole examples at a time, many of them in a task.

An image that fits into a chunk stays in the cache while its statistics are found, so it is read once. What takes time then
are the groups: runs of few numbers, of which a loop each would be all overhead. So the sums of all groups of a task's
examples are found together: neighbours are added, then neighbours among the sums, and so on. Those loops are as long as the
task and fill vector registers, whatever the number of groups; and sums by pairs are more exact than others.

A vector is an image of one pixel. All vectors of a task then make one long pixel, whose γ and β are repeated.
"""

import numpy as np

from minidl.kernels.jit import device, kernel, n_chunks, prange
from minidl.kernels.reduce import TERMS, add_up
from minidl.kernels.runs import add, copy, offset

__all__ = ["small_backward", "small_forward"]

_TASK = 2048  # numbers in a task: with all that is computed from them they stay in the first cache


# ---- sums of groups ------------------------------------------------------------------------------------------------------


@device
def _add_pairs(x, at, count, width, sums):
    """Add neighbours in runs of `width` numbers, count in all, from x[at] on; the last of an odd run joins a pair."""
    half, at, to = offset(width // 2), offset(at), offset(0)
    if width % 2 == 0:
        for i in range(offset(count // 2)):
            sums[i] = x[at + i + i] + x[at + i + i + offset(1)]
        return
    for _ in range(count // width):
        for i in range(half):
            sums[to + i] = x[at + i + i] + x[at + i + i + offset(1)]
        to, at = to + half, at + offset(width)
        sums[to - offset(1)] += x[at - offset(1)]


@device
def _fold(x, at, count, width, sums, spare):
    """Fill the first of `sums` with the sums of runs of `width` numbers, count in all, from x[at] on."""
    if width == 1:
        copy(x, at, sums, 0, count)
        return
    _add_pairs(x, at, count, width, spare)
    count, width = count // width * (width // 2), width // 2
    while width > 1:
        _add_pairs(spare, 0, count, width, sums)
        count, width = count // width * (width // 2), width // 2
        if width == 1:
            return
        _add_pairs(sums, 0, count, width, spare)
        count, width = count // width * (width // 2), width // 2
    copy(spare, 0, sums, 0, count)


@device
def _spread(x, at, count, width, y):
    """Fill y[:count] with the numbers from x[at] on, each of them `width` times."""
    at, to, one = offset(at), offset(0), offset(1)
    if width == 1:
        copy(x, at, y, 0, count)
    elif width == 2:
        for i in range(offset(count // 2)):
            y[i + i], y[i + i + one] = x[at + i], x[at + i]
    elif width == 4:
        for i in range(offset(count // 4)):
            k = offset(4) * i
            y[k], y[k + one], y[k + one + one], y[k + one + one + one] = x[at + i], x[at + i], x[at + i], x[at + i]
    else:
        for i in range(offset(count // width)):
            value = x[at + i]
            for _ in range(offset(width)):
                y[to] = value
                to += one


# ---- a pixel, or all vectors of a task -----------------------------------------------------------------------------------


@device
def _repeated(x, times):
    y = np.empty(times * x.size, x.dtype)
    for i in range(times):
        copy(x, 0, y, i * x.size, x.size)
    return y


@device
def _pixel_means(x, at, pixels, width, means, to):
    """Fill means[to : to + width] with the mean of each channel: that of its first number and the distances from it."""
    at, to, width = offset(at), offset(to), offset(width)
    first, share = at, x.dtype.type(1 / pixels)
    copy(x, at, means, to, width)
    for _ in range(pixels - 1):
        at += width
        for c in range(width):
            means[to + c] += (x[at + c] - x[first + c]) * share


@device
def _squares(x, at, pixels, width, mean, sums, to):
    """Fill sums[to : to + width] with Σ(x − mean)² of each channel."""
    at, to, width = offset(at), offset(to), offset(width)
    for c in range(width):
        z = x[at + c] - mean[to + c]
        sums[to + c] = z * z
    for _ in range(pixels - 1):
        at += width
        for c in range(width):
            z = x[at + c] - mean[to + c]
            sums[to + c] += z * z


@device
def _normalise(x, at, pixels, width, norm, least, y, to):
    mean, scale, gamma, beta = norm
    at, to, width = offset(at), offset(to), offset(width)
    for c in range(width):
        scale[to + c] *= gamma[c]
    for _ in range(pixels):
        for c in range(width):
            z = (x[at + c] - mean[to + c]) * scale[to + c] + beta[c]
            y[at + c] = least if z < least else z  # so that NaN is kept
        at += width


@device
def _images(n, size):
    """Return how many images of so many numbers make a task: their parts in ∂γ are added one after another."""
    return max(1, min(n, _TASK // max(1, size), TERMS))


@device
def _task(n, pixels, features, task, together):
    """Return a task's first example and how many there are, then into how many pieces of what width it is cut."""
    first = np.int64(task) * together
    images = min(together, n - first)
    if pixels == 1:
        return first, images, 1, images * features
    return first, images, images, features


@kernel
def small_forward(x, groups, eps, gamma, beta, least, stats, y):
    """Fill y and stats (2, N, groups): means and 1/√(var + ε). What is below `least` becomes `least`."""
    n, pixels, features = x.shape
    size, width, kind = pixels * features, features // groups, x.dtype.type
    together = _images(n, size)
    flat, out, means, inv_stds = x.reshape(-1), y.reshape(-1), stats[0].reshape(-1), stats[1].reshape(-1)
    least, eps, one, most = kind(least), kind(eps), kind(1), kind(np.inf)
    per_group, per_number, nan = kind(1 / width), kind(1 / max(1, width * pixels)), kind(np.nan)
    gammas, betas = _repeated(gamma, together if pixels == 1 else 1), _repeated(beta, together if pixels == 1 else 1)
    tasks = n_chunks(n if pixels else 0, together)
    for task in prange(tasks):
        first, images, pieces, long = _task(n, pixels, features, task, together)
        count, begin, group = images * features, first * size, offset(first * groups)
        sums, mean, inv_std, spare = (
            np.empty(count, x.dtype),
            np.empty(count, x.dtype),
            np.empty(count, x.dtype),
            np.empty(count, x.dtype),
        )
        source, at = flat, offset(begin)
        if pixels > 1:
            source, at = mean, offset(0)
            for i in range(pieces):
                _pixel_means(flat, begin + i * size, pixels, features, mean, i * features)
        for g in range(offset(images * groups)):  # the mean is near a group's first number: equal ones give it exactly
            means[group + g] = source[at + g * offset(width)]
        _spread(means, group, count, width, inv_std)
        for c in range(offset(count)):
            mean[c] = source[at + c] - inv_std[c]
        _fold(mean, 0, count, width, sums, spare)
        for g in range(offset(images * groups)):
            means[group + g] += sums[g] * per_group
        _spread(means, group, count, width, mean)
        for i in range(pieces):
            _squares(flat, begin + i * size, pixels, long, mean, inv_std, i * features)
        _fold(inv_std, 0, count, width, sums, spare)
        for g in range(offset(images * groups)):
            z = one / np.sqrt(sums[g] * per_number + eps)
            inv_stds[group + g] = z if sums[g] < most else nan  # as in batch norm: better NaN than 1/∞ = 0
        _spread(inv_stds, group, count, width, inv_std)
        for i in range(pieces):
            _normalise(flat, begin + i * size, pixels, long, (mean, inv_std, gammas, betas), least, out, i * features)


# ---- backward ----------------------------------------------------------------------------------------------------------


@device
def _through_relu(grad_y, positive, at, grad):
    """Fill grad with the gradient from grad_y[at] on where the output was above 0, elsewhere with 0."""
    at, zero = offset(at), grad_y.dtype.type(0)
    for i in range(offset(grad.size)):
        grad[i] = grad_y[at + i] if positive[at + i] > zero else zero


@device
def _pixel_sums(grads, x, pixels, width, stats, sums, to):
    """Fill two arrays from `to` on with each channel's Σ ∂y·x̂ and Σ ∂y.

    grads and x  an array, and where to begin in it
    """
    (grad, from_), (x, at), (mean, inv_std), (gammas, betas) = grads, x, stats, sums
    from_, at, to, width = offset(from_), offset(at), offset(to), offset(width)
    for c in range(width):
        gammas[to + c] = grad[from_ + c] * ((x[at + c] - mean[to + c]) * inv_std[to + c])
        betas[to + c] = grad[from_ + c]
    for _ in range(pixels - 1):
        from_, at = from_ + width, at + width
        for c in range(width):
            gammas[to + c] += grad[from_ + c] * ((x[at + c] - mean[to + c]) * inv_std[to + c])
            betas[to + c] += grad[from_ + c]


@device
def _scale(x, at, width, gamma, factor):
    at = offset(at)
    for c in range(offset(width)):
        x[at + c] *= gamma[c] * factor


@device
def _pixel_gradients(grads, x, pixels, width, stats, shared, grad_x, to):
    """Fill ∂x = inv_std·(γ·∂y − shift − x̂·slope)."""
    (grad, from_), (x, at), (mean, inv_std, gamma), (slope, shift) = grads, x, stats, shared
    from_, at, to, width = offset(from_), offset(at), offset(to), offset(width)
    for _ in range(pixels):
        for c in range(width):
            x_hat = (x[at + c] - mean[to + c]) * inv_std[to + c]
            grad_x[at + c] = inv_std[to + c] * (gamma[c] * grad[from_ + c] - shift[to + c] - x_hat * slope[to + c])
        from_, at = from_ + width, at + width


@kernel
def small_backward(grad_y, x, positive, stats, gamma, groups, grads, grad_x):
    """Fill ∂x, and ∂γ and ∂β, which are added up image by image within a task, then task by task."""
    n, pixels, features = x.shape
    size, width, kind = pixels * features, features // groups, x.dtype.type
    together = _images(n, size)
    flat, from_, kept, out = x.reshape(-1), grad_y.reshape(-1), positive.reshape(-1), grad_x.reshape(-1)
    means, inv_stds, share = stats[0].reshape(-1), stats[1].reshape(-1), kind(1 / max(1, width * pixels))
    gammas = _repeated(gamma, together if pixels == 1 else 1)
    tasks = n_chunks(n if pixels else 0, together)
    parts = np.zeros((max(1, tasks), 2, features), x.dtype)
    for task in prange(tasks):
        first, images, pieces, long = _task(n, pixels, features, task, together)
        count, begin, group, part = images * features, first * size, first * groups, parts[task].reshape(-1)
        mean, inv_std, slope, shift, spare = (
            np.empty(count, x.dtype),
            np.empty(count, x.dtype),
            np.empty(count, x.dtype),
            np.empty(count, x.dtype),
            np.empty(count, x.dtype),
        )
        grad, start = from_, begin
        if kept.size:
            grad, start = np.empty(images * size, x.dtype), 0
            _through_relu(from_, kept, begin, grad)
        _spread(means, group, count, width, mean)
        _spread(inv_stds, group, count, width, inv_std)
        for i in range(pieces):
            at, to = i * size, i * features
            _pixel_sums((grad, start + at), (flat, begin + at), pixels, long, (mean, inv_std), (slope, shift), to)
        for i in range(images):
            add(slope, i * features, part, 0, features)
            add(shift, i * features, part, features, features)
        for i in range(pieces):
            _scale(slope, i * features, long, gammas, share)
            _scale(shift, i * features, long, gammas, share)
        sums = np.empty(count, x.dtype)
        _fold(slope, 0, count, width, sums, spare)
        _spread(sums, 0, count, width, slope)
        _fold(shift, 0, count, width, sums, spare)
        _spread(sums, 0, count, width, shift)
        for i in range(pieces):
            at, to, stats_there = i * size, i * features, (mean, inv_std, gammas)
            _pixel_gradients((grad, start + at), (flat, begin + at), pixels, long, stats_there, (slope, shift), out, to)
    add_up(parts)
    copy(parts.reshape(-1), 0, grads[0], 0, features)
    copy(parts.reshape(-1), features, grads[1], 0, features)

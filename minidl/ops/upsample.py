"""Images made larger, or smaller: each new pixel is the nearest old one, or lies between four of them."""

import math

import numpy as np

from minidl._numbers import check_bool
from minidl.kernels.jit import device, kernel, prange
from minidl.kernels.runs import clear, offset
from minidl.ops._check import check_tensors
from minidl.tensor import Tensor

__all__ = ["interpolate"]

_MODES = ("nearest", "bilinear")
_LARGEST = 10_000_000  # pixels in a row or column: more than anybody has room for


def interpolate(
    x: Tensor, scale_factor: float | tuple[float, float], mode: str = "nearest", align_corners: bool = False
) -> Tensor:
    """Resize images by a factor, features last.

    Forward   nearest: y[n, i, j, c] = x[n, ⌊i / s⌋, ⌊j / s⌋, c]
              bilinear: y[n, i, j, c] = Σ_{a, b in 0, 1} |1 − a − u|·|1 − b − v| · x[n, p + a, q + b, c], where pixel (i, j)
              of y lies at (p + u, q + v) in x, with u and v from 0 to 1: p + u = (i + ½)/s − ½, or 0 if that is less, and at
              most H − 1; with align_corners p + u = i·(H − 1)/(H′ − 1)
    Backward  ∂x: each pixel collects ∂y of those that it is part of, with the same weights
    Shape     x (N, H, W, C), y (N, H′, W′, C) with H′ = ⌊H·s⌋
              scale_factor s: a number above 0, or a pair for height and width
    """
    scale = factors("interpolate", scale_factor, mode, align_corners)
    check_tensors("interpolate", x=x)
    shape = _output_shape(x, scale)
    data = np.ascontiguousarray(x.data)
    down, across = (_sources(x.shape[d + 1], shape[d + 1], scale[d], mode, align_corners, x.dtype) for d in (0, 1))
    dtype, lines = data.dtype, _uses(down, x.shape[1])
    y = np.empty(shape, dtype)
    _blend[y.size](data, down, across, y)

    def backward(grad_y):
        grad_x = np.empty(x.shape, dtype)
        _collect[grad_y.size](np.ascontiguousarray(grad_y), down[2], lines, across, grad_x)
        return (grad_x,)

    return Tensor._from_op(y, (x,), backward)


def factors(op, scale_factor, mode, align_corners):
    """Check how to resize, and return the factors for height and width."""
    both = tuple(scale_factor) if isinstance(scale_factor, tuple | list) else (scale_factor, scale_factor)
    try:
        numbers = [math.nan if isinstance(f, str | bytes) else float(f) for f in both]
    except (TypeError, ValueError, OverflowError):
        numbers = []
    if len(numbers) != 2 or not all(0 < f < math.inf for f in numbers):
        raise ValueError(
            f"{op}: scale_factor is {scale_factor!r}; it must be a finite number above 0, or a pair of them"
        )
    if not isinstance(mode, str) or mode not in _MODES:
        raise ValueError(f"{op}: mode is {mode!r}; it must be one of {', '.join(map(repr, _MODES))}")
    check_bool(op, "align_corners", align_corners)
    if align_corners and mode == "nearest":
        raise ValueError(f"{op}: align_corners is True and mode 'nearest'; it must be False, or the mode 'bilinear'")
    return numbers[0], numbers[1]


def _output_shape(x, scale):
    if x.ndim != 4 or 0 in x.shape[1:3]:
        raise ValueError(f"interpolate: x is {x.shape}; it must be (N, H, W, C), with at least one pixel")
    height, width = (math.floor(min(size * s, 1e300)) for size, s in zip(x.shape[1:3], scale, strict=True))
    if not 1 <= min(height, width) <= max(height, width) <= _LARGEST:
        raise ValueError(
            f"interpolate: x is {x.shape} and scale_factor {scale}, which makes {float(height):.4g}×{float(width):.4g} "
            f"pixels; both numbers must be from 1 to {_LARGEST:,}"
        )
    return x.shape[0], height, width, x.shape[3]


def _sources(size, out, scale, mode, align_corners, dtype):
    """Where the pixels of an axis come from: two places each, and the weight of the second."""
    places = np.arange(out)
    if mode == "nearest":
        at = np.floor(places / scale)  # a division: for whole factors exact, unlike a product with 1 / scale
    elif align_corners:
        at = places * ((size - 1) / max(1, out - 1))
    else:
        at = np.maximum((places + 0.5) / scale - 0.5, 0)
    first = np.minimum(at.astype(np.int64), size - 1)
    second = np.where(
        at > first, np.minimum(first + 1, size - 1), first
    )  # no pixel of weight 0, which might be infinite
    return first, second, np.where(second > first, at - first, 0).astype(dtype)


def _uses(sources, size):
    """For each place of an axis, which new ones it is the first source of, and which the second: ranges, as both rise."""
    edges = np.arange(size + 1)
    return np.searchsorted(sources[0], edges), np.searchsorted(sources[1], edges)


@kernel(cost=4)
def _blend(x, down, across, y):
    (_, height, width, c), (top, bottom, weight), (left, right, share) = x.shape, down, across
    flat, out, one = x.reshape(-1), y.reshape(-1), x.dtype.type(1)
    for line in prange(y.shape[0] * y.shape[1]):
        n, i = divmod(np.int64(line), y.shape[1])
        above, below = (n * height + top[i]) * width, (n * height + bottom[i]) * width
        v = weight[i]
        for j in range(y.shape[2]):
            a, b = offset((above + left[j]) * c), offset((above + right[j]) * c)
            d, e = offset((below + left[j]) * c), offset((below + right[j]) * c)
            to, u = offset((np.int64(line) * y.shape[2] + j) * c), share[j]
            for k in range(offset(c)):  # a weight of 0 takes no part: 0 times infinity is NaN
                upper = (one - u) * flat[a + k] + u * flat[b + k] if u > 0 else flat[a + k]
                lower = (one - u) * flat[d + k] + u * flat[e + k] if u > 0 else flat[d + k]
                out[to + k] = (one - v) * upper + v * lower if v > 0 else upper


@device
def _add_times(x, at, factor, y, to, n):
    """Add factor·x[at : at + n] to y[to : to + n]."""
    at, to = offset(at), offset(to)
    for k in range(offset(n)):
        y[to + k] += factor * x[at + k]


@kernel(cost=4)
def _collect(grad_y, weight, lines, across, grad_x):
    """Each line of ∂x is one task's: it adds up the new lines that it is part of, each first gathered along its pixels."""
    (_, height, width, c), (left, right, share), (as_first, as_second) = grad_x.shape, across, lines
    grads, out, one = grad_y.reshape(-1), grad_x.reshape(-1), grad_x.dtype.type(1)
    for line in prange(grad_x.shape[0] * height):
        (n, h), to = divmod(np.int64(line), height), np.int64(line) * width * c
        gathered = np.empty(width * c, grad_x.dtype)
        clear(out, to, width * c)
        for i in range(min(as_first[h], as_second[h]), max(as_first[h + 1], as_second[h + 1])):
            v = one - weight[i] if as_first[h] <= i < as_first[h + 1] else weight[i]
            clear(gathered, 0, width * c)
            for j in range(grad_y.shape[2]):
                from_ = ((n * grad_y.shape[1] + i) * grad_y.shape[2] + j) * c
                _add_times(grads, from_, one - share[j], gathered, left[j] * c, c)
                if share[j] > 0:
                    _add_times(grads, from_, share[j], gathered, right[j] * c, c)
            _add_times(gathered, 0, v, out, to, width * c)

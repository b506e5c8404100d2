"""Pooling: each window of an image becomes one number a channel, its maximum or its mean."""

import numpy as np

from minidl._numbers import pair
from minidl.kernels.jit import contiguous, device, kernel, prange
from minidl.kernels.reduce import TERMS
from minidl.kernels.runs import clear, copy, offset
from minidl.ops._check import check_tensors
from minidl.tensor import Tensor

__all__ = ["avg_pool2d", "global_avg_pool2d", "max_pool2d"]


def max_pool2d(x: Tensor, kernel_size: int | tuple[int, int], stride: int | tuple[int, int] | None = None) -> Tensor:
    """Take the largest number of each window, channel by channel; windows that do not fit whole are left out.

    Forward   y[n, i, j, c] = max_{a, b} x[n, i·s + a, j·s + b, c]
    Backward  each ∂y goes to the place of its maximum (the first of equals); overlapping windows add up
    Shape     x (N, H, W, C), y (N, ⌊(H − k) / s⌋ + 1, ⌊(W − k) / s⌋ + 1, C)
              kernel_size and stride: a whole number, or a pair; stride = kernel_size by default
    """
    kernel_size, stride, shape = _geometry("max_pool2d", x, kernel_size, stride)
    data = contiguous(x.data)
    small = np.prod(kernel_size) <= 128  # a byte tells the place: a quarter of the memory
    y, place = np.empty(shape, data.dtype), np.empty(shape, np.int8 if small else np.int32)
    _max_forward[data.size](data, kernel_size, stride, y, place)

    def backward(grad_y):
        grad_x = np.empty_like(data)
        _max_backward[grad_y.size](contiguous(grad_y), place, kernel_size, stride, grad_x)
        return (grad_x,)

    return Tensor._from_op(y, (x,), backward)


@device
def _larger(here, where, best, there):
    return (here, where) if here > best or here != here else (best, there)  # NaN wins, and is kept


@device
def _largest(x, pixels, y, place, to, n):
    """Of a few pixels, which a tuple names: its length is known to the compiler, which writes the loop over them out."""
    to = offset(to)
    for c in range(offset(n)):
        best, where = x[pixels[0] + c], np.int32(0)
        for k in range(1, len(pixels)):
            best, where = _larger(x[pixels[k] + c], np.int32(k), best, where)
        y[to + c], place[to + c] = best, where


@device
def _keep_larger(x, at, where, y, place, to, n):
    at, to, where = offset(at), offset(to), place.dtype.type(where)
    for c in range(offset(n)):
        y[to + c], place[to + c] = _larger(x[at + c], where, y[to + c], place[to + c])


@kernel(cost=2)
def _max_forward(x, kernel_size, stride, y, place):
    _, height, width, features = x.shape
    pixels, out, places = x.reshape(-1), y.reshape(-1), place.reshape(-1)
    square = kernel_size[0] if kernel_size[0] == kernel_size[1] else 0
    right, two, down = offset(features), offset(2 * features), offset(width * features)
    for row in prange(y.shape[0] * y.shape[1]):
        n, i = divmod(np.int64(row), y.shape[1])
        for j in range(y.shape[2]):
            at = ((n * height + i * stride[0]) * width + j * stride[1]) * features
            to = (np.int64(row) * y.shape[2] + j) * features
            a = offset(at)
            b, c = a + down, a + down + down
            if square == 2:  # in one pass: 2×2 twice as fast, and 3×3 almost three times
                _largest(pixels, (a, a + right, b, b + right), out, places, to, features)
                continue
            if square == 3:
                window = a, a + right, a + two, b, b + right, b + two, c, c + right, c + two
                _largest(pixels, window, out, places, to, features)
                continue
            copy(pixels, at, out, to, features)
            places[to : to + features] = 0
            for where in range(1, kernel_size[0] * kernel_size[1]):
                line, column = divmod(where, kernel_size[1])
                _keep_larger(pixels, at + (line * width + column) * features, where, out, places, to, features)


@device
def _collect(grad_y, place, windows, wheres, grad_x, to, n):
    """What a pixel gets from a few windows; wheres are its places in them."""
    to, zero, number = offset(to), grad_x.dtype.type(0), place.dtype.type
    for c in range(offset(n)):
        total = grad_y[windows[0] + c] if place[windows[0] + c] == number(wheres[0]) else zero
        for k in range(1, len(windows)):
            more = total + grad_y[windows[k] + c]
            total = more if place[windows[k] + c] == number(wheres[k]) else total
        grad_x[to + c] = total


@device
def _add_where(grad_y, place, from_, where, grad_x, to, n):
    from_, to, where = offset(from_), offset(to), place.dtype.type(where)
    for c in range(offset(n)):
        grad, there, total = grad_y[from_ + c], place[from_ + c], grad_x[to + c]
        grad_x[to + c] = total + grad if there == where else total


@kernel(cost=2)
def _max_backward(grad_y, place, kernel_size, stride, grad_x):
    _, height, width, features = grad_x.shape
    _, high, wide, _ = grad_y.shape
    grads, places, out = grad_y.reshape(-1), place.reshape(-1), grad_x.reshape(-1)
    for line in prange(grad_x.shape[0] * height):  # each pixel collects what its windows give: nothing is written twice
        n, h = divmod(np.int64(line), height)
        top, bottom = max(0, (h - kernel_size[0]) // stride[0] + 1), min(high, h // stride[0] + 1)
        left, right = 0, 0
        for w in range(width):  # windows that hold this pixel: lines top … bottom − 1, columns left … right − 1
            if right < wide and w == right * stride[1]:
                right += 1
            if left < right and w == left * stride[1] + kernel_size[1]:
                left += 1
            to = (np.int64(line) * width + w) * features
            lines, columns = bottom - top, right - left
            if lines <= 0 or columns <= 0:
                clear(out, to, features)
                continue
            first = ((n * high + top) * wide + left) * features
            a, b = offset(first), offset(first + features)
            c, d = offset(first + wide * features), offset(first + (wide + 1) * features)
            in_a = (h - top * stride[0]) * kernel_size[1] + w - left * stride[1]
            in_b, in_c = in_a - stride[1], in_a - stride[0] * kernel_size[1]
            in_d = in_b + in_c - in_a
            if lines == 1 and columns == 1:  # in one pass: with windows of 3×3 almost three times as fast
                _collect(grads, places, (a,), (in_a,), out, to, features)
            elif lines == 1 and columns == 2:
                _collect(grads, places, (a, b), (in_a, in_b), out, to, features)
            elif lines == 2 and columns == 1:
                _collect(grads, places, (a, c), (in_a, in_c), out, to, features)
            elif lines == 2 and columns == 2:
                _collect(grads, places, (a, b, c, d), (in_a, in_b, in_c, in_d), out, to, features)
            else:
                _collect(grads, places, (a,), (in_a,), out, to, features)
                for i in range(lines):
                    for j in range(int(i == 0), columns):
                        where = in_a - i * stride[0] * kernel_size[1] - j * stride[1]
                        _add_where(grads, places, first + (i * wide + j) * features, where, out, to, features)


def avg_pool2d(x: Tensor, kernel_size: int | tuple[int, int], stride: int | tuple[int, int] | None = None) -> Tensor:
    """Average each window, channel by channel; windows that do not fit whole are left out.

    Forward   y[n, i, j, c] = Σ_{a, b} x[n, i·s + a, j·s + b, c] / (kh·kw)
    Backward  every number of a window gets ∂y / (kh·kw); overlapping windows add up
    Shape     as for max_pool2d
    """
    kernel_size, stride, shape = _geometry("avg_pool2d", x, kernel_size, stride)
    data = contiguous(x.data)
    share = data.dtype.type(1 / np.prod(kernel_size))
    y = np.empty(shape, data.dtype)
    _avg_forward[data.size](data, kernel_size, stride, share, y)

    def backward(grad_y):
        grad_x = np.empty_like(data)
        _avg_backward[grad_y.size](contiguous(grad_y), kernel_size, stride, share, grad_x)
        return (grad_x,)

    return Tensor._from_op(y, (x,), backward)


@device
def _mean_of_many(window, mean):
    """The mean of a window (kh, kw, C) that is too large to be added up in float32."""
    total = np.zeros(mean.size, np.float64)
    for a in range(window.shape[0]):
        for b in range(window.shape[1]):
            for c in range(mean.size):
                total[c] += window[a, b, c]
    for c in range(mean.size):
        mean[c] = total[c] / (window.shape[0] * window.shape[1])


@kernel
def _avg_forward(x, kernel_size, stride, share, y):
    for n in prange(y.shape[0]):
        for i in range(y.shape[1]):
            for j in range(y.shape[2]):
                total = y[n, i, j]
                if kernel_size[0] * kernel_size[1] > TERMS:
                    top, left = i * stride[0], j * stride[1]
                    _mean_of_many(x[n, top : top + kernel_size[0], left : left + kernel_size[1]], total)
                    continue
                total[:] = 0
                for a in range(kernel_size[0]):
                    for b in range(kernel_size[1]):
                        here = x[n, i * stride[0] + a, j * stride[1] + b]
                        for c in range(total.size):
                            total[c] += here[c] * share


@kernel
def _avg_backward(grad_y, kernel_size, stride, share, grad_x):
    for n in prange(grad_y.shape[0]):
        grad_x[n] = 0
        for i in range(grad_y.shape[1]):
            for j in range(grad_y.shape[2]):
                grad = grad_y[n, i, j]
                for a in range(kernel_size[0]):
                    for b in range(kernel_size[1]):
                        here = grad_x[n, i * stride[0] + a, j * stride[1] + b]
                        for c in range(grad.size):
                            here[c] += grad[c] * share


def global_avg_pool2d(x: Tensor) -> Tensor:
    """Average each channel over the whole image.

    Forward   y[n, c] = Σ_{i, j} x[n, i, j, c] / (H·W)
    Backward  ∂x[n, i, j, c] = ∂y[n, c] / (H·W)
    Shape     x (N, H, W, C), y (N, C)
    """
    check_tensors("global_avg_pool2d", x=x)
    if x.ndim != 4 or 0 in x.shape[1:3]:
        raise ValueError(f"global_avg_pool2d: x is {x.shape}; it must be (N, H, W, C), with at least one pixel")
    y = avg_pool2d(x, (x.shape[1], x.shape[2]))
    return y.reshape(y.shape[0], y.shape[3])


def _geometry(op, x, kernel_size, stride):
    check_tensors(op, x=x)
    kernel_size = pair(op, "kernel_size", kernel_size, 1)
    stride = kernel_size if stride is None else pair(op, "stride", stride, 1)
    if x.ndim != 4 or x.shape[1] < kernel_size[0] or x.shape[2] < kernel_size[1]:
        raise ValueError(f"{op}: x is {x.shape}; it must be (N, H, W, C) and no smaller than the window {kernel_size}")
    height, width = ((x.shape[i + 1] - kernel_size[i]) // stride[i] + 1 for i in (0, 1))
    return kernel_size, stride, (x.shape[0], height, width, x.shape[3])

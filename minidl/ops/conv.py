"""Convolution of images (N, H, W, C) by one of two methods: Winograd's, for most 3×3 filters, or products over patches.

`kernels/winograd.py` is the first. The second is below, and takes any filter. An output position sees a patch of kh × kw × C
numbers. With features last, a patch is kh runs of kw·C neighbours in memory; copied side by side they make a row, and all
rows times the weights, seen as a matrix (kh·kw·C, O), are the convolution. That matrix of patches is kh·kw times as large as
the image, so it is never built whole: each task fills a block that fits the second-level cache, multiplies, and goes on.
"""

import numpy as np

from minidl._numbers import pair
from minidl.autograd.engine import is_observed
from minidl.kernels import winograd
from minidl.kernels.jit import assign, device, kernel, n_chunks, prange
from minidl.kernels.product import multiply
from minidl.kernels.reduce import add_bias, column_sums
from minidl.kernels.runs import add, copy, offset, transposed, view
from minidl.ops._check import check_tensors
from minidl.tensor import Tensor

__all__ = ["conv2d"]

_BLOCK = 65_536  # numbers in a block of patches: 256 KiB of float32
_WINOGRAD_FROM = 16  # channels
_SIDE_BY_SIDE = 4  # channels from which patches are copied in runs; with 3 either takes the same time
_ROUNDING = 2e-5  # of the terms of an output: what `detect_anomaly` lets pass; up to 2e-6 is usual
_GROUPS = 16  # partial sums of the weight gradient: a fixed number, so that they do not depend on threads


def conv2d(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
) -> Tensor:  # fmt: skip
    """Correlate images with filters (two-dimensional cross-correlation), features last.

    Forward   y[n, i, j, o] = Σ_{a, b, c} x[n, i·s + a − p, j·s + b − p, c] · W[a, b, c, o] + b[o]    (x is 0 outside)
    Backward  ∂x: each patch gets its position's ∂y·Wᵀ, added up where patches overlap
              ∂W = Σ patchᵀ·∂y over all positions    ∂b = Σ ∂y
    Shape     x (N, H, W, C), weight (kh, kw, C, O), bias (O,), y (N, H′, W′, O) with H′ = ⌊(H + 2p − kh) / s⌋ + 1
              stride and padding: a whole number, or a pair for height and width
    Method    float32, 3×3, stride 1, padding up to 2, at least 16 channels in and out: Winograd's, on tiles of 6×6 pixels.
              Its rounding errors are up to 1e-5 of the largest terms in a tile, not in an output, and a NaN spoils its
              tiles. `detect_anomaly` refuses outputs that a far larger pixel nearby has spoiled. Else: products over patches
    """
    check_tensors("conv2d", x=x, weight=weight, bias=bias)
    stride, padding = pair("conv2d", "stride", stride, 1), pair("conv2d", "padding", padding, 0)
    shape = _output_shape(x, weight, bias, stride, padding)
    data, filters = np.ascontiguousarray(x.data), np.ascontiguousarray(weight.data)
    fast = _suits_winograd(x, weight, stride, padding)
    y = winograd.forward(data, filters, padding) if fast else forward(data, filters, stride, padding, shape)
    if fast and is_observed():
        _check_rounding("y", y, "x", data, filters, padding)
    if bias is not None:
        add_bias[y.size](y.reshape(-1, shape[-1]), np.ascontiguousarray(bias.data))

    def backward(grad_y):
        grad_y = np.ascontiguousarray(grad_y)
        grad_x = grad_weight = None
        if x.requires_grad:
            if fast:
                grad_x = winograd.backward_x(grad_y, filters, padding)
                if is_observed():
                    rotated = filters[::-1, ::-1].swapaxes(2, 3)
                    _check_rounding("the gradient of x", grad_x, "that of y", grad_y, rotated, [2 - p for p in padding])
            else:
                grad_x = backward_x(grad_y, filters, stride, padding, data.shape)
        if weight.requires_grad:
            if fast:
                grad_weight = winograd.backward_weight(grad_y, data, padding)
            else:
                grad_weight = backward_weight(grad_y, data, stride, padding, filters.shape)
        if bias is None:
            return grad_x, grad_weight
        return grad_x, grad_weight, column_sums(grad_y.reshape(-1, shape[-1])) if bias.requires_grad else None

    parents = (x, weight) if bias is None else (x, weight, bias)
    return Tensor._from_op(y, parents, backward)


def _suits_winograd(x, weight, stride, padding):
    """3×3 filters at every pixel, channels enough to pay, and float32: Winograd's sums round more, to 1e-5.

    Padding is at most 2, as the backward pads by what is left to 2.
    """
    channels, o = weight.shape[2:]
    return (
        weight.shape[:2] == (3, 3) and stride == (1, 1) and max(padding) <= 2
        and x.dtype == np.float32 and min(channels, o) >= _WINOGRAD_FROM
    )  # fmt: skip


def forward(x, weight, stride, padding, shape):
    y = np.empty(shape, x.dtype)
    _conv_forward[y.size](_pad(x, padding), weight.reshape(-1, shape[-1]), weight.shape[:2], stride, y)
    return y


def backward_x(grad_y, weight, stride, padding, shape):
    n, height, width, c = shape
    grad_padded = np.empty((n, height + 2 * padding[0], width + 2 * padding[1], c), grad_y.dtype)
    _conv_backward_x[grad_y.size](grad_y, weight.reshape(-1, weight.shape[3]), weight.shape[:2], stride, grad_padded)
    if padding == (0, 0):
        return grad_padded
    grad_x = np.empty(shape, grad_y.dtype)
    assign(grad_x, _inside(grad_padded, grad_x, padding))
    return grad_x


def backward_weight(grad_y, x, stride, padding, shape):
    grad_weight = np.empty(shape, x.dtype)
    _conv_backward_weight[grad_y.size](grad_y, _pad(x, padding), stride, grad_weight)
    return grad_weight


@device
def _patches_in_a_block(size):
    return min(512, max(16, _BLOCK // size))


@device
def _gather(x, at, step, y, to, n):
    """Set y[to : to + n] = x[at : : step]."""
    at, step, to = offset(at), offset(step), offset(to)
    for i in range(offset(n)):
        y[to + i] = x[at + i * step]


@device
def _fill_patches(x, n, kernel_size, stride, width, start, count, patches):
    """Copy the patches of `count` output positions, from `start` on, of image n into `patches`.

    Side by side, if there are channels enough to copy them in runs; else number by number of the patch, each for all
    positions, since pixels beside each other then lie so in memory. Return a view of the matrix: a patch in each row.
    """
    (_, height, line, c), flat = x.shape, x.reshape(-1)
    image, line, run = n * height * line * c, line * c, kernel_size[1] * c
    size, beside = kernel_size[0] * run, c >= _SIDE_BY_SIDE
    r = 0
    while r < count:
        i, j = divmod(start + r, width)
        here = 1 if beside else min(width - j, count - r)
        for a in range(kernel_size[0]):
            at = image + (i * stride[0] + a) * line + j * stride[1] * c
            if beside:
                copy(flat, at, patches, r * size + a * run, run)
            else:
                for b in range(run):
                    _gather(flat, at + b, stride[1] * c, patches, (a * run + b) * count + r, here)
        r += here
    return view(patches, 0, size, 1) if beside else view(patches, 0, 1, count)


@device
def _add_patches(patches, kernel_size, stride, width, start, count, x, n):
    """Add each patch, side by side in `patches`, to where it came from in image n."""
    (_, height, line, c), flat = x.shape, x.reshape(-1)
    image, line, run = n * height * line * c, line * c, kernel_size[1] * c
    for r in range(count):
        i, j = divmod(start + r, width)
        for a in range(kernel_size[0]):
            at = image + (i * stride[0] + a) * line + j * stride[1] * c
            add(patches, (r * kernel_size[0] + a) * run, flat, at, run)


@kernel(cost=64)
def _conv_forward(x, matrix, kernel_size, stride, y):
    depth, o = matrix.shape
    positions, out, filters = y.shape[1] * y.shape[2], y.reshape(-1), matrix.reshape(-1)
    size = _patches_in_a_block(depth)
    blocks = n_chunks(positions, size)
    for k in prange(y.shape[0] * blocks):
        n, block = divmod(np.int64(k), blocks)
        start, count = block * size, min(size, positions - block * size)
        room = np.empty(count * depth, y.dtype)
        patches = _fill_patches(x, n, kernel_size, stride, y.shape[2], start, count, room)
        result = view(out, (n * positions + start) * o, o, 1)
        multiply(patches, view(filters, 0, o, 1), result, (count, depth, o), 0)


@kernel(cost=64)
def _conv_backward_x(grad_y, matrix, kernel_size, stride, grad_x):
    depth, o = matrix.shape
    positions, grads, filters = grad_y.shape[1] * grad_y.shape[2], grad_y.reshape(-1), matrix.reshape(-1)
    size = _patches_in_a_block(depth)
    for n in prange(grad_y.shape[0]):  # patches overlap, so one task owns a whole image
        patches = np.empty(size * depth, grad_y.dtype)
        grad_x[n] = 0
        for start in range(0, positions, size):
            count, at = min(size, positions - start), (np.int64(n) * positions + start) * o
            grad, weights = view(grads, at, o, 1), transposed(view(filters, 0, o, 1))
            multiply(grad, weights, view(patches, 0, depth, 1), (count, o, depth), 0)
            _add_patches(patches, kernel_size, stride, grad_y.shape[2], start, count, grad_x, np.int64(n))


@kernel(cost=64)
def _conv_backward_weight(grad_y, x, stride, grad_weight):
    """Compute partial sums, each over a share of the blocks, and then their sum, in their order."""
    kernel_size, o = grad_weight.shape[:2], grad_weight.shape[3]
    depth, positions = grad_weight.size // o, grad_y.shape[1] * grad_y.shape[2]
    grads, grad, size = grad_y.reshape(-1), grad_weight.reshape(-1), _patches_in_a_block(depth)
    sums = np.zeros(_GROUPS * depth * o, grad.dtype)
    blocks = n_chunks(positions, size)
    share = n_chunks(grad_y.shape[0] * blocks, _GROUPS)
    for g in prange(_GROUPS):
        first, to = np.int64(g) * share, np.int64(g) * depth * o
        room = np.empty(size * depth, grad_y.dtype)
        for k in range(first, min(first + share, grad_y.shape[0] * blocks)):
            n, block = divmod(k, blocks)
            start, count = block * size, min(size, positions - block * size)
            patches = _fill_patches(x, n, kernel_size, stride, grad_y.shape[2], start, count, room)
            part, total = view(grads, (n * positions + start) * o, o, 1), view(sums, to, o, 1)
            multiply(transposed(patches), part, total, (depth, count, o), 1)
    copy(sums, 0, grad, 0, grad.size)
    for g in range(1, _GROUPS):
        add(sums, g * grad.size, grad, 0, grad.size)


def _pad(x, padding):
    if padding == (0, 0):
        return x
    n, height, width, c = x.shape
    padded = np.zeros((n, height + 2 * padding[0], width + 2 * padding[1], c), x.dtype)
    assign(_inside(padded, x, padding), x)
    return padded


def _inside(padded, x, padding):
    """Return the part of a padded image that is x."""
    (top, left), (_, height, width, _) = padding, x.shape
    return padded[:, top : top + height, left : left + width]


def _check_rounding(name, y, x_name, x, weight, padding):
    """Check that Winograd's errors are small next to what each output is a sum of: not so where tiles hold one huge pixel.

    Next to the typical output, too: a sum of zeros may come out as 1e-7.
    """
    padding = tuple(padding)
    exact = forward(x, np.ascontiguousarray(weight), (1, 1), padding, y.shape)
    terms = forward(np.abs(x), np.abs(weight, order="C"), (1, 1), padding, y.shape)
    typical = np.median(terms[terms > 0]) if terms.any() else 0
    errors = np.abs(y - exact) - _ROUNDING * (terms + typical)
    if np.max(errors, initial=0) > 0:  # not where there is a NaN, which is found without this
        worst = tuple(int(i) for i in np.unravel_index(np.argmax(errors), y.shape))
        raise RuntimeError(
            f"detect_anomaly: conv2d: rounding made {name}{list(worst)} {y[worst]:.6g} in place of {exact[worst]:.6g}, as "
            f"{x_name} holds far larger numbers nearby (up to {np.abs(x).max():.3g}); clip or normalise them, or use float64"
        )


def _output_shape(x, weight, bias, stride, padding):
    if x.ndim != 4 or weight.ndim != 4 or x.shape[3] != weight.shape[2]:
        raise ValueError(
            f"conv2d: x is {x.shape} but weight is {weight.shape}; they must be (N, H, W, C) and (kh, kw, C, O), with "
            "the same C (features last; from PyTorch: x.permute(0, 2, 3, 1), weight.permute(2, 3, 1, 0))"
        )
    if bias is not None and bias.shape != weight.shape[3:]:
        raise ValueError(f"conv2d: bias is {bias.shape} but weight is {weight.shape}; bias must be {weight.shape[3:]}")
    if 0 in weight.shape:
        raise ValueError(f"conv2d: weight is {weight.shape}; all its sizes must be at least 1")
    sizes = [size + 2 * p - k for size, p, k in zip(x.shape[1:3], padding, weight.shape[:2], strict=True)]
    if min(sizes) < 0:
        raise ValueError(
            f"conv2d: x is {x.shape} with padding {padding}, smaller than the kernel {weight.shape[:2]}; pad more"
        )
    height, width = (size // s + 1 for size, s in zip(sizes, stride, strict=True))
    return x.shape[0], height, width, weight.shape[3]

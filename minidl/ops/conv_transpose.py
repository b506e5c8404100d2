"""Transposed convolution: what the gradient of a convolution does to its image, as an operation of its own.

It makes images larger where a convolution with a stride makes them smaller. All three products are the convolution's, in
other roles: its ∂x is our forward, its forward our ∂x; and ∂W is the same sum with image and gradient exchanged.
"""

import numpy as np

from minidl._numbers import pair
from minidl.kernels.jit import assign
from minidl.kernels.reduce import add_bias, column_sums
from minidl.ops import conv
from minidl.ops._check import check_tensors
from minidl.tensor import Tensor

__all__ = ["conv_transpose2d"]


def conv_transpose2d(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0, output_padding: int | tuple[int, int] = 0,
) -> Tensor:  # fmt: skip
    """Put a filter, times the pixel, around the place of each pixel, and add up where they overlap; features last.

    Forward   y[n, i·s + a − p, j·s + b − p, o] += Σ_c x[n, i, j, c] · W[a, b, c, o], for all i, j, a, b; + b[o]
              (what falls outside of y is left out)
    Backward  ∂x = conv2d(∂y, Wᵀ) with the same stride and padding, where Wᵀ has its last two axes exchanged
              ∂W[a, b, c, o] = Σ x[n, i, j, c] · ∂y[n, i·s + a − p, j·s + b − p, o] over n, i, j    ∂b = Σ ∂y
    Shape     x (N, H, W, C), weight (kh, kw, C, O), bias (O,)
              y (N, H′, W′, O) with H′ = (H − 1)·s − 2p + kh + output_padding
              stride, padding, output_padding: a whole number, or a pair for height and width. output_padding, smaller than
              the stride, says which of the sizes that a convolution makes H is meant: it adds rows below, columns right
    Method    products over patches, as in `conv2d`; an image in the forward pass is one task
    Source    Dumoulin and Visin 2016, chapter 4
    """
    check_tensors("conv_transpose2d", x=x, weight=weight, bias=bias)
    stride, padding = pair("conv_transpose2d", "stride", stride, 1), pair("conv_transpose2d", "padding", padding, 0)
    output_padding = check_output_padding("conv_transpose2d", output_padding, stride)
    shape = _output_shape(x, weight, bias, stride, padding, output_padding)
    data = np.ascontiguousarray(x.data)
    filters = np.empty((*weight.shape[:2], shape[3], x.shape[3]), data.dtype)  # those of the convolution from y to x
    assign(filters, weight.data.swapaxes(2, 3))
    y = conv.backward_x(data, filters, stride, padding, shape)
    if bias is not None:
        add_bias[y.size](y.reshape(-1, shape[3]), np.ascontiguousarray(bias.data))

    def backward(grad_y):
        grad_y = np.ascontiguousarray(grad_y)
        grad_x = grad_weight = None
        if x.requires_grad:
            grad_x = conv.forward(grad_y, filters, stride, padding, data.shape)
        if weight.requires_grad:
            grad_weight = np.empty(weight.shape, data.dtype)
            assign(grad_weight, conv.backward_weight(data, grad_y, stride, padding, filters.shape).swapaxes(2, 3))
        if bias is None:
            return grad_x, grad_weight
        return grad_x, grad_weight, column_sums(grad_y.reshape(-1, shape[3])) if bias.requires_grad else None

    parents = (x, weight) if bias is None else (x, weight, bias)
    return Tensor._from_op(y, parents, backward)


def check_output_padding(op, output_padding, stride):
    """Check that output_padding is smaller than the stride, and return it as a pair."""
    added = pair(op, "output_padding", output_padding, 0)
    if added[0] >= stride[0] or added[1] >= stride[1]:
        raise ValueError(
            f"{op}: output_padding is {output_padding} and stride {stride}; it must be smaller than the stride"
        )
    return added


def _output_shape(x, weight, bias, stride, padding, output_padding):
    if x.ndim != 4 or weight.ndim != 4 or x.shape[3] != weight.shape[2]:
        raise ValueError(
            f"conv_transpose2d: x is {x.shape} but weight is {weight.shape}; they must be (N, H, W, C) and (kh, kw, C, O), "
            "with the same C (features last; from PyTorch: x.permute(0, 2, 3, 1), weight.permute(2, 3, 0, 1))"
        )
    if bias is not None and bias.shape != weight.shape[3:]:
        raise ValueError(
            f"conv_transpose2d: bias is {bias.shape} but weight is {weight.shape}; bias must be {weight.shape[3:]}"
        )
    if 0 in weight.shape or 0 in x.shape[1:3]:
        raise ValueError(
            f"conv_transpose2d: x is {x.shape} and weight {weight.shape}; all sizes but N must be at least 1"
        )
    height, width = (
        (size - 1) * s - 2 * p + k + added
        for size, s, p, k, added in zip(x.shape[1:3], stride, padding, weight.shape[:2], output_padding, strict=True)
    )
    if height < 1 or width < 1:
        raise ValueError(
            f"conv_transpose2d: x is {x.shape} and weight {weight.shape} with padding {padding}, which leaves no pixel; pad "
            "less: padding must be smaller"
        )
    return x.shape[0], height, width, weight.shape[3]

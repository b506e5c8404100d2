"""The linear layer's operation: every output is a weighted sum of all inputs."""

import numpy as np

from minidl.kernels.jit import contiguous
from minidl.kernels.matmul import as_stored, matmul, product_for
from minidl.kernels.reduce import add_bias, column_sums
from minidl.ops._check import check_tensors, matrix
from minidl.tensor import Tensor

__all__ = ["linear"]


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Map the last axis linearly.

    Forward   y = x·W + b
    Backward  ∂x = ∂y·Wᵀ    ∂W = xᵀ·∂y    ∂b = Σ_rows ∂y
    Shape     x (…, in), weight (in, out), bias (out,), y (…, out)
    Lesson    02 derives it
    """
    check_tensors("linear", x=x, weight=weight, bias=bias)
    _check_shapes(x, weight, bias)
    shape, rows = x.data.shape, matrix(x.data)
    y = np.empty((len(rows), weight.data.shape[1]), rows.dtype)
    product_for(rows, weight.data)[rows.size](*as_stored(rows, weight.data), y)
    if bias is not None:
        add_bias[y.size](y, contiguous(bias.data))

    def backward(grad_y):
        grad_y = matrix(grad_y)
        grad_x = matmul(grad_y, weight.data.T).reshape(shape) if x.requires_grad else None
        grad_weight = matmul(rows.T, grad_y) if weight.requires_grad else None
        if bias is None:
            return grad_x, grad_weight
        return grad_x, grad_weight, column_sums(grad_y) if bias.requires_grad else None

    parents = (x, weight) if bias is None else (x, weight, bias)
    return Tensor._from_op(y.reshape(*shape[:-1], y.shape[1]), parents, backward)


def _check_shapes(x, weight, bias):
    if weight.ndim != 2 or x.ndim == 0 or x.shape[-1] != weight.shape[0]:
        raise ValueError(
            f"linear: x is {x.shape} but weight is {weight.shape}; x's last size must equal weight's first, (in, out)"
        )
    if bias is not None and bias.shape != weight.shape[1:]:
        raise ValueError(f"linear: bias is {bias.shape} but weight is {weight.shape}; bias must be {weight.shape[1:]}")

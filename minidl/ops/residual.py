"""The end of a residual block in one pass: the sum of its two branches, and ReLU (He et al. 2016)."""

import numpy as np

from minidl.kernels.jit import CHUNK, kernel, n_chunks, prange
from minidl.ops._check import check_tensors, row
from minidl.tensor import Tensor

__all__ = ["add_relu"]


def add_relu(x: Tensor, y: Tensor) -> Tensor:
    """Compute relu(x + y), to the same bits, in one pass over memory.

    Forward   z = max(x + y, 0)
    Backward  ∂x = ∂y = ∂z where z > 0, else 0: one array for both
    Shape     x, y, z: the same
    """
    check_tensors("add_relu", x=x, y=y)
    if x.shape != y.shape:
        raise ValueError(f"add_relu: x is {x.shape} but y is {y.shape}; they must be equal")
    z = np.empty(x.shape, x.dtype)
    _forward[z.size](row(x.data), row(y.data), row(z))

    def backward(grad_z):
        grad = np.empty(z.shape, z.dtype)
        _backward[z.size](row(grad_z), row(z), row(grad))
        return grad, grad

    return Tensor._from_op(z, (x, y), backward)


@kernel
def _forward(x, y, z):
    zero = x.dtype.type(0)
    for k in prange(n_chunks(x.size)):
        chunk = slice(k * CHUNK, (k + 1) * CHUNK)
        xs, ys, zs = x[chunk], y[chunk], z[chunk]
        for i in range(xs.size):
            total = xs[i] + ys[i]
            zs[i] = zero if total < zero else total  # so that NaN is kept


@kernel
def _backward(grad_z, z, grad):
    zero = z.dtype.type(0)
    for k in prange(n_chunks(z.size)):
        chunk = slice(k * CHUNK, (k + 1) * CHUNK)
        gs, zs, out = grad_z[chunk], z[chunk], grad[chunk]
        for i in range(zs.size):
            out[i] = gs[i] if zs[i] > zero else zero

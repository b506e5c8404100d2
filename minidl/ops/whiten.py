"""Whitening: what batch norm is the cheap half of. Each feature gets variance 1, and no two are correlated any more.

The paper (§2) begins with it and turns away, because it needs the covariance of all features, its inverse square root,
and the derivatives of both, in every step; and because a batch smaller than the number of features has no inverse.
"""

import numpy as np

from minidl._arrays import mean_over
from minidl._numbers import check_between
from minidl.kernels.matmul import matmul
from minidl.ops._check import check_tensors
from minidl.tensor import Tensor

__all__ = ["zca_whiten"]


def zca_whiten(x: Tensor, eps: float = 1e-5) -> Tensor:
    """Whiten the features over the batch by the symmetric inverse square root of their covariance.

    Forward   y = c·W    with c = x − mean(x), S = cᵀ·c/m + ε·1 = U·diag(λ)·Uᵀ, W = S^(−1/2) = U·diag(λ^(−1/2))·Uᵀ
    Backward  ∂x = g − mean(g)    with g = ∂y·W + 2/m · c·∂S, ∂S = U·(F ∘ Uᵀ·sym(cᵀ·∂y)·U)·Uᵀ,
              Fᵢⱼ = −1 / (√λᵢ·√λⱼ·(√λᵢ + √λⱼ)), the slope of λ^(−1/2) between λᵢ and λⱼ; sym(A) = (A + Aᵀ)/2
    Shape     x, y (m, C)
    Errors    ValueError: shapes; eps = 0 with m ≤ C, where S has rank m − 1 at most, and no inverse
    Source    Ioffe and Szegedy 2015, §2; Huang et al. 2018
    """
    check_tensors("zca_whiten", x=x)
    _check(x, eps)
    m, features = x.shape
    centred = x.data - mean_over(x.data, (0,))
    covariance = matmul(centred.T, centred).astype(np.float64) / m + eps * np.eye(features)
    values, vectors = np.linalg.eigh(covariance)  # in float64: small eigenvalues are differences of large numbers
    roots = np.sqrt(values)
    whitener = (vectors / roots @ vectors.T).astype(x.dtype)

    def backward(grad_y):
        grad_w = matmul(centred.T, grad_y).astype(np.float64)
        slopes = -1 / (np.outer(roots, roots) * np.add.outer(roots, roots))
        grad_s = vectors @ (slopes * (vectors.T @ (grad_w + grad_w.T) @ vectors) / 2) @ vectors.T
        grad = matmul(grad_y, whitener) + matmul(centred, (2 / m * grad_s).astype(x.dtype))
        return (grad - mean_over(grad, (0,)),)

    return Tensor._from_op(matmul(centred, whitener), (x,), backward)


def _check(x, eps):
    if x.ndim != 2 or x.shape[0] < 2:
        raise ValueError(f"zca_whiten: x is {x.shape}; it must be (m, C) with at least two examples")
    check_between("zca_whiten", "eps", eps, 0)
    if eps == 0 and x.shape[0] <= x.shape[1]:
        raise ValueError(
            f"zca_whiten: x is {x.shape}, so its covariance has rank {x.shape[0] - 1} at most and no inverse; use more "
            f"than {x.shape[1]} examples, or eps above 0"
        )

"""Muon: an optimizer for matrices, which moves them by about the same amount in every direction.

Gradients of a weight matrix are large in a few directions and tiny in the others, so SGD learns little in most of them. Muon
brings the singular values of its step near 1.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from minidl._numbers import check_between, check_bool, check_whole
from minidl.kernels.matmul import matmul
from minidl.optim.optimizer import Optimizer
from minidl.tensor import Tensor

__all__ = ["COEFFICIENTS", "Muon", "orthogonalised"]

COEFFICIENTS = 3.4445, -4.775, 2.0315  # of Jordan et al. 2024
_RATIOS = None, "original", "match_rms_adamw"
_MOST_STEPS = 99  # PyTorch's limit
_LARGEST = 1e6  # of a coefficient


def orthogonalised(
    matrix: np.ndarray, steps: int = 5, coefficients: Sequence[float] = COEFFICIENTS, eps: float = 1e-7
) -> np.ndarray:
    """Return a matrix with its singular values near 1: about U·Vᵀ for U·S·Vᵀ, by products alone (Newton–Schulz).

    Maths     x ← m / max(‖m‖, eps), so that no singular value is above 1; then in each step x ← x·(a + b·g + c·g²), where
              g = xᵀ·x, which makes a·s + b·s³ + c·s⁵ of each singular value s. With more columns than rows g = x·xᵀ instead,
              on the left
    Near 1    from 0.68 to 1.21 for what was at least 1/660 of ‖m‖, with five steps of the usual (a, b, c); with three, 1/56.
              Coefficients that settle at 1 would need more steps for small s. What was 0 stays 0
    Shape     float32 or float64 (N, M), returned as (N, M); the bits do not depend on threads
    Source    Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"; Bernstein and Newhouse 2024
    """
    number = matrix.dtype.type
    a, b, c = map(number, coefficients)
    norm = math.sqrt(np.square(matrix, dtype=np.float64).sum())
    x = matrix / np.maximum(number(norm), max(number(eps), np.finfo(number).tiny))  # NaN stays, which max() would lose
    tall = x.shape[0] >= x.shape[1]
    for _ in range(steps):
        g = matmul(x.T, x) if tall else matmul(x, x.T)
        factor = b * g + c * matmul(g, g)
        factor.flat[:: len(factor) + 1] += a  # the diagonal
        x = matmul(x, factor) if tall else matmul(factor, x)
    return x


class Muon(Optimizer):
    """Step along the momentum, with singular values near 1. PyTorch's semantics, but for what PyTorch rounds to bfloat16.

    Step        b ← momentum·b + (1 − momentum)·g, from 0, with g = ∂loss/∂p
                d = momentum·b + (1 − momentum)·g with nesterov, else b
                p ← p − lr·weight_decay·p − lr·r·o, with o = `orthogonalised(d, ns_steps, ns_coefficients, eps)`
                r = √max(1, out/in), so that an output moves as much with any number of outputs; with adjust_lr_fn
                "match_rms_adamw" r = 0.2·√max(in, out), which makes numbers of o as large as those of a step of AdamW.
                None and "original" are the same
    params      weights (…, in, out), or groups of them: see `Optimizer`. A convolution's (kh, kw, C, O) is taken as
                (kh·kw·C, O). Biases, embeddings and the last layer go into another optimizer
    Errors      as for `Optimizer`, and ValueError for a parameter with fewer than two axes
    Source      Jordan et al. 2024; `torch.optim.Muon`, which takes matrices alone
    """

    def __init__(
        self, params: Iterable[Tensor] | Iterable[dict[str, Any]], lr: float = 1e-3, weight_decay: float = 0.1,
        momentum: float = 0.95, nesterov: bool = True, ns_coefficients: Sequence[float] = COEFFICIENTS, eps: float = 1e-7,
        ns_steps: int = 5, adjust_lr_fn: str | None = None,
    ):  # fmt: skip
        settings = dict(
            lr=lr, weight_decay=weight_decay, momentum=momentum, nesterov=nesterov, ns_coefficients=ns_coefficients,
            eps=eps, ns_steps=ns_steps, adjust_lr_fn=adjust_lr_fn,
        )  # fmt: skip
        super().__init__(params, settings)

    def _move(self, prepared, group):
        lr, decay, momentum = float(group["lr"]), float(group["weight_decay"]), float(group["momentum"])
        for p, _, grad, buffer in prepared:
            shape, dtype = p.data.shape, p.data.dtype
            grad = grad.reshape(shape)
            if buffer is None:
                buffer = np.zeros(shape, dtype)
            buffer = self._buffers[p] = momentum * buffer.astype(dtype, copy=False) + (1 - momentum) * grad
            step = momentum * buffer + (1 - momentum) * grad if group["nesterov"] else buffer
            matrix = step.reshape(math.prod(shape[:-1]), shape[-1])
            step = orthogonalised(matrix, group["ns_steps"], group["ns_coefficients"], float(group["eps"]))
            p.data *= 1 - lr * decay
            p.data -= lr * _ratio(group["adjust_lr_fn"], step.shape) * step.reshape(shape)

    def _checked(self, groups, others=()):
        found = super()._checked(groups, others)
        for p in (p for group in found for p in group["params"]):
            if p.ndim < 2:
                raise ValueError(
                    f"{self._name}: a parameter is {p.shape}; it must have two axes or more: give biases to SGD or AdamW"
                )
        return found

    def _check_settings(self, group):
        name = self._name
        self._check_numbers(group, "lr", "weight_decay", "eps")
        check_between(name, "momentum", group["momentum"], 0, 1)
        check_bool(name, "nesterov", group["nesterov"])
        coefficients = group["ns_coefficients"]
        if not isinstance(coefficients, tuple | list) or len(coefficients) != 3:
            raise ValueError(f"{name}: ns_coefficients are {coefficients!r}; they must be three numbers")
        for coefficient in coefficients:
            check_between(name, "ns_coefficients", coefficient, -_LARGEST, _LARGEST)
        if check_whole(name, "ns_steps", group["ns_steps"], 0) > _MOST_STEPS:
            raise ValueError(f"{name}: ns_steps is {group['ns_steps']}; it must be at most {_MOST_STEPS}")
        if group["adjust_lr_fn"] not in _RATIOS:
            raise ValueError(
                f"{name}: adjust_lr_fn is {group['adjust_lr_fn']!r}; it must be None, 'original' or 'match_rms_adamw'"
            )


def _ratio(kind, shape):
    """The factor of a step for a matrix (in, out)."""
    if kind == "match_rms_adamw":
        return 0.2 * math.sqrt(max(shape))
    return math.sqrt(max(1.0, shape[1] / max(1, shape[0])))

"""The gradients that arrive at a network's batch norms (lesson 06)."""

from typing import Any

import numpy as np

from minidl import functional as F
from minidl import nn
from minidl.lab.paper._norms import PathNorm
from minidl.tensor import Tensor

__all__ = ["at_batch_norms", "removed"]


def at_batch_norms(model: nn.Module, inputs: Any, labels: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return x̂ and ∂loss/∂y at each batch norm or PathNorm, from the input up, for one batch; float64, (m, C) each.

    The model must be in training mode; its parameters' gradients are left as they were, its running statistics are not.
    """
    seen: list[dict[str, np.ndarray]] = []

    def look(module, given, y):
        x = given[0].data.astype(np.float64).reshape(-1, y.shape[-1])
        record = {"x_hat": (x - x.mean(0)) / np.sqrt(x.var(0) + module.eps)}
        seen.append(record)
        y.register_hook(lambda grad: record.update(grad_y=grad.astype(np.float64).reshape(x.shape)))

    kinds = (nn.BatchNorm, PathNorm)
    before = [(p, p.grad) for p in model.parameters()]
    hooks = [module.register_forward_hook(look) for module in model.modules() if isinstance(module, kinds)]
    try:
        F.cross_entropy(model(Tensor(inputs)), labels).backward()
    finally:
        for hook in hooks:
            hook.remove()
        for parameter, grad in before:
            parameter.grad = grad
    return [(record["x_hat"], record["grad_y"]) for record in seen]


def removed(x_hat: np.ndarray, grad_y: np.ndarray) -> tuple[float, float]:
    """Return the shares of Σ ∂y² along 1 (a feature's mean) and along x̂: those that batch norm's backward removes.

    Shape   x_hat, grad_y (m, C)
    """
    m, total = len(x_hat), (grad_y**2).sum()
    along_mean = m * (grad_y.mean(0) ** 2).sum()
    along_x_hat = ((grad_y * x_hat).sum(0) ** 2 / (x_hat**2).sum(0)).sum()
    return float(along_mean / total), float(along_x_hat / total)

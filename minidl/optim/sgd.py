"""Stochastic gradient descent, with PyTorch's semantics."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from minidl._numbers import check_between
from minidl.kernels.jit import CHUNK, kernel, n_chunks, prange
from minidl.optim.optimizer import Optimizer
from minidl.tensor import Tensor

__all__ = ["SGD"]


class SGD(Optimizer):
    """Stochastic gradient descent.

    Step        g = ∂loss/∂p + weight_decay·p
                b = g in the first step, then momentum·b + (1 − dampening)·g
                d = b, or g + momentum·b with nesterov (without momentum: g)
                p ← p − lr·d
    params      parameters, or groups of them: see `Optimizer`, also for errors
    Source      Sutskever et al. 2013 for Nesterov's form
    """

    def __init__(
        self, params: Iterable[Tensor] | Iterable[dict[str, Any]], lr: float, momentum: float = 0.0,
        dampening: float = 0.0, weight_decay: float = 0.0, nesterov: bool = False,
    ):  # fmt: skip
        settings = dict(lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay, nesterov=nesterov)
        super().__init__(params, settings)

    def _move(self, prepared, group):
        lr, weight_decay, momentum = float(group["lr"]), float(group["weight_decay"]), float(group["momentum"])
        dampening, nesterov = float(group["dampening"]), bool(group["nesterov"])
        for p, row, grad, buffer in prepared:
            data = p.data.flatten() if row is None else row
            if not momentum:
                _descend[data.size](data, grad, lr, weight_decay)
            else:
                share = 1 - dampening
                if buffer is None:
                    share, buffer = 1.0, np.zeros(p.data.shape, data.dtype)
                    self._buffers[p] = buffer
                _descend_with_momentum[data.size](
                    data, grad, buffer.ravel(), lr, momentum, share, weight_decay, nesterov
                )
            if row is None:
                p.data[...] = data.reshape(p.data.shape)

    def _check_settings(self, group):
        self._check_numbers(group, "lr", "momentum", "weight_decay")
        check_between("SGD", "dampening", group["dampening"], 0, 1)
        if group["nesterov"] and (group["momentum"] == 0 or group["dampening"] != 0):
            raise ValueError("SGD: nesterov needs a momentum above 0 and a dampening of 0; set both, or leave it out")


# On two cores each has half of a gradient in its cache, and needs half of the parameter next: for a layer of 784×100,
# where the loop alone would not pay, two threads take 15 µs in place of 29, and the next product begins sooner.
@kernel(cost=2)
def _descend(p, grad, lr, weight_decay):
    number = p.dtype.type  # float64 numbers, as the settings come, would make the loop compute in float64
    lr, weight_decay = number(lr), number(weight_decay)
    for k in prange(n_chunks(p.size)):
        ps, gs = p[k * CHUNK : (k + 1) * CHUNK], grad[k * CHUNK : (k + 1) * CHUNK]
        for i in range(ps.size):
            ps[i] -= lr * (gs[i] + weight_decay * ps[i])


@kernel(cost=2)
def _descend_with_momentum(p, grad, buffer, lr, momentum, share, weight_decay, nesterov):
    number = p.dtype.type
    lr, momentum, share, weight_decay = number(lr), number(momentum), number(share), number(weight_decay)
    for k in prange(n_chunks(p.size)):
        chunk = slice(k * CHUNK, (k + 1) * CHUNK)
        ps, gs, bs = p[chunk], grad[chunk], buffer[chunk]
        for i in range(ps.size):
            g = gs[i] + weight_decay * ps[i]
            bs[i] = momentum * bs[i] + share * g
            ps[i] -= lr * (g + momentum * bs[i] if nesterov else bs[i])

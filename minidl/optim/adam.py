"""Adam and AdamW, with PyTorch's semantics: each number moves by its own rate, from the size of its gradients so far."""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from numbers import Real
from typing import Any

import numpy as np

from minidl._numbers import check_bool
from minidl.kernels.jit import CHUNK, kernel, n_chunks, prange
from minidl.optim.optimizer import Optimizer, is_floats
from minidl.tensor import Tensor

__all__ = ["Adam", "AdamW"]


class Adam(Optimizer):
    """Adam: momentum, divided by the root of the mean squared gradient, so that all numbers move at about the same rate.

    Step        g = ∂loss/∂p + weight_decay·p, or −∂loss/∂p + weight_decay·p with maximize
                m ← β₁·m + (1 − β₁)·g    v ← β₂·v + (1 − β₂)·g²    from 0, with (β₁, β₂) = betas
                p ← p − lr·m̂ / (√v̂ + eps)    m̂ = m / (1 − β₁ᵗ), v̂ = v / (1 − β₂ᵗ): without the pull of the zeros at
                the start; with amsgrad, v̂ has the largest v so far. t counts the parameter's own steps, from 1
    params      parameters, or groups of them: see `Optimizer`, also for errors
    eps         also bounds the step where gradients vanish; PyTorch's place for it, outside of the root
    State       of each parameter: step, exp_avg (m), exp_avg_sq (v), max_exp_avg_sq with amsgrad
    Source      Kingma and Ba 2015, Algorithm 1; Reddi et al. 2018 for amsgrad
    """

    _decoupled = False

    def __init__(
        self, params: Iterable[Tensor] | Iterable[dict[str, Any]], lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0.0, amsgrad: bool = False,
        *, maximize: bool = False,
    ):  # fmt: skip
        settings = dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, amsgrad=amsgrad, maximize=maximize)
        super().__init__(params, settings)

    def _move(self, prepared, group):
        lr, eps, decay = float(group["lr"]), float(group["eps"]), float(group["weight_decay"])
        beta1, beta2 = map(float, group["betas"])
        shrink, decay = (1 - lr * decay, 0.0) if self._decoupled else (1.0, decay)
        sign = -1.0 if group["maximize"] else 1.0
        for p, row, grad, moments in prepared:
            data = p.data.flatten() if row is None else row
            moments = self._moments(p, moments, group["amsgrad"])
            moments.step = t = moments.step + 1
            rate, root = lr / (1 - beta1**t), math.sqrt(1 - beta2**t)
            numbers = beta1, 1 - beta1, beta2, 1 - beta2, rate, root, eps, decay, shrink, sign
            m, v, largest = moments.exp_avg.ravel(), moments.exp_avg_sq.ravel(), moments.max_exp_avg_sq
            largest = largest.ravel() if group["amsgrad"] else m[:0]
            _adapt[data.size](data, grad, m, v, largest, numbers)
            if row is None:
                p.data[...] = data.reshape(p.data.shape)

    def _moments(self, p, moments, amsgrad):
        """What is kept of a parameter, in its type; zeros in its first step."""
        shape, dtype = p.data.shape, p.data.dtype
        if moments is None:
            moments = self._buffers[p] = _Moments(0, np.zeros(shape, dtype), np.zeros(shape, dtype))
        elif moments.exp_avg.dtype != dtype:
            moments = self._buffers[p] = _loaded(moments.given(), dtype)
        if amsgrad and moments.max_exp_avg_sq is None:
            moments.max_exp_avg_sq = np.zeros(shape, dtype)
        return moments

    def _check_settings(self, group):
        self._check_numbers(group, "lr", "eps", "weight_decay")
        betas = group["betas"]
        if not isinstance(betas, tuple | list) or len(betas) != 2 or not all(map(_is_beta, betas)):
            raise ValueError(f"{self._name}: betas are {betas!r}; they must be a pair of numbers from 0 to below 1")
        check_bool(self._name, "amsgrad", group["amsgrad"])
        check_bool(self._name, "maximize", group["maximize"])

    def _saved(self, buffer):
        arrays = {name: array.copy() for name, array in buffer.given().items() if name != "step"}
        return {"step": buffer.step} | arrays

    def _loaded(self, saved, dtype):
        return _loaded(saved, dtype)


class AdamW(Adam):
    """Adam with weight decay that has nothing to do with the gradient: p ← p − lr·weight_decay·p, before Adam's step.

    So what is decayed does not depend on the size of its gradients, as it does in `Adam`, where the decay is divided by
    them. All else is as in `Adam`, states too.

    Source      Loshchilov and Hutter 2019
    """

    _decoupled = True

    def __init__(
        self, params: Iterable[Tensor] | Iterable[dict[str, Any]], lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0.01, amsgrad: bool = False,
        *, maximize: bool = False,
    ):  # fmt: skip
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)


@dataclasses.dataclass(eq=False)
class _Moments:
    """What is kept of a parameter; the names are PyTorch's."""

    step: int
    exp_avg: np.ndarray
    exp_avg_sq: np.ndarray
    max_exp_avg_sq: np.ndarray | None = None

    @property
    def shape(self):
        return self.exp_avg.shape

    def given(self):
        """Those that there are, by name."""
        return {name: value for name, value in vars(self).items() if value is not None}


def _loaded(saved, dtype):
    """Moments of a type, their arrays copied; None if something else was saved."""
    needed, arrays = {"step", "exp_avg", "exp_avg_sq"}, ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")
    if not isinstance(saved, Mapping) or not needed <= set(saved) <= needed | {"max_exp_avg_sq"}:
        return None
    step, given = saved["step"], {name: saved[name] for name in arrays if name in saved}
    if type(step) is not int or step < 1 or not all(map(is_floats, given.values())):
        return None
    if len({array.shape for array in given.values()}) > 1:
        return None
    return _Moments(step, **{name: np.array(array, dtype, order="C") for name, array in given.items()})


def _is_beta(beta):
    return isinstance(beta, (float, Real)) and 0 <= beta < 1


@kernel(cost=4)
def _adapt(p, grad, m, v, largest, numbers):
    """One step for a row of numbers; `largest` is empty without amsgrad."""
    number = p.dtype.type  # float64 numbers, as the settings come, would make the loop compute in float64
    beta1, share1, beta2, share2, rate, root, eps, decay, shrink, sign = numbers
    beta1, share1, beta2, share2 = number(beta1), number(share1), number(beta2), number(share2)
    rate, root, eps, decay, shrink, sign = (
        number(rate), number(root), number(eps), number(decay), number(shrink), number(sign)
    )  # fmt: skip
    for k in prange(n_chunks(p.size)):
        chunk = slice(k * CHUNK, (k + 1) * CHUNK)
        ps, gs, ms, vs, most = p[chunk], grad[chunk], m[chunk], v[chunk], largest[chunk]
        for i in range(ps.size):
            g = sign * gs[i] + decay * ps[i]
            ms[i] = beta1 * ms[i] + share1 * g
            vs[i] = beta2 * vs[i] + share2 * (g * g)
        if most.size:
            for i in range(ps.size):
                most[i] = most[i] if most[i] > vs[i] else vs[i]  # so that NaN is kept
            vs = most
        for i in range(ps.size):
            ps[i] = ps[i] * shrink - rate * (ms[i] / (np.sqrt(vs[i]) / root + eps))

"""Stochastic gradient descent, with PyTorch's semantics."""

import math
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np

from minidl._numbers import check_between
from minidl.autograd import changed_in_place
from minidl.kernels.jit import CHUNK, kernel, n_chunks, prange
from minidl.tensor import Tensor

__all__ = ["SGD"]


class SGD:
    """Stochastic gradient descent.

    Step        g = ∂loss/∂p + weight_decay·p
                b = g in the first step, then momentum·b + (1 − dampening)·g
                d = b, or g + momentum·b with nesterov (without momentum: g)
                p ← p − lr·d
    params      parameters: a list, a generator, or a list of dicts (groups), each with "params" and settings of its own
    Errors      ValueError for no parameters, a parameter twice, the result of an operation among them, settings out of
                range; in `step`, for a gradient of another shape than its parameter's. TypeError for what is no tensor of
                floats; in `step`, for a gradient of no real numbers. A step that is refused moves nothing
    Source      Sutskever et al. 2013 for Nesterov's form
    """

    def __init__(
        self, params: Iterable[Tensor] | Iterable[dict[str, Any]], lr: float, momentum: float = 0.0,
        dampening: float = 0.0, weight_decay: float = 0.0, nesterov: bool = False,
    ):  # fmt: skip
        settings = dict(lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay, nesterov=nesterov)
        listed = _listed(params)
        groups = listed if listed and isinstance(listed[0], dict) else [{"params": listed}]
        _check_groups(groups, settings)
        self.param_groups = [settings | group | {"params": _listed(group["params"])} for group in groups]
        self._buffers: dict[int, np.ndarray] = {}  # momentum: id of a parameter → b
        self._check()

    def step(self) -> None:
        """Move every parameter that has a gradient."""
        moving = [[p for p in group["params"] if p.grad is not None] for group in self.param_groups]
        for params in moving:
            self._check_gradients(params)
        for group, params in zip(self.param_groups, moving, strict=True):
            self._move(params, group)
            changed_in_place(params)

    def _check_gradients(self, params):
        for p in params:
            grad, buffer = p.grad, self._buffers.get(id(p), p.grad)
            if not getattr(grad, "shape", None) == p.data.shape == buffer.shape or grad.dtype.kind not in "fiub":
                self._refuse(p, buffer)

    def _move(self, params, group):
        lr, weight_decay, momentum = float(group["lr"]), float(group["weight_decay"]), float(group["momentum"])
        dampening, nesterov = float(group["dampening"]), bool(group["nesterov"])
        for p in params:
            if not p.data.flags.carray:  # else the kernel would move a copy; a NumPy number is no array either
                p.data = np.array(p.data, order="C")
            data, grad = p.data.ravel(), np.ascontiguousarray(p.grad, p.data.dtype).ravel()
            if not momentum:
                _descend[data.size](data, grad, lr, weight_decay)
                continue
            share, buffer = 1 - dampening, self._buffers.get(id(p))
            if buffer is None:
                share, buffer = 1.0, np.zeros_like(p.data)
                self._buffers[id(p)] = buffer
            _descend_with_momentum[data.size](data, grad, buffer.ravel(), lr, momentum, share, weight_decay, nesterov)

    def _refuse(self, p, buffer):  # the kernel would read past the end of a shorter array
        name, array = ("gradient", p.grad) if np.shape(p.grad) != p.data.shape else ("momentum buffer", buffer)
        if p.data.shape != np.shape(array):
            raise ValueError(f"SGD: a parameter is {p.shape} but its {name} is {np.shape(array)}; they must be equal")
        raise TypeError(f"SGD: a parameter's gradient is of {p.grad.dtype}; it must be of real numbers")

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for group in self.param_groups:
            for p in group["params"]:
                p.grad = None

    def state_dict(self) -> dict[str, Any]:
        """Return everything needed to continue later: settings, and copies of the momentum buffers, by position."""
        flat = [p for group in self.param_groups for p in group["params"]]
        return {
            "groups": [{k: v for k, v in group.items() if k != "params"} for group in self.param_groups],
            "buffers": {i: self._buffers[id(p)].copy() for i, p in enumerate(flat) if id(p) in self._buffers},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a state that `state_dict` gave, for the same parameters in the same order; or change nothing.

        Errors  ValueError for what is no such state, or one of other parameters
        """
        flat = [p for group in self.param_groups for p in group["params"]]
        if not _is_state(state):
            raise ValueError("SGD.load_state_dict: got no state of an SGD; it must be what state_dict() gave")
        groups, buffers = state["groups"], state["buffers"]
        if len(groups) != len(self.param_groups) or any(
            not 0 <= i < len(flat) or b.shape != flat[i].shape for i, b in buffers.items()
        ):
            raise ValueError("SGD.load_state_dict: the state belongs to other parameters; build the same groups first")
        for settings in groups:
            _check_settings(settings)
        for group, settings in zip(self.param_groups, groups, strict=True):
            group.update(settings)
        self._buffers = {id(flat[i]): np.array(b, flat[i].data.dtype, order="C") for i, b in buffers.items()}

    def _check(self):
        flat = [p for group in self.param_groups for p in group["params"]]
        if not flat:
            raise ValueError("SGD: there are no parameters to optimise; pass model.parameters()")
        for p in flat:
            if not isinstance(p, Tensor):
                raise TypeError(f"SGD: got a {type(p).__name__} among the parameters; they must be tensors")
            if p.data.dtype.kind != "f":
                raise TypeError(
                    f"SGD: got {p.data.dtype} among the parameters, which no step would move; they must be floats"
                )
            if p.op:
                raise ValueError(
                    f"SGD: got the result of {p.op} among the parameters, which gets no .grad; parameters must be leaves"
                )
        if len({id(p) for p in flat}) < len(flat):
            raise ValueError(
                "SGD: a parameter appears twice, and would be moved twice each step; each must appear once"
            )
        for group in self.param_groups:
            _check_settings(group)


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


def _listed(params):
    if isinstance(params, Tensor | dict):
        return [params]
    if not isinstance(params, Iterable):
        raise TypeError(f"SGD: params is a {type(params).__name__}; it must be parameters: pass model.parameters()")
    return list(params)


def _check_groups(groups, settings):
    known = {"params", "initial_lr", *settings}  # a schedule adds initial_lr
    for group in groups:
        if not isinstance(group, dict) or "params" not in group or not set(group) <= known:
            what = f"with {sorted(group)}" if isinstance(group, dict) else f"that is a {type(group).__name__}"
            raise ValueError(
                f"SGD: got a group {what}; each must be a dict with params, and what differs of {', '.join(settings)}"
            )


def _check_settings(group):
    for name in ("lr", "momentum", "weight_decay"):
        value = group[name]
        if not isinstance(value, Real) or not 0 <= value < math.inf:
            raise ValueError(f"SGD: {name} is {value!r}; it must be a number of at least 0")
    check_between("SGD", "dampening", group["dampening"], 0, 1)
    if group["nesterov"] and (group["momentum"] == 0 or group["dampening"] != 0):
        raise ValueError("SGD: nesterov needs a momentum above 0 and a dampening of 0; set both, or leave it out")


def _is_state(state):
    """Return whether it has the form of what `SGD.state_dict` gives."""
    if not isinstance(state, Mapping) or not {"groups", "buffers"} <= set(state):
        return False
    groups, buffers = state["groups"], state["buffers"]
    if not isinstance(groups, Sequence) or not isinstance(buffers, Mapping):
        return False
    settings = {"lr", "momentum", "dampening", "weight_decay", "nesterov"}
    if not all(isinstance(g, Mapping) and settings <= set(g) and "params" not in g for g in groups):
        return False
    return all(isinstance(i, int) and isinstance(b, np.ndarray) and b.dtype.kind == "f" for i, b in buffers.items())

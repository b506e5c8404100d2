"""Stochastic gradient descent, with PyTorch's semantics, and schedules for its learning rate."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np

from minidl._jit import CHUNK, kernel, n_chunks, prange
from minidl.autograd import changed_in_place
from minidl.tensor import Tensor

__all__ = ["SGD", "CosineAnnealingLR", "LambdaLR", "LinearLR", "SequentialLR", "StepLR"]


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
            if not p.data.flags.c_contiguous:  # else the kernel would move a copy
                p.data = np.ascontiguousarray(p.data)
            data, grad = p.data.ravel(), np.ascontiguousarray(p.grad, p.data.dtype).ravel()
            if not momentum:
                _descend(data, grad, lr, weight_decay)
                continue
            share, buffer = 1 - dampening, self._buffers.get(id(p))
            if buffer is None:
                share, buffer = 1.0, np.zeros_like(p.data)
                self._buffers[id(p)] = buffer
            _descend_with_momentum(data, grad, buffer.ravel(), lr, momentum, share, weight_decay, nesterov)

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
        """Everything needed to go on later: settings, and copies of the momentum buffers, by position."""
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
    for name in ("lr", "momentum", "weight_decay", "dampening"):
        value = group[name]
        if not isinstance(value, Real) or not math.isfinite(value) or (value < 0 and name != "dampening"):
            raise ValueError(f"SGD: {name} is {value!r}; it must be a number of at least 0")
    if group["nesterov"] and (group["momentum"] == 0 or group["dampening"] != 0):
        raise ValueError("SGD: nesterov needs a momentum above 0 and a dampening of 0; set both, or leave it out")


def _is_state(state):
    """Whether it has the form of what `SGD.state_dict` gives."""
    if not isinstance(state, Mapping) or not {"groups", "buffers"} <= set(state):
        return False
    groups, buffers = state["groups"], state["buffers"]
    if not isinstance(groups, Sequence) or not isinstance(buffers, Mapping):
        return False
    settings = {"lr", "momentum", "dampening", "weight_decay", "nesterov"}
    if not all(isinstance(g, Mapping) and settings <= set(g) and "params" not in g for g in groups):
        return False
    return all(isinstance(i, int) and isinstance(b, np.ndarray) and b.dtype.kind == "f" for i, b in buffers.items())


class _Schedule:
    """A learning rate as a function of t, the number of calls of `step()` so far."""

    def __init__(self, optimizer: SGD):
        if not isinstance(optimizer, SGD):
            raise TypeError(
                f"{type(self).__name__}: optimizer is a {type(optimizer).__name__}; it must be an optim.SGD"
            )
        self.optimizer = optimizer
        # kept in the group as well, so that a second schedule on it starts from the same value
        self._set(0, [group.setdefault("initial_lr", group["lr"]) for group in optimizer.param_groups])

    def lr_at(self, base: float, t: int) -> float:
        """The learning rate at t, from the first one."""
        raise TypeError(f"{type(self).__name__}: define lr_at(self, base, t)")

    def step(self) -> None:
        """Go on to the next learning rate; call it after `optimizer.step()`, once an epoch or once a step."""
        self._set(self.last_epoch + 1, self.base_lrs)

    def get_last_lr(self) -> list[float]:
        """The learning rate of each group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Where the schedule stands."""
        return {"last_epoch": self.last_epoch, "base_lrs": list(self.base_lrs)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where `state_dict` was taken; or change nothing.

        Errors  ValueError for what is no such state, or one of an optimizer with other groups
        """
        name, groups = f"{type(self).__name__}.load_state_dict", len(self.optimizer.param_groups)
        if not isinstance(state, Mapping) or not {"last_epoch", "base_lrs"} <= set(state):
            raise ValueError(f"{name}: got no state of a schedule; it must be what state_dict() gave")
        if len(state["base_lrs"]) != groups:
            raise ValueError(
                f"{name}: the state is of {len(state['base_lrs'])} groups, not {groups}; they must be equal"
            )
        self._set(state["last_epoch"], list(state["base_lrs"]))

    def _set(self, t, base_lrs):
        rates = [self.lr_at(base, t) for base in base_lrs]
        for lr in rates:
            if not 0 <= lr < math.inf:  # below 0, training would climb
                raise ValueError(f"{type(self).__name__}: the learning rate at {t} is {lr}; it must be at least 0")
        self.last_epoch, self.base_lrs = t, base_lrs
        for group, lr in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = lr


class LambdaLR(_Schedule):
    """lr = first · factor(t)."""

    def __init__(self, optimizer: SGD, factor: Callable[[int], float]):
        if not callable(factor):
            raise TypeError(f"LambdaLR: factor is {factor!r}; it must be a function of the number of steps")
        self.factor = factor
        super().__init__(optimizer)

    def lr_at(self, base: float, t: int) -> float:
        """The learning rate at t."""
        return base * self.factor(t)


class StepLR(_Schedule):
    """lr = first · gamma^⌊t / step_size⌋."""

    def __init__(self, optimizer: SGD, step_size: int, gamma: float = 0.1):
        self.step_size, self.gamma = _at_least_one("StepLR", "step_size", step_size), gamma
        super().__init__(optimizer)

    def lr_at(self, base: float, t: int) -> float:
        """The learning rate at t."""
        return base * self.gamma ** (t // self.step_size)


class CosineAnnealingLR(_Schedule):
    """lr = eta_min + (first − eta_min) · (1 + cos(π·t / T_max)) / 2: half a cosine (Loshchilov and Hutter 2017)."""

    def __init__(self, optimizer: SGD, T_max: int, eta_min: float = 0.0):
        self.T_max, self.eta_min = _at_least_one("CosineAnnealingLR", "T_max", T_max), eta_min
        super().__init__(optimizer)

    def lr_at(self, base: float, t: int) -> float:
        """The learning rate at t."""
        return self.eta_min + (base - self.eta_min) * (1 + math.cos(math.pi * t / self.T_max)) / 2


class LinearLR(_Schedule):
    """lr = first · a factor that goes in a line from start_factor to end_factor in total_iters steps, and stays there.

    A warm-up by default; a decay to nothing with `start_factor=1, end_factor=0`.
    """

    def __init__(
        self, optimizer: SGD, start_factor: float = 1 / 3, end_factor: float = 1.0, total_iters: int = 5
    ):  # fmt: skip
        self.start_factor, self.end_factor = start_factor, end_factor
        self.total_iters = _at_least_one("LinearLR", "total_iters", total_iters)
        super().__init__(optimizer)

    def lr_at(self, base: float, t: int) -> float:
        """The learning rate at t."""
        way = min(t, self.total_iters) / self.total_iters
        return base * (self.start_factor + (self.end_factor - self.start_factor) * way)


class SequentialLR(_Schedule):
    """One schedule after another: the next takes over, counting from 0, when t reaches its milestone.

    A warm-up and a decay: `SequentialLR(sgd, [LinearLR(sgd), CosineAnnealingLR(sgd, 95)], milestones=[5])`.
    """

    def __init__(self, optimizer: SGD, schedulers: Sequence[_Schedule], milestones: Sequence[int]):
        if not schedulers or len(milestones) != len(schedulers) - 1 or sorted(milestones) != list(milestones):
            raise ValueError(
                f"SequentialLR: {len(schedulers)} schedules need {max(0, len(schedulers) - 1)} milestones in rising order, "
                f"not {milestones}; and there must be at least one schedule"
            )
        self.schedulers, self.milestones = schedulers, milestones
        super().__init__(optimizer)

    def lr_at(self, base: float, t: int) -> float:
        """The learning rate at t."""
        i = sum(t >= milestone for milestone in self.milestones)
        return self.schedulers[i].lr_at(base, t - (self.milestones[i - 1] if i else 0))


def _at_least_one(schedule, name, value):
    if not isinstance(value, Real) or not value >= 1:
        raise ValueError(f"{schedule}: {name} is {value!r}; it must be at least 1")
    return value

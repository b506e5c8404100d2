"""Stochastic gradient descent, with PyTorch's semantics."""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np

from minidl._numbers import check_between
from minidl.autograd import changed_in_place
from minidl.kernels.jit import CHUNK, kernel, n_chunks, prange
from minidl.tensor import Tensor

_SETTINGS = {"lr", "momentum", "dampening", "weight_decay", "nesterov"}
_FLOATS = np.dtype(np.float32), np.dtype(np.float64)

__all__ = ["SGD"]


class SGD:
    """Stochastic gradient descent.

    Step        g = ∂loss/∂p + weight_decay·p
                b = g in the first step, then momentum·b + (1 − dampening)·g
                d = b, or g + momentum·b with nesterov (without momentum: g)
                p ← p − lr·d
    params      parameters: a list, a generator, or a list of dicts (groups), each with "params" and settings of its own
    Errors      ValueError for no parameters, a parameter twice, the result of an operation among them, settings out of
                range; in `step`, for a gradient of another shape than its parameter's, and a read-only array. TypeError
                for what is no tensor of floats; in `step`, for a gradient that is no array of real numbers, or data of
                another type than float32 and float64. A step that is refused moves nothing
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
        self._buffers: dict[Tensor, np.ndarray] = {}  # momentum: parameter → b; copies have copies for keys
        self._check()

    def step(self) -> None:
        """Move every parameter that has a gradient."""
        moves = [self._prepare(group) for group in self.param_groups]  # all is checked before anything moves
        for group, prepared in zip(self.param_groups, moves, strict=True):
            self._move(prepared, group)
            changed_in_place([move[0] for move in prepared])

    def _prepare(self, group):
        """What the kernels take of each parameter that has a gradient: (p, its numbers in a row, the gradient's, b)."""
        _check_settings(group)
        prepared, buffers = [], self._buffers
        for p in group["params"]:
            data, grad, buffer = p.data, p.grad, buffers.get(p)
            if grad is None:
                continue
            if (
                type(data) is type(grad) is np.ndarray
                and data.shape == grad.shape
                and (buffer is None or buffer.shape == data.shape)
                and grad.dtype is data.dtype in _FLOATS
                and data.flags.carray
                and grad.flags.carray
            ):
                prepared.append((p, data.ravel(), grad.ravel(), buffer))
            else:
                prepared.append((p, *_check_arrays(p, buffer), buffer))
        return prepared

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

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for group in self.param_groups:
            for p in group["params"]:
                p.grad = None

    def state_dict(self) -> dict[str, Any]:
        """Return what is needed to go on: settings, positions of parameters, copies of momentum buffers by position."""
        flat = [p for group in self.param_groups for p in group["params"]]
        groups = zip(self.param_groups, self._places(), strict=True)
        return {
            "groups": [group | {"params": places} for group, places in groups],
            "buffers": {i: self._buffers[p].copy() for i, p in enumerate(flat) if p in self._buffers},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a state that `state_dict` gave, for the same parameters in the same order; or change nothing.

        Errors  ValueError for what is no such state, or one of other parameters
        """
        flat = [p for group in self.param_groups for p in group["params"]]
        if not _is_state(state):
            raise ValueError("SGD.load_state_dict: got no state of an SGD; it must be what state_dict() gave")
        groups, buffers = state["groups"], state["buffers"]
        if [group["params"] for group in groups] != self._places() or any(
            not 0 <= i < len(flat) or b.shape != flat[i].shape for i, b in buffers.items()
        ):
            raise ValueError("SGD.load_state_dict: the state belongs to other parameters; build the same groups first")
        for settings in groups:
            _check_settings(settings)
        copies = {flat[i]: np.array(b, flat[i].data.dtype, order="C") for i, b in buffers.items()}
        for group, settings in zip(self.param_groups, groups, strict=True):
            group.update({name: value for name, value in settings.items() if name != "params"})
        self._buffers = copies

    def _places(self):
        """The positions of each group's parameters among all."""
        place = itertools.count()
        return [[next(place) for _ in group["params"]] for group in self.param_groups]

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


def _check_arrays(p, buffer):
    """Check that the kernels can move a parameter; return its data and gradient in a row, and None for data that are not.

    The kernels would read past the end of an array that is too short, and Numba has long messages for what it cannot take.
    """
    if isinstance(p.data, np.generic | np.ndarray) and type(p.data) is not np.ndarray:
        p.data = np.asarray(p.data)  # a number, which NumPy makes of w.data * 1 without dimensions; or a subclass
    data, grad = p.data, p.grad
    for name, array in (("array", data), ("gradient", grad)):
        if not isinstance(array, np.ndarray | np.generic):
            raise TypeError(f"SGD: a parameter's {name} is a {type(array).__name__}; it must be a NumPy array")
    for name, array in (("gradient", grad), ("momentum buffer", data if buffer is None else buffer)):
        if data.shape != array.shape:
            raise ValueError(f"SGD: a parameter is {data.shape} but its {name} is {array.shape}; they must be equal")
    if grad.dtype.kind not in "fiub":
        raise TypeError(f"SGD: a parameter's gradient is of {grad.dtype}; it must be of real numbers")
    if data.dtype not in _FLOATS:
        raise TypeError(f"SGD: a parameter's array is of {data.dtype}; it must be of float32 or float64")
    if not data.flags.writeable:
        raise ValueError(f"SGD: the array of a parameter {data.shape} is read-only; it must be a copy: p.data.copy()")
    return data.ravel() if data.flags.carray else None, np.array(grad, data.dtype, order="C").ravel()


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
    for name in ("lr", "momentum", "weight_decay", *(["initial_lr"] if "initial_lr" in group else [])):
        value = group[name]
        if not isinstance(value, (float, Real)) or not 0 <= value < math.inf:
            raise ValueError(f"SGD: {name} is {value!r}; it must be a number of at least 0")
    check_between("SGD", "dampening", group["dampening"], 0, 1)
    if group["nesterov"] and (group["momentum"] == 0 or group["dampening"] != 0):
        raise ValueError("SGD: nesterov needs a momentum above 0 and a dampening of 0; set both, or leave it out")


def _is_state(state):
    """Return whether it has the form of what `SGD.state_dict` gives."""
    if not isinstance(state, Mapping) or not {"groups", "buffers"} <= set(state):
        return False
    groups, buffers, needed = state["groups"], state["buffers"], _SETTINGS | {"params"}
    if not isinstance(groups, Sequence) or not isinstance(buffers, Mapping):
        return False
    known = all(isinstance(g, Mapping) and needed <= set(g) <= needed | {"initial_lr"} for g in groups)
    if not known or not all(isinstance(g["params"], list) for g in groups):
        return False
    return all(type(i) is int and isinstance(b, np.ndarray) and b.dtype.kind == "f" for i, b in buffers.items())

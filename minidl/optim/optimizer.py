"""What all optimisers share: parameters in groups, a step that is taken whole or not at all, and the state of a run."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np

from minidl.autograd import changed_in_place
from minidl.tensor import Tensor

_FLOATS = np.dtype(np.float32), np.dtype(np.float64)
_LARGEST = float(np.finfo(np.float64).max)  # a whole number may be larger, and no float

__all__ = ["Optimizer", "is_floats", "is_rate"]


class Optimizer:
    """Base of all optimisers. A subclass checks its settings in `_check_settings`, and moves parameters in `_move`.

    params      parameters: a list, a generator, or a list of dicts (groups), each with "params" and settings of its own
    defaults    the settings of groups that say nothing else, with a learning rate, "lr", among them
    Errors      ValueError for no parameters, a parameter twice, the result of an operation among them, settings out of
                range; in `step`, for a gradient of another shape than its parameter's, and a read-only array. TypeError
                for what is no tensor of floats; in `step`, for a gradient that is no array of real numbers, or data of
                another type than float32 and float64. A step that is refused moves nothing
    """

    def __init__(self, params: Iterable[Tensor] | Iterable[dict[str, Any]], defaults: Mapping[str, Any]):
        self._name = name = type(self).__name__
        if not isinstance(defaults, Mapping) or "lr" not in defaults:
            raise ValueError(
                f"{name}: defaults are {defaults!r}; they must be a dict with lr, and all that a group has"
            )
        self.defaults = dict(defaults)
        listed = self._listed(params)
        groups = listed if listed and isinstance(listed[0], dict) else [{"params": listed}]
        self.param_groups = self._checked(groups)
        self._buffers: dict[Tensor, Any] = {}  # what is kept of each, with its shape; copies have copies for keys

    def step(self) -> None:
        """Move every parameter that has a gradient."""
        moves = [self._prepare(group) for group in self.param_groups]  # all is checked before anything moves
        for group, prepared in zip(self.param_groups, moves, strict=True):
            self._move(prepared, group)
            changed_in_place([move[0] for move in prepared])

    def _prepare(self, group):
        """What the kernels take of each parameter that has a gradient: (p, its numbers in a row, the gradient's, buffer)."""
        self._check_settings(group)
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
                prepared.append((p, *_check_arrays(self._name, p, buffer), buffer))
        return prepared

    def _move(self, prepared, group):
        """Move the parameters of a group; a row of None stands for an array whose numbers are not in a row."""
        raise TypeError(f"{self._name}: define step(self), or _move(self, prepared, group)")

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters; with `set_to_none=False`, those that are there become zeros."""
        for group in self.param_groups:
            for p in group["params"]:
                p.grad = None if set_to_none or p.grad is None else np.zeros_like(p.grad)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters, such as layers that are thawed later; or, if it does not fit, change nothing.

        A schedule knows the groups that were there when it was made: make a new one afterwards.
        """
        self.param_groups += self._checked([param_group], self.param_groups)

    def state_dict(self) -> dict[str, Any]:
        """Return what is needed to go on: settings, positions of parameters, copies of what is kept, by position."""
        flat = [p for group in self.param_groups for p in group["params"]]
        groups = zip(self.param_groups, self._places(), strict=True)
        return {
            "groups": [group | {"params": places} for group, places in groups],
            "buffers": {i: self._saved(self._buffers[p]) for i, p in enumerate(flat) if p in self._buffers},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a state that `state_dict` gave, for the same parameters in the same order; or change nothing.

        Errors  ValueError for what is no such state, or one of other parameters
        """
        name, flat = f"{self._name}.load_state_dict", [p for group in self.param_groups for p in group["params"]]
        none = ValueError(f"{name}: got no state of an {self._name}; it must be what state_dict() gave")
        if not self._is_state(state):
            raise none
        groups, saved = state["groups"], state["buffers"]
        fits = [group["params"] for group in groups] == self._places() and all(0 <= i < len(flat) for i in saved)
        buffers = {flat[i]: self._loaded(buffer, flat[i].data.dtype) for i, buffer in saved.items()} if fits else {}
        if any(buffer is None for buffer in buffers.values()):
            raise none
        if not fits or any(buffer.shape != p.shape for p, buffer in buffers.items()):
            raise ValueError(f"{name}: the state belongs to other parameters; build the same groups first")
        for settings in groups:
            self._check_settings(settings)
        for group, settings in zip(self.param_groups, groups, strict=True):
            own = {key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()}
            group.update(own | {"params": group["params"]})  # of a pair, a file makes a list
        self._buffers = buffers

    def _saved(self, buffer):
        """What a state has of a buffer: a copy."""
        return buffer.copy()

    def _loaded(self, saved, dtype):
        """The buffer that was saved, in a parameter's type; None for what is none."""
        return np.array(saved, dtype, order="C") if is_floats(saved) else None

    def _is_state(self, state):
        """Return whether it has the form of what `state_dict` gives, but for what was saved of the buffers."""
        if not isinstance(state, Mapping) or not {"groups", "buffers"} <= set(state):
            return False
        groups, buffers, needed = state["groups"], state["buffers"], {*self.defaults, "params"}
        if not isinstance(groups, Sequence) or not isinstance(buffers, Mapping):
            return False
        known = all(isinstance(g, Mapping) and needed <= set(g) <= needed | {"initial_lr"} for g in groups)
        return known and all(isinstance(g["params"], list) for g in groups) and all(type(i) is int for i in buffers)

    def _places(self):
        """The positions of each group's parameters among all."""
        place = itertools.count()
        return [[next(place) for _ in group["params"]] for group in self.param_groups]

    # ---- what is refused ---------------------------------------------------------------------------------------------

    def _listed(self, params):
        if isinstance(params, Tensor | dict):
            return [params]
        if not isinstance(params, Iterable):
            raise TypeError(
                f"{self._name}: params is a {type(params).__name__}; it must be parameters: pass model.parameters()"
            )
        return list(params)

    def _checked(self, groups, others=()):
        """Return groups with all their settings, if they are groups and fit in with the others."""
        name, known = self._name, {"params", "initial_lr", *self.defaults}  # a schedule adds initial_lr
        for group in groups:
            if not isinstance(group, dict) or "params" not in group or not set(group) <= known:
                what = (
                    f"with {sorted(map(str, group))}"
                    if isinstance(group, dict)
                    else f"that is a {type(group).__name__}"
                )
                raise ValueError(
                    f"{name}: got a group {what}; each must be a dict with params, and what differs of "
                    f"{', '.join(self.defaults)}"
                )
        groups = [self.defaults | group | {"params": self._listed(group["params"])} for group in groups]
        flat = [p for group in groups for p in group["params"]]
        if not flat:
            raise ValueError(f"{name}: there are no parameters to optimise; pass model.parameters()")
        for p in flat:
            if not isinstance(p, Tensor):
                raise TypeError(f"{name}: got a {type(p).__name__} among the parameters; they must be tensors")
            if p.data.dtype.kind != "f":
                raise TypeError(
                    f"{name}: got {p.data.dtype} among the parameters, which no step would move; they must be floats"
                )
            if p.op:
                raise ValueError(
                    f"{name}: got the result of {p.op} among the parameters, which gets no .grad; parameters must be leaves"
                )
        known = [*flat, *(p for group in others for p in group["params"])]
        if len({id(p) for p in known}) < len(known):
            raise ValueError(
                f"{name}: a parameter appears twice, and would be moved twice each step; each must appear once"
            )
        for group in groups:
            self._check_settings(group)
        return groups

    def _check_settings(self, group):
        self._check_numbers(group, "lr")

    def _check_numbers(self, group, *names):
        for name in (*names, "initial_lr") if "initial_lr" in group else names:
            if not is_rate(group[name]):
                raise ValueError(f"{self._name}: {name} is {group[name]!r}; it must be a number of at least 0")


def _check_arrays(op, p, buffer):
    """Check that the kernels can move a parameter; return its data and gradient in a row, and None for data that are not.

    The kernels would read past the end of an array that is too short, and Numba has long messages for what it cannot take.
    """
    if isinstance(p.data, np.generic | np.ndarray) and type(p.data) is not np.ndarray:
        p.data = np.asarray(p.data)  # a number, which NumPy makes of w.data * 1 without dimensions; or a subclass
    data, grad = p.data, p.grad
    for name, array in (("array", data), ("gradient", grad)):
        if not isinstance(array, np.ndarray | np.generic):
            raise TypeError(f"{op}: a parameter's {name} is a {type(array).__name__}; it must be a NumPy array")
    for name, array in (("gradient", grad), ("momentum buffer", data if buffer is None else buffer)):
        if data.shape != array.shape:
            raise ValueError(f"{op}: a parameter is {data.shape} but its {name} is {array.shape}; they must be equal")
    if grad.dtype.kind not in "fiub":
        raise TypeError(f"{op}: a parameter's gradient is of {grad.dtype}; it must be of real numbers")
    if data.dtype not in _FLOATS:
        raise TypeError(f"{op}: a parameter's array is of {data.dtype}; it must be of float32 or float64")
    if not data.flags.writeable:
        raise ValueError(f"{op}: the array of a parameter {data.shape} is read-only; it must be a copy: p.data.copy()")
    return data.ravel() if data.flags.carray else None, np.array(grad, data.dtype, order="C").ravel()


def is_rate(value: Any) -> bool:
    """Return whether a setting is a finite number of at least 0, such as a learning rate."""
    number = isinstance(value, (float, Real))  # asked first for the usual kind, in a tenth of the time
    return number and bool(0 <= value <= _LARGEST)


def is_floats(saved: Any) -> bool:
    """Return whether something in a state is an array of floats."""
    return isinstance(saved, np.ndarray) and saved.dtype.kind == "f"

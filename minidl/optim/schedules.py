"""Schedules: a learning rate that changes while training goes on, with PyTorch's names and meaning.

A schedule goes on from the rate that it finds. So several can be stepped one after the other, and multiply; and a rate that
you set by hand is kept, and changed in proportion. (`LambdaLR` knows only its own rates, and sets them.)
"""

from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any

from minidl._numbers import check_between, check_whole
from minidl.optim.optimizer import Optimizer, is_rate

__all__ = ["LambdaLR", "Schedule", "StepLR"]


class Schedule:
    """A learning rate as a function of t, the number of calls of `step()` so far.

    first    the first rates, one a group; if nobody gives them, those that the groups have, or had at first
    """

    def __init__(self, optimizer: Optimizer, first: Sequence[float] | None = None):
        if not isinstance(optimizer, Optimizer):
            raise TypeError(
                f"{type(self).__name__}: optimizer is a {type(optimizer).__name__}; it must be an optim.Optimizer"
            )
        self.optimizer = optimizer
        if first is None:
            first = [group.get("initial_lr", group["lr"]) for group in optimizer.param_groups]
        self._go_to(0, list(first))
        for group, lr in zip(optimizer.param_groups, first, strict=True):
            group["initial_lr"] = lr  # what later schedules take for the first rate, too

    def lr_at(self, base: float, t: int) -> float:
        """Return the learning rate at t, from the first one, if nobody else changes it."""
        raise TypeError(f"{type(self).__name__}: define lr_at(self, base, t)")

    def step(self) -> None:
        """Go on to the next learning rate; call it after `optimizer.step()`, once an epoch or once a step."""
        self._go_to(self.last_epoch + 1, self.base_lrs)

    def get_last_lr(self) -> list[float]:
        """Return the learning rate of each group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Return the number of steps so far, the first rates, and the rates now."""
        return {"last_epoch": self.last_epoch, "base_lrs": list(self.base_lrs), "_last_lr": self.get_last_lr()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where `state_dict` was taken; or change nothing.

        Errors  ValueError for what is no such state, or one of an optimizer with other groups
        """
        name = f"{type(self).__name__}.load_state_dict"
        if not isinstance(state, Mapping) or not {"last_epoch", "base_lrs", "_last_lr"} <= set(state):
            raise ValueError(f"{name}: got no state of a schedule; it must be what state_dict() gave")
        t = check_whole(name, "last_epoch", state["last_epoch"], 0)
        for key in ("base_lrs", "_last_lr"):
            if not isinstance(state[key], list | tuple) or not all(map(is_rate, state[key])):
                raise ValueError(f"{name}: {key} is {state[key]!r}; it must be a list of numbers of at least 0")
            self._check_groups(name, len(state[key]))
        self._set(t, list(state["base_lrs"]), state["_last_lr"])

    def _go_to(self, t, base_lrs):
        self._check_groups(type(self).__name__, len(base_lrs))
        rates = [self._next(lr, base, t) for lr, base in zip(self.get_last_lr(), base_lrs, strict=True)]
        for lr in rates:
            if not is_rate(lr):  # below 0, training would climb
                raise ValueError(f"{type(self).__name__}: the learning rate at {t} is {lr}; it must be at least 0")
        self._set(t, base_lrs, rates)

    def _next(self, lr, base, t):
        """Return the rate at t, if the one at t − 1 is lr."""
        if t == 0:
            return self.lr_at(lr, 0)
        if lr == self.lr_at(base, t - 1):  # its own: no error of rounding adds up
            return self.lr_at(base, t)
        return self._chain(lr, base, t)

    def _chain(self, lr, base, t):
        """Return the rate at t, if the one at t − 1 is lr, which somebody else has changed."""
        own = self.lr_at(1.0, t - 1)
        return lr * (self.lr_at(1.0, t) / own) if own else lr

    def _check_groups(self, name, known):
        groups = len(self.optimizer.param_groups)
        if groups != known:
            raise ValueError(
                f"{name}: the rates are of {known} groups, and the optimizer has {groups}; they must be equal"
            )

    def _set(self, t, base_lrs, rates):
        self.last_epoch, self.base_lrs = t, base_lrs
        for group, lr in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = lr


class LambdaLR(Schedule):
    """lr = first · factor(t), whatever the rate is now."""

    def __init__(self, optimizer: Optimizer, factor: Callable[[int], float]):
        if not callable(factor):
            raise TypeError(f"LambdaLR: factor is {factor!r}; it must be a function of the number of steps")
        self.factor = factor
        super().__init__(optimizer)

    def lr_at(self, base: float, t: int) -> float:
        """Return the learning rate at t."""
        factor = self.factor(t)
        if not isinstance(factor, Real):
            raise TypeError(f"LambdaLR: factor gave {factor!r} at {t}; it must be a number")
        return base * factor

    def _next(self, lr, base, t):
        return self.lr_at(base, t)


class StepLR(Schedule):
    """lr = first · gamma^⌊t / step_size⌋."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1):
        check_between("StepLR", "gamma", gamma, 0)
        self.step_size, self.gamma = check_whole("StepLR", "step_size", step_size), gamma
        super().__init__(optimizer)

    def lr_at(self, base: float, t: int) -> float:
        """Return the learning rate at t."""
        return base * self.gamma ** (t // self.step_size)

    def _chain(self, lr, base, t):
        return lr if t % self.step_size else lr * self.gamma

"""Schedules: a learning rate that changes while training goes on, with PyTorch's names."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from minidl._numbers import check_whole
from minidl.optim.sgd import SGD

__all__ = ["CosineAnnealingLR", "LambdaLR", "LinearLR", "SequentialLR", "StepLR"]


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
        """Return the number of steps so far, and the first rates."""
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
        """Return the learning rate at t."""
        return base * self.factor(t)


class StepLR(_Schedule):
    """lr = first · gamma^⌊t / step_size⌋."""

    def __init__(self, optimizer: SGD, step_size: int, gamma: float = 0.1):
        self.step_size, self.gamma = check_whole("StepLR", "step_size", step_size), gamma
        super().__init__(optimizer)

    def lr_at(self, base: float, t: int) -> float:
        """Return the learning rate at t."""
        return base * self.gamma ** (t // self.step_size)


class CosineAnnealingLR(_Schedule):
    """lr = eta_min + (first − eta_min) · (1 + cos(π·t / T_max)) / 2: half a cosine (Loshchilov and Hutter 2017)."""

    def __init__(self, optimizer: SGD, T_max: int, eta_min: float = 0.0):
        self.T_max, self.eta_min = check_whole("CosineAnnealingLR", "T_max", T_max), eta_min
        super().__init__(optimizer)

    def lr_at(self, base: float, t: int) -> float:
        """Return the learning rate at t."""
        return self.eta_min + (base - self.eta_min) * (1 + math.cos(math.pi * t / self.T_max)) / 2


class LinearLR(_Schedule):
    """lr = first · a factor that goes in a line from start_factor to end_factor in total_iters steps, and stays there.

    A warm-up by default; a decay to nothing with `start_factor=1, end_factor=0`.
    """

    def __init__(
        self, optimizer: SGD, start_factor: float = 1 / 3, end_factor: float = 1.0, total_iters: int = 5
    ):  # fmt: skip
        self.start_factor, self.end_factor = start_factor, end_factor
        self.total_iters = check_whole("LinearLR", "total_iters", total_iters)
        super().__init__(optimizer)

    def lr_at(self, base: float, t: int) -> float:
        """Return the learning rate at t."""
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
        """Return the learning rate at t."""
        i = sum(t >= milestone for milestone in self.milestones)
        return self.schedulers[i].lr_at(base, t - (self.milestones[i - 1] if i else 0))

"""A learning rate that drops when a measurement has stopped getting better."""

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

from minidl._numbers import check_between, check_whole
from minidl.optim.optimizer import Optimizer, is_rate

__all__ = ["ReduceLROnPlateau"]

_COUNTS = "last_epoch", "num_bad_epochs", "cooldown_counter"


class ReduceLROnPlateau:
    """lr ← max(lr · factor, min_lr) when a measurement has not got better for more than `patience` calls of `step`.

        schedule = optim.ReduceLROnPlateau(optimizer, patience=3)
        …
        schedule.step(evaluate(model, images, labels).loss)     # once an epoch

    mode        "min": lower is better, such as a loss; "max": higher is, such as an accuracy
    threshold   by how much it must be better than the best so far: a share of that ("rel"), or a number ("abs")
    cooldown    so many calls after a drop are not counted
    min_lr      a number, or one for each group;  eps: a drop that is not larger is not made
    NaN         is not better
    Errors      TypeError for what is no optimizer, and in `step` for what is no number; ValueError for settings out of range
    Source      PyTorch's, with its defaults
    """

    def __init__(
        self, optimizer: Optimizer, mode: str = "min", factor: float = 0.1, patience: int = 10, threshold: float = 1e-4,
        threshold_mode: str = "rel", cooldown: int = 0, min_lr: float | Sequence[float] = 0.0, eps: float = 1e-8,
    ):  # fmt: skip
        name = "ReduceLROnPlateau"
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{name}: optimizer is a {type(optimizer).__name__}; it must be an optim.Optimizer")
        for key, value, known in (("mode", mode, ("min", "max")), ("threshold_mode", threshold_mode, ("rel", "abs"))):
            if value not in known:
                raise ValueError(f'{name}: {key} is {value!r}; it must be "{known[0]}" or "{known[1]}"')
        check_between(name, "factor", factor, 0, 1)
        if factor == 1:
            raise ValueError(f"{name}: factor is 1; it must be below 1, or no rate would drop")
        check_between(name, "threshold", threshold, 0)
        check_between(name, "eps", eps, 0)
        groups = optimizer.param_groups
        self.min_lrs: list[Any] = list(min_lr) if isinstance(min_lr, list | tuple) else [min_lr] * len(groups)
        if len(self.min_lrs) != len(groups):
            raise ValueError(
                f"{name}: min_lr has {len(self.min_lrs)} rates for {len(groups)} groups; it must have one a group"
            )
        for lr in self.min_lrs:
            check_between(name, "min_lr", lr, 0)
        self.patience, self.cooldown = (
            check_whole(name, "patience", patience, 0),
            check_whole(name, "cooldown", cooldown, 0),
        )
        self.optimizer, self.mode, self.factor, self.eps = optimizer, mode, factor, eps
        self.threshold, self.threshold_mode = threshold, threshold_mode
        self.best = math.inf if mode == "min" else -math.inf
        self.last_epoch = self.num_bad_epochs = self.cooldown_counter = 0

    def step(self, metrics: float) -> None:
        """Note a measurement, such as the loss of this epoch, and lower the rates if it is time."""
        try:
            current = float(metrics)
        except (TypeError, ValueError):
            raise TypeError(
                f"ReduceLROnPlateau: metrics is a {type(metrics).__name__}; it must be a number, such as a loss"
            ) from None
        rates = self.get_last_lr()
        if len(rates) != len(self.min_lrs):
            raise ValueError(
                f"ReduceLROnPlateau: the rates are of {len(self.min_lrs)} groups, and the optimizer has {len(rates)}; they "
                "must be equal"
            )
        self.last_epoch += 1
        if self._is_better(current):
            self.best, self.num_bad_epochs = current, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter, self.num_bad_epochs = self.cooldown_counter - 1, 0
        if self.num_bad_epochs > self.patience:
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
            for group, lr, least in zip(self.optimizer.param_groups, rates, self.min_lrs, strict=True):
                lower = max(lr * self.factor, least)
                if lr - lower > self.eps:
                    group["lr"] = lower

    def _is_better(self, current):
        sign = 1 if self.mode == "min" else -1
        if self.threshold_mode == "rel":
            return sign * current < sign * self.best * (1 - sign * self.threshold)
        return sign * current < sign * self.best - self.threshold

    def get_last_lr(self) -> list[float]:
        """Return the learning rate of each group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Return the best measurement, what was counted, and the rates now."""
        return {"best": self.best, "_last_lr": self.get_last_lr(), **{name: getattr(self, name) for name in _COUNTS}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where `state_dict` was taken; or change nothing.

        Errors  ValueError for what is no such state, or one of an optimizer with other groups
        """
        name = "ReduceLROnPlateau.load_state_dict"
        if not isinstance(state, Mapping) or not {"best", "_last_lr", *_COUNTS} <= set(state):
            raise ValueError(f"{name}: got no state of a schedule; it must be what state_dict() gave")
        counts = {key: check_whole(name, key, state[key], 0) for key in _COUNTS}
        rates: Any = state["_last_lr"]
        best: Any = state["best"]
        right = isinstance(rates, list | tuple) and len(rates) == len(self.min_lrs) == len(self.optimizer.param_groups)
        if not right or not all(map(is_rate, rates)):
            raise ValueError(
                f"{name}: _last_lr is {rates!r}; it must be a list of a number of at least 0 for each group"
            )
        if not isinstance(best, (float, Real)):
            raise ValueError(f"{name}: best is {best!r}; it must be a number")
        self.best = float(best)
        vars(self).update(counts)
        for group, lr in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = lr

"""Schedules that came with larger networks, or after the paper: decays by milestones, warm-up, half a cosine, one cycle."""

import bisect
import math
from collections.abc import Iterable, Sequence

from minidl._numbers import check_between, check_bool, check_whole
from minidl.optim.optimizer import Optimizer
from minidl.optim.schedules import Schedule

__all__ = ["CosineAnnealingLR", "ExponentialLR", "LinearLR", "MultiStepLR", "OneCycleLR", "SequentialLR"]


class ExponentialLR(Schedule):
    """lr = first · gammaᵗ: the decay of the paper's Inception, if t counts epochs."""

    def __init__(self, optimizer: Optimizer, gamma: float):
        check_between("ExponentialLR", "gamma", gamma, 0)
        self.gamma = gamma
        super().__init__(optimizer)

    def lr_at(self, base: float, t: int) -> float:
        """Return the learning rate at t."""
        return base * self.gamma**t

    def _chain(self, lr, base, t):
        return lr * self.gamma


class MultiStepLR(Schedule):
    """lr = first · gamma^(how many milestones are at t or before): a drop at each of them.

    milestones    whole numbers of steps in any order; one that is there twice counts twice
    """

    def __init__(self, optimizer: Optimizer, milestones: Sequence[int], gamma: float = 0.1):
        if not isinstance(milestones, Iterable) or isinstance(milestones, str):
            raise TypeError(f"MultiStepLR: milestones is a {type(milestones).__name__}; it must be a list")
        check_between("MultiStepLR", "gamma", gamma, 0)
        self.milestones = sorted(check_whole("MultiStepLR", "a milestone", milestone, 0) for milestone in milestones)
        self.gamma = gamma
        super().__init__(optimizer)

    def lr_at(self, base: float, t: int) -> float:
        """Return the learning rate at t."""
        return base * self.gamma ** bisect.bisect_right(self.milestones, t)

    def _chain(self, lr, base, t):
        return lr * self.gamma ** self.milestones.count(t)


class CosineAnnealingLR(Schedule):
    """lr = eta_min + (first − eta_min) · (1 + cos(π·t / T_max)) / 2: half a cosine (Loshchilov and Hutter 2017)."""

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0):
        check_between("CosineAnnealingLR", "eta_min", eta_min, 0)
        self.T_max, self.eta_min = check_whole("CosineAnnealingLR", "T_max", T_max), eta_min
        super().__init__(optimizer)

    def lr_at(self, base: float, t: int) -> float:
        """Return the learning rate at t."""
        return self.eta_min + (base - self.eta_min) * self._height(t)

    def _chain(self, lr, base, t):
        if (t - 1) % (2 * self.T_max) == self.T_max:  # up from the lowest point, where all proportion is lost
            return lr + (base - self.eta_min) * self._height(t)
        return self.eta_min + (lr - self.eta_min) * (self._height(t) / self._height(t - 1))

    def _height(self, t):
        return (1 + math.cos(math.pi * t / self.T_max)) / 2


class LinearLR(Schedule):
    """lr = first · a factor that goes in a line from start_factor to end_factor in total_iters steps, and stays there.

    A warm-up by default; a decay to nothing with `start_factor=1, end_factor=0`.
    """

    def __init__(
        self, optimizer: Optimizer, start_factor: float = 1 / 3, end_factor: float = 1.0, total_iters: int = 5
    ):  # fmt: skip
        check_between("LinearLR", "start_factor", start_factor, 0, 1)
        check_between("LinearLR", "end_factor", end_factor, 0, 1)
        if start_factor == 0:
            raise ValueError(
                "LinearLR: start_factor is 0; it must be above 0, or no later rate is a multiple of the first"
            )
        self.start_factor, self.end_factor = start_factor, end_factor
        self.total_iters = check_whole("LinearLR", "total_iters", total_iters)
        super().__init__(optimizer)

    def lr_at(self, base: float, t: int) -> float:
        """Return the learning rate at t."""
        way = min(t, self.total_iters) / self.total_iters
        return base * (self.start_factor + (self.end_factor - self.start_factor) * way)


class OneCycleLR(Schedule):
    """One cycle: the rate goes up to max_lr and down to almost nothing, and momentum down and up, over total_steps steps.

    lr        from max_lr / div_factor up to max_lr in the first pct_start of the steps; then down to a rate that is
              final_div_factor smaller than the first. With three_phase: up, down to the first rate in as many steps, and
              on down. Along half a cosine, or a line ("linear"). A rate that is set by hand is overwritten by the next one
    momentum  with cycle_momentum, from max_momentum down to base_momentum and up again: SGD's momentum, or β₁ of Adam
    max_lr    a number, or one for each group
    length    total_steps, or epochs and steps_per_epoch. Call `step()` after each step, at most total_steps times
    Errors    ValueError for settings out of range, and in `step` for a step too many
    Source    Smith and Topin 2019. As in PyTorch, with its defaults
    """

    def __init__(
        self, optimizer: Optimizer, max_lr: float | Sequence[float], total_steps: int | None = None,
        epochs: int | None = None, steps_per_epoch: int | None = None, pct_start: float = 0.3, anneal_strategy: str = "cos",
        cycle_momentum: bool = True, base_momentum: float = 0.85, max_momentum: float = 0.95, div_factor: float = 25.0,
        final_div_factor: float = 1e4, three_phase: bool = False,
    ):  # fmt: skip
        name = "OneCycleLR"
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError(f"{name}: its length is not known; give total_steps, or epochs and steps_per_epoch")
            total_steps = check_whole(name, "epochs", epochs) * check_whole(name, "steps_per_epoch", steps_per_epoch)
        self.total_steps = check_whole(name, "total_steps", total_steps)
        check_between(name, "pct_start", pct_start, 0, 1)
        check_between(name, "base_momentum", base_momentum, 0, 1)
        check_between(name, "max_momentum", max_momentum, 0, 1)
        check_between(name, "div_factor", div_factor, 1)
        check_between(name, "final_div_factor", final_div_factor, 1)
        check_bool(name, "cycle_momentum", cycle_momentum)
        check_bool(name, "three_phase", three_phase)
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f'{name}: anneal_strategy is {anneal_strategy!r}; it must be "cos" or "linear"')
        self.linear, self.div_factor, self.final_div_factor = anneal_strategy == "linear", div_factor, final_div_factor
        self.momenta = (max_momentum, base_momentum) if cycle_momentum else None
        up = pct_start * self.total_steps - 1
        self._ends = (up, 2 * up, self.total_steps - 1) if three_phase else (up, self.total_steps - 1)
        super().__init__(optimizer, self._first(optimizer, max_lr))

    def _first(self, optimizer, max_lr):
        """The first rates, from the largest ones."""
        if not isinstance(optimizer, Optimizer):
            return None  # which Schedule refuses
        groups = optimizer.param_groups
        if self.momenta and not {"momentum", "betas"} & set(groups[0]):
            raise ValueError(
                "OneCycleLR: the optimizer has neither momentum nor betas; cycle_momentum must be False for it"
            )
        largest = list(max_lr) if isinstance(max_lr, list | tuple) else [max_lr] * len(groups)
        if len(largest) != len(groups):
            raise ValueError(
                f"OneCycleLR: max_lr has {len(largest)} rates for {len(groups)} groups; it must have one for each"
            )
        for lr in largest:
            check_between("OneCycleLR", "max_lr", lr, 0)
        return [lr / self.div_factor for lr in largest]

    def lr_at(self, base: float, t: int) -> float:
        """Return the learning rate at t."""
        if t > self.total_steps:
            raise ValueError(
                f"OneCycleLR: step {t} is after the last of {self.total_steps}; total_steps must be larger"
            )
        top, low = base * self.div_factor, base / self.final_div_factor
        return self._between([base, top, low] if len(self._ends) == 2 else [base, top, base, low], t)

    def _next(self, lr, base, t):
        return self.lr_at(base, t)

    def _set(self, t, base_lrs, rates):
        super()._set(t, base_lrs, rates)
        if self.momenta:
            most, least = self.momenta
            momentum = self._between([most, least, most, most], t)
            for group in self.optimizer.param_groups:
                if "betas" in group:
                    group["betas"] = (momentum, group["betas"][1])
                else:
                    group["momentum"] = momentum

    def _between(self, values, t):
        """The value at t, on the way from each of the values to the next."""
        start = 0.0
        for i, end in enumerate(self._ends):
            if t <= end or i == len(self._ends) - 1:
                left = 1 - min(1.0, (t - start) / (end - start)) if end > start else 0.0
                if not self.linear:
                    left = (1 - math.cos(math.pi * left)) / 2
                return values[i + 1] + (values[i] - values[i + 1]) * left
            start = end


class SequentialLR(Schedule):
    """One schedule after another: the next takes over, counting from 0, when t reaches its milestone.

    A warm-up and a decay: `SequentialLR(sgd, [LinearLR(sgd), CosineAnnealingLR(sgd, 95)], milestones=[5])`.
    """

    def __init__(self, optimizer: Optimizer, schedulers: Sequence[Schedule], milestones: Sequence[int]):
        for name, given in (("schedulers", schedulers), ("milestones", milestones)):
            if not isinstance(given, Iterable):
                raise TypeError(f"SequentialLR: {name} is a {type(given).__name__}; it must be a list")
        self.schedulers = list(schedulers)
        self.milestones = [check_whole("SequentialLR", "a milestone", milestone, 0) for milestone in milestones]
        if len(self.milestones) != len(self.schedulers) - 1 or sorted(self.milestones) != self.milestones:
            raise ValueError(
                f"SequentialLR: {len(self.schedulers)} schedules need {max(0, len(self.schedulers) - 1)} milestones in "
                f"rising order, not {milestones}; and there must be at least one schedule"
            )
        for i, schedule in enumerate(self.schedulers):
            if not isinstance(schedule, Schedule):
                raise TypeError(f"SequentialLR: schedule {i} is a {type(schedule).__name__}; it must be a schedule")
            if schedule.optimizer is not optimizer:
                raise ValueError(f"SequentialLR: schedule {i} is of another optimizer; it must be of this one")
        super().__init__(optimizer)

    def lr_at(self, base: float, t: int) -> float:
        """Return the learning rate at t."""
        schedule, since = self._now(t)
        return schedule.lr_at(base, since)

    def _next(self, lr, base, t):
        schedule, since = self._now(t)
        return schedule._next(lr, base, since) if since else schedule.lr_at(base, 0)

    def _now(self, t):
        """Return the schedule whose turn it is, and for how many steps it has been."""
        i = sum(t >= milestone for milestone in self.milestones)
        return self.schedulers[i], t - (self.milestones[i - 1] if i else 0)

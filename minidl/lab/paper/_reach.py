"""How soon a network gets to an accuracy: smoothed curves, first arrivals, and ratios of steps with what never arrives."""

import math
from typing import NamedTuple

import numpy as np

from minidl.lab.study.statistics import t_interval

__all__ = ["SMOOTH", "SpeedUp", "arrival", "smoothed", "speed_up", "times"]

SMOOTH = 3  # measurements whose mean counts as the accuracy at the last of them


def times(steps, first=100, growth=1.1):
    """List the steps at which accuracy is measured: the last one, and backwards from it, each 10 % earlier.

    Equal ratios, because ratios of steps are what is wanted.
    """
    found, step = [], float(steps)
    while step >= first:
        found.append(round(step))
        step /= growth
    return sorted(set(found))


def smoothed(accuracy):
    """Return the mean of each measurement and the two before it; the first two measurements have none.

    Shape   (…, T) → (…, T − 2)
    Errors  ValueError for fewer than three measurements
    """
    accuracy = np.asarray(accuracy, dtype=float)
    if accuracy.ndim == 0 or accuracy.shape[-1] < SMOOTH:
        raise ValueError(f"smoothed: accuracy is {accuracy.shape}; it must have at least {SMOOTH} measurements")
    return np.lib.stride_tricks.sliding_window_view(accuracy, SMOOTH, axis=-1).mean(-1)


def arrival(steps, accuracy, target):
    """Return the step at which the smoothed accuracy first reaches the target, or nan if it never does.

    Between two measurements it is taken to be a straight line in the logarithm of the steps.
    Shape   steps (T,), accuracy (T,)
    """
    steps, curve = np.asarray(steps, dtype=float)[SMOOTH - 1 :], smoothed(accuracy)
    reached = np.flatnonzero(curve >= target)
    if not len(reached):
        return math.nan
    at = reached[0]
    if at == 0:
        return float(steps[0])
    part = (target - curve[at - 1]) / (curve[at] - curve[at - 1])
    return float(steps[at - 1] * (steps[at] / steps[at - 1]) ** part)


class SpeedUp(NamedTuple):
    """A geometric mean of ratios, one per seed, and the 95 % t interval of their logarithms; bounds where seeds are bounds.

    Where only the slow arm never arrived, a ratio is at least so large: mean and low end are lower bounds then, and there is
    no high end. Where only the fast arm never arrived, it is at most so large: mean and high end are upper bounds, and there
    is no low end. A seed in which neither arrived counts as 1 in the mean, and takes both ends away.
    """

    mean: float
    low: float
    high: float
    at_least: int
    at_most: int
    unknown: int
    seeds: int

    @property
    def faster(self):
        """The whole interval lies above 1."""
        return self.low > 1

    @property
    def slower(self):
        """The whole interval lies below 1."""
        return self.high < 1

    @property
    def never(self):
        """The fast arm never arrived, with any seed."""
        return self.at_most + self.unknown == self.seeds

    def text(self):
        """Write 6.10× (5.00 to 7.40), at least 6.10× (from 5.00), at most 0.40× (to 0.60), or how many seeds arrived."""
        if self.never:
            return f"never (0 of {self.seeds} seeds)"
        if self.at_most + self.unknown:
            arrived = f"{self.seeds - self.at_most - self.unknown} of {self.seeds} seeds"
            if math.isfinite(self.high):
                return f"at most {_short(self.mean)}× (to {_short(self.high)}, {arrived})"
            return f"about {_short(self.mean)}× ({arrived})"
        if self.at_least:
            limit = f" (from {_short(self.low)})" if self.low > 0 else ""
            return f"at least {_short(self.mean)}×{limit}"
        spread = f" ({_short(self.low)} to {_short(self.high)})" if math.isfinite(self.high) else " (one run)"
        return f"{_short(self.mean)}×{spread}"


def _short(number):
    return f"{number:.1f}" if number >= 10 else f"{number:.2f}"


def speed_up(slow, fast, budget):
    """Return the SpeedUp of the fast arm: steps of the slow one over its own, paired by seed.

    slow, fast  the steps to the target, one per seed; nan for a run that did not arrive within the budget, which is then
                taken for what it would have needed at least. The spread of such bounds may be less than that of the truth
    Errors      ValueError for other than equal lengths, for none, or for steps that are not above 0
    """
    slow, fast = np.asarray(slow, dtype=float), np.asarray(fast, dtype=float)
    if slow.shape != fast.shape or slow.ndim != 1 or not slow.size:
        raise ValueError(
            f"speed_up: slow is {slow.shape} and fast {fast.shape}; they must be equal in length, a seed each"
        )
    if not budget > 0 or (slow <= 0).any() or (fast <= 0).any():
        raise ValueError("speed_up: there are steps of 0 or less; they must be above 0, or nan for never")
    never_slow, never_fast = np.isnan(slow), np.isnan(fast)
    ratios = np.log(np.where(never_slow, budget, slow)) - np.log(np.where(never_fast, budget, fast))
    mean, low, high = np.exp(t_interval(ratios))
    return SpeedUp(
        float(mean),
        0.0 if never_fast.any() else float(low),
        math.inf if never_slow.any() else float(high),
        int((never_slow & ~never_fast).sum()),
        int((never_fast & ~never_slow).sum()),
        int((never_fast & never_slow).sum()),
        slow.size,
    )

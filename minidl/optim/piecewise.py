"""A learning rate that goes in straight lines from point to point: a warm-up and a decay in one schedule."""

import math
from collections.abc import Iterable
from numbers import Real

import numpy as np

from minidl._numbers import check_whole
from minidl.optim.optimizer import Optimizer
from minidl.optim.schedules import Schedule

__all__ = ["PiecewiseLinearLR"]


class PiecewiseLinearLR(Schedule):
    """lr = first · a factor that goes in straight lines through points (t, factor), and is constant before and after them.

    A triangle over 100 steps, from a fifth of the rate to all of it and down to nothing:
    `PiecewiseLinearLR(sgd, [(0, 0.2), (23, 1), (100, 0)])`.

    points    pairs of a whole number of steps, rising from one to the next, and a factor of at least 0
    """

    def __init__(self, optimizer: Optimizer, points: Iterable[tuple[int, float]]):
        self.points = _checked(points)
        super().__init__(optimizer)

    def lr_at(self, base: float, t: int) -> float:
        """Return the learning rate at t."""
        return base * self._factor(t)

    def _chain(self, lr, base, t):
        own = self._factor(t - 1)
        if own:
            return lr * (self._factor(t) / own)
        return lr + base * self._factor(t)  # up from 0, where all proportion is lost

    def _factor(self, t):
        return float(np.interp(t, *zip(*self.points, strict=True)))


def _checked(points):
    try:
        pairs = [(step, factor) for step, factor in points]
    except (TypeError, ValueError):
        pairs = []
    if not pairs:
        raise ValueError(f"PiecewiseLinearLR: points are {points!r}; they must be pairs (step, factor), at least one")
    steps = [check_whole("PiecewiseLinearLR", "the step of a point", step, 0) for step, _ in pairs]
    if sorted(set(steps)) != steps:
        raise ValueError(f"PiecewiseLinearLR: the steps of the points are {steps}; they must rise from one to the next")
    for step, factor in pairs:
        if not isinstance(factor, Real) or not 0 <= factor < math.inf:
            raise ValueError(
                f"PiecewiseLinearLR: the factor at {step} is {factor!r}; it must be a number of at least 0"
            )
    return [(step, float(factor)) for step, (_, factor) in zip(steps, pairs, strict=True)]

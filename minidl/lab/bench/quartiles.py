"""Medians, quartiles, and ratios of what was measured in turns. Every round counts once, however many steps fit into it."""

from typing import NamedTuple

import numpy as np

__all__ = ["Quartiles", "five_digits", "quartiles", "speed_ratio"]


class Quartiles(NamedTuple):
    """The median, and the values that a quarter of the rounds lies below and above."""

    low: float
    median: float
    high: float


def quartiles(rounds):
    """Return the quartiles of the medians of single rounds; `rounds` is a list of lists of times.

    Over all steps together, a quick round would count for more than a slow one, as more steps fit into it: a contender that
    is disturbed in most rounds would seem to be disturbed in few.
    """
    return _quartiles([np.median(times) for times in rounds])


def speed_ratio(rounds, reference):
    """Return how many times as fast `rounds` is as `reference`: the ratios of the medians of single rounds.

    Both are lists of lists of times, one a round. The two were measured right after each other in each round, so a ratio
    within a round says more than times from different moments do, and their spread is that of the comparison.
    """
    if len(rounds) != len(reference):
        raise ValueError(
            f"speed_ratio: {len(rounds)} rounds against {len(reference)}; they must have been measured in turns"
        )
    return _quartiles([np.median(b) / np.median(a) for a, b in zip(rounds, reference, strict=True)])


def _quartiles(values):
    return Quartiles(*map(float, np.percentile(values, (25, 50, 75))))


def five_digits(number):
    """Round to five significant digits: more would be noise."""
    return float(f"{number:.5g}")

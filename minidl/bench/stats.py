"""Medians, quartiles, and ratios of what was measured in turns."""

from typing import NamedTuple

import numpy as np

__all__ = ["Quartiles", "Ratio", "quartiles", "speed_ratio"]


class Quartiles(NamedTuple):
    """The median, and the values that a quarter of the samples lies below and above."""

    low: float
    median: float
    high: float


class Ratio(NamedTuple):
    """A ratio of medians, and the quartiles of the ratios of single rounds."""

    low: float
    value: float
    high: float


def quartiles(rounds):
    """Of all samples together; `rounds` is a list of lists of times."""
    low, median, high = np.percentile(np.concatenate(rounds), (25, 50, 75))
    return Quartiles(float(low), float(median), float(high))


def speed_ratio(rounds, reference):
    """How many times as fast `rounds` is as `reference`: median time of the reference over median time.

    Both are lists of lists of times, one a round. The two were measured right after each other in each round, so a ratio
    within a round says more than times from different moments, and their spread is that of the comparison. The two ends
    are widened to the value where, with few rounds, it lies outside.
    """
    if len(rounds) != len(reference):
        raise ValueError(
            f"speed_ratio: {len(rounds)} rounds against {len(reference)}; they must have been measured in turns"
        )
    value = quartiles(reference).median / quartiles(rounds).median
    single = [np.median(b) / np.median(a) for a, b in zip(rounds, reference, strict=True)]
    low, high = np.percentile(single, (25, 75))
    return Ratio(float(min(low, value)), float(value), float(max(high, value)))

"""From paired differences to a word, by a margin that was chosen before."""

import math

import numpy as np
from numpy.typing import ArrayLike

from minidl.lab.study.statistics import t_interval

__all__ = ["WORDS", "decide"]

WORDS = ("larger", "smaller", "about equal", "open")


def decide(differences: ArrayLike, margin: float = 0.0) -> str:
    """Return what differences, one per seed, say by their 95 % interval and the margin within which nobody would care.

    "larger" if the whole interval lies above the margin, "smaller" if it lies below −margin, "about equal" if it lies
    between the two, edges included; otherwise "open": these seeds cannot tell.

    Errors  ValueError for no differences, and for a margin that is negative, infinite or nan
    """
    values = np.asarray(differences, dtype=float).ravel()
    if not values.size:
        raise ValueError("decide: there are no differences; there must be one for each seed")
    if not 0 <= margin < math.inf:
        raise ValueError(f"decide: the margin is {margin}; it must be 0 or a positive number")
    _, low, high = t_interval(values)
    if low > margin:
        return "larger"
    if high < -margin:
        return "smaller"
    return "about equal" if -margin <= low and high <= margin else "open"

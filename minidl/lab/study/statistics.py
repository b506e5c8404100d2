"""How sure a mean over a few seeds is: Student's 95 % interval."""

import math
from typing import NamedTuple

import numpy as np

__all__ = ["Interval", "paired", "t_interval"]


class Interval(NamedTuple):
    """A mean, and the 95 % interval around it."""

    mean: float
    low: float
    high: float

    @property
    def above_zero(self):
        """The whole interval lies above 0."""
        return self.low > 0

    @property
    def below_zero(self):
        """The whole interval lies below 0."""
        return self.high < 0

    def text(self, digits=2, factor=1.0, sign=False):
        """Write 1.20 ± 0.34, or +1.20 ± 0.34 for a difference; `factor` 100 turns fractions into points.

        There are so many digits, or more where the half-width would read as 0, or as if the interval ended at 0.
        """
        if not math.isfinite(self.mean):
            return "no number"
        digits += self._more(digits, abs(factor))
        number = f"{factor * self.mean:{'+' if sign else ''},.{digits}f}".replace("-", "−")
        if not math.isfinite(self.high):
            return f"{number} (one run)"
        return f"{number} ± {abs(factor) * self.half:,.{digits}f}"

    @property
    def half(self):
        """Half the interval's width."""
        return self.high - self.mean

    def _more(self, digits, factor):
        """How many more digits tell what these would hide; at most three."""
        if self.half == 0 or not math.isfinite(self.half):
            return 0
        for more in range(3):
            half, mean = (round(factor * abs(number), digits + more) for number in (self.half, self.mean))
            if half > 0 and half != mean:
                return more
        return 3


def t_interval(values):
    """Return mean and 95 % interval of independent values, one for each seed: mean ± t · s / √n.

    t is 2.78 at n = 5 and 12.7 at n = 2. One value alone says nothing of its spread: the interval is infinite.
    Errors  ValueError for no values
    """
    from scipy.stats import t  # takes a second to import

    values = np.asarray(values, dtype=float).ravel()
    n = values.size
    if n == 0:
        raise ValueError("t_interval: there are no values; pass one for each seed")
    mean = float(values.mean())
    if n == 1:
        return Interval(mean, -math.inf, math.inf)
    half = float(t.ppf(0.975, n - 1)) * float(values.std(ddof=1)) / math.sqrt(n)
    return Interval(mean, mean - half, mean + half)


def paired(a, b):
    """Return the interval of the mean of a − b, where a[i] and b[i] share a seed.

    Errors  ValueError for other than equal lengths
    """
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"paired: a is {a.shape} and b {b.shape}; they must be equal in length, one value a seed")
    return t_interval(a - b)

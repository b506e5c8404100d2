"""Checks of lesson 13 (regulariser): the noise of a batch's mean, and the variance that dropout adds."""

import numpy as np

from minidl.lab.course import regulariser
from minidl.lab.course._check import ask, compare, exercise

__all__ = ["mean_noise", "variance_ratio"]


@exercise(
    "mean_noise",
    hints=(
        "What must come out for m = 1, and for m = n, where every batch is the whole set?",
        "The variance of a sum of m numbers is mσ² + m(m − 1)c, where c is the covariance of two different ones. For m = n "
        "the sum is always the same: solve for c.",
        "c = −σ²/(n − 1). Divide the variance of the sum by m², and take the root.",
    ),
)
def mean_noise(answer):
    """The noise of a batch's mean falls as 1/√m, and is gone when the batch is the whole set."""
    generator = np.random.default_rng()
    for n in generator.integers(20, 60, 4).tolist():
        m = int(generator.integers(3, n - 2))
        compare(
            f"the spread for m = {m}, n = {n}",
            ask(answer, m, n),
            regulariser.mean_noise(m, n),
            tol=1e-6,
            instead={
                "this is for draws *with* replacement; without, there is no noise left at m = n": m**-0.5,
                "this is the variance; take the root": (n - m) / (m * (n - 1)),
                "nearly: for m = 1 it must be 1, so n − m goes over n − 1": ((n - m) / (m * n)) ** 0.5,
                "this falls as 1/m; variances add up, so the spread falls as 1/√m": 1 / m,
                "the share that is left out counts in the variance; it belongs under the root": (n - m)
                / (n - 1)
                / m**0.5,
                "this is the spread of the sum; the mean is an m-th of it": (m * (n - m) / (n - 1)) ** 0.5,
                "at m = n it must be 0, not at m = 0": (m / n) ** 0.5,
                "m and n have changed places": ((n - m) / (n * (m - 1))) ** 0.5,
                "the sum of m numbers is divided by m, not by m − 1": ((n - m) / ((m - 1) * (n - 1))) ** 0.5,
                "spreads are not subtracted, variances are; and for m = 1 it must be 1": m**-0.5 - n**-0.5,
                "this depends on n alone; m draws make the mean": n**-0.5,
            },
            hint="Try m = 1 (it must be 1) and m = n (0).",
        )


@exercise(
    "variance_ratio",
    hints=(
        "One input times its mask: bx/(1 − p), where b is 1 with probability 1 − p, else 0. What is the mean of its square?",
        "It is E[x²]/(1 − p), and the mean is E[x] as before. So the variance of one input grows by p/(1 − p)·E[x²]. "
        "The masks of different inputs are independent, so the covariances stay.",
        "The sum's variance grows by p/(1 − p)·Σ w²E[x²].",
    ),
)
def variance_ratio(answer):
    """You know how much more the sums vary in training than in evaluation when dropout comes before them."""
    generator = np.random.default_rng()
    for _ in range(3):
        numbers = np.zeros(2)
        while np.diff(np.sort(numbers)).min() < 0.03:  # so that each misconception has a number of its own
            x, w, p = _layer(generator)
            right, wrong = _ratios(x, w, p)
            numbers = np.array([right, *(ratio for ratio in wrong.values() if np.ndim(ratio) == 0)])
        got = ask(answer, x, w, p)
        hint = "Which part of the variance of Σ w·x do the masks add?"
        compare(f"the ratio for p = {p:.2f}", got, right, tol=5e-3, instead=wrong, hint=hint)  # N − 1 passes


def _layer(generator):
    """What enters a dropout after a ReLU, (400, inputs), the weights of one unit, and p."""
    n = int(generator.integers(5, 12))
    x = np.maximum(
        generator.standard_normal((400, n)) @ generator.standard_normal((n, n)) + generator.uniform(0.3, 2, n), 0
    )
    return x, generator.standard_normal(n), float(generator.uniform(0.3, 0.6))


def _ratios(x, w, p):
    """The right ratio, and misconception → ratio."""
    square, factor, whole = (x * x).mean(0), p / (1 - p), (x @ w).var()
    added = factor * (w * w * square).sum()
    right = float(regulariser.variance_ratio(x, w, p))
    return right, {
        "1/(1 − p) is right only for inputs with mean 0 that do not vary together; use x and w": 1 / (1 - p),
        "dropout keeps the *mean* of an input, not its variance": 1,
        "this is evaluation over training": 1 / right,
        "this uses the variance of each input; an input that never varies is switched off and on, too: E[x²]": (
            1 + factor * (w * w * x.var(0)).sum() / whole
        ),
        "the kept inputs are multiplied by 1/(1 − p), so the factor is p/(1 − p), not p": (
            1 + p * (w * w * square).sum() / whole
        ),
        "p(1 − p) is the mask's variance; divide by (1 − p)², as what is kept is multiplied by 1/(1 − p)": (
            1 + p * (1 - p) * (w * w * square).sum() / whole
        ),
        "this lets all inputs be switched by one mask; each has its own, so squares of w·x add up": (
            1 + factor * ((x @ w) ** 2).mean() / whole
        ),
        "this is what is added; the variance without dropout is still there: 1 + …": right - 1,
        "this is the ratio of standard deviations": right**0.5,
        "p is the probability to be *dropped*, so the factor is p/(1 − p), not (1 − p)/p": 1
        + added / factor**2 / whole,
        "the factor is p/(1 − p), not 1/(1 − p)": 1 + added / p / whole,
        "the weights are not squared": 1 + factor * (w * square).sum() / whole,
        "this is the square of each input's mean; it should be the mean of its square": (
            1 + factor * np.square(w * x.mean(0)).sum() / whole
        ),
        "this divides by the standard deviation of the sums; variances go with squares": 1 + added / whole**0.5,
        "this divides by the mean square of the sums; BN subtracts their mean": 1 + added / np.square(x @ w).mean(),
        "this adds up the inputs' own variances; they vary together, so take the variance of x·w": (
            1 + added / (w * w * x.var(0)).sum()
        ),
        "this is a ratio for each input; add up what they add": 1 + factor * w * w * square / whole,
    }

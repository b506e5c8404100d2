"""Lessons 03 and 03b."""

import numpy as np


def forgets_the_sum(f, x, n):
    return x.std() / f(x).std()


def adds_deviations(f, x, n):
    return x.std() / (n * f(x).std())


def counts_the_mean(f, x, n):
    return np.sqrt(x.var() / (n * (f(x) ** 2).mean()))


def forgets_the_root(f, x, n):
    return x.var() / (n * f(x).var())


def slope_at_zero(f, x, n):
    return 2e-6 / (np.sqrt(n) * (f(np.array(1e-6)) - f(np.array(-1e-6))))


def flat(y):
    return y * (1 - y) < 0.025


def tenth_of_the_steepest_here(y):
    steep = y * (1 - y)
    saturated = steep < steep.max() / 10
    return saturated.mean(), saturated.all(0).mean()


def always_at_one_end(y):
    return flat(y).mean(), ((flat(y) & (y > 0.5)).all(0) | (flat(y) & (y < 0.5)).all(0)).mean()


def flat_for_most(y):
    return flat(y).mean(), (flat(y).mean(0) > 0.9).mean()


def flat_on_average(y):
    return flat(y).mean(), flat(y.mean(0)).mean()


def by_flatness_alone(signal, off_centre, flat):
    return "flat" if flat > 0.5 else "well"


def by_signal_alone(signal, off_centre, flat):
    return "asleep" if signal < 0.4 else "flat" if signal > 3 else "well"


def mean_first(signal, off_centre, flat):
    """Any mean that is larger than the signal."""
    if off_centre > signal:
        return "off centre"
    return "asleep" if signal < 0.2 else "flat" if flat > 0.5 else "well"


def over(ratio):
    return lambda before, after: [np.log10(ratio(b, a)) for b, a in zip(before, after, strict=True)]


def without_its_signal(signal, off_centre, flat):
    """Any mean above 1, whatever the images differ by."""
    return "off centre" if off_centre > 1 else "asleep" if signal < 0.1 else "flat" if flat > 0.5 else "well"


def ratios(before, after):
    with np.errstate(divide="ignore"):
        return [np.log10((a - b).std() / b.std()) for b, a in zip(before, after, strict=True)]


def in_place(before, after):
    for b, a in zip(before, after, strict=True):
        a -= b
    return [np.log10(a.std() / b.std()) for b, a in zip(before, after, strict=True)]


def cuts(low, high, whole=1.0):
    return lambda y: (flat(y).mean(), ((((y < low) | (y > high)).mean(0)) >= whole).mean())


WRONG = {
    "diagnosis": [
        ((without_its_signal,), "much less than its signal"),
        ((by_flatness_alone,), ", and you say well: "),
        ((by_signal_alone,), "larger weights move it further off"),
        ((mean_first,), "it is the weights that are small"),
        ((lambda signal, off_centre, flat: "dead",), "it should return one of 'asleep'"),
        ((lambda signal, off_centre, flat: None,), "it should return one of"),
    ],
    "update ratio": [
        (
            (lambda before, after: [(a - b).std() / b.std() for b, a in zip(before, after, strict=True)],),
            "the ratios themselves",
        ),
        (
            (lambda before, after: [np.log((a - b).std() / b.std()) for b, a in zip(before, after, strict=True)],),
            "natural logarithm",
        ),
        ((over(lambda b, a: (a - b).std() / a.std()),), "those before it"),
        ((over(lambda b, a: b.std() / (a - b).std()),), "upside down"),
        ((over(lambda b, a: a.std() / b.std()),), "the step is their difference"),
        ((over(lambda b, a: (a - b).std() / b.std() + 1e-12),), "did not move, which is −∞"),
        ((lambda b, a: [r for r in ratios(b, a) if np.isfinite(r)],), "3 numbers for 4 layers"),
        ((in_place,), "changes its argument number 2 in place"),
        ((lambda b, a: [r for r in ratios(b, a) if a.pop() is not None],), "changes its argument number 2 in place"),
        ((lambda b, a: [r if np.isfinite(r) else "none" for r in ratios(b, a)],), "it should be an array of numbers"),
        ((lambda b, a: iter(ratios(b, a)),), "it should return a list"),
        ((over(lambda b, a: np.linalg.norm(a - b) / np.linalg.norm(b)),), "root mean squares"),
    ],
    "gain": [
        ((forgets_the_sum,), "it ignores that n inputs are added up"),
        ((adds_deviations,), "it divides by n; variances add up"),
        ((counts_the_mean,), "it takes the mean of f(x)² where the variance belongs"),
        ((forgets_the_root,), "this is the variance of the weights"),
        ((slope_at_zero,), "it takes the slope of f at 0"),
        ((lambda f, x, n: np.sqrt(2 / n),), "which is for ReLU"),
        ((lambda f, x, n: 1 / np.sqrt(n * (f(x) ** 2).mean()),), "it takes x to have variance 1"),
        ((lambda f, x, n: np.sqrt(x.std() / (n * f(x).std())),), "roots of standard deviations"),
        ((lambda f, x, n: x.std(ddof=1) / (f(x).std() * np.sqrt(n)),), "and the other does not"),
    ],
    "saturation": [
        ((lambda y: ((y * (1 - y) < 0.1).mean(), 0.0),), "it compares the slope with 0.1"),
        ((lambda y: (flat(y).mean(), flat(y).any(0).mean()),), "flat for at least one image"),
        ((tenth_of_the_steepest_here,), "the steepest slope that occurs"),
        ((flat_for_most,), "flat for most images"),
        ((flat_on_average,), "whether a unit's mean output is flat"),
        ((always_at_one_end,), "at 0 for some of them and at 1 for others"),
        ((lambda y: (flat(y).mean(), flat(y).all(1).mean()),), "it goes along the wrong axis"),
        ((lambda y: flat(y).mean(),), "should return 2 things"),
        ((cuts(0.1, 0.9),), "where the slope is still 0.09"),
        ((cuts(0.025, 0.975),), "take the slope itself"),
        ((lambda y: (flat(y).mean(), (y * (1 - y) < 0.1).all(0).mean()),), "not with a tenth of 1/4"),
        ((lambda y: (flat(y).mean(), (flat(y).mean(0) >= 0.99).mean()),), "The fraction of stuck units is off"),
        ((lambda y: (flat(y).all(0).mean(), flat(y).mean()),), "which comes second"),
        ((lambda y: (flat(y).sum() / len(y), flat(y).all(0).mean()),), "divides by the number of images"),
    ],
}

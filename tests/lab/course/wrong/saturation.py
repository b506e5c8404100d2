"""Lesson 03."""

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


WRONG = {
    "gain": [
        ((forgets_the_sum,), "it ignores that n inputs are added up"),
        ((adds_deviations,), "it divides by n; variances add up"),
        ((counts_the_mean,), "it takes the mean of f(x)² where the variance belongs"),
        ((forgets_the_root,), "this is the variance of the weights"),
        ((slope_at_zero,), "it takes the slope of f at 0"),
        ((lambda f, x, n: np.sqrt(2 / n),), "which is for ReLU"),
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
    ],
}

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


def one_over_root_n(f, x, n):
    return 1 / np.sqrt(n)


def flat(y):
    return y * (1 - y) < 0.025


WRONG = {
    "gain": [
        ((forgets_the_sum,), "it ignores that n inputs are added up"),
        ((adds_deviations,), "it divides by n; variances add up"),
        ((counts_the_mean,), "it takes the mean of f(x)² where the variance belongs"),
        ((forgets_the_root,), "this is the variance of the weights"),
        ((slope_at_zero,), "it takes the slope of f at 0"),
        ((one_over_root_n,), "right for a layer without f"),
    ],
    "saturation": [
        ((lambda y: ((y * (1 - y) < 0.1).mean(), 0.0),), "it compares the slope with 0.1"),
        ((lambda y: (((y < 0.1) | (y > 0.9)).mean(), 0.0),), "it counts outputs below 0.1 and above 0.9"),
        ((lambda y: (flat(y)[y > 0.5].sum() / y.size, 0.0),), "it counts those near 1 only"),
        ((lambda y: (flat(y).mean(), flat(y).any(0).mean()),), "flat for at least one image"),
        ((lambda y: (flat(y).mean(), flat(y).all(1).mean()),), "it goes along the wrong axis"),
        ((lambda y: flat(y).mean(),), "Return two numbers"),
    ],
}

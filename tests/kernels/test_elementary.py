"""exp, tanh and the normal distribution of kernels, in float32, against float64: over all of float32, with its ends."""

import numpy as np
import pytest
from scipy.special import ndtr
from scipy.stats import norm

from minidl.kernels import elementary
from minidl.kernels.jit import kernel, prange
from tests.helpers import JIT

exp, normal, tanh = elementary.exp, elementary.normal, elementary.tanh
COUNT = 4_000_000 if JIT else 4_000  # numbers to try: about every 1000th float32
TINY = 2.0**-149  # the smallest step of float32, which near 0 is more than any relative error


@kernel(cost=8)
def all_exp(x, y):
    for i in prange(x.size):
        y[i] = exp(x[i])


@kernel(cost=8)
def all_tanh(x, y):
    for i in prange(x.size):
        y[i] = tanh(x[i])


@kernel(cost=8)
def all_normal(x, below, density):
    for i in prange(x.size):
        below[i], density[i] = normal(x[i])


def of(function, x):
    y = np.empty_like(x)
    function[x.size](x, y)
    return y


def all_of_float32(count):
    """Finite numbers of both signs, evenly spread over float32's exponents, with 0 and the extremes."""
    largest = int(np.float32(np.finfo(np.float32).max).view(np.uint32))
    bits = np.linspace(0, largest, count // 2).round().astype(np.uint32)
    positive = bits.view(np.float32)
    return np.concatenate([-positive, positive])


def worst(y, exact):
    """The largest relative error, not counting one step of the denormal numbers."""
    error = np.maximum(np.abs(y.astype(np.float64) - exact) - TINY, 0)
    return np.max(error / np.maximum(np.abs(exact), TINY))


@pytest.mark.parametrize(
    "x",
    [
        all_of_float32(COUNT),
        np.linspace(-103.9, 88.72, COUNT, dtype=np.float32),
        np.linspace(-1, 1, COUNT, dtype=np.float32),
    ],
    ids=["all", "all results", "near 0"],
)
def test_error_of_exp(x):
    with np.errstate(over="ignore", under="ignore"):
        exact = np.exp(x.astype(np.float64))
    y = of(all_exp, x)
    finite = exact < float(np.finfo(np.float32).max)
    assert np.all(y[~finite] == np.inf)
    assert np.all(np.isfinite(y[finite]))
    assert worst(y[finite], exact[finite]) < 2e-7


def test_exp_reaches_the_denormal_numbers_and_zero():
    x = np.array([-87.4, -95, -100, -103, -103.9, -104.5, -200, -1e38], np.float32)
    np.testing.assert_allclose(of(all_exp, x), np.exp(x.astype(np.float64)), rtol=2e-7, atol=TINY)
    assert np.all(of(all_exp, x)[:4] > 0)
    assert np.all(of(all_exp, x)[5:] == 0)


@pytest.mark.parametrize(
    "x",
    [
        all_of_float32(COUNT),
        np.linspace(-10, 10, COUNT, dtype=np.float32),
        np.linspace(0.6, 0.65, COUNT // 4, dtype=np.float32),
    ],
    ids=["all", "where it bends", "where the formulas meet"],
)
def test_error_of_tanh(x):
    y = of(all_tanh, x)
    assert np.all(np.abs(y) <= 1)
    assert worst(y, np.tanh(x.astype(np.float64))) < 3e-7


def test_tanh_is_odd_and_keeps_small_numbers():
    x = all_of_float32(2_000)
    np.testing.assert_array_equal(of(all_tanh, -x), -of(all_tanh, x))
    small = np.array([1e-45, 1e-40, 1e-20, -1e-10], np.float32)
    np.testing.assert_array_equal(of(all_tanh, small), small)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1, 40])
def test_nan_and_infinity(size, dtype):
    for value, exp_of_it, tanh_of_it in [(np.nan, np.nan, np.nan), (np.inf, np.inf, 1), (-np.inf, 0, -1), (0, 1, 0)]:
        x = np.full(size, value, dtype)
        np.testing.assert_array_equal(of(all_exp, x), np.full(size, exp_of_it))
        np.testing.assert_array_equal(of(all_tanh, x), np.full(size, tanh_of_it))


def test_float64_uses_the_exact_functions():
    x = np.linspace(-700, 700, 999)
    np.testing.assert_allclose(of(all_exp, x), np.exp(x), rtol=1e-15)
    np.testing.assert_allclose(of(all_tanh, x), np.tanh(x), rtol=1e-15)


def test_plain_python_calls_give_the_same():
    for x in (-40.0, -1.0, 0.3, 5.0, 40.0):
        for function in (exp, tanh):
            exact = {exp: np.exp, tanh: np.tanh}[function](np.float64(np.float32(x)))
            assert type(function(np.float32(x))) in (np.float32, float)
            np.testing.assert_allclose(function(np.float32(x)), exact, rtol=3e-7, atol=TINY)
            np.testing.assert_allclose(function(np.float64(np.float32(x))), exact, rtol=1e-15)


def test_error_of_normal():
    x = np.linspace(-13, 13, COUNT, dtype=np.float32)
    below, density = np.empty_like(x), np.empty_like(x)
    all_normal[x.size](x, below, density)
    exact = x.astype(np.float64)
    assert np.max(np.abs(below - ndtr(exact))) < 2.5e-7
    # the rounding of x² is what is left: half a step of it changes exp(−x²/2) by x²/2 · 6e-8
    assert np.max(np.abs(below / ndtr(exact) - 1) / (1 + exact**2 / 2)) < 6e-7
    assert np.max(np.abs(density / norm.pdf(exact) - 1) / (1 + exact**2 / 2)) < 3e-7


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_normal_at_its_ends(dtype):
    x = np.array([-np.inf, -1e30, 0, 1e30, np.inf, np.nan], dtype)
    below, density = np.empty_like(x), np.empty_like(x)
    all_normal[x.size](x, below, density)
    np.testing.assert_allclose(below, [0, 0, 0.5, 1, 1, np.nan], rtol=3e-7)
    np.testing.assert_allclose(density, [0, 0, norm.pdf(0), 0, 0, np.nan], rtol=3e-7, atol=0)


def test_normal_in_float64():
    x = np.linspace(-13, 13, 1001)
    below, density = np.empty_like(x), np.empty_like(x)
    all_normal[x.size](x, below, density)
    np.testing.assert_allclose(below, ndtr(x), rtol=1e-13)
    np.testing.assert_allclose(density, norm.pdf(x), rtol=1e-14)

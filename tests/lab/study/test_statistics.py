"""Intervals: against SciPy's, against what they promise, and in words."""

import math

import numpy as np
import pytest
from scipy import stats

from minidl.lab.study.statistics import Interval, paired, t_interval


@pytest.mark.parametrize("n", [2, 5, 30])
def test_as_scipy_computes_it(n):
    values = np.random.default_rng(n).normal(3, 2, n)
    mean, low, high = t_interval(values)
    expected = stats.t.interval(0.95, n - 1, values.mean(), stats.sem(values))
    np.testing.assert_allclose((mean, low, high), (values.mean(), *expected))


def test_it_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    intervals = [t_interval(rng.normal(1, 2, 5)) for _ in range(2000)]
    assert abs(np.mean([low <= 1 <= high for _, low, high in intervals]) - 0.95) < 0.015


def test_five_seeds_need_2_78_standard_errors():
    values = np.array([1.0, 2, 3, 4, 5])
    half = t_interval(values).high - 3
    assert abs(half / (values.std(ddof=1) / math.sqrt(5)) - 2.776) < 1e-3


def test_pairing_takes_out_what_seeds_share():
    rng = np.random.default_rng(1)
    seeds, noise = rng.normal(0, 10, 5), rng.normal(0, 0.1, 5)
    assert paired(seeds + 1 + noise, seeds).above_zero
    assert not paired(seeds + 1 + noise, seeds[::-1]).above_zero


def test_above_and_below():
    assert Interval(1, 0.5, 1.5).above_zero
    assert Interval(-1, -1.5, -0.5).below_zero
    for interval in (Interval(1, 0, 2), Interval(-1, -2, 0), t_interval([4.0])):
        assert not interval.above_zero
        assert not interval.below_zero


def test_words():
    assert Interval(0.0123, 0.0100, 0.0146).text(2, 100) == "1.23 ± 0.23"
    assert Interval(0.5, 0.25, 0.75).text(1, sign=True) == "+0.5 ± 0.2"
    assert Interval(-1234.5, -1235.5, -1233.5).text(1) == "−1,234.5 ± 1.0"
    assert t_interval([2.0]).text() == "2.00 (one run)"
    assert t_interval([math.nan, 1]).text() == "no number"


def test_no_digit_hides_whether_zero_is_inside():
    assert Interval(0.1942, 0.0001, 0.3883).text(2) == "0.1942 ± 0.1941"
    assert Interval(0.1941, -0.0001, 0.3883).text(2) == "0.1941 ± 0.1942"
    assert Interval(-0.19, -0.381, 0.001).text(2) == "−0.190 ± 0.191"
    assert Interval(0.0151, 0.01475, 0.01545).text(3) == "0.0151 ± 0.0003"  # not 0.015 ± 0.000
    assert Interval(0.07, 0.0656, 0.0744).text(0, 100) == "7.0 ± 0.4"
    assert Interval(0.0, 0.0, 0.0).text(2) == "0.00 ± 0.00"
    assert Interval(1.0, 1.0 - 1e-9, 1.0 + 1e-9).text(2) == "1.00000 ± 0.00000"


def test_errors():
    with pytest.raises(ValueError, match="no values"):
        t_interval([])
    with pytest.raises(ValueError, match=r"\(2,\) and b \(3,\)"):
        paired([1, 2], [1, 2, 3])

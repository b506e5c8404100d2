"""Smoothed curves, first arrivals and their ratios, against naive versions, and against wrong ones."""

import math

import numpy as np
import pytest
from scipy.stats import t

from minidl.lab.paper._reach import arrival, smoothed, speed_up, times

NAN = math.nan


def naive_arrival(steps, accuracy, target):
    """Walk along the curve in small parts of its logarithm."""
    means = [sum(accuracy[k - 2 : k + 1]) / 3 for k in range(2, len(accuracy))]
    steps = steps[2:]
    if means[0] >= target:
        return steps[0]
    for (a, x), (b, y) in zip(zip(steps, means, strict=True), list(zip(steps, means, strict=True))[1:], strict=False):
        for part in np.linspace(0, 1, 5001):
            if x + part * (y - x) >= target:
                return math.exp(math.log(a) + part * (math.log(b) - math.log(a)))
    return NAN


def curve(seed, n=30):
    generator = np.random.default_rng(seed)
    return np.linspace(0.1, 0.7, n) + 0.05 * generator.standard_normal(n)


def test_times_end_at_the_last_step_and_are_ten_per_cent_apart():
    at = times(3500)
    assert at[-1] == 3500
    assert at[0] >= 100 > at[0] / 1.1
    assert at == sorted(set(at))
    np.testing.assert_allclose(np.diff(np.log(at)), math.log(1.1), atol=0.02)
    assert times(8, 4) == [4, 5, 6, 7, 8]
    assert times(4000)[-20:] != times(4001)[-20:]


def test_smoothing_is_the_mean_of_three_and_looks_back():
    rows = np.random.default_rng(0).uniform(size=(4, 9))
    naive = [[sum(row[k - 2 : k + 1]) / 3 for k in range(2, 9)] for row in rows]
    np.testing.assert_allclose(smoothed(rows), naive, rtol=1e-12)
    late = smoothed([0, 0, 0, 0, 3, 3, 3])
    np.testing.assert_allclose(late, [0, 0, 1, 2, 3])  # one that looked ahead would rise a measurement earlier


@pytest.mark.parametrize("accuracy", [[], [0.5], [0.5, 0.6], 0.5])
def test_too_few_measurements_are_refused(accuracy):
    with pytest.raises(ValueError, match="at least 3"):
        smoothed(accuracy)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("target", [0.05, 0.2, 0.35, 0.5, 0.66, 0.9])
def test_arrival_is_that_of_a_walk_along_the_curve(seed, target):
    steps, accuracy = times(3500)[-30:], curve(seed)
    found, expected = arrival(steps, accuracy, target), naive_arrival(steps, accuracy, target)
    assert math.isnan(found) == math.isnan(expected)
    if not math.isnan(expected):
        assert found == pytest.approx(expected, rel=1e-4)


def test_the_first_arrival_counts_though_the_curve_falls_again():
    steps = [100, 110, 121, 133, 146, 161]
    assert arrival(steps, [0, 0, 0, 0.9, 0.9, 0.0], 0.3) == pytest.approx(133, rel=1e-9)
    assert math.isnan(arrival(steps, [0, 0, 0, 0.9, 0, 0], 0.31))  # one high measurement is not enough


def test_between_two_measurements_the_steps_are_geometric():
    assert arrival([1, 10, 100, 400], [0, 0, 0, 3], 0.5) == pytest.approx(200)  # in a line over the steps: 250


def naive_speed(slow, fast):
    logs = [math.log(a / b) for a, b in zip(slow, fast, strict=True)]
    mean = sum(logs) / len(logs)
    s = math.sqrt(sum((x - mean) ** 2 for x in logs) / (len(logs) - 1))
    half = t.ppf(0.975, len(logs) - 1) * s / math.sqrt(len(logs))
    return [math.exp(mean + sign * half) for sign in (0, -1, 1)]


def test_a_speed_up_is_a_geometric_mean_with_its_interval():
    slow, fast = [3000.0, 2000.0, 2500.0, 3400.0, 1000.0], [300.0, 250.0, 500.0, 310.0, 111.0]
    found = speed_up(slow, fast, 3500)
    np.testing.assert_allclose(found[:3], naive_speed(slow, fast), rtol=1e-9)
    assert found[3:] == (0, 0, 0, 5)
    wrong = {
        "the mean of ratios": np.mean(np.divide(slow, fast)),
        "the ratio of means": np.mean(slow) / np.mean(fast),
        "not paired": np.exp(np.mean(np.log(slow)) - np.mean(np.log(sorted(fast)[:4]))),
    }
    assert all(abs(value / found.mean - 1) > 0.01 for value in wrong.values())


def test_pairs_matter():
    slow, fast = [1000.0, 2000.0, 3000.0], [100.0, 200.0, 300.0]
    assert speed_up(slow, fast, 3500)[:3] == pytest.approx((10, 10, 10))
    apart = speed_up(slow, fast[::-1], 3500)
    assert apart.mean == pytest.approx(10)
    assert not apart.faster


@pytest.mark.parametrize(
    ("slow", "fast", "expected"),
    [
        # mean, has a low end, has a high end, at least, at most, unknown
        ([1000, NAN, 1000], [100, 100, 100], ((10 * 35 * 10) ** (1 / 3), True, False, 1, 0, 0)),
        ([1000, 1000, 1000], [100, NAN, 100], ((10 * 10 / 3.5) ** (1 / 3), False, True, 0, 1, 0)),
        ([NAN, NAN, NAN], [350, 350, 350], (10, True, False, 3, 0, 0)),
        ([1000, 1000, 1000], [NAN, NAN, NAN], (1 / 3.5, False, True, 0, 3, 0)),
        ([1000, NAN, 1000], [100, NAN, 100], (100 ** (1 / 3), False, False, 0, 0, 1)),
        ([1000, NAN], [NAN, 100], (10**0.5, False, False, 1, 1, 0)),
    ],
)
def test_what_never_arrives_is_a_bound(slow, fast, expected):
    found = speed_up(slow, fast, 3500)
    mean, low, high, *counts = expected
    assert found.mean == pytest.approx(mean)
    assert ((found.low > 0), math.isfinite(found.high)) == (low, high)
    assert list(found[3:6]) == counts


def test_bounds_never_decide_in_their_open_direction():
    """With any longer budget the truth is further out: what the bounds say must stay true."""
    slow, fast = np.array([3000.0, NAN, NAN]), np.array([300.0, 320.0, 310.0])
    bound = speed_up(slow, fast, 3500)
    assert bound.faster
    for truth in (3600, 10_000, 1e6):
        assert speed_up(np.nan_to_num(slow, nan=truth), fast, truth).mean > bound.mean
    late = speed_up(fast, slow, 3500)
    assert late.slower
    assert not late.faster
    one_never = speed_up([3000, 3000, 3000], [30, 30, NAN], 3500)
    assert not one_never.faster  # however soon the others were


def test_texts():
    assert speed_up([1000, 1100], [100, 100], 3500).text() == "10.5× (5.72 to 19.2)"
    assert speed_up([NAN, NAN, NAN], [350, 360, 340], 3500).text() == "at least 10.0× (from 9.32)"
    assert speed_up([NAN, NAN], [100, 3000], 3500).text() == "at least 6.39× (from 0.00)"
    assert speed_up([1000, 1000], [NAN, NAN], 3500).text() == "never (0 of 2 seeds)"
    assert speed_up([1000, 1000, 1000], [100, NAN, 100], 3500).text().startswith("at most 3.06× (to ")
    assert speed_up([1000, 1000, 1000], [100, NAN, 100], 3500).text().endswith(", 2 of 3 seeds)")
    assert speed_up([1000, NAN, 1000], [100, NAN, 100], 3500).text() == "about 4.64× (2 of 3 seeds)"
    assert speed_up([1200], [100], 3500).text() == "12.0× (one run)"


@pytest.mark.parametrize(
    ("slow", "fast", "budget", "word"),
    [([], [], 10, "equal in length"), ([1, 2], [1], 10, "equal in length"), ([[1]], [[1]], 10, "equal in length"),
     ([0], [1], 10, "above 0"), ([1], [-1], 10, "above 0"), ([1], [1], 0, "above 0"), ([1], [1], NAN, "above 0")],
)  # fmt: skip
def test_steps_that_cannot_be(slow, fast, budget, word):
    with pytest.raises(ValueError, match=word):
        speed_up(slow, fast, budget)

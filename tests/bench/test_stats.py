"""Medians, quartiles and ratios, against numbers worked out by hand."""

import numpy as np
import pytest

from minidl.bench.stats import quartiles, speed_ratio


def test_quartiles_are_of_all_samples():
    assert quartiles([[1, 2], [3, 4, 5]]) == (2, 3, 4)
    assert quartiles([[7]]) == (7, 7, 7)


def test_speed_is_the_other_time_over_the_own():
    ratio = speed_ratio([[1, 1, 1], [1, 1, 1]], [[3, 3], [3, 3]])
    assert ratio == (3, 3, 3)


def test_the_spread_is_that_of_the_rounds():
    ours = [[1], [2], [4], [8], [16]]  # the machine gets slower and slower
    theirs = [[2], [4], [8], [16], [32]]  # for everyone
    assert speed_ratio(ours, theirs) == (2, 2, 2)
    low, value, high = speed_ratio([[1], [1], [1], [1], [1]], [[1], [2], [3], [4], [5]])
    assert (low, value, high) == (2, 3, 4)


def test_the_value_lies_within_its_spread():
    generator = np.random.default_rng(0)
    for _ in range(50):
        ours, theirs = generator.exponential(size=(2, 3, 4)).tolist()
        ratio = speed_ratio(ours, theirs)
        assert ratio.low <= ratio.value <= ratio.high


def test_one_disturbed_step_does_not_matter():
    calm = [[1.0] * 5] * 4
    assert speed_ratio([[1.0] * 4 + [1000.0]] * 4, calm).value == 1


def test_rounds_must_match():
    with pytest.raises(ValueError, match="in turns"):
        speed_ratio([[1]], [[1], [1]])

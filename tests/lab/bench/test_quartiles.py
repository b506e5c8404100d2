"""Medians, quartiles and ratios, against numbers worked out by hand."""

import pytest

from minidl.lab.bench.quartiles import quartiles, speed_ratio


def test_quartiles_are_of_the_rounds():
    assert quartiles([[1, 2, 9], [3], [5, 5], [7]]) == (2.75, 4, 5.5)
    assert quartiles([[7]]) == (7, 7, 7)


def test_a_quick_round_counts_no_more_than_a_slow_one():
    erratic = [[1.0] * 100, [9.0], [8.0], [9.0], [7.0]]
    assert quartiles(erratic).median == 8
    assert speed_ratio(erratic, [[4.0] * 20] * 5).median == 0.5


def test_speed_is_the_other_time_over_the_own():
    ratio = speed_ratio([[1, 1, 1], [1, 1, 1]], [[3, 3], [3, 3]])
    assert ratio == (3, 3, 3)


def test_the_spread_is_that_of_the_rounds():
    ours = [[1], [2], [4], [8], [16]]  # the machine gets slower and slower
    theirs = [[2], [4], [8], [16], [32]]  # for everyone
    assert speed_ratio(ours, theirs) == (2, 2, 2)
    low, value, high = speed_ratio([[1], [1], [1], [1], [1]], [[1], [2], [3], [4], [5]])
    assert (low, value, high) == (2, 3, 4)


def test_one_disturbed_step_does_not_matter():
    calm = [[1.0] * 5] * 4
    assert speed_ratio([[1.0] * 4 + [1000.0]] * 4, calm).median == 1


def test_rounds_must_match():
    with pytest.raises(ValueError, match="in turns"):
        speed_ratio([[1]], [[1], [1]])

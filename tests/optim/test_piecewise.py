"""PiecewiseLinearLR: straight lines between points, beside other schedules, and resumed."""

import itertools

import numpy as np
import pytest

from minidl import optim
from tests.optim.test_optim import rates, sgd

TRIANGLE = [(0, 0.2), (4, 1), (10, 0.07)]


def by_hand(t, points):
    """Between two points a + (b − a)·(share of the way); before the first and after the last one, theirs."""
    if t <= points[0][0]:
        return points[0][1]
    for (start, a), (end, b) in itertools.pairwise(points):
        if t <= end:
            return a + (b - a) * (t - start) / (end - start)
    return points[-1][1]


@pytest.mark.parametrize(
    "points",
    [TRIANGLE, [(0, 0), (5, 1), (8, 0)], [(3, 1), (6, 0.5)], [(2, 0.3)], [(0, 1), (1, 2), (2, 0), (3, 4)]],
    ids=str,
)
def test_the_rate_is_the_formula_of_each_group(points):
    schedule = optim.PiecewiseLinearLR(sgd(1.0, 0.5), points)
    expected = [[by_hand(t, points), 0.5 * by_hand(t, points)] for t in range(14)]
    np.testing.assert_allclose(rates(schedule, 14), expected, rtol=1e-12, atol=1e-15)


def test_at_a_point_it_is_exactly_its_factor():
    schedule = optim.PiecewiseLinearLR(sgd(0.3), TRIANGLE)
    found = rates(schedule, 12)[:, 0]
    assert [found[t] for t, _ in TRIANGLE] == [0.3 * factor for _, factor in TRIANGLE]
    np.testing.assert_array_equal(found, [schedule.lr_at(0.3, t) for t in range(12)])


def test_a_linear_schedule_is_one_of_two_points():
    ours, other = optim.PiecewiseLinearLR(sgd(1.0), [(0, 0.1), (7, 0.9)]), optim.LinearLR(sgd(1.0), 0.1, 0.9, 7)
    np.testing.assert_allclose(rates(ours, 12), rates(other, 12), rtol=1e-14)


def test_beside_another_schedule_both_multiply():
    optimizer = sgd(1.0)
    lines, steps = optim.PiecewiseLinearLR(optimizer, TRIANGLE), optim.StepLR(optimizer, 3, 0.5)
    found = []
    for _ in range(12):
        found.append(lines.get_last_lr()[0])
        lines.step()
        steps.step()
    expected = [by_hand(t, TRIANGLE) * 0.5 ** (t // 3) for t in range(12)]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_rate_set_by_hand_is_changed_in_proportion():
    optimizer = sgd(1.0)
    schedule = optim.PiecewiseLinearLR(optimizer, TRIANGLE)
    rates(schedule, 4)
    optimizer.param_groups[0]["lr"] = 3.0
    np.testing.assert_allclose(rates(schedule, 8)[:, 0], [3 * by_hand(t, TRIANGLE) for t in range(4, 12)], rtol=1e-12)


def test_from_nothing_a_rate_set_by_hand_is_added_to():
    optimizer = sgd(1.0)
    schedule = optim.PiecewiseLinearLR(optimizer, [(0, 0), (2, 1), (4, 0)])
    optimizer.param_groups[0]["lr"] = 0.1
    np.testing.assert_allclose(rates(schedule, 3)[:, 0], [0.1, 0.6, 1.2])
    rates(schedule, 3)
    optimizer.param_groups[0]["lr"] = 3.0  # after the end it is left alone
    np.testing.assert_array_equal(rates(schedule, 3)[:, 0], [3, 3, 3])


def test_in_a_sequence():
    optimizer = sgd(1.0)
    parts = [optim.PiecewiseLinearLR(optimizer, [(0, 0), (2, 1)]), optim.StepLR(optimizer, 1, 0.1)]
    found = rates(optim.SequentialLR(optimizer, parts, [3]), 5)[:, 0]
    np.testing.assert_allclose(found, [0, 0.5, 1, 1, 0.1])


@pytest.mark.parametrize("stop", [0, 3, 4, 9, 11])
def test_goes_on_where_it_was(stop):
    through, first, second = (optim.PiecewiseLinearLR(sgd(0.3, 0.7), TRIANGLE) for _ in range(3))
    expected = rates(through, 13)
    rates(first, stop)
    second.load_state_dict(first.state_dict())
    np.testing.assert_array_equal(rates(second, 13 - stop), expected[stop:])


def test_points_may_be_any_pairs_and_are_ones_own():
    points = [[0, 0.2], (np.int64(4), np.float32(1)), np.array([10, 0])[[0, 1]].tolist()]
    schedule = optim.PiecewiseLinearLR(sgd(1.0), points)
    points.clear()
    np.testing.assert_allclose(rates(schedule, 11)[[0, 4, 10], 0], [0.2, 1, 0])
    assert optim.PiecewiseLinearLR(sgd(1.0), iter(TRIANGLE)).points == TRIANGLE
    assert optim.PiecewiseLinearLR(sgd(1.0), dict(TRIANGLE).items()).points == TRIANGLE


@pytest.mark.parametrize(
    "points",
    [None, 3, [], "abc", [1], [(1, 2, 3)], [(-1, 1)], [(0.5, 1)], [("0", 1)], [(0, "1")], [(0, None)], [(0, -1)],
     [(0, np.inf)], [(0, np.nan)], [(1, 1), (0, 1)], [(1, 1), (1, 2)]],
)  # fmt: skip
def test_points_that_are_none_change_no_rate(points):
    optimizer = sgd(0.1)
    with pytest.raises(ValueError, match=r"^PiecewiseLinearLR: .*; (it|they) must"):
        optim.PiecewiseLinearLR(optimizer, points)
    assert "initial_lr" not in optimizer.param_groups[0]
    assert optimizer.param_groups[0]["lr"] == 0.1

"""Schedules beside each other and beside a rate that was set by hand: each goes on from the rate it finds, as in PyTorch."""

import copy

import numpy as np
import pytest

from minidl import optim
from minidl.nn import Parameter
from tests.optim.test_optim import rates, sgd


def both(first, second, steps, between=lambda optimizer, t: None):
    """The rates of the first group, when two schedules are stepped after each other."""
    seen = []
    for t in range(steps):
        seen.append(first.get_last_lr()[0])
        first.step()
        second.step()
        between(first.optimizer, t)
    return seen


def pytorchs_recursion(kind, settings, lr, base, t):
    """What PyTorch's `get_lr` does, written down from its source."""
    if kind == "StepLR":
        return lr * settings["gamma"] if t and t % settings["step_size"] == 0 else lr
    if kind == "LinearLR":
        start, end, total = settings["start_factor"], settings["end_factor"], settings["total_iters"]
        if t == 0:
            return lr * start
        return lr if t > total else lr * (1 + (end - start) / (total * start + (t - 1) * (end - start)))
    if kind == "CosineAnnealingLR":
        T, low = settings["T_max"], settings["eta_min"]
        if t == 0:
            return lr
        if (t - 1 - T) % (2 * T) == 0:
            return lr + (base - low) * (1 - np.cos(np.pi / T)) / 2
        return (1 + np.cos(np.pi * t / T)) / (1 + np.cos(np.pi * (t - 1) / T)) * (lr - low) + low
    return base * settings["factor"](t)


KINDS = {
    "StepLR": {"step_size": 3, "gamma": 0.5},
    "LinearLR": {"start_factor": 0.1, "end_factor": 0.9, "total_iters": 4},
    "CosineAnnealingLR": {"T_max": 5, "eta_min": 0.01},
    "LambdaLR": {"factor": lambda t: 1 / (1 + t / 10)},
}


@pytest.mark.parametrize("first", KINDS)
@pytest.mark.parametrize("second", KINDS)
@pytest.mark.parametrize("by_hand", [False, True])
def test_two_schedules_as_in_pytorch(first, second, by_hand):
    lr, expected = 0.1, []
    for kind in (first, second):
        lr = pytorchs_recursion(kind, KINDS[kind], lr, 0.1, 0)
    for t in range(1, 25):
        expected.append(lr)
        for kind in (first, second):
            lr = pytorchs_recursion(kind, KINDS[kind], lr, 0.1, t)
        lr = lr * 3 if by_hand and t == 6 else lr

    def between(optimizer, t):
        if by_hand and t == 5:
            optimizer.param_groups[0]["lr"] *= 3

    optimizer = sgd(0.1)
    schedules = [getattr(optim, kind)(optimizer, **KINDS[kind]) for kind in (first, second)]
    np.testing.assert_allclose(both(*schedules, 24, between), expected, rtol=1e-9, atol=1e-15)


def test_a_warm_up_and_steps_multiply():
    optimizer = sgd(0.1)
    schedules = optim.LinearLR(optimizer, 0.1, 1.0, 4), optim.StepLR(optimizer, 3)
    np.testing.assert_allclose(both(*schedules, 6), [0.01, 0.0325, 0.055, 0.00775, 0.01, 0.01], rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_a_schedule_alone_has_the_bits_of_its_formula(kind):
    schedule = getattr(optim, kind)(sgd(0.3, 0.7), **KINDS[kind])
    found = rates(schedule, 40)
    expected = [[schedule.lr_at(base, t) for base in (0.3, 0.7)] for t in range(40)]
    np.testing.assert_array_equal(found, expected)


def test_a_new_schedule_starts_from_a_rate_that_was_set_by_hand():
    optimizer = sgd(0.1)
    optim.StepLR(optimizer, 1)
    optimizer.param_groups[0]["lr"] = 1.0
    np.testing.assert_allclose(rates(optim.StepLR(optimizer, 2, 0.5), 4)[:, 0], [1, 1, 0.5, 0.5])


def test_a_rate_set_by_hand_is_gone_on_from():
    optimizer = sgd(1.0, 1.0)
    schedule = optim.StepLR(optimizer, 2, 0.1)
    schedule.step()
    optimizer.param_groups[1]["lr"] = 5.0
    np.testing.assert_allclose(rates(schedule, 5), [[1, 5], [0.1, 0.5], [0.1, 0.5], [0.01, 0.05], [0.01, 0.05]])


@pytest.mark.parametrize("end", [0, 0.5])
def test_a_linear_schedule_at_its_end_leaves_the_rate_alone(end):
    optimizer = sgd(1.0)
    schedule = optim.LinearLR(optimizer, 1, end, 2)
    rates(schedule, 3)
    optimizer.param_groups[0]["lr"] = 3.0
    np.testing.assert_array_equal(rates(schedule, 3)[:, 0], [3, 3, 3])


def test_a_gamma_of_nothing():
    optimizer = sgd(1.0)
    schedule = optim.StepLR(optimizer, 2, 0)
    np.testing.assert_array_equal(rates(schedule, 3)[:, 0], [1, 1, 0])
    optimizer.param_groups[0]["lr"] = 3.0
    np.testing.assert_array_equal(rates(schedule, 3)[:, 0], [3, 0, 0])


# ---- one after another -----------------------------------------------------------------------------------------------


def in_turn(optimizer):
    parts = [
        optim.LinearLR(optimizer, 0.5, 1.0, 2),
        optim.StepLR(optimizer, 2, 0.1),
        optim.CosineAnnealingLR(optimizer, 4),
    ]
    return optim.SequentialLR(optimizer, parts, milestones=[2, 5])


def test_a_sequence_goes_on_from_a_rate_set_by_hand_until_the_next_milestone():
    optimizer = sgd(1.0)
    schedule = in_turn(optimizer)
    rates(schedule, 3)  # now at 3
    optimizer.param_groups[0]["lr"] = 4.0
    np.testing.assert_allclose(rates(schedule, 3)[:, 0], [4, 0.4, 1])
    optimizer.param_groups[0]["lr"] = 2.0  # at 6, the second step of the cosine
    schedule.step()
    np.testing.assert_allclose(schedule.get_last_lr(), [2 * 0.5 / ((1 + np.sqrt(0.5)) / 2)])


def test_a_sequence_beside_another_schedule():
    optimizer = sgd(1.0)
    schedules = in_turn(optimizer), optim.StepLR(optimizer, 1, 0.5)
    np.testing.assert_allclose(both(*schedules, 5), [0.5, 0.375, 0.5, 0.25, 0.0125])


def test_a_sequence_in_a_sequence():
    optimizer = sgd(1.0)
    schedule = optim.SequentialLR(optimizer, [optim.StepLR(optimizer, 1, 0.5), in_turn(optimizer)], [2])
    np.testing.assert_allclose(rates(schedule, 8)[:, 0], [1, 0.5, 0.5, 0.75, 1, 1, 0.1, 1])


def test_a_sequence_starts_from_the_first_rate():
    """As in PyTorch: its parts have changed the rate when they were made, and a sequence undoes that."""
    optimizer = sgd(1.0)
    optimizer.param_groups[0]["lr"] = 1.0
    assert in_turn(optimizer).get_last_lr() == [0.5]


def test_the_list_of_schedules_is_ones_own():
    optimizer = sgd(1.0)
    parts = [optim.StepLR(optimizer, 1), optim.StepLR(optimizer, 2)]
    schedule = optim.SequentialLR(optimizer, tuple(parts), (3,))
    parts.clear()
    assert len(rates(schedule, 5)) == 5


# ---- resuming --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (1, 2)])
def test_schedules_together_go_on_where_they_were(order):
    """Loaded in any order, also without the optimizer's state, and without another step of a multiplication."""

    def fresh():
        optimizer = sgd(0.1)
        return optimizer, optim.LinearLR(optimizer, 0.1, 1.0, 4), optim.StepLR(optimizer, 3)

    through, first, second = fresh(), fresh(), fresh()
    expected = both(*through[1:], 9)
    assert both(*first[1:], 5) == expected[:5]
    states = [part.state_dict() for part in first]
    for i in order:
        second[i].load_state_dict(states[i])
    assert both(*second[1:], 4) == expected[5:]


def test_a_rate_set_by_hand_is_in_the_state():
    optimizer, other = sgd(1.0), sgd(1.0)
    schedule, twin = optim.StepLR(optimizer, 2), optim.StepLR(other, 2)
    optimizer.param_groups[0]["lr"] = 3.0
    twin.load_state_dict(schedule.state_dict())
    assert twin.get_last_lr() == [3.0]


def test_a_copy_of_a_schedule_moves_the_copy_of_its_optimizer():
    optimizer = sgd(1.0)
    schedule = optim.StepLR(optimizer, 1)
    twin = copy.deepcopy(schedule)
    twin.step()
    assert (optimizer.param_groups[0]["lr"], twin.optimizer.param_groups[0]["lr"]) == (1.0, 0.1)


# ---- what is refused -------------------------------------------------------------------------------------------------

STATE = {"last_epoch": 1, "base_lrs": [0.5], "_last_lr": [0.05]}


@pytest.mark.parametrize(
    "change",
    [{"last_epoch": -5}, {"last_epoch": 2.5}, {"last_epoch": "1"}, {"last_epoch": None}, {"base_lrs": 0.5},
     {"base_lrs": ["a"]}, {"base_lrs": [-1]}, {"base_lrs": [np.nan]}, {"base_lrs": [None]}, {"base_lrs": []},
     {"base_lrs": [0.1, 0.1]}, {"_last_lr": [np.inf]}, {"_last_lr": [0.1, 0.1]}, {"_last_lr": "a"}, {"_last_lr": None},
     {"base_lrs": np.ones((1, 1))}, {"base_lrs": "0"}],
)  # fmt: skip
@pytest.mark.parametrize("kind", [*KINDS, "SequentialLR"])
def test_a_state_of_wrong_values_is_refused_and_changes_nothing(kind, change):
    optimizer = sgd(0.5)
    schedule = in_turn(optimizer) if kind == "SequentialLR" else getattr(optim, kind)(optimizer, **KINDS[kind])
    before = schedule.state_dict()
    schedule.load_state_dict(STATE)
    schedule.load_state_dict(before)
    with pytest.raises(ValueError, match=rf"^{kind}.load_state_dict: .*; (it|they) must be"):
        schedule.load_state_dict(STATE | change)
    assert schedule.state_dict() == before


def test_a_schedule_of_another_optimizer_is_refused():
    optimizer = sgd(1.0)
    for parts, words in (
        (
            [optim.StepLR(optimizer, 1), optim.StepLR(sgd(1.0), 1)],
            "schedule 1 is of another optimizer; it must be of this",
        ),
        ([optim.StepLR(optimizer, 1), 3], "schedule 1 is a int; it must be a schedule"),
        (3, "schedulers is a int; it must be a list"),
    ):
        with pytest.raises((ValueError, TypeError), match=f"SequentialLR: {words}"):
            optim.SequentialLR(optimizer, parts, [1])
    for milestones in ([2.5], ["a"], [None], [-1], 3, None):
        with pytest.raises((ValueError, TypeError), match=r"SequentialLR: .*must be"):
            optim.SequentialLR(optimizer, [optim.StepLR(optimizer, 1)] * 2, milestones)


@pytest.mark.parametrize(
    ("kind", "settings", "words"),
    [
        ("StepLR", {"step_size": 2, "gamma": "a"}, "gamma is 'a'"),
        ("StepLR", {"step_size": 2, "gamma": -1}, "gamma is -1"),
        ("StepLR", {"step_size": 2, "gamma": np.nan}, "gamma is nan"),
        ("StepLR", {"step_size": 2.5}, r"step_size is 2\.5"),
        ("CosineAnnealingLR", {"T_max": 2, "eta_min": "a"}, "eta_min is 'a'"),
        ("CosineAnnealingLR", {"T_max": 2, "eta_min": -0.1}, r"eta_min is -0\.1"),
        ("LinearLR", {"start_factor": 0}, "start_factor is 0"),
        ("LinearLR", {"start_factor": 2}, "start_factor is 2"),
        ("LinearLR", {"start_factor": None}, "start_factor is None"),
        ("LinearLR", {"end_factor": -1}, "end_factor is -1"),
        ("LinearLR", {"end_factor": 1.5}, r"end_factor is 1\.5"),
        ("LambdaLR", {"factor": lambda t: None}, "factor gave None at 0"),
        ("LambdaLR", {"factor": lambda t: "a"}, "factor gave 'a' at 0"),
        ("LambdaLR", {"factor": lambda t: np.ones(2)}, "factor gave array"),
        ("LambdaLR", {"factor": lambda t: -1}, "the learning rate at 0 is -0"),
    ],
)
def test_settings_out_of_range_change_no_rate(kind, settings, words):
    optimizer = sgd(0.1)
    with pytest.raises((ValueError, TypeError), match=f"{kind}: {words}.*must be"):
        getattr(optim, kind)(optimizer, **settings)
    assert "initial_lr" not in optimizer.param_groups[0]
    assert optimizer.param_groups[0]["lr"] == 0.1


def test_a_group_that_was_added_since():
    optimizer = sgd(1.0)
    schedule = optim.StepLR(optimizer, 1)
    optimizer.param_groups.append(optimizer.param_groups[0] | {"params": [Parameter(np.ones(1))]})
    with pytest.raises(ValueError, match="StepLR: the rates are of 1 groups, and the optimizer has 2; they must be"):
        schedule.step()
    assert schedule.get_last_lr() == [1.0, 1.0]

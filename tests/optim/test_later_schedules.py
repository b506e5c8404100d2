"""Warm-up, milestones, one cycle: PyTorch's rates and momenta, beside others, one after another, and resumed."""

import numpy as np
import pytest

from minidl import checkpoint, optim
from minidl.nn import Parameter
from tests.helpers import golden
from tests.optim.test_optim import rates, sgd


def warm_up(optimizer):
    parts = [optim.LinearLR(optimizer, 0.2, 1.0, 5), optim.CosineAnnealingLR(optimizer, 10, 0.01)]
    return optim.SequentialLR(optimizer, parts, [5])


def three(optimizer):
    parts = [
        optim.ExponentialLR(optimizer, 0.9), optim.MultiStepLR(optimizer, [2, 4], 0.5),
        optim.LinearLR(optimizer, 1.0, 0.1, 6),
    ]  # fmt: skip
    return optim.SequentialLR(optimizer, parts, [3, 9])


MAKERS = {
    "ExponentialLR": lambda optimizer: optim.ExponentialLR(optimizer, 0.9),
    "MultiStepLR": lambda optimizer: optim.MultiStepLR(optimizer, [12, 8, 3, 8], 0.5),
    "OneCycleLR": lambda optimizer: optim.OneCycleLR(optimizer, 0.3, total_steps=15),
    "OneCycleLR-linear": lambda optimizer: optim.OneCycleLR(
        optimizer, 0.3, epochs=3, steps_per_epoch=5, pct_start=0.5, anneal_strategy="linear", base_momentum=0.7
    ),
    "OneCycleLR-three": lambda optimizer: optim.OneCycleLR(
        optimizer, 0.3, total_steps=15, three_phase=True, div_factor=10.0, final_div_factor=100.0, cycle_momentum=False
    ),
    "SequentialLR": warm_up,
    "SequentialLR-three": three,
}


def fresh():
    return optim.SGD([Parameter(np.zeros(1))], lr=0.5, momentum=0.9)


@pytest.mark.parametrize("case", golden("later_schedules"))
def test_as_pytorchs(case):
    """Also from a rate that is set by hand on the way."""
    expected, optimizer = golden("later_schedules")[case], fresh()
    schedule, lrs, momenta = MAKERS[case.removesuffix("-by-hand")](optimizer), [], []
    for step in range(15):
        lrs.append(optimizer.param_groups[0]["lr"])
        momenta.append(optimizer.param_groups[0]["momentum"])
        if case.endswith("by-hand") and step == 4:
            optimizer.param_groups[0]["lr"] *= 2
        schedule.step()
    np.testing.assert_allclose(lrs, expected["lrs"], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(momenta, expected["momenta"], rtol=1e-12)


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("through", ["dict", "file"])
def test_goes_on_where_it_was(name, through, tmp_path):
    through_all = rates(MAKERS[name](fresh()), 15)
    schedule = MAKERS[name](fresh())
    rates(schedule, 6)
    state = schedule.state_dict()
    if through == "file":
        checkpoint.save(tmp_path / "schedule.npz", state)
        state = checkpoint.load(tmp_path / "schedule.npz")[0]
    other = fresh()
    second = MAKERS[name](other)
    second.load_state_dict(state)
    assert other.param_groups[0]["momentum"] == schedule.optimizer.param_groups[0]["momentum"]
    np.testing.assert_array_equal(rates(second, 9), through_all[6:])


def test_schedules_beside_each_other_multiply():
    optimizer = sgd(1.0)
    warm, drops, decay = (
        optim.LinearLR(optimizer, 0.5, 1.0, 2), optim.MultiStepLR(optimizer, [3]), optim.ExponentialLR(optimizer, 0.5)
    )  # fmt: skip
    seen = []
    for _ in range(5):
        seen += warm.get_last_lr()
        for schedule in (warm, drops, decay):
            schedule.step()
    np.testing.assert_allclose(seen, [0.5, 0.375, 0.25, 0.0125, 0.00625])


def test_gammas_of_nothing():
    optimizer = sgd(1.0)
    schedule = optim.MultiStepLR(optimizer, [1], 0)
    np.testing.assert_array_equal(rates(schedule, 2)[:, 0], [1, 0])
    optimizer.param_groups[0]["lr"] = 3.0
    np.testing.assert_array_equal(rates(schedule, 2)[:, 0], [3, 3])  # no other milestone
    np.testing.assert_array_equal(rates(optim.ExponentialLR(sgd(1.0), 0), 3)[:, 0], [1, 0, 0])


def test_no_milestones():
    np.testing.assert_array_equal(rates(optim.MultiStepLR(sgd(1.0), []), 3)[:, 0], [1, 1, 1])


# ---- one cycle ---------------------------------------------------------------------------------------------------------


def test_one_cycle_turns_the_first_of_adams_betas():
    optimizer = optim.AdamW([Parameter(np.zeros(1))], betas=(0.5, 0.9))
    schedule, seen = optim.OneCycleLR(optimizer, 0.1, total_steps=11, pct_start=0.5), []
    for _ in range(11):
        seen.append(optimizer.param_groups[0]["betas"])
        schedule.step()
    assert {second for _, second in seen} == {0.9}
    np.testing.assert_allclose([seen[0][0], seen[10][0]], 0.95, rtol=1e-12)
    assert min(first for first, _ in seen) >= 0.85


def test_each_group_has_its_largest_rate():
    schedule = optim.OneCycleLR(sgd(9.0, 9.0), [0.1, 0.2], total_steps=11, pct_start=6 / 11)
    found = rates(schedule, 11)
    np.testing.assert_allclose(found.max(0), [0.1, 0.2])
    np.testing.assert_allclose(found[0], [0.004, 0.008])
    np.testing.assert_allclose(found[-1], [0.004e-4, 0.008e-4])


@pytest.mark.parametrize("settings", [
    {"total_steps": 1}, {"total_steps": 2, "pct_start": 0.5}, {"total_steps": 10, "pct_start": 0.0},
    {"total_steps": 10, "pct_start": 1.0}, {"total_steps": 10, "pct_start": 0.1}, {"total_steps": 2, "three_phase": True},
    {"total_steps": 10, "pct_start": 1.0, "three_phase": True},
])  # fmt: skip
@pytest.mark.parametrize("strategy", ["cos", "linear"])
def test_short_cycles_stay_within_their_bounds(settings, strategy):
    schedule = optim.OneCycleLR(sgd(1.0), 0.5, anneal_strategy=strategy, **settings)
    found = rates(schedule, settings["total_steps"])
    assert found.min() >= 0.5 / 25 / 1e4
    assert found.max() <= 0.5


def test_a_step_too_many_is_refused_and_not_taken():
    optimizer = fresh()
    schedule = optim.OneCycleLR(optimizer, 0.3, total_steps=3)
    rates(schedule, 3)
    before, group = schedule.state_dict(), dict(optimizer.param_groups[0])
    with pytest.raises(ValueError, match="OneCycleLR: step 4 is after the last of 3; total_steps must be larger"):
        schedule.step()
    assert schedule.state_dict() == before
    assert optimizer.param_groups[0] == group


def test_a_cycle_that_is_refused_changes_nothing():
    optimizer = fresh()
    before = dict(optimizer.param_groups[0])
    for settings in ({}, {"total_steps": 5, "pct_start": 2}, {"total_steps": 5, "max_lr": [1, 2]},
                     {"total_steps": 5, "max_lr": "a"}, {"total_steps": 5, "max_lr": np.nan}):  # fmt: skip
        with pytest.raises(ValueError, match="OneCycleLR: "):
            optim.OneCycleLR(optimizer, **{"max_lr": 0.3} | settings)
    assert optimizer.param_groups[0] == before

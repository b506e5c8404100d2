"""ReduceLROnPlateau: PyTorch's rates for any measurements, resumed, and refused without a change."""

import itertools

import numpy as np
import pytest

from minidl import Tensor, checkpoint, optim
from minidl.nn import Parameter
from tests.optim.test_optim import sgd

METRICS = [
    1.0,
    0.9,
    0.9,
    0.95,
    np.nan,
    0.9,
    0.89999,
    0.8,
    0.81,
    0.81,
    0.81,
    0.82,
    0.83,
    0.5,
    0.5,
    np.inf,
    0.5,
    0.5,
    -1.0,
    -1.0,
]


def rates_of(schedule, metrics):
    seen = []
    for value in metrics:
        schedule.step(value)
        seen.append(schedule.get_last_lr())
    return seen


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("settings", [
    {}, {"patience": 0}, {"patience": 1, "threshold": 0.01, "factor": 0.5}, {"patience": 1, "threshold_mode": "abs"},
    {"patience": 0, "cooldown": 2, "min_lr": 0.02}, {"patience": 1, "threshold": 0.2, "threshold_mode": "abs", "eps": 0.05},
])  # fmt: skip
def test_as_pytorchs(settings, mode):
    torch = pytest.importorskip("torch")
    theirs = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    scheduler, expected = torch.optim.lr_scheduler.ReduceLROnPlateau(theirs, mode, **settings), []
    schedule = optim.ReduceLROnPlateau(sgd(0.5), mode, **settings)
    for value in METRICS:
        scheduler.step(value)
        expected.append([theirs.param_groups[0]["lr"]])
    np.testing.assert_allclose(rates_of(schedule, METRICS), expected, rtol=1e-12)
    assert (schedule.best, schedule.num_bad_epochs) == (scheduler.best, scheduler.num_bad_epochs)


def test_by_hand():
    """The best is 1; two calls that are not better are borne, the third drops the rates, each to its least."""
    schedule = optim.ReduceLROnPlateau(sgd(1.0, 0.3), patience=2, min_lr=[0.0, 0.2])
    seen = rates_of(schedule, [1, 1, 1, 1, 0.5])
    assert seen == [[1.0, 0.3]] * 3 + [[0.1, 0.2]] * 2
    schedule.step(Tensor(0.4))
    assert schedule.best == pytest.approx(0.4)


@pytest.mark.parametrize("through", ["dict", "file"])
def test_goes_on_where_it_was(through, tmp_path):
    whole = rates_of(optim.ReduceLROnPlateau(sgd(0.5), patience=1, cooldown=1), METRICS)
    for stop in range(0, len(METRICS), 3):
        first, second = (optim.ReduceLROnPlateau(sgd(0.5), patience=1, cooldown=1) for _ in range(2))
        rates_of(first, METRICS[:stop])
        state = first.state_dict()
        if through == "file":
            checkpoint.save(tmp_path / "schedule.npz", state)
            state = checkpoint.load(tmp_path / "schedule.npz")[0]
        second.load_state_dict(state)
        assert rates_of(second, METRICS[stop:]) == whole[stop:]


def test_what_is_refused_changes_nothing():
    optimizer = sgd(0.5)
    schedule = optim.ReduceLROnPlateau(optimizer, patience=1)
    rates_of(schedule, [1, 2])
    before = schedule.state_dict()
    wrong = [{"best": "a"}, {"best": None}, {"_last_lr": [0.1, 0.1]}, {"_last_lr": [-1]}, {"_last_lr": 0.1},
             {"last_epoch": -1}, {"num_bad_epochs": 0.5}, {"cooldown_counter": None}]  # fmt: skip
    for state in itertools.chain((before | change for change in wrong), ({}, None, 3)):
        with pytest.raises(ValueError, match=r"^ReduceLROnPlateau.load_state_dict: .*must be"):
            schedule.load_state_dict(state)
        assert schedule.state_dict() == before
    for metrics in (None, "low", np.ones(2), [1]):
        with pytest.raises(TypeError, match=r"ReduceLROnPlateau: metrics is a .*; it must be a number"):
            schedule.step(metrics)
        assert schedule.state_dict() == before
    optimizer.add_param_group({"params": Parameter(np.ones(1))})
    with pytest.raises(
        ValueError, match="ReduceLROnPlateau: the rates are of 1 groups, and the optimizer has 2; they must"
    ):
        schedule.step(1.0)
    assert schedule.last_epoch == 2

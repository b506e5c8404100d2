"""What the trained claims share: a fair split, equal batches, tuning that never sees the results' seeds or images."""

import inspect

import numpy as np
import pytest

from minidl import nn
from minidl.lab.models import paper_mlp
from minidl.lab.paper import _training
from minidl.lab.paper._training import (
    GRID,
    best_arm,
    draws,
    finals,
    marks,
    rate,
    raw,
    score,
    split,
    subset,
    train,
    tune,
)
from minidl.lab.study.claim import Result, Run, Scale
from tests.lab.paper.synthetic import bars

ARMS = {"a": {"norm": "batch"}, "b": {"norm": "none"}}


def test_the_split_keeps_validation_apart():
    digits = bars()
    (images, labels), (held, held_labels), test = raw(digits)
    assert (len(labels), len(held_labels)) == (440, 40)
    known = {image.tobytes() for image in images}
    assert not known & {image.tobytes() for image in held}
    assert test is digits.test
    data = split(digits)
    assert data.x.shape == (440, 784)
    assert data.x_validation.shape == (40, 784)
    np.testing.assert_array_equal(data.x_test, digits.test.images.reshape(100, -1) > 127)
    assert split(digits) is data


def test_subsets_are_drawn_by_the_seed():
    data = split(bars())
    first, again, other = (subset(data, 50, seed) for seed in (0, 0, 1))
    assert first.x.shape == (50, 784)
    np.testing.assert_array_equal(first.x, again.x)
    assert not np.array_equal(first.y, other.y)
    assert first.x_test is data.x_test


def test_batches_are_the_same_for_equal_seeds():
    data = split(bars())
    one, two, other = (next(draws(data, 20, seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one[0], two[0])
    assert not np.array_equal(one[0], other[0])


def test_training_learns_looks_and_stops_where_it_diverges():
    data = split(bars())
    seen = []
    model = paper_mlp("batch", generator=np.random.default_rng(0))
    assert train(model, draws(data, 20, 0), 0.5, 60, lambda step, loss: seen.append((step, loss)), marks(60, 3)) is None
    assert [step for step, _ in seen] == [0, 20, 40, 60]
    assert seen[-1][1] < seen[0][1]
    result = score(model, data)
    assert result["test"] > 0.5
    assert result["diverged"] is None
    model = paper_mlp("none", activation=nn.ReLU)
    step = train(model, draws(data, 20, 0), 1e10, 60)
    assert 0 < step < 60
    assert score(model, data, step) == {"train": 0.1, "validation": 0.1, "test": 0.1, "diverged": step}


def test_looking_does_not_change_training():
    data = split(bars())
    states = []
    for at in ((), (0, 5, 9)):
        model = paper_mlp("batch", generator=np.random.default_rng(0))
        train(model, draws(data, 20, 0), 0.5, 9, lambda step, loss: None, at)
        states.append(model.state_dict())
    # the running statistics differ by nothing either: each batch is seen once
    assert all(np.array_equal(states[0][name], states[1][name]) for name in states[0])


def follow(plan, accuracy):
    """Answers a plan by accuracy(arm, lr) or (arm, lr, seed); returns each stage of them, and the result."""
    stages, answer = [], None
    while True:
        try:
            stages.append(plan.send(answer))
        except StopIteration as stop:
            return stages, stop.value
        names = list(inspect.signature(accuracy).parameters)
        answer = Result(tuple(Run(c, {"validation": accuracy(*(c[name] for name in names))}) for c in stages[-1]))


def test_tuning_tries_the_grid_and_confirms_the_two_best():
    best_at = {"a": 0.5, "b": 8.0}
    stages, tuned = follow(tune(ARMS, Scale()), lambda arm, lr: -abs(np.log(lr / best_at[arm] / 1.1)))
    tried = [{(c["arm"], c["lr"], c["seed"]) for c in stage} for stage in stages]
    assert tried[0] == {(arm, lr, seed) for arm in ARMS for lr in GRID for seed in (1000, 1001)}
    confirmed = {("a", 0.5), ("a", 2.0), ("b", 8.0), ("b", 32.0)}
    assert tried[1] == {(*pair, seed) for pair in confirmed for seed in (1002, 1003, 1004)}
    assert {arm: rate(tuned, arm) for arm in ARMS} == best_at


def test_a_rate_that_fails_for_other_seeds_is_not_chosen():
    def accuracy(arm, lr, seed):
        return {2.0: 0.90, 8.0: 0.91 if seed < 1002 else 0.1}.get(lr, 0.5)

    _, tuned = follow(tune(ARMS, Scale()), accuracy)
    assert rate(tuned, "a") == 2.0


def test_a_rate_that_was_not_confirmed_is_not_chosen():
    def accuracy(arm, lr, seed):
        return {0.5: 0.89, 2.0: 0.90, 8.0: 0.91}.get(lr, 0.5) - (0.1 if seed > 1001 else 0)

    _, tuned = follow(tune(ARMS, Scale()), accuracy)
    assert rate(tuned, "a") == 8.0  # though the mean for 0.5 is the highest


def test_the_smaller_of_two_rates_that_are_about_as_good_is_chosen():
    def accuracy(arm, lr, seed):
        return {2.0: 0.90, 8.0: 0.901 + (0.02 if seed % 2 else -0.02)}.get(lr, 0.5)

    _, tuned = follow(tune(ARMS, Scale()), accuracy)
    assert tuned.values("validation", arm="a", lr=8.0).mean() < 0.91
    assert rate(tuned, "a") == 2.0


def test_the_best_arm_is_the_one_that_is_best_at_its_own_rate():
    def accuracy(arm, lr):
        return {("a", 2.0): 0.8, ("b", 0.5): 0.9}.get((arm, lr), 0.1)

    _, tuned = follow(tune(ARMS, Scale()), accuracy)
    assert best_arm(tuned, ["a", "b"]) == "b"


def test_another_grid():
    stages, _ = follow(tune(ARMS, Scale(), (0.1, 0.2, 0.4, 0.8)), lambda arm, lr: lr)
    assert {c["lr"] for c in stages[0]} == {0.1, 0.2, 0.4, 0.8}
    stages, _ = follow(tune(ARMS, Scale(2, quick=True), (0.1, 0.2, 0.4, 0.8)), lambda arm, lr: lr)
    assert {c["lr"] for c in stages[0]} == {0.2, 0.4, 0.8}


def test_quick_tuning_is_one_stage():
    stages, _ = follow(tune(ARMS, Scale(2, quick=True)), lambda arm, lr: lr)
    assert len(stages) == 1
    assert len(stages[0]) == 6


def test_results_have_their_own_seeds():
    stages, tuned = follow(tune(ARMS, Scale()), lambda arm, lr: lr)
    configs = finals(ARMS, tuned, range(5))
    assert not {c["seed"] for stage in stages for c in stage} & {c["seed"] for c in configs}
    assert [(c["arm"], c["stage"], c["norm"]) for c in configs[::5]] == [
        ("a", "final", "batch"),
        ("b", "final", "none"),
    ]


def test_tuning_does_not_look_at_the_test_images(monkeypatch):
    runs = tuple(
        Run({"arm": "a", "stage": "tune", "lr": lr, "seed": 0}, {"validation": validation, "test": 1 - validation})
        for lr, validation in ((0.5, 0.9), (2.0, 0.8))
    )
    assert rate(Result(runs), "a") == 0.5


@pytest.mark.parametrize("n", [1, 24, 300])
def test_batch_statistics_for_evaluation_come_from_the_training_images(n, monkeypatch):
    seen = []
    monkeypatch.setattr(_training, "update_bn", lambda loader, model: seen.extend(loader))
    data = split(bars())
    _training.settle(None, data._replace(x=data.x[:n], y=data.y[:n]))
    assert sum(map(len, seen)) == n

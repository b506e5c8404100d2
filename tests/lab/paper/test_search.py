"""The search for settings: every arm goes the whole way, and the best is found where it is."""

import math

import pytest

from minidl.lab.paper._search import DECAYS, SEEDS, STARTS, cells, chosen, search
from minidl.lab.study.claim import Result, Run, Scale

RATES = (0.01, 0.02, 0.04, 0.08)


def follow(plan, accuracy):
    """Answer a plan by accuracy(arm, lr, decay, start, seed); returns its stages, and the result."""
    stages, answer = [], None
    names = "arm", "lr", "decay", "start", "seed"
    while True:
        try:
            stages.append(plan.send(answer))
        except StopIteration as stop:
            return stages, stop.value
        answer = Result(tuple(Run(c, {"validation": accuracy(*(c[name] for name in names))}) for c in stages[-1]))


def peak(at, decay=DECAYS[0], start=STARTS[0]):
    """An accuracy that is best there, with any seed."""

    def accuracy(arm, lr, own_decay, own_start, seed):
        off = abs(math.log2(lr / at)) / 20
        return 0.7 - off - 0.05 * (own_decay != decay) - 0.05 * (own_start != start) + seed / 1e6

    return accuracy


def arms(rates=RATES, decays=DECAYS, starts=STARTS, *names):
    return {name: ({"setting": name}, rates, decays, starts) for name in names or ("one",)}


@pytest.mark.parametrize("at", [0.02, 0.04])
@pytest.mark.parametrize("decay", DECAYS)
@pytest.mark.parametrize("start", STARTS)
def test_the_peak_is_found(at, decay, start):
    _, found = follow(search(arms(), Scale()), peak(at, decay, start))
    assert chosen(found, "one") == {"lr": at, "decay": decay, "start": start}


@pytest.mark.parametrize(("at", "tried"), [(0.00125, {0.005, 0.0025, 0.00125}), (0.64, {0.16, 0.32, 0.64})])
def test_a_grid_grows_where_the_best_is_at_its_edge(at, tried):
    _, found = follow(search(arms(decays=DECAYS[:1], starts=STARTS[:1]), Scale()), peak(at))
    assert {lr for lr, _, _ in cells(found, "one")} == {*RATES, *tried}
    assert chosen(found, "one")["lr"] == at


def test_a_grid_does_not_grow_forever():
    _, found = follow(search(arms(decays=DECAYS[:1], starts=STARTS[:1]), Scale()), lambda arm, lr, *_: lr)
    assert max(lr for lr, _, _ in cells(found, "one")) == 0.64


def test_the_two_best_get_more_seeds_and_one_that_fails_there_is_not_chosen():
    def accuracy(arm, lr, decay, start, seed):
        return {0.02: 0.6, 0.04: 0.7 if seed == SEEDS[0] else 0.1}.get(lr, 0.3)

    stages, found = follow(search(arms(decays=DECAYS[:1], starts=STARTS[:1]), Scale()), accuracy)
    assert {(c["lr"], c["seed"]) for c in stages[-1]} == {(lr, seed) for lr in (0.02, 0.04) for seed in SEEDS[1:]}
    assert chosen(found, "one")["lr"] == 0.02
    assert all(len(values) in (1, 3) for values in cells(found, "one").values())


def test_a_cell_with_fewer_seeds_is_not_chosen():
    def accuracy(arm, lr, decay, start, seed):
        return {0.02: 0.6, 0.04: 0.7, 0.01: 0.59}.get(lr, 0.3) - 0.2 * (seed != SEEDS[0])

    _, found = follow(search(arms(decays=DECAYS[:1], starts=STARTS[:1]), Scale()), accuracy)
    assert chosen(found, "one")["lr"] == 0.04  # though 0.01 has the highest mean


def test_arms_go_side_by_side_and_as_far():
    stages, found = follow(search(arms(RATES, DECAYS, STARTS, "one", "two"), Scale()), peak(0.02))
    assert len(stages) == 4
    for stage in stages:
        of = {
            name: [(c["lr"], c["decay"], c["start"], c["seed"]) for c in stage if c["arm"] == name]
            for name in ("one", "two")
        }
        assert of["one"] == of["two"]
    assert all(c["setting"] == c["arm"] and c["stage"] == "tune" for stage in stages for c in stage)
    keys = [tuple(sorted(c.items())) for stage in stages for c in stage]
    assert len(set(keys)) == len(keys)
    assert len(keys) == 2 * (4 + 4 + 3 + 4)
    assert len(found.runs) == len(keys)


def test_slower_decays_go_with_smaller_rates():
    stages, _ = follow(search(arms(), Scale()), peak(0.02))
    assert {(c["decay"], c["lr"]) for c in stages[1]} == {(1 / 4, 0.01), (1 / 4, 0.02), (1 / 64, 0.02), (1 / 64, 0.04)}


def test_quick_is_two_rates_and_one_seed():
    stages, found = follow(search(arms(), Scale(2, quick=True)), peak(0.02))
    assert [len(stage) for stage in stages] == [2]
    assert chosen(found, "one") == {"lr": 0.02, "decay": DECAYS[0], "start": STARTS[0]}

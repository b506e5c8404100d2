"""The claim `steps`: its plan, its runs on made-up photographs, and the same records wherever and however they are run."""

import json

import numpy as np
import pytest

from minidl import get_num_threads, nn, set_num_threads
from minidl.lab.paper import _steps_run, steps
from minidl.lab.paper._photos import split
from minidl.lab.paper._search import SEEDS
from minidl.lab.paper._steps_arms import ARMS, BASE, CHANGES, DECIDING, OTHERS, RETUNED, STACK, WATERFALLS, changed
from minidl.lab.paper._steps_run import run
from minidl.lab.paper._steps_verdict import LONG
from minidl.lab.photos import made_up
from minidl.lab.study.claim import Scale, plain
from minidl.lab.study.store import Store
from minidl.lab.study.sweep import conduct
from minidl.replay import Replay
from tests.lab.paper.made_up_steps import study

PHOTOS = made_up(200, 40)
CONFIG = BASE | {
    "network": "Inception", "arm": "plain", "stage": "final", "lr": 0.02, "decay": 1 / 16, "start": "He", "seed": 0,
    "steps": 6, "first": 4, "watched": 10, "width": 4,
}  # fmt: skip


@pytest.fixture(scope="module")
def whole():
    return study()


# ---- arms --------------------------------------------------------------------------------------------------------------


def test_bn_x5_is_the_plain_network_with_all_changes():
    assert changed(*CHANGES) == ARMS["BN-x5"]
    assert {name for change in CHANGES.values() for name in change} == set(BASE) - {"activation", "warmup"}
    assert all(BASE[name] != value for change in CHANGES.values() for name, value in change.items())


@pytest.mark.parametrize("fall", WATERFALLS, ids=["there", "back"])
def test_a_waterfall_makes_one_change_at_a_time(fall):
    settings = [(ARMS | OTHERS)[arm] for arm in fall.values()]
    assert (settings[0], settings[-1]) == (ARMS["plain"], ARMS["BN-x5"])
    for name, before, after in zip(list(fall)[1:], settings, settings[1:], strict=False):
        assert {k: v for k, v in after.items() if before[k] != v} == CHANGES[name]
    assert sorted(fall) == sorted(["plain", *CHANGES])


def test_the_two_waterfalls_are_each_other_reversed():
    there, back = (list(fall)[1:] for fall in WATERFALLS)
    assert there == back[::-1] == list(CHANGES)


def test_known_arms_are_not_run_twice():
    known = [json.dumps(arm, sort_keys=True) for name, arm in (ARMS | OTHERS).items() if "own" not in arm]
    assert len(set(known)) == len(known)
    assert {"BN", "BN × 5"} < set(WATERFALLS[0].values())
    assert {"bundle without BN", "bundle without BN × 5"} < set(WATERFALLS[1].values())


# ---- the plan ------------------------------------------------------------------------------------------------------------


def test_the_plan_runs_every_arm(whole):
    finals = whole.where(stage="final")
    assert set(finals.settings("arm")) == {*ARMS, *OTHERS, *RETUNED, *(f"stack: {arm}" for arm in STACK)}
    for arm in finals.settings("arm"):
        assert len(finals.where(arm=arm).runs) == (5 if arm in (*DECIDING, *RETUNED) else 3)
    assert whole.where(stage="long").settings("arm") == list(LONG)
    assert {r.config["steps"] for r in whole.where(stage="long").runs} == {4 * steps.STEPS}
    assert [r.config["members"] for r in whole.where(stage="ensemble").runs] == [6, 6]


def test_no_run_is_planned_twice_and_tuning_has_seeds_of_its_own(whole):
    keys = [json.dumps(r.config, sort_keys=True) for r in whole.runs]
    assert len(set(keys)) == len(keys)
    tuning = {r.config["seed"] for r in whole.where(stage="tune").runs}
    assert tuning == set(SEEDS)
    assert all(r.config["seed"] < min(SEEDS) for r in whole.runs if r.config["stage"] != "tune")


def test_rates_are_those_of_the_plain_network_times_a_factor_or_an_arms_own():
    def best(arm):  # another rate for each arm that is tuned
        return {"plain": 0.02, "BN, own rate": 0.08, "stack: plain": 0.01}.get(arm, 0.04)

    plan, answer, configs = steps.CLAIM.plan(Scale()), None, []
    from minidl.lab.study.claim import Result, Run

    while True:
        try:
            configs = plan.send(answer)
        except StopIteration:
            break
        records = [{"validation": -abs(np.log(c["lr"] / best(c["arm"]))) - (c.get("decay") != 1 / 64)} for c in configs]
        answer = Result(tuple(Run(plain(c), plain(r)) for c, r in zip(configs, records, strict=True)))
    lr = {c["arm"]: c["lr"] for c in configs if c["stage"] == "final"}
    assert [lr[arm] for arm in ("plain", "plain × 5", "BN × 30", "BN-x5")] == pytest.approx([0.02, 0.1, 0.6, 0.1])
    assert [lr[arm] for arm in ("BN, own rate", "tuned plain", "sigmoid")] == [0.08, 0.04, 0.04]
    assert [lr[f"stack: {arm}"] for arm in ("plain", "BN-x5")] == pytest.approx([0.01, 0.05])
    assert {c["decay"] for c in configs if c["arm"] in ("plain", "BN-x5", "tuned plain", "sigmoid")} == {1 / 64}


def test_the_longest_runs_come_first(whole):
    last = whole.runs[[r.config["stage"] for r in whole.runs].index("ensemble") :]
    lengths = [r.config["steps"] * r.config.get("members", 1) for r in last]
    assert lengths == sorted(lengths, reverse=True)


def test_the_whole_study_is_as_long_as_it_says(whole):
    """In runs of the usual length; the docstring of `plan` has the times."""
    length = sum(r.config["steps"] * r.config.get("members", 1) for r in whole.runs) / steps.STEPS
    assert length * 130 / 3600 / 2 < 6
    counted = {stage: len(whole.where(stage=stage).runs) for stage in ("tune", "final", "long")}
    assert counted["final"] == 110
    assert counted["long"] * 4 == 36
    assert 120 <= counted["tune"] <= 150


# ---- runs ----------------------------------------------------------------------------------------------------------------


def test_a_run_measures_at_its_times_and_at_the_end():
    record = run(CONFIG, PHOTOS)
    assert len(record["accuracy"]) == 3
    assert all(0 <= a <= 1 for a in [*record["accuracy"], record["validation"]])
    assert record["diverged"] is None
    assert json.loads(json.dumps(plain(record))) == plain(record)


def test_equal_configurations_give_equal_records_on_any_number_of_threads():
    threads, records = get_num_threads(), []
    for config in (CONFIG, CONFIG | {"norm": "batch", "dropout": False, "start": "standardised"}):
        for n in {1, threads}:
            set_num_threads(n)
            records.append(run(config, PHOTOS))
        set_num_threads(threads)
        assert all(record == records[-1] for record in records[-len({1, threads}) :])
    assert records[0] != records[-1]


def test_measuring_does_not_disturb():
    many, one = (run(CONFIG | {"first": first, "dropout": False, "norm": "batch"}, PHOTOS) for first in (2, 6))
    assert many["accuracy"][-1] == one["accuracy"][-1]
    assert many["validation"] == one["validation"]
    assert len(many["accuracy"]) > len(one["accuracy"]) == 1


def test_a_run_that_diverges_is_at_chance_from_there():
    record = run(CONFIG | {"lr": 1e9}, PHOTOS)
    assert 0 < record["diverged"] < 6
    assert record["validation"] == 0.1
    assert record["accuracy"] == [0.1] * 3


def test_training_learns():
    config = CONFIG | {"network": "stack", "norm": "batch", "steps": 40, "first": 30, "lr": 0.05, "dropout": False}
    assert run(config | {"decay": 1.0, "reshuffled": True, "distortion": "weak"}, PHOTOS)["validation"] > 0.2


def rates(monkeypatch, **settings):
    """The learning rates of all steps, and the L2 of each group."""
    seen = []

    class Watched(_steps_run.SGD):
        def step(self):
            seen.append([(group["lr"], group["weight_decay"]) for group in self.param_groups])
            super().step()

    monkeypatch.setattr(_steps_run, "SGD", Watched)
    run(CONFIG | {"first": 6, **settings}, PHOTOS)
    return np.array(seen)


def test_the_rate_decays_exponentially_and_six_times_as_fast_in_the_bundle(monkeypatch):
    usual, fast = (rates(monkeypatch, steps=12, first=12, hurry=hurry) for hurry in (1, 6))
    np.testing.assert_allclose(usual[:, 0, 0], 0.02 * (1 / 16) ** (np.arange(12) / 12), rtol=1e-9)
    np.testing.assert_allclose(fast[:2, 0, 0], usual[[0, 6], 0, 0], rtol=1e-9)


def test_a_warm_up_is_linear(monkeypatch):
    warm = rates(monkeypatch, steps=8, first=8, decay=1.0, warmup=0.5)[:, 0, 0]
    np.testing.assert_allclose(warm, 0.02 * np.array([0.25, 0.5, 0.75, 1, 1, 1, 1, 1]), rtol=1e-9)


def test_only_weights_have_l2_and_the_bundle_a_fifth(monkeypatch):
    assert rates(monkeypatch)[0, :, 1].tolist() == [5e-4, 0]
    assert rates(monkeypatch, l2=0.2)[0, :, 1].tolist() == pytest.approx([1e-4, 0])


@pytest.mark.parametrize(
    ("config", "kinds"),
    [
        ({}, (0, 0, 1, 1)),
        ({"norm": "batch", "dropout": False}, (1, 0, 0, 1)),
        ({"activation": "sigmoid", "response": False}, (0, 1, 1, 0)),
        ({"network": "stack", "response": False}, (0, 0, 1, 0)),
    ],
)
def test_a_run_builds_the_network_that_it_is_asked_for(config, kinds):
    model = _steps_run._build(CONFIG | config, split(PHOTOS))
    found = {type(layer) for layer in model.modules()}
    from minidl.lab.paper._networks import Branches, LocalResponse

    wanted = (nn.BatchNorm, nn.Sigmoid, nn.Dropout, LocalResponse)
    assert tuple(int(kind in found) for kind in wanted) == kinds
    assert (Branches in found) == (config.get("network") != "stack")


def test_arms_share_their_start_and_a_standardised_one_is_another():
    def weights(**config):
        return [p.data for p in _steps_run._build(CONFIG | config, split(PHOTOS)).parameters() if p.ndim > 1]

    base = weights()
    for one, other in zip(base, weights(norm="batch", dropout=False, response=False, lr=3.0), strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(base[0], weights(seed=1)[0])
    assert not np.array_equal(base[0], weights(start="standardised")[0])


def test_the_stack_is_replayed_with_the_same_bits(monkeypatch):
    """Where a step can be: dropout is drawn anew, and branches are joined outside of kernels."""
    made = []

    class Watched(Replay):
        def __init__(self, model):
            super().__init__(model)
            made.append(self)

    class Plain(Replay):
        def __call__(self, inputs, targets):
            return self._plain_step(inputs, targets, "not wanted")

    config = CONFIG | {"network": "stack", "norm": "batch", "dropout": False, "response": False}
    monkeypatch.setattr(_steps_run, "Replay", Watched)
    replayed = run(config, PHOTOS)
    assert made[0].why_not is None
    monkeypatch.setattr(_steps_run, "Replay", Plain)
    assert run(config, PHOTOS) == replayed


def test_an_ensemble_averages_probabilities():
    record = run(CONFIG | {"stage": "ensemble", "members": 2, "first": 6, "norm": "batch"}, PHOTOS)
    alone = np.array([int(digit) for digit in record["alone"]])
    together = np.array([int(digit) for digit in record["together"]])
    assert len(alone) == len(together) == 40
    assert record["accuracy"][0] == pytest.approx(alone.mean() / 2)
    assert record["accuracy"][1] == pytest.approx(together.mean())
    assert together[alone == 0].sum() <= (alone == 0).sum()
    assert set(alone) <= {0, 1, 2}


def test_times_are_of_every_kind_of_network():
    record = run(CONFIG | {"stage": "time", "kinds": steps.KINDS, "steps": 2}, PHOTOS)
    assert len(record) == 8
    assert all(value > 0 for value in record.values())


# ---- all together --------------------------------------------------------------------------------------------------------


def test_quick_goes_from_the_grids_to_the_figure_and_continues_where_it_stopped(tmp_path, monkeypatch):
    import dataclasses

    from minidl.lab import plot

    done = []

    def counted(config, photos):
        done.append(config)
        if len(done) == 12:
            raise KeyboardInterrupt
        return run(config, photos)

    store = Store(tmp_path, "code")
    claim = dataclasses.replace(steps.CLAIM, run=counted)
    with pytest.raises(KeyboardInterrupt):
        conduct(claim, Scale(2, quick=True), store, load=lambda: PHOTOS, quiet=True)
    assert len(list(tmp_path.iterdir())) == 11
    result = conduct(claim, Scale(2, quick=True), store, load=lambda: PHOTOS, quiet=True)
    assert len(done) == len(result.runs) + 1  # all but the one that was stopped are done once
    verdict = steps.CLAIM.verdict(result)
    assert verdict.number.startswith("all changes ")
    assert steps.CLAIM.tables(result).count("\n| plain | ") == 4
    plot.save(steps.CLAIM.figure(result), tmp_path / "steps.png")
    assert (tmp_path / "steps.png").stat().st_size > 10_000

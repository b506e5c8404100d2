"""Internal covariate shift: both measures, at the same learning rate, judged."""

import numpy as np
import pytest

from minidl.lab.paper import ics
from minidl.lab.study.claim import Result, Run, Scale
from tests.lab.paper.synthetic import bars, finals, joined, result
from tests.lab.paper.test_training import follow

POINTS = ics.MARKS + 1


def study(drifts, changes):
    """(with BN, without) of each measure at the common rate 0.5; with BN is best at 2, where all is different."""
    arms = dict(zip(ics.ARMS, ((0.5, 0), (0.5, 1), (0.5, 0)), strict=True))
    given = finals("test", {arm: ({"lr": lr, "steps": 100}, 0.9) for arm, (lr, _) in arms.items()})
    elsewhere = finals("test", {"with BN": ({"lr": 2.0, "steps": 100}, 0.97)})
    for run in (*given.runs, *elsewhere.runs):
        none = arms[run.config["arm"]][1]
        odd = 50.0 if run.config["lr"] == 2.0 else 0.0
        for name, means in zip(ics.MEASURES, (drifts, drifts, changes, (1, 2)), strict=True):
            run.record[name] = [None, *[means[none] + odd + run.config["seed"] / 1000] * (POINTS - 1)]
    tuned = [
        ({"arm": arm, "stage": "tune", "lr": lr, "seed": 9}, {"validation": 0.5 + 0.1 * (lr == best)})
        for arm, best in zip(ics.ARMS, (2.0, 0.5, 0.5), strict=True)
        for lr in (0.5, 2.0)
    ]
    return joined(result(*tuned), given, elsewhere)


@pytest.mark.parametrize(
    ("drifts", "changes", "word"),
    [
        ((0.1, 0.3), (0.2, 0.4), "reproduced"),
        ((0.1, 0.3), (0.4, 0.4), "partly"),
        ((0.1, 0.3), (0.5, 0.4), "partly"),
        ((0.3, 0.3), (0.2, 0.4), "partly"),
        ((0.3, 0.3), (0.4, 0.4), "not at this scale"),
        ((0.3, 0.3), (0.5, 0.4), "contradicted"),
        ((0.4, 0.3), (0.5, 0.4), "contradicted"),
    ],
)
def test_verdicts(drifts, changes, word):
    assert ics.CLAIM.verdict(study(drifts, changes)).word == word


def test_every_arm_runs_at_its_own_rate_and_at_the_common_one():
    best = {"with BN": 2.0, "without BN": 0.5, "noise after BN": 0.5}
    stages, _ = follow(ics.plan(Scale(2)), lambda arm, lr: -abs(np.log(lr / best[arm])))
    assert {(c["arm"], c["lr"]) for c in stages[-1]} == {(arm, lr) for arm in best for lr in (0.125, 0.5, 2.0)}
    assert len(stages[-1]) == 3 * 3 * 2
    first = next(c["lr"] for c in stages[-1] if c["arm"] == "without BN")
    assert first == 0.5  # the common rate comes first


@pytest.mark.parametrize("norm", ["batch", "none", "noisy"])
def test_a_run_measures_and_still_learns(norm):
    config = {"norm": norm, "lr": 0.5, "seed": 0, "steps": 60}
    record = ics.run({**config, "stage": "final"}, bars())
    assert all(len(record[name]) == POINTS for name in ics.MEASURES)
    assert record["drift"][0] is None
    assert (record["drift"] == record["drift before"]) == (norm == "none")
    assert min(record["gradient change"]) > 0
    assert norm == "none" or record["test"] > 0.5


def test_measuring_does_not_change_what_batch_norm_learns():
    config = {"norm": "batch", "lr": 0.5, "seed": 0, "steps": 30}
    scores = [ics.run({**config, "stage": stage}, bars()) for stage in ("tune", "final")]
    assert scores[0]["test"] == scores[1]["test"]


def test_noise_makes_more_drift():
    runs = {
        n: ics.run({"norm": n, "lr": 0.1, "seed": 0, "steps": 60, "stage": "final"}, bars()) for n in ("batch", "noisy")
    }
    assert np.mean(runs["noisy"]["drift"][1:]) > 3 * np.mean(runs["batch"]["drift"][1:])


def test_drift_before_the_normalisation_counts():
    given = study((0.1, 0.3), (0.2, 0.4))
    for run in given.runs:
        if run.config["arm"] == "with BN" and run.config.get("stage") == "final":
            run.record["drift before"] = [None] + [0.9 + run.config["seed"] / 1000] * (POINTS - 1)
    verdict = ics.CLAIM.verdict(given)
    assert verdict.word == "partly"
    assert "smaller with BN in 2 and larger in 1 of 3 comparisons" in verdict.number


def test_every_common_rate_counts():
    given = study((0.1, 0.3), (0.2, 0.4))
    other = study((0.5, 0.3), (0.2, 0.4))
    slower = [Run({**run.config, "lr": 0.125}, run.record) for run in other.runs if run.config["lr"] == 0.5]
    slower = [run for run in slower if run.config["stage"] == "final"]
    verdict = ics.CLAIM.verdict(Result((*given.runs, *slower)))
    assert verdict.word == "partly"
    assert "larger in 2 of 6 comparisons" in verdict.number

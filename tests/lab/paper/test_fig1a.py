"""Figure 1(a): chosen on validation images, counted right, and judged."""

import numpy as np
import pytest

from minidl.lab.paper import fig1a
from minidl.lab.paper._training import raw
from minidl.lab.paper.fig1 import Settings, run_arm
from minidl.lab.study.claim import Scale
from tests.lab.paper.synthetic import bars, joined, result
from tests.lab.paper.test_training import follow

STEPS = 1000


NAMES = {"batch": "with BN", "none": "without BN"}


def study(cells):
    """{(norm, std, lr): (validation, test, steps to 95 %)}: tuning with those means; results differ by seed."""
    pairs = []
    for (norm, std, lr), (validation, test, reached) in cells.items():
        for seed in range(3):
            record = {
                "validation": validation, "test": test + seed / 1e4, "steps_to": reached and reached + seed,
                "steps": [0, STEPS], "curve": [0.1, test],
            }  # fmt: skip
            arm = {"arm": f"{NAMES[norm]}, std {std:g}", "norm": norm, "init_std": std, "lr": lr, "steps": STEPS}
            pairs.append(({**arm, "stage": "tune", "seed": 1000 + seed}, {**record, "test": 0.5}))
            pairs.append(({**arm, "stage": "final", "seed": seed}, {**record, "validation": 0.5}))
    return result(*pairs)


def four(best_batch, best_none, small_batch, small_none):
    """Cells (test, steps to 95 %) for the best setting and for small weights, with validation accuracies to match."""
    return study(
        {
            ("batch", 0.1, 2.0): (0.98, *best_batch),
            ("none", 0.1, 2.0): (0.98, *best_none),
            ("batch", 0.01, 2.0): (0.97, *small_batch),
            ("none", 0.01, 2.0): (0.97, *small_none),
        }
    )


SAME, AHEAD, BEHIND = (0.97, 500), (0.98, 200), (0.96, 900)


@pytest.mark.parametrize(
    ("cells", "word"),
    [
        ((AHEAD, SAME, SAME, SAME), "reproduced"),
        (((0.98, 500), SAME, SAME, SAME), "partly"),  # better, not faster
        ((SAME, SAME, AHEAD, SAME), "partly"),  # from small weights only
        ((SAME, AHEAD, AHEAD, BEHIND), "partly"),
        ((SAME, SAME, SAME, SAME), "not at this scale"),
        ((BEHIND, SAME, SAME, SAME), "contradicted"),
        ((SAME, SAME, SAME, AHEAD), "contradicted"),
        ((SAME, (0.97, None), SAME, SAME), "partly"),  # faster: the other never gets there
    ],
)
def test_verdicts(cells, word):
    assert fig1a.CLAIM.verdict(four(*cells)).word == word


def with_curves(**curves):
    """The usual study, in which the best networks have these curves, measured at 100, 200, 300 … steps."""
    given = four(AHEAD, SAME, SAME, SAME)
    for run in given.runs:
        name = NAMES[run.config["norm"]]
        if run.config["stage"] == "final" and run.config["init_std"] == 0.1:
            curve = curves[name.partition(" ")[0]]
            run.record.update(curve=curve, steps=[100 * (i + 1) for i in range(len(curve))])
    return given


def test_the_ratio_of_steps_is_told_for_every_target():
    found = fig1a.ratios(with_curves(**{"with": [0.9, 0.93, 0.94, 0.97], "without": [0.5, 0.9, 0.96, 0.965]}))
    assert {target: found[target].mean for target in (0.85, 0.9, 0.93, 0.95, 0.96)} == pytest.approx(
        {0.85: 2, 0.9: 2, 0.93: 1.5, 0.95: 0.75, 0.96: 0.75}
    )
    assert found[0.97].at_least == 3  # the plain one never gets there
    assert 0.975 not in found  # neither does
    verdict = fig1a.CLAIM.verdict(with_curves(**{"with": [0.9, 0.93], "without": [0.5, 0.9]}))
    assert "to 90 % 2.00× (2.00 to 2.00), to 91 % at least 5.00×" in verdict.because


def test_settings_are_chosen_by_validation_alone():
    tempting = study({
        ("batch", 0.1, 0.5): (0.9, 0.99, 100), ("batch", 0.1, 2.0): (0.98, 0.95, 500), ("batch", 0.01, 2.0): (0.9, 0.9, 900),
        ("none", 0.1, 0.5): (0.9, 0.90, 100), ("none", 0.1, 2.0): (0.98, 0.96, 500), ("none", 0.01, 2.0): (0.9, 0.9, 900),
    })  # fmt: skip
    verdict = fig1a.CLAIM.verdict(tempting)
    assert verdict.word == "contradicted"
    assert verdict.number.startswith("tuned −1.00")


def test_the_plan_tunes_each_arm_and_runs_batch_norm_at_the_rate_of_the_other_too():
    best = {
        "with BN, std 0.1": 0.5,
        "with BN, std 0.01": 0.125,
        "without BN, std 0.1": 2.0,
        "without BN, std 0.01": 2.0,
    }
    stages, _ = follow(
        fig1a.plan(Scale(2)), lambda arm, lr: -abs(np.log(lr / best[arm])) - (0.1 if arm.endswith("0.01") else 0)
    )
    assert {c["lr"] for c in stages[0]} == set(fig1a.RATES)
    assert {(c["arm"], c["lr"]) for c in stages[-1]} == {*best.items(), ("with BN, std 0.1", 2.0)}
    assert len(stages[-1]) == 10
    assert all(c["stage"] == "final" and c["seed"] < 1000 for c in stages[-1])


def test_settings_that_tuning_cannot_tell_apart_are_run_too_and_told():
    def accuracy(arm, lr, seed):
        noise = (seed % 2 - 0.5) / 100
        return {0.5: 0.95, 2.0: 0.951 + noise}.get(lr, 0.9) - (0.03 if arm.endswith("0.01") else 0)

    stages, _ = follow(fig1a.plan(Scale(2)), accuracy)
    cells = {(c["arm"], c["lr"]) for c in stages[-1]}
    assert {("with BN, std 0.1", 0.5), ("with BN, std 0.1", 2.0), ("without BN, std 0.1", 2.0)} <= cells
    assert ("with BN, std 0.01", 2.0) not in cells
    runs = four(AHEAD, SAME, SAME, SAME)
    tie = study({("batch", 0.1, 8.0): (0.98, 0.975, 100)})
    verdict = fig1a.CLAIM.verdict(joined(runs, tie))
    assert "+0.50 ± 0.00 to +1.00 ± 0.00 points" in verdict.because


def test_a_run_builds_on_the_demo():
    digits = bars()
    config = {"norm": "batch", "init_std": 0.1, "lr": 0.5, "seed": 2, "steps": 60}
    record = fig1a.run(config, digits)
    trained, validation, test = raw(digits)
    assert len(trained[1]) == 440
    assert len(validation[1]) == 40
    arm = run_arm(Settings(steps=60, lr=0.5, init_std=0.1, seed=2), "batch", (trained, test), quiet=True)
    np.testing.assert_array_equal(record["curve"], arm.accuracy)
    assert record["test"] == arm.accuracy[-1] > 0.5
    assert record["steps_to"] == arm.steps_to(0.95)


def test_a_run_that_diverges_is_at_chance():
    record = fig1a.run({"norm": "none", "init_std": 0.1, "lr": 1e37, "seed": 0, "steps": 10}, bars())
    assert (record["test"], record["steps_to"]) == (0.1, None)


def test_the_number_says_faster_or_slower_only_where_the_interval_does():
    def number(cell, other):
        return fig1a.CLAIM.verdict(four(cell, other, cell, other)).number

    assert "points, faster to 95 %, at 2.49× the speed" in number(AHEAD, SAME)
    assert "points, slower to 95 %, at 0.40× the speed" in number(SAME, AHEAD)
    assert "points, to 95 % at 1.00× the speed" in number(SAME, SAME)

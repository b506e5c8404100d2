"""Ghost batches: arms differ in their statistics alone, and verdicts follow from the numbers."""

import json

import numpy as np
import pytest

from minidl import nn
from minidl.lab.after import ghost_batches
from minidl.lab.after.ghost_batches import ARMS, FEW, GHOSTS, WHOLE
from minidl.lab.models import paper_mlp
from minidl.lab.paper._training import settle, split
from minidl.lab.study.claim import Scale, plain
from tests.lab.after.test_graph_claims import all_runs
from tests.lab.paper.synthetic import bars, finals

CLAIM = ghost_batches.CLAIM
SMALL = {"stage": "final", "images": 240, "batch": 120, "epochs": 2, "steps": 4, "lr": 0.5, "seed": 0}


@pytest.mark.parametrize("ghost", [None, 30, 50])
def test_every_arm_runs(ghost):
    record = ghost_batches.run({**SMALL, "ghost": ghost}, bars())
    assert record["diverged"] is None
    assert record["gap"] == record["train"] - record["test"]
    json.dumps(plain(record), allow_nan=False)


def test_a_ghost_of_the_whole_batch_is_batch_norm_and_smaller_ones_are_not():
    digits, short = bars(), {**SMALL, "epochs": 2, "steps": 4, "lr": 0.01}
    one, same, other = (ghost_batches.run({**short, "ghost": ghost}, digits) for ghost in (None, 120, 3))
    assert one == same
    assert 0.2 < one["train"] < 1
    assert other != one


def test_statistics_for_evaluation_are_taken_without_ghosts():
    data, states = split(bars()), []
    for norm in (nn.BatchNorm, lambda features: nn.GhostBatchNorm(features, 8)):
        model = paper_mlp(norm, generator=np.random.default_rng(1), activation=nn.ReLU)
        settle(ghost_batches._whole(model), data)
        states.append(model.state_dict())
    for name, array in states[0].items():
        assert array == pytest.approx(states[1][name], rel=1e-5, abs=1e-6)


def test_all_arms_see_as_many_images_and_have_rates_of_their_own():
    best = {WHOLE: 0.5, FEW: 0.125, **{f"ghosts of {size}": 2.0 for size in GHOSTS}}
    runs = all_runs(CLAIM, lambda c: {"validation": -abs(np.log(c["lr"] / best[c["arm"]])), "test": 0.5})
    final = runs.where(stage="final")
    for arm, settings in ARMS.items():
        assert final.settings("lr", arm=arm) == [best[arm]]
        for run in final.where(arm=arm).runs:
            assert run.config["steps"] * settings["batch"] == run.config["epochs"] * run.config["images"]
    assert not set(runs.where(stage="tune").settings("seed")) & set(final.settings("seed"))
    configs = next(CLAIM.plan(Scale(2, quick=True)))
    assert all(config["steps"] * config["batch"] == config["epochs"] * config["images"] for config in configs)


def made_up(large, small, few=0.95, whole=0.93, spread=1e-3):
    means = {WHOLE: whole, f"ghosts of {GHOSTS[0]}": whole + large, f"ghosts of {GHOSTS[1]}": whole + small, FEW: few}
    seeds = np.array([0.0, 1, 3])
    result = finals("test", {arm: ({"epochs": 20}, mean) for arm, mean in means.items()}, spread=0)
    for run in result.runs:
        s, arm = int(seeds[run.config["seed"]]), run.config["arm"]
        run.record["test"] += spread * s * (1 if arm == WHOLE else 2)
        run.record["gap"] = 1 - run.record["test"]
    return result


@pytest.mark.parametrize(
    ("large", "small", "spread", "word"),
    [
        (0.01, 0.02, 1e-4, "reproduced"),
        (0.01, -0.02, 1e-4, "partly"),
        (0.0, 0.01, 0.0, "partly"),
        (-0.01, -0.02, 1e-4, "contradicted"),
        (0.001, 0.001, 5e-2, "not at this scale"),
    ],
)
def test_verdicts(large, small, spread, word):
    assert CLAIM.verdict(made_up(large, small, spread=spread)).word == word


def test_numbers_and_figure():
    verdict = CLAIM.verdict(made_up(0.01, 0.02, spread=0))
    assert verdict.number == "batches of 2,048: ghosts of 128 +1.00 ± 0.00 points; ghosts of 32 +2.00 ± 0.00 points"
    assert "Batches of 64 end +2.00 ± 0.00 points from the whole batch, and" not in verdict.because
    assert "Batches of 64 end +2.00 ± 0.00 points from the whole batch" in verdict.because
    titles = [ax.get_title(loc="left") or ax.get_title() for ax in CLAIM.figure(made_up(0.01, 0.02)).axes]
    assert titles[0].startswith("Ghosts of 32 change the accuracy by +2.")
    assert "smallest for “ghosts of 32”" in titles[1]

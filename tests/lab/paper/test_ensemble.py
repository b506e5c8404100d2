"""Ensembles: averaged right, and judged."""

import numpy as np
import pytest

from minidl.lab.paper import ensemble
from minidl.lab.paper._training import draws
from minidl.lab.study.statistics import t_interval
from tests.lab.paper.synthetic import bars, finals

IMAGES = 2000


def study(one, all_, plain=(0.96, 0.97)):
    """Ensembles whose shares of images are these, alone and together; each a little different."""
    given = finals(
        "accuracy",
        {
            arm: ({"lr": 0.5, "members": 6}, np.linspace(*pair, 6))
            for arm, pair in zip(ensemble.ARMS, ((one, all_), plain), strict=True)
        },
    )
    for run in given.runs:
        first, last = run.record["accuracy"][0], run.record["accuracy"][-1]
        run.record["disagreement"] = 0.02 + run.config["seed"] / 1000
        run.record["alone"] = "".join("6" if i < first * IMAGES else "0" for i in range(IMAGES))
        run.record["together"] = "".join("1" if i < last * IMAGES else "0" for i in range(IMAGES))
    return given


def test_verdicts():
    assert ensemble.CLAIM.verdict(study(0.97, 0.98)).word == "reproduced"
    assert ensemble.CLAIM.verdict(study(0.98, 0.97)).word == "contradicted"
    assert ensemble.CLAIM.verdict(study(0.97, 0.97)).word == "not at this scale"


def test_ensembles_without_batch_norm_are_told_and_change_no_word():
    verdict = ensemble.CLAIM.verdict(study(0.97, 0.98, plain=(0.9, 0.99)))
    assert verdict.word == "reproduced"
    assert verdict.numbers["gain without BN"].mean == pytest.approx(0.09, abs=1e-3)
    assert verdict.numbers["more than without BN"].below_zero


def test_an_interval_over_ensembles_and_images_covers_another_draw_of_both():
    """Naive: draw ensembles and images anew, many times, and count how often the interval holds the truth."""
    generator, hits, narrow_hits = np.random.default_rng(0), 0, 0
    for _ in range(300):
        image = generator.standard_normal(400) * 0.5  # what all ensembles share
        own = generator.standard_normal((5, 1)) * 0.01
        differences = 0.1 + image + own + 0.1 * generator.standard_normal((5, 400))
        found, narrow = ensemble.over_both(differences), t_interval(differences.mean(1))
        hits += found.low <= 0.1 <= found.high
        narrow_hits += narrow.low <= 0.1 <= narrow.high
    assert hits / 300 > 0.93
    assert narrow_hits / 300 < 0.8  # Student's over the ensembles alone, as it was before


def test_probabilities_are_averaged_over_all_choices():
    one = np.array([[0.9, 0.1], [0.4, 0.6]])  # right, wrong
    two = np.array([[0.4, 0.6], [0.9, 0.1]])  # wrong, right
    together = ensemble.together(np.array([one, two]), np.array([0, 0]))
    assert together["accuracy"] == [0.5, 1.0]
    assert together["disagreement"] == 1.0
    alone = ensemble.together(np.array([one]), np.array([0, 0]))
    assert (alone["accuracy"], alone["disagreement"]) == ([0.5], 0.0)
    assert (together["alone"], together["together"]) == ("11", "11")
    assert (alone["alone"], alone["together"]) == ("10", "10")


def test_a_run_trains_every_member_by_itself(monkeypatch):
    seeds = []
    monkeypatch.setattr(ensemble, "draws", lambda data, size, seed: seeds.append(seed) or draws(data, size, seed))
    record = ensemble.run({"norm": "batch", "members": 3, "lr": 0.5, "steps": 30, "seed": 1}, bars())
    assert len(record["test"]) == len(record["accuracy"]) == 3
    assert record["accuracy"][0] == pytest.approx(np.mean(record["test"]))
    ensemble.run({"norm": "none", "members": 6, "lr": 0.5, "steps": 1, "seed": 0}, bars())
    assert len(set(seeds)) == 9

"""Ensembles: averaged right, and judged."""

import numpy as np
import pytest

from minidl.lab.paper import ensemble
from minidl.lab.paper._training import draws
from tests.lab.paper.synthetic import bars, finals


def study(one, all_, spread=1e-3):
    given = finals("accuracy", {"with BN": ({"lr": 0.5}, np.linspace(one, all_, 6))}, spread=spread)
    for run in given.runs:
        run.record["disagreement"] = 0.02 + run.config["seed"] / 1000
    return given


def test_verdicts():
    assert ensemble.CLAIM.verdict(study(0.97, 0.98)).word == "reproduced"
    assert ensemble.CLAIM.verdict(study(0.98, 0.97)).word == "contradicted"
    assert ensemble.CLAIM.verdict(study(0.97, 0.97)).word == "not at this scale"


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
    record = ensemble.run({"members": 3, "lr": 0.5, "steps": 30, "seed": 1}, bars())
    assert len(record["test"]) == len(record["accuracy"]) == 3
    assert record["accuracy"][0] == pytest.approx(np.mean(record["test"]))
    ensemble.run({"members": 6, "lr": 0.5, "steps": 1, "seed": 0}, bars())
    assert len(set(seeds)) == 9

"""The range of learning rates: read off right, and judged."""

import numpy as np
import pytest

from minidl import nn
from minidl.lab.paper import lr
from tests.lab.paper.synthetic import bars, result

RATES = np.array(lr.RATES)


def study(highest, shaky=False):
    """highest: (activation, norm) → largest usable rate, for every seed (or, if shaky, a step more or less)."""
    pairs = []
    for (activation, norm), top in highest.items():
        for seed in range(3):
            limit = RATES[min(8, np.flatnonzero(top == RATES)[0] + (shaky and norm == "batch") * 2 * (seed - 1))]
            for rate in lr.RATES:
                good = 0.1 <= rate <= limit
                record = {"validation": 0.95 if good else 0.5, "growth": 1 + rate if good else None}
                pairs.append(({"activation": activation, "norm": norm, "lr": rate, "seed": seed}, record))
    return result(*pairs)


def tops(*values):
    keys = [(activation, norm) for activation in lr.ACTIVATIONS for norm in ("batch", "none")]
    return dict(zip(keys, values, strict=True))


@pytest.mark.parametrize(
    ("values", "shaky", "word"),
    [
        ((10.0, 1.0, 3.16, 0.316), False, "reproduced"),
        ((3.16, 1.0, 3.16, 0.316), False, "partly"),  # a factor of 3 is not much
        ((1.0, 1.0, 3.16, 0.316), False, "partly"),
        ((1.0, 1.0, 1.0, 1.0), False, "not at this scale"),
        ((3.16, 1.0, 3.16, 1.0), True, "not at this scale"),
        ((1.0, 10.0, 1.0, 3.16), False, "contradicted"),
        ((1.0, 10.0, 1.0, 1.0), False, "not at this scale"),
    ],
)
def test_verdicts(values, shaky, word):
    assert lr.CLAIM.verdict(study(tops(*values), shaky)).word == word


def test_usable_is_within_a_point_of_the_best_of_the_same_seed():
    accuracies = np.full((2, len(RATES)), 0.5)
    accuracies[0, 2:5] = 0.95, 0.96, 0.955
    accuracies[1, 3:6] = 0.90, 0.9199, 0.93
    low, high = lr._usable(accuracies)
    np.testing.assert_allclose(10**low, [0.1, 3.16], rtol=1e-6)
    np.testing.assert_allclose(10**high, [1.0, 3.16], rtol=1e-6)


def test_a_run_measures_growth_or_divergence():
    config = {"norm": "none", "activation": "ReLU", "seed": 0, "steps": 30}
    calm = lr.run({**config, "lr": 0.01}, bars())
    assert 0.99 < calm["growth"] < 1.1
    wild = lr.run({**config, "lr": 1e10}, bars())
    assert (wild["growth"], wild["validation"]) == (None, 0.1)


@pytest.mark.parametrize("norm", ["none", "batch"])
@pytest.mark.parametrize("activation", list(lr.ACTIVATIONS))
def test_a_run_builds_the_network_that_it_is_asked_for(norm, activation, monkeypatch):
    built = []
    monkeypatch.setattr(lr, "train", lambda model, *_: built.append(model))
    lr.run({"norm": norm, "activation": activation, "lr": 0.1, "seed": 0, "steps": 1}, bars())
    layers = [type(layer) for layer in built[0]]
    assert layers.count(nn.BatchNorm) == (3 if norm == "batch" else 0)
    assert layers.count({"sigmoid": nn.Sigmoid, "ReLU": nn.ReLU}[activation]) == 3


def test_a_step_of_the_grid_is_told_where_seeds_agree():
    verdict = lr.CLAIM.verdict(study(tops(10.0, 1.0, 3.16, 0.316)))
    assert "10× (sigmoid, all seeds)" in verdict.number
    assert "A step of the grid is a factor of 3.16" in verdict.because
    assert "11.00 ± 0.00 times with BN at 10" in verdict.because

"""Layer Jacobians: right, and judged."""

import numpy as np
import pytest

from minidl import nn
from minidl.gradcheck import jacobian as by_rows
from minidl.lab.paper import jacobian
from tests.lab.paper.synthetic import bars, finals, joined, result

GAUSSIAN = result(
    *[
        ({"stage": "gaussian", "seed": s}, {"mean square": 1, "least": 0.01, "largest": 2, "near 1": 0.6})
        for s in range(3)
    ]
)


def study(share, batch, none, suited=0.5):
    """The share near 1 and the mean distances at the end; before it, others."""
    shares, ends = ([0.1, 0.2, share], [0.1, 0.1, 0.1], [0.45, 0.1, 0.1]), (batch, none, suited)
    near = finals("near 1", {arm: ({}, values) for arm, values in zip(jacobian.ARMS, shares, strict=True)}, steps=10)
    distance = finals(
        "distance", {arm: ({}, [9, 9, end]) for arm, end in zip(jacobian.ARMS, ends, strict=True)}, steps=10
    )
    spectrum = np.linspace(1, -2, 6) + np.zeros((3, 1))
    for run, other in zip(near.runs, distance.runs, strict=True):
        run.record.update(other.record, spectrum=(spectrum + run.config["seed"] / 100).tolist())
    return joined(GAUSSIAN, near)


@pytest.mark.parametrize(
    ("ends", "word"),
    [
        ((0.95, 0.1, 0.4), "reproduced"),
        ((0.5, 0.1, 0.4), "partly"),
        ((0.95, 0.1, 0.4, 0.1), "partly"),  # no nearer than from the start that suits sigmoids
        ((0.9, 0.1, 0.4), "partly"),  # the lower end of the interval is below 90 %
        ((0.95, 0.4, 0.4), "not at this scale"),
        ((0.95, 0.4, 0.1), "contradicted"),
    ],
)
def test_verdicts(ends, word):
    assert jacobian.CLAIM.verdict(study(*ends)).word == word


def test_the_jacobian_is_that_of_the_block():
    rng = np.random.default_rng(0)
    block = nn.Sequential(nn.Sigmoid(), nn.Linear(5, 4, generator=rng), nn.BatchNorm(4)).to(np.float64)
    block[2].running_mean[:], block[2].running_var[:] = rng.uniform(1, 2, (2, 4))
    x = rng.standard_normal(5)
    ours = jacobian._jacobian(block, x)
    block.eval()
    np.testing.assert_allclose(ours, by_rows(lambda x: block(x.reshape(1, 5)).reshape(4), x), rtol=1e-12)
    assert ours.shape == (4, 5)


def test_a_random_matrix_of_unit_rows_is_not_orthogonal():
    record = jacobian.run({"stage": "gaussian", "size": 256, "seed": 0})
    assert record["mean square"] == pytest.approx(1, abs=1e-12)
    assert record["least"] < 0.05
    assert record["largest"] > 1.9


def test_a_run_looks_three_times_and_only_for_results():
    config = {"norm": "batch", "start": "std 0.1", "lr": 0.5, "seed": 0, "steps": 20}
    record = jacobian.run({**config, "stage": "final"}, bars())
    assert record["spectrum"].shape == (3, 100)
    assert (np.diff(record["spectrum"]) <= 0).all()
    assert len(record["near 1"]) == 3
    assert "spectrum" not in jacobian.run({**config, "stage": "tune"}, bars())


@pytest.mark.parametrize(("norm", "norms"), [("batch", 3), ("none", 0)])
def test_a_run_builds_the_network_that_it_is_asked_for(norm, norms, monkeypatch):
    built = []
    monkeypatch.setattr(jacobian, "train", lambda model, *_: built.append(model))
    for start in ("std 0.1", "4 × Xavier"):
        jacobian.run({"norm": norm, "start": start, "lr": 0.5, "seed": 0, "steps": 1, "stage": "final"}, bars())
    assert sum(isinstance(layer, nn.BatchNorm) for layer in built[0]) == norms
    small, suited = (model[0].weight.data for model in built)
    np.testing.assert_allclose(suited / small, 4 * (2 / 884) ** 0.5 / 0.1, rtol=1e-5)

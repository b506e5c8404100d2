"""Invariance to the scale of the weights: run, and judged."""

import numpy as np
import pytest

from minidl.lab.paper import scale
from tests.lab.paper.synthetic import edited, exact


def test_it_holds():
    result = exact(scale.CLAIM)
    assert scale.CLAIM.verdict(result).word == "reproduced"
    assert (result.values("∂/∂u", eps=1e-5)[:, 0] > 0.1).all()  # ε breaks it for small weights, and only there
    assert (result.values("∂/∂u", eps=1e-5)[:, -1] < 1e-4).all()


@pytest.mark.parametrize("part", scale.PARTS)
def test_any_deviation_without_eps_contradicts(part):
    wrong = edited(exact(scale.CLAIM, 2), {"eps": 0.0, "seed": 1}, **{part: [1e-9] * len(scale.SCALES)})
    assert scale.CLAIM.verdict(wrong).word == "contradicted"


def test_a_norm_that_sees_the_scale_is_noticed(monkeypatch):
    monkeypatch.setattr(scale.F, "batch_norm", lambda x, *_, **__: x - x.mean(0))
    measured = scale.run({"seed": 0, "eps": 0.0, "scales": [0.1, 10.0]})
    assert np.min(measured["output"]) > 0.1

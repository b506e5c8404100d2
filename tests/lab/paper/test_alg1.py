"""Algorithm 1 and its gradient: run, and judged."""

import pytest

from minidl import Tensor
from minidl.lab.paper import alg1
from tests.lab.paper.synthetic import edited, exact


def test_it_holds():
    verdict = alg1.CLAIM.verdict(exact(alg1.CLAIM, 5))
    assert verdict.word == "reproduced"
    assert verdict.number.startswith("10 of 10")


@pytest.mark.parametrize("entry", alg1.ALLOWED)
def test_one_failure_leaves_it_partly_true(entry):
    verdict = alg1.CLAIM.verdict(edited(exact(alg1.CLAIM, 2), {"seed": 0}, **{entry: 1e-3}))
    assert verdict.word == "partly"
    assert entry in verdict.because


def test_all_failures_contradict():
    wrong = edited(exact(alg1.CLAIM, 2), {"seed": 0}, **dict.fromkeys(alg1.ALLOWED, 1.0))
    assert alg1.CLAIM.verdict(wrong).word == "contradicted"
    missing = edited(exact(alg1.CLAIM, 2), {"seed": 0}, **dict.fromkeys(alg1.ALLOWED))
    assert alg1.CLAIM.verdict(missing).word == "contradicted"


def test_a_gradient_without_the_path_through_the_variance_fails_most_identities(monkeypatch):
    def wrong(x, gamma, beta, eps=alg1.EPS):
        std = (x.data.var(0) + eps) ** 0.5
        return gamma * (x - x.mean(0)) / Tensor(std) + beta

    monkeypatch.setattr(alg1, "_transform", wrong)
    measured = alg1.run({"seed": 0})
    failing = [name for name, bound in alg1.ALLOWED.items() if abs(measured[name]) > bound]
    assert len(failing) >= 6

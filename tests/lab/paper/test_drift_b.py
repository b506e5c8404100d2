"""The bias that runs away: run, and judged."""

import pytest

from minidl.lab.paper import drift_b
from minidl.lab.study.claim import Result
from tests.lab.paper.synthetic import bars, edited, exact, result

POINTS = drift_b.MARKS + 1


def networks(stopped, true, losses):
    """Biases at the half and at the end, for both gradients; the loss at the end for each rate."""
    pairs = []
    for lr, loss in zip(drift_b.RATES, losses, strict=True):
        for gradient, (half, end) in (("stopped", stopped), ("true", true)):
            for seed in range(3):
                b = [half * (1 + seed / 100)] * (POINTS - 1) + [end * (1 + seed / 90)]
                config = {"part": "network", "gradient": gradient, "lr": lr, "seed": seed, "steps": 20}
                course = [2.3] + [loss * (1 + seed / 100)] * (POINTS - 1)
                pairs.append((config, {"b": b, "loss": course, "diverged": None}))
    return result(*pairs)


def judged(alone, stopped=(0.5, 1.0), true=(0.0, 0.0), losses=(0.3, 0.3)):
    return drift_b.CLAIM.verdict(Result((*alone.runs, *networks(stopped, true, losses).runs)))


@pytest.fixture(scope="module")
def alone():
    return exact(drift_b.CLAIM)


def test_alone_it_holds_exactly(alone):
    stopped, true = alone.runs
    assert stopped.record["b"][-1] == pytest.approx(100, abs=1e-9)
    assert max(map(abs, true.record["b"])) <= 1e-12
    assert judged(alone).word == "reproduced"


def test_verdicts(alone):
    assert judged(alone, stopped=(1.0, 1.0)).word == "partly"  # it stops growing
    assert judged(alone, true=(0.5, 1.0)).word == "partly"  # no larger than with the true gradient
    assert judged(alone, losses=(0.3, 14.0)).word == "partly"  # the loss does not rest
    for where, entries in (
        ({"gradient": "stopped"}, {"b": [0.0] * (POINTS - 1) + [99.0]}),
        ({"gradient": "stopped"}, {"change of the loss": 1e-6}),
        ({"gradient": "true"}, {"b": [0.0] * (POINTS - 1) + [1e-6]}),
    ):
        wrong = edited(alone, where, **entries)
        assert judged(wrong).word == "partly"
        assert judged(wrong, stopped=(1.0, 1.0)).word == "contradicted"


def test_in_a_network():
    runs = {
        gradient: drift_b.run({"part": "network", "gradient": gradient, "seed": 0, "lr": 0.1, "steps": 40}, bars())
        for gradient in ("stopped", "true")
    }
    assert runs["stopped"]["b"][-1] > 100 * runs["true"]["b"][-1]
    assert len(runs["true"]["loss"]) == POINTS

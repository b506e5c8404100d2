"""Deep sigmoid networks: built right, chosen by validation, and judged."""

import numpy as np
import pytest

from minidl.lab.paper import sigmoid_depth
from minidl.lab.study.claim import Scale
from tests.lab.paper.synthetic import bars, finals
from tests.lab.paper.test_training import follow

DEPTHS = (3, 20)


def study(batch, none):
    """Test accuracies at both depths."""
    arms = {
        f"{name}, {depth}": ({"norm": norm, "depth": depth, "lr": 0.5}, mean)
        for name, norm, means in (("with BN", "batch", batch), ("without BN", "none", none))
        for depth, mean in zip(DEPTHS, means, strict=True)
    }
    return finals("test", arms)


@pytest.mark.parametrize(
    ("batch", "none", "word"),
    [
        ((0.97, 0.95), (0.97, 0.11), "reproduced"),
        ((0.97, 0.95), (0.97, 0.50), "partly"),  # worse, but not stuck
        ((0.97, 0.60), (0.97, 0.11), "partly"),  # better, but not trained either
        ((0.97, 0.11), (0.97, 0.11), "not at this scale"),
        ((0.97, 0.11), (0.97, 0.90), "contradicted"),
    ],
)
def test_verdicts(batch, none, word):
    assert sigmoid_depth.CLAIM.verdict(study(batch, none)).word == word


def test_one_lucky_seed_is_more_than_chance():
    given = study((0.97, 0.95), (0.97, 0.11))
    given.runs[-1].record["test"] = 0.9
    assert sigmoid_depth.CLAIM.verdict(given).word == "not at this scale"  # the interval has become that wide


def test_the_better_start_is_used():
    def accuracy(arm, lr):
        return {0.5: 0.5}.get(lr, 0.1) + (0.2 if ("Xavier" in arm) == ("20 layers" in arm) else 0)

    stages, _ = follow(sigmoid_depth.plan(Scale(2)), accuracy)
    chosen = {(c["depth"], c["start"]) for c in stages[-1]}
    assert chosen == {(depth, "4 × Xavier" if depth == 20 else "std 0.1") for depth in sigmoid_depth.DEPTHS}
    assert {c["lr"] for c in stages[-1]} == {0.5}


def test_starts_have_their_scales(monkeypatch):
    built = []
    monkeypatch.setattr(sigmoid_depth, "train", lambda model, *_: built.append(model))
    monkeypatch.setattr(sigmoid_depth, "score", lambda *_: {})
    for start in sigmoid_depth.STARTS:
        sigmoid_depth.run({"norm": "none", "depth": 4, "start": start, "seed": 0, "lr": 1.0, "steps": 1}, bars())
    plain, scaled = built
    assert len(plain) == 2 * 4 + 1
    assert plain[2].weight.data.std() == pytest.approx(0.1, rel=0.02)
    assert scaled[2].weight.data.std() == pytest.approx(4 * np.sqrt(2 / 200), rel=0.02)
    assert scaled[0].weight.data.std() == pytest.approx(4 * np.sqrt(2 / 884), rel=0.02)


def test_a_run_learns():
    config = {"norm": "batch", "depth": 4, "start": "std 0.1", "seed": 0, "lr": 0.5, "steps": 40}
    assert sigmoid_depth.run(config, bars())["test"] > 0.5

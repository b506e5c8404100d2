"""Shuffling: the batches are what they are called, and the interaction is judged."""

from itertools import islice

import numpy as np
import pytest

from minidl.lab.paper import shuffle
from minidl.lab.paper._training import split
from minidl.lab.study.claim import Scale
from tests.lab.paper.synthetic import bars, finals, joined


def study(gain, plain_gain, noise=0.0, lr=2.0):
    means = dict(zip(shuffle.ARMS, (0.95 + gain, 0.95, 0.94 + plain_gain, 0.94), strict=True))
    given = finals("test", {arm: ({"lr": lr}, mean) for arm, mean in means.items()})
    for run in given.runs:
        if run.config["arm"] == "without BN, reshuffled":
            run.record["test"] += noise * (run.config["seed"] - 1)
    return given


@pytest.mark.parametrize(
    ("slow", "fast", "word"),
    [
        ((0.01, 0.0), (0.01, 0.0), "reproduced"),
        ((0.01, 0.0), (0.0, 0.0), "partly"),  # at one rate only
        ((0.01, 0.01), (0.01, 0.0), "partly"),
        ((0.01, 0.0, 0.01), (0.01, 0.0), "partly"),  # too uncertain without batch norm
        ((0.0, 0.0), (0.0, 0.0), "not at this scale"),
        ((-0.01, 0.0), (0.0, 0.0), "contradicted"),
        ((-0.01, 0.0), (0.01, 0.0), "partly"),
    ],
)
def test_verdicts(slow, fast, word):
    assert shuffle.CLAIM.verdict(joined(study(*slow, lr=0.5), study(*fast, lr=2.0))).word == word


def test_all_arms_have_the_same_rates_and_twenty_seeds():
    (configs,) = shuffle.CLAIM.plan(Scale())
    for arm in shuffle.ARMS:
        assert {(c["lr"], c["seed"]) for c in configs if c["arm"] == arm} == {
            (lr, s) for lr in (0.5, 2.0) for s in range(20)
        }


def epochs(reshuffled, count=3):
    data = split(bars())._replace(x=np.arange(440), y=np.arange(440))
    batches = [frozenset(x) for x, _ in islice(shuffle._batches(data, reshuffled, 0), 7 * count)]
    return [batches[7 * i : 7 * i + 7] for i in range(count)]


def test_fixed_batches_keep_their_members_but_not_their_order():
    first, second, third = epochs(reshuffled=False)
    assert set(first) == set(second) == set(third)
    assert first != second or second != third


def test_reshuffled_batches_do_not():
    first, second, _ = epochs(reshuffled=True)
    assert not set(first) & set(second)
    assert len(frozenset().union(*first)) == 420  # within an epoch no image comes twice


def test_a_run_learns():
    config = {"norm": "batch", "reshuffled": False, "images": 200, "lr": 0.5, "seed": 0, "steps": 40}
    assert shuffle.run(config, bars())["test"] > 0.5

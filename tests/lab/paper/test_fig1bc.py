"""Figure 1(b, c): drift measured right, and judged."""

import numpy as np
import pytest

from minidl.lab.paper import fig1bc
from minidl.lab.paper._drift import drift
from tests.lab.paper.synthetic import bars, joined, result

POINTS = 5


def study(none, after, before, lr=0.1):
    pairs = []
    for norm, entries in (("none", {"inputs": none}), ("batch", {"inputs": after, "before": before})):
        for seed in range(3):
            record = {name: [value + seed / 1000] * (POINTS - 1) for name, value in entries.items()}
            record |= {"steps": list(range(POINTS)), "test": 0.9}
            if seed == 0:
                bands = np.arange(POINTS)[:, None, None] * 0.1 + np.zeros((1, 7, 1)) + [-1, 0, 1]
                record |= {f"all {name}": bands[::2] for name in entries}
            config = {"norm": norm, "lr": lr, "seed": seed, "steps": POINTS - 1, "whole": seed == 0 and lr == 0.1}
            pairs.append((config, record))
    return result(*pairs)


@pytest.mark.parametrize(
    ("slow", "fast", "word"),
    [
        ((0.3, 0.1, 0.2), (0.3, 0.1, 0.2), "reproduced"),
        ((0.3, 0.1, 0.3), (0.3, 0.1, 0.2), "partly"),
        ((0.3, 0.1, 0.4), (0.3, 0.1, 0.4), "partly"),
        ((0.3, 0.3, 0.2), (0.3, 0.1, 0.2), "not at this scale"),
        ((0.3, 0.4, 0.2), (0.3, 0.1, 0.2), "not at this scale"),
        ((0.3, 0.4, 0.2), (0.3, 0.4, 0.2), "contradicted"),
    ],
)
def test_verdicts(slow, fast, word):
    assert fig1bc.CLAIM.verdict(joined(study(*slow), study(*fast, lr=2.0))).word == word


def test_a_lead_before_normalising_that_comes_from_the_first_interval_is_not_enough():
    def early(result):
        for run in result.runs:
            if run.config["norm"] == "none":
                run.record["inputs"][1:] = [0.15 + run.config["seed"] / 1000] * (POINTS - 2)
                run.record["inputs"][0] = 2.0
        return result

    verdict = fig1bc.CLAIM.verdict(joined(early(study(0.3, 0.1, 0.2)), early(study(0.3, 0.1, 0.2, lr=2.0))))
    assert verdict.word == "partly"
    assert verdict.numbers["without less before normalising, learning rate 2"].above_zero
    assert verdict.numbers["the same after the first interval, learning rate 2"].below_zero
    assert "In the last tenth of training: 0.15" in verdict.because


def test_drift_is_in_widths_of_the_band():
    bands = np.array([[[-1, 0, 1], [9, 10, 11]], [[-1, 1, 3], [9, 10, 11]], [[-1, 1, 3], [8, 6, 10]]], float)
    np.testing.assert_allclose(drift(bands), [(1 / 3 + 0) / 2, (0 + 4 / 2) / 2])
    np.testing.assert_allclose(drift(7 * bands + 3), drift(bands))
    flat = np.array([[[1, 1, 1], [0, 1, 2]], [[1, 1, 1], [1, 2, 3]]], float)
    np.testing.assert_allclose(drift(flat), [1 / 2])  # a unit without width says nothing


def test_a_run_keeps_all_units_only_where_asked():
    config = {"norm": "batch", "lr": 0.5, "seed": 0, "steps": 20, "whole": False}
    record = fig1bc.run(config, bars())
    assert len(record["inputs"]) == len(record["before"]) == len(record["steps"]) - 1 == 20
    assert "all inputs" not in record
    assert fig1bc.run({**config, "whole": True}, bars())["all before"].shape == (11, 100, 3)
    assert "before" not in fig1bc.run({**config, "norm": "none"}, bars())

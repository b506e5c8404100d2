"""The redundant bias: run, and judged."""

import pytest

from minidl.paper import bias
from minidl.study.claim import Result
from tests.paper.synthetic import bars, drawn, edited, exact, result


def networks(*differences):
    return result(
        *[
            ({"part": "network", "bias": with_bias, "seed": seed}, {"test": 0.95 + with_bias * difference})
            for with_bias in (True, False)
            for seed, difference in enumerate(differences)
        ]
    )


def judged(exact_runs, *differences):
    return bias.CLAIM.verdict(Result((*exact_runs.runs, *networks(*differences).runs))).word


def test_the_identity_holds():
    runs = exact(bias.CLAIM)
    assert judged(runs, 0.0, 0.001, -0.001) == "reproduced"
    assert judged(runs, 0.02, 0.021, 0.019) == "partly"  # apart
    assert judged(runs, 0.03, -0.03, 0.0) == "partly"  # too uncertain to be called the same


@pytest.mark.parametrize("entry", bias.ALLOWED)
def test_any_deviation_contradicts(entry):
    wrong = edited(exact(bias.CLAIM, 2), {"dtype": "float64", "seed": 1}, **{entry: 1e-6})
    assert judged(wrong, 0.0, 0.0) == "contradicted"


def test_a_norm_without_the_mean_is_noticed(monkeypatch):
    monkeypatch.setattr(bias.F, "batch_norm", lambda x, *_, **__: x / ((x * x).mean(0) + 1e-5) ** 0.5)
    assert bias.run({"part": "exact", "seed": 0, "dtype": "float64"})["output"] > 0.1


def test_both_networks_train_alike():
    records = [
        bias.run({"part": "network", "bias": with_bias, "seed": 0, "lr": 0.5, "steps": 60}, bars())
        for with_bias in (True, False)
    ]
    assert min(record["test"] for record in records) > 0.5
    assert abs(records[0]["test"] - records[1]["test"]) <= 0.02


def test_the_figure_draws():
    assert len(drawn(bias.CLAIM, Result((*exact(bias.CLAIM, 2).runs, *networks(0.0, 0.001).runs)))) == 2

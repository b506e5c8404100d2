"""The redundant bias: run, and judged."""

import pytest

from minidl.lab.paper import bias
from minidl.lab.study.claim import Result
from tests.lab.paper.synthetic import bars, edited, exact, result


def networks(*differences):
    return result(
        *[
            (
                {"part": "network", "arm": arm, "seed": seed},
                {"test": 0.95 + (arm == "bias and β") * difference, "bias moved": 1e-6},
            )
            for arm in bias.ARMS
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


def test_all_networks_train_and_the_bias_stays_where_it_was():
    records = {
        arm: bias.run({"part": "network", **settings, "seed": 0, "lr": 0.5, "steps": 60}, bars())
        for arm, settings in bias.ARMS.items()
    }
    assert min(record["test"] for record in records.values()) > 0.5
    assert abs(records["bias and β"]["test"] - records["β alone"]["test"]) <= 0.02
    assert 0 < records["bias and β"]["bias moved"] < 1e-4
    assert records["β alone"]["bias moved"] is None


def test_a_bias_that_batch_norm_does_not_remove_moves(monkeypatch):
    monkeypatch.setattr(bias.nn.BatchNorm, "forward", lambda self, x: x * self.weight)
    assert (
        bias.run({"part": "network", "bias": True, "beta": False, "seed": 0, "lr": 0.5, "steps": 60}, bars())[
            "bias moved"
        ]
        > 1e-3
    )


def test_without_beta_the_norm_has_none(monkeypatch):
    built = []
    monkeypatch.setattr(bias, "train", lambda model, *_: built.append(model))
    bias.run({"part": "network", **bias.ARMS["neither"], "seed": 0, "lr": 0.5, "steps": 1}, bars())
    norms = [layer for layer in built[0] if isinstance(layer, bias.nn.BatchNorm)]
    assert len(norms) == 3
    assert all(layer.bias is None and layer.weight is not None for layer in norms)


def test_what_beta_is_worth_is_told():
    given = networks(0.0, 0.0)
    for run in given.runs:
        run.record["test"] -= 0.01 * ("β" not in run.config["arm"]) + run.config["seed"] / 1000
    verdict = bias.CLAIM.verdict(Result((*exact(bias.CLAIM, 2).runs, *given.runs)))
    assert "β itself is worth +1.00 ± 0.00 points" in verdict.because
    assert verdict.numbers["β against neither"].above_zero

"""Exact statistics: the network is left alone when it is looked at, the kinds are what they say, and verdicts follow."""

import json

import numpy as np
import pytest

from minidl import Tensor, nn
from minidl.lab.after import exact_statistics
from minidl.lab.after.exact_statistics import EXACT, FACTORS, KINDS, MOVING, REST
from minidl.lab.models import paper_mlp
from minidl.lab.paper._training import draws, split
from minidl.lab.study.claim import plain
from tests.lab.after.test_graph_claims import all_runs
from tests.lab.paper.synthetic import bars, result

CLAIM = exact_statistics.CLAIM
SHORT = {"batch": 20, "steps": 12, "points": 4, "arm": "tuned rate", "lr": 0.5, "seed": 0}


def first_norm(model):
    return next(layer for layer in model.modules() if isinstance(layer, nn.BatchNorm))


def test_the_kinds_of_statistics_and_the_network_itself():
    data, model = split(bars()), paper_mlp("batch", generator=np.random.default_rng(0))
    model(Tensor(data.x[:50]))
    before = model.state_dict()
    kinds = exact_statistics._kinds(model, data, draws(data, 20, 7))
    assert all((array == before[name]).all() for name, array in model.state_dict().items())
    moving, rest, exact = (first_norm(kinds[kind]) for kind in (MOVING, REST, EXACT))
    assert (moving.running_mean == first_norm(model).running_mean).all()
    inputs = data.x @ next(model.children()).weight.data
    assert exact.running_mean == pytest.approx(inputs.mean(0), abs=1e-4)
    assert exact.running_var == pytest.approx(inputs.var(0, ddof=1), rel=1e-3)
    wanted = before["1.running_mean"].astype(float)
    others = draws(data, 20, 7)
    for _ in range(exact_statistics.WAIT):
        wanted = 0.9 * wanted + 0.1 * (next(others)[0] @ next(model.children()).weight.data).mean(0)
    assert rest.running_mean == pytest.approx(wanted, abs=1e-4)
    assert not np.allclose(rest.running_mean, exact.running_mean, atol=1e-4)


def test_looking_does_not_change_the_training():
    data, states = split(bars()), []
    for at in ((), (3, 6, 12)):
        model, others = paper_mlp("batch", generator=np.random.default_rng(1)), draws(data, 20, 9)
        exact_statistics._train(model, data, SHORT, lambda m=model, o=others: exact_statistics._kinds(m, data, o), at)
        states.append(model.state_dict())
    assert all((array == states[1][name]).all() for name, array in states[0].items())


def test_the_rate_is_held_and_then_falls_to_nothing(monkeypatch):
    rates, step = [], exact_statistics.SGD.step

    def watched(optimizer):
        rates.append(optimizer.param_groups[0]["lr"])
        step(optimizer)

    monkeypatch.setattr(exact_statistics.SGD, "step", watched)
    exact_statistics._train(paper_mlp("batch"), split(bars()), {**SHORT, "steps": 10})
    assert rates[:7] == pytest.approx([0.5] * 5 + [0.5, 0.5])
    assert rates[7:] == pytest.approx([0.375, 0.25, 0.125])


def test_a_run_is_plain_and_looks_where_it_should():
    record = exact_statistics.run({**SHORT, "stage": "final"}, bars())
    assert record["steps"] == [3, 6, 9, 12]
    assert all(len(record[kind]) == 4 for kind in KINDS)
    assert record == exact_statistics.run({**SHORT, "stage": "final"}, bars())
    json.dumps(plain(record), allow_nan=False)
    assert set(exact_statistics.run({**SHORT, "stage": "tune"}, bars())) == {"validation"}


def test_both_rates_follow_from_the_tuned_one():
    runs = all_runs(CLAIM, lambda c: {"validation": -abs(np.log(c["lr"] / 0.5))})
    final = runs.where(stage="final")
    assert {arm: final.settings("lr", arm=arm) for arm in FACTORS} == {"tuned rate": [0.5], "large rate": [2.0]}
    assert not set(runs.where(stage="tune").settings("seed")) & set(final.settings("seed"))


def made_up(more, jumps, end, spread=1e-4):
    """Errors of moving averages: so much above exact ones, moving by so much, and above them at the end."""
    at, runs = np.arange(1, 11), []
    for arm in FACTORS:
        for seed in range(3):
            level = 0.1 + 0.01 * seed
            moving = level + more[arm] + jumps[arm] * (-1.0) ** at / 2 + spread * (seed - 1)
            moving[-1] = level + end[arm] + spread * (seed - 1)
            rest = np.full(10, level + more[arm] / 4)
            record = {"steps": at * 10, MOVING: moving, REST: rest, EXACT: np.full(10, level)}
            record |= {f"test, {kind}": record[kind][-1] for kind in KINDS}
            runs.append(({"stage": "final", "arm": arm, "lr": FACTORS[arm], "seed": seed}, record))
    return result(*runs)


def both(tuned, large=None):
    return dict(zip(FACTORS, (tuned, tuned if large is None else large), strict=True))


@pytest.mark.parametrize(
    ("more", "jumps", "end", "word"),
    [
        (both(0.01), both(0.01), both(0.0), "reproduced"),
        (both(0.01), both(0.01), both(0.0, 0.02), "partly"),  # not the same at the end
        (both(0.0, 0.01), both(0.0, 0.01), both(0.0), "partly"),
        (both(0.01), both(0.0), both(0.0), "not at this scale"),  # lower, not steadier
        (both(-0.01), both(0.0), both(0.0), "contradicted"),
    ],
)
def test_verdicts(more, jumps, end, word):
    assert CLAIM.verdict(made_up(more, jumps, end)).word == word


def test_only_the_time_at_the_full_rate_counts():
    made = made_up(both(0.01), both(0.02), both(0.5), 0)
    measures = exact_statistics._measures(made, "large rate")
    assert measures["error"][MOVING] - measures["error"][EXACT] == pytest.approx(
        [0.012] * 3, abs=1e-6
    )  # steps 20 to 60
    assert measures["jumps"][MOVING] == pytest.approx([0.02] * 3, abs=1e-6)
    assert measures["end"][MOVING] - measures["end"][EXACT] == pytest.approx([0.5] * 3, abs=1e-6)


def test_numbers_and_figure():
    made = made_up(both(0.01, 0.02), both(0.01), both(0.0), 4e-4)
    verdict = CLAIM.verdict(made)
    assert "points of error: tuned rate +1.10 ± 0.10, at the end" in verdict.number
    assert "points are lag" in verdict.because
    titles = [ax.get_title(loc="left") or ax.get_title() for ax in CLAIM.figure(made).axes]
    assert titles[0] == "Tuned rate: moving averages +1.10 points"
    assert titles[2].endswith("0.00 points are left at the end")

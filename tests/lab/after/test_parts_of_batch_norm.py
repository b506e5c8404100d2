"""Halves of batch norm, and batch norm in some layers: the layers compute what they say, and verdicts follow."""

import json

import numpy as np
import pytest

from minidl import Tensor, nn
from minidl.gradcheck import gradcheck
from minidl.lab.after import _deep_sigmoids, halves, some_layers
from minidl.lab.after._deep_sigmoids import HalfNorm, Shift, sigmoids
from minidl.lab.study.claim import plain
from minidl.train import update_bn
from tests.lab.after.test_graph_claims import all_runs
from tests.lab.paper.synthetic import bars, finals

HALVES, SOME = halves.CLAIM, some_layers.CLAIM


def layer_and_input(centre, dtype=np.float64):
    generator = np.random.default_rng(3)
    layer = HalfNorm(5, centre)
    for parameter in layer.parameters():
        parameter.data = generator.standard_normal(5).astype(dtype)
    return layer, 3 + 2 * generator.standard_normal((8, 5)).astype(dtype)


@pytest.mark.parametrize("centre", [True, False])
def test_a_half_is_what_it_says(centre):
    layer, x = layer_and_input(centre)
    half = x - x.mean(0) if centre else x / np.sqrt(x.var(0) + 1e-5)
    assert layer(Tensor(x)).data == pytest.approx(layer.weight.data * half + layer.bias.data)


@pytest.mark.parametrize("centre", [True, False])
def test_gradients_go_through_the_statistics(centre):
    layer, x = layer_and_input(centre)
    gradcheck(layer, x)


@pytest.mark.parametrize("centre", [True, False])
def test_evaluation_takes_the_statistics_of_the_population(centre):
    layer, x = layer_and_input(centre, np.float32)
    update_bn([x], layer)
    layer.eval()
    mean, std = x.mean(0), np.sqrt(x.var(0, ddof=1) + 1e-5)
    half = x[:2] - mean if centre else x[:2] / std
    assert layer(Tensor(x[:2])).data == pytest.approx(layer.weight.data * half + layer.bias.data, rel=1e-4)


def test_both_halves_are_batch_norm():
    x = np.random.default_rng(0).normal(2, 3, (30, 4)).astype(np.float32)
    both = nn.Sequential(HalfNorm(4, True), HalfNorm(4, False))
    assert both(Tensor(x)).data == pytest.approx(nn.BatchNorm(4)(Tensor(x)).data, abs=1e-5)


def test_layers_get_what_is_made_for_them():
    asked = []

    def make(layer, features):
        asked.append((layer, features))
        return Shift(features)

    model = sigmoids(3, make, np.random.default_rng(0))
    assert asked == [(i, _deep_sigmoids.WIDTH) for i in range(3)]
    weights = [layer.weight.data for layer in model if isinstance(layer, nn.Linear)]
    assert [w.shape for w in weights] == [(784, 100), (100, 100), (100, 100), (100, 10)]
    assert weights[1].std() == pytest.approx(4 * np.sqrt(2 / 200), rel=0.02)


@pytest.mark.parametrize("part", halves.MAKE)
def test_every_half_runs(part):
    config = {"part": part, "depth": 3, "lr": 0.1, "steps": 4, "seed": 0}
    record = halves.run(config, bars())
    assert record["diverged"] is None
    json.dumps(plain(record), allow_nan=False)


def test_batch_norm_is_where_the_settings_say(monkeypatch):
    models = []
    monkeypatch.setattr(some_layers, "train", lambda model, *rest: models.append(model))
    some_layers.run({"layers": [1, 11], "lr": 0.1, "steps": 4, "seed": 0}, bars())
    kinds = [type(layer) for layer in models[0] if isinstance(layer, nn.BatchNorm | Shift)]
    assert [i for i, kind in enumerate(kinds) if kind is nn.BatchNorm] == [1, 11]
    assert len(kinds) == some_layers.DEPTH


@pytest.mark.parametrize("claim", [HALVES, SOME], ids=lambda claim: claim.id)
def test_each_arm_has_its_own_rate_and_fresh_seeds(claim):
    runs = all_runs(claim, lambda c: {"validation": -abs(np.log(c["lr"]) - len(c["arm"]) % 3), "test": 0.5})
    final = runs.where(stage="final")
    assert set(final.settings("arm")) == set(runs.where(stage="tune").settings("arm"))
    assert all(len(final.settings("lr", arm=arm)) == 1 for arm in final.settings("arm"))
    assert len(final.settings("lr")) > 1
    assert not set(runs.where(stage="tune").settings("seed")) & set(final.settings("seed"))


def made_up_halves(mean, std, spread=1e-4):
    ends = {halves.BOTH: 0.95, halves.MEAN: mean, halves.STD: std, halves.NEITHER: 0.8}
    arms = {halves._cell(part, d): ({"steps": 9}, end) for part, end in ends.items() for d in halves.DEPTHS}
    return shaken(finals("test", arms, spread=0), spread, halves.BOTH)


def shaken(result, spread, still):
    """Runs whose seeds differ, but for those of one arm."""
    for run in result.runs:
        run.record["test"] += 0 if run.config["arm"].startswith(still) else spread * (run.config["seed"] - 1)
    return result


@pytest.mark.parametrize(
    ("mean", "std", "spread", "word"),
    [
        (0.93, 0.94, 1e-4, "reproduced"),
        (0.95, 0.94, 1e-4, "partly"),
        (0.96, 0.94, 1e-4, "partly"),
        (0.96, 0.95, 1e-4, "contradicted"),
        (0.94, 0.94, 0.1, "not at this scale"),
    ],
)
def test_verdicts_of_halves(mean, std, spread, word):
    assert HALVES.verdict(made_up_halves(mean, std, spread)).word == word


def test_numbers_and_figure_of_halves():
    verdict = HALVES.verdict(made_up_halves(0.93, 0.94, 0))
    assert verdict.number == "12 layers: both less mean only +2.00 ± 0.00 points, less deviation only +1.00 ± 0.00"
    assert "the mean alone gains +13.00 ± 0.00 points over neither" in verdict.because
    titles = [ax.get_title(loc="left") or ax.get_title() for ax in HALVES.figure(made_up_halves(0.93, 0.96)).axes]
    assert titles == [f"{depth} layers: both end 1.0 points below deviation only" for depth in (3, 12)]


def made_up_layers(spread=1e-4, **ends):
    means = dict.fromkeys(some_layers.ARMS, 0.9) | {some_layers.ALL: 0.95, some_layers.NONE: 0.8} | ends
    return shaken(finals("test", {arm: ({}, mean) for arm, mean in means.items()}, spread=0), spread, some_layers.ALL)


@pytest.mark.parametrize(
    ("ends", "spread", "word"),
    [
        ({}, 1e-4, "reproduced"),
        ({"first six": 0.949}, 1e-4, "reproduced"),
        ({"first six": 0.95}, 1e-4, "contradicted"),
        ({"first six": 0.96}, 1e-4, "contradicted"),
        ({"first six": 0.95}, 0.01, "partly"),
        ({}, 0.5, "not at this scale"),
    ],
)
def test_verdicts_of_some_layers(ends, spread, word):
    assert SOME.verdict(made_up_layers(spread, **ends)).word == word


def test_numbers_and_figure_of_some_layers():
    verdict = SOME.verdict(made_up_layers(0, **{"first six": 0.95, "the last": 0.95}))
    assert verdict.number == "“the last” is enough: all layers less it +0.00 ± 0.00 points; all less none +15.00 ± 0.00"
    assert SOME.verdict(made_up_layers(0)).number.startswith(
        "worse than all layers in 7 of 7 placements; all less none"
    )
    [ax] = SOME.figure(made_up_layers(**{"every third": 0.94})).axes
    assert (ax.get_title(loc="left") or ax.get_title()) == "Of 12 layers, every third: 94.0 %; all: 95.0 %"

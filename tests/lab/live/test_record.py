"""What is recorded is the training of `fig1.run_arm`, looked at in more places."""

import json
import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from minidl import data, nn
from minidl.lab.live.pack import pack, shares, unit_bands
from minidl.lab.live.record import (
    ARMS,
    EDGES,
    NETS,
    PERCENTILES,
    UNITS,
    careful,
    describe,
    looked_at,
    model_of,
    moments,
    norm_of,
    plan,
    run,
    settings_of,
    shortened,
)
from minidl.lab.models import paper_mlp
from minidl.lab.paper.fig1 import run_arm
from minidl.lab.study.claim import Result, Run, Scale, plain
from minidl.lab.study.fingerprint import fingerprint
from tests.lab.paper.synthetic import bars

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "live" / "index.html"
STEPS = {"sigmoid": 6, "conv": 3}
ALL_ARMS = [(name, arm) for name, net in NETS.items() for arm in net.arms]


def fresh(config, digits):
    """The same training by `run_arm`, without replay."""
    short = shortened(digits, NETS[config["net"]].tested)
    return run_arm(settings_of(config), norm_of(config), short, quiet=True, model=model_of(config))


@pytest.fixture(scope="module")
def few_steps():
    """All arms, recorded over a few steps on digits of bars, one seed."""
    digits = bars(train=200, test=40)
    runs = [
        Run(config, plain(run(config, digits)))
        for config in ({"net": name, "arm": arm, "seed": 1, "steps": STEPS[name]} for name, arm in ALL_ARMS)
    ]
    return digits, Result(tuple(runs))


@pytest.mark.parametrize(("name", "arm"), ALL_ARMS)
def test_the_json_is_what_run_arm_measures(few_steps, name, arm):
    """The same bits in the record; in the JSON to half a unit of its last digit."""
    digits, result = few_steps
    config = {"net": name, "arm": arm, "seed": 1, "steps": STEPS[name]}
    record, again = result.where(net=name, arm=arm).runs[0].record, fresh(config, digits)
    assert again.steps.tolist() == list(range(STEPS[name] + 1))
    at = record["steps"]
    assert record["accuracy"] == plain(again.accuracy[at])
    assert record["loss"] == plain(again.loss[at])
    chosen = np.linspace(0, again.inputs.shape[1] - 1, UNITS).round().astype(int)
    expected = again.inputs[at][:, chosen]
    assert np.array([moment[-1] for moment in record["units"]]) == pytest.approx(expected, rel=1e-6)
    net = next(net for net in pack(result, "")["nets"] if net["id"] == name)
    packed = next(one for one in net["arms"] if one["id"] == arm)
    assert net["steps"] == at
    assert np.abs(np.array(packed["acc"][0]) - 100 * again.accuracy[at]).max() <= 0.005
    assert np.abs(unit_bands(net, packed)[:, -1] - np.clip(expected, -12.7, 12.7)).max() <= 0.05 + 1e-6
    share = np.array(record["counts"]) / np.sum(record["counts"], axis=-1, keepdims=True)
    assert np.abs(np.sqrt(shares(net, packed)[0]) - np.sqrt(share)).max() <= 0.5 / 255 + 1e-9


@pytest.mark.skipif(not os.environ.get("MINIDL_DATA"), reason="needs MNIST: MINIDL_DATA names no folder")
@pytest.mark.parametrize("arm", NETS["sigmoid"].arms)
def test_the_committed_page_is_what_mnist_gives(arm):
    """The first steps of the first seed. Another processor rounds differently: to 0.05 points, and a tenth of the inputs."""
    digits = data.mnist(quiet=True)
    if len(digits.train.labels) != 60_000 or digits.source != "mnist":
        pytest.skip("the digits that MINIDL_DATA names are not MNIST")
    (net, *_) = json.loads(re.search(r'<script id="data"[^>]*>(.*?)</script>', PAGE.read_text(encoding="utf-8"))[1])[
        "nets"
    ]
    packed = next(one for one in net["arms"] if one["id"] == arm)
    again = fresh({"net": "sigmoid", "arm": arm, "seed": net["seeds"][0], "steps": 2}, digits)
    at = [net["steps"].index(step) for step in again.steps]
    assert np.array(packed["acc"][0])[at] == pytest.approx(100 * again.accuracy, abs=0.05)
    chosen = np.linspace(0, 99, UNITS).round().astype(int)
    # run_arm watches 2,000 images and the page 1,000, so percentiles agree but for sampling
    assert np.abs(unit_bands(net, packed)[at, -1] - again.inputs[:, chosen]).max() < 0.3


def test_arms_of_a_seed_draw_the_same_weights():
    for name in NETS:
        models = [model_of({"net": name, "arm": arm, "seed": 3, "steps": 1}) for arm in ("none", "batch")]
        first, second = ([layer.weight.data for layer in model if hasattr(layer, "weight")] for model in models)
        second = [w for w in second if w.ndim > 1]
        assert len(first) == len(second)
        assert all((a == b).all() for a, b in zip(first, second, strict=True))
    other = model_of({"net": "sigmoid", "arm": "none", "seed": 4, "steps": 1})
    assert (
        other[0].weight.data != model_of({"net": "sigmoid", "arm": "none", "seed": 3, "steps": 1})[0].weight.data
    ).any()


def test_the_good_start_is_that_of_lesson_00():
    lesson = (ROOT / "lessons" / "00_start.py").read_text(encoding="utf-8")
    code = re.search(r"^def careful\(model\):\n(?:    .*\n)+", lesson, re.M)[0]
    names = {"nn": nn, "np": np, "math": __import__("math")}
    exec(code, names)
    sizes = (784, *[100] * 8, 10)
    theirs = names["careful"](paper_mlp("none", 0.1, sizes, np.random.default_rng(5)))
    ours = careful(paper_mlp("none", 0.1, sizes, np.random.default_rng(5)), 0.1)
    built = model_of({"net": "sigmoid", "arm": "start", "seed": 5, "steps": 1})
    for a, b, c in zip(theirs.parameters(), ours.parameters(), built.parameters(), strict=True):
        assert (a.data == b.data).all()
        assert (a.data == c.data).all()


def test_the_plain_network_is_that_of_lesson_00():
    model = model_of({"net": "sigmoid", "arm": "batch", "seed": 0, "steps": 1})
    lesson = paper_mlp("batch", init_std=0.1, sizes=(784, *[100] * 8, 10), generator=np.random.default_rng(0))
    assert repr(model) == repr(lesson)
    assert all((a.data == b.data).all() for a, b in zip(model.parameters(), lesson.parameters(), strict=True))


@pytest.mark.parametrize("shape", [(30, 7), (6, 3, 4, 7)])
@pytest.mark.parametrize(
    ("kind", "f"), [(nn.Sigmoid, lambda x: 1 / (1 + np.exp(-x))), (nn.ReLU, lambda x: np.maximum(x, 0))]
)
def test_a_layer_is_described(shape, kind, f):
    x = (3 * np.random.default_rng(0).normal(0.5, 1.5, shape)).astype(np.float32)
    found = describe(kind, x, f(x))
    flat = x.astype(np.float64).ravel()
    inside = [((flat >= a) & (flat < b)).sum() for a, b in pairwise(EDGES)]
    inside[0] += (flat < EDGES[0]).sum()
    inside[-1] += (flat >= EDGES[-1]).sum()
    assert found["counts"].tolist() == inside
    assert found["counts"].sum() == x.size
    assert found["percentiles"] == pytest.approx([np.percentile(flat, p) for p in PERCENTILES], rel=1e-5)
    threshold = np.log((1 + np.sqrt(0.9)) / (1 - np.sqrt(0.9)))
    flats = np.abs(flat) > threshold if kind is nn.Sigmoid else flat <= 0
    assert found["saturated"] == pytest.approx(flats.mean())
    places = [x[(slice(None), *at)].astype(np.float64) for at in np.ndindex(shape[1:])]
    assert found["signal"] == pytest.approx(np.sqrt(np.mean([np.var(values) for values in places])), rel=1e-6)
    units = x.reshape(-1, 7)[:, np.linspace(0, 6, UNITS).round().astype(int)]
    assert found["units"] == pytest.approx(np.percentile(units, (15, 50, 85), axis=0).T, rel=1e-5, abs=1e-6)


def test_a_unit_that_receives_the_same_has_no_signal():
    x = np.tile(np.arange(5, dtype=np.float32), (10, 1))
    assert describe(nn.Sigmoid, x, x)["signal"] == 0


def test_looking_leaves_no_hooks_and_takes_the_layers_in_order():
    model = model_of({"net": "sigmoid", "arm": "batch", "seed": 0, "steps": 1})
    images = np.random.default_rng(0).random((12, 784)).astype(np.float32)
    seen = looked_at(model, images)
    assert [kind for kind, _, _ in seen] == [nn.Sigmoid] * 8
    assert all(np.allclose(y, 1 / (1 + np.exp(-x.astype(np.float64))), atol=1e-6) for _, x, y in seen)
    assert not any(module._forward_hooks for module in model.modules())


def test_moments_are_ordered_and_end_with_the_training():
    for steps, count in ((10_000, 38), (234, 10), (1, 5), (40, 38)):
        found = moments(steps, count)
        assert found[0] == 0
        assert found[-1] == steps
        assert all(a < b for a, b in pairwise(found))
        assert len(found) <= count + 1


def test_the_plan_has_every_arm_and_seed():
    configs = [plain(config) for config in next(plan(Scale(3)))]
    assert {(c["net"], c["arm"], c["seed"]) for c in configs} == {(n, a, s) for n, a in ALL_ARMS for s in range(3)}
    assert all(c["steps"] == NETS[c["net"]].settings.steps for c in configs)
    assert all(c["steps"] < 100 for c in next(plan(Scale(2, quick=True))))
    assert set(ARMS) == {arm for _, arm in ALL_ARMS}


def test_another_process_finds_the_kept_runs():
    """Their name holds the fingerprint of the code, in which nothing may differ from process to process."""
    code = (
        "from minidl.lab.live.record import run; from minidl.lab.study.fingerprint import fingerprint; "
        "print(fingerprint(run))"
    )
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert there.stdout.strip() == fingerprint(run)

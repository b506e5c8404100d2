"""What the living figure's script reads out of the JSON is what Python packed into it."""

import numpy as np
import pytest

from minidl.lab.live.pack import pack, shares, unit_bands
from minidl.lab.live.words import few
from minidl.lab.web import source
from tests.lab.live.fakes import result
from tests.lab.web.node import evaluate, needs_node

pytestmark = needs_node


@pytest.fixture(scope="module")
def packed():
    return pack(result(), "made up")


@pytest.mark.parametrize("which", [0, 1])
def test_the_script_unpacks_what_was_packed(packed, which):
    net, count = packed["nets"][which], packed["units"]
    bins, at, layer = len(packed["edges"]) - 1, len(net["steps"]) - 2, len(net["layers"]) - 1
    found = evaluate(
        source("live.js"),
        "(unpack(net, bins), net.arms.map(arm => ({heights: net.seeds.map((_, s) => heights(net, arm, s, at, layer)), "
        "units: units(net, arm, at, layer, count), facts: facts(arm, at, layer), peak: net.peak})))",
        net=net, bins=bins, at=at, layer=layer, count=count,
    )  # fmt: skip
    peak = max(shares(net, arm).max() for arm in net["arms"])
    for arm, seen in zip(net["arms"], found, strict=True):
        assert np.allclose(seen["heights"], np.sqrt(shares(net, arm)[:, at, layer] / peak), atol=1e-9)
        assert np.allclose(seen["units"], unit_bands(net, arm)[at, layer])
        for name, values in {
            "sat": [seed[at][layer] for seed in arm["sat"]],
            "signal": [seed[at][layer] for seed in arm["signal"]],
            "left": [100 * seed[at][layer] / seed[at][0] for seed in arm["signal"]],
        }.items():
            expected = {"mean": np.mean(values), "low": min(values), "high": max(values)}
            assert seen["facts"][name] == pytest.approx(expected)


def test_no_column_is_cut_off(packed):
    for net in packed["nets"]:
        highest = evaluate(
            source("live.js"),
            "(unpack(net, bins), Math.max(...net.arms.flatMap(arm => net.seeds.flatMap((_, s) => "
            "net.steps.flatMap((_, t) => net.layers.flatMap((_, l) => heights(net, arm, s, t, l)))))))",
            net=net, bins=len(packed["edges"]) - 1,
        )  # fmt: skip
        assert highest == 1


def test_percentages_are_written_alike():
    values = [0, 0.0004, 0.001, 0.0042, 0.05, 0.0949, 0.0951, 0.3, 1, 4.04, 9.94, 9.96, 12.3, 100]
    written = evaluate(source("live.js"), "values.map(few)", values=values)
    assert [text.replace("<", "less than ") for text in written] == [few(value) for value in values]

"""The living figure as a page: one file, below 500 kB, whose numbers are those of its JSON."""

import copy
import html
import json
import re
from pathlib import Path

import numpy as np
import pytest

from minidl.lab import plot
from minidl.lab.live.build import about, living_page, recorded, still, still_svg
from minidl.lab.live.pack import pack, shares
from minidl.lab.live.words import sentence
from minidl.lab.paper._training import cautious
from minidl.lab.study.claim import Result, Run
from minidl.lab.web import SMALL, page, source
from tests.lab.live.fakes import result
from tests.lab.web.test_pages import outside

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "docs" / "live"


def data_of(text):
    return json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', text, re.S)[1])


@pytest.fixture(scope="module")
def packed():
    return pack(result(), "made up")


@pytest.fixture(scope="module")
def text(packed):
    return living_page(packed)


def test_the_page_is_one_file_that_needs_nothing_else(text):
    assert outside(text) == []
    assert "/* include" not in text
    assert "{{" not in text


def test_the_data_come_back_as_they_were(packed, text):
    assert all(net["says"] for net in data_of(text)["nets"])
    assert recorded(text) == packed
    assert living_page(recorded(text)) == text


@pytest.mark.parametrize("text", ["", '<script id="data" type="application/json">{}</script>', "<html>", page("drag")])
def test_a_page_without_data_is_refused(text):
    with pytest.raises(ValueError, match="no page of the living figure"):
        recorded(text)


def test_every_moment_has_its_sentence(packed, text):
    for net, plain in zip(data_of(text)["nets"], packed["nets"], strict=True):
        assert net["says"] == [sentence(plain, at) for at in range(len(plain["steps"]))]


def test_without_javascript_there_are_a_still_and_a_sentence(packed, text):
    (inside,) = re.findall(r"<noscript>(.*?)</noscript>", text, re.S)
    assert inside.count("<path") == 3 * 8
    net = packed["nets"][0]
    assert html.escape(sentence(net, len(net["steps"]) - 1)) in inside


def test_the_numbers_of_the_page_come_from_its_data(packed, text):
    """With other data every number that was measured is another one; with no data the page has none."""
    other = copy.deepcopy(packed)
    for net in other["nets"]:
        for arm in net["arms"]:
            arm["acc"] = [[round(a / 3, 2) for a in seed] for seed in arm["acc"]]
            arm["signal"] = [[[s * (1 + i) / 7 for i, s in enumerate(row)] for row in seed] for seed in arm["signal"]]
            arm["sat"] = [[[round(s / 2 + 1, 1) for s in row] for row in seed] for seed in arm["sat"]]
    before, after = (re.findall(r'class="says">(.*?)</p>', living_page(one))[0] for one in (packed, other))
    assert before != after
    template = source("live.html").partition("<details><summary>What is shown")[0]
    assert re.findall(r"\d+(?:\.\d+)? ?%", re.sub(r"<style>.*?</style>", "", template, flags=re.S)) == []


def test_columns_of_the_still_are_not_cut_off(packed):
    net = packed["nets"][0]
    drawing = still_svg(packed, net, 0)
    for path in re.findall(r'd="(M[^"]+)"', drawing):
        base, height, heights = float(path.split("V")[-1].rstrip("Z")), 0.0, []
        for move in re.findall(r"v(-?[\d.]+)", path):
            height -= float(move)
            heights.append(height)
        assert min(heights) >= -0.1
        assert max(heights) <= 34 - 4 + 0.5, "a column reaches into the row above"
        assert base <= 24 + 8 * 34


def test_the_stills_tell_the_numbers(packed):
    net = packed["nets"][0]
    figure = still(packed, net)
    titles = [ax.get_title("left").replace("\n", " ") for ax in figure.axes]
    assert [title.partition(":")[0] for title in titles[:3]] == ["Without BN", "With BN", "Good start, no BN"]
    for arm in net["arms"]:
        assert f"{np.mean([seed[-1] for seed in arm['acc']]):.1f} % {arm['name']}" in titles[3]
    assert plot.png(figure).startswith(b"\x89PNG")


def test_the_footer_says_what_made_it():
    text = about({"data": "mnist, 60,000 training and 10,000 test images"}, [0, 1, 2], quick=False)
    assert "“minidl live”" in text
    assert "mnist, 60,000" in text
    assert "seeds 0 to 2" in text
    assert "--seeds 5" in about({"data": "x"}, list(range(5)), quick=False)
    assert "do not believe" in about({"data": "x"}, [0, 1], quick=True)


def test_what_the_text_says_of_learning_rates_is_in_the_ledger():
    """One rate for all arms is fair only because tuning chose it."""
    kept = json.loads((ROOT / "results" / "sigmoid-depth.json").read_bytes())["runs"]
    runs = Result(tuple(Run(run["config"], run["record"]) for run in kept)).where(stage="tune", depth=8)
    assert cautious(runs.where(norm="batch", start="std 0.1"), "validation") == 0.5
    assert cautious(runs.where(norm="none", start="4 × Xavier"), "validation") == 0.5
    plain = runs.where(norm="none", start="std 0.1")
    assert len(plain.settings("lr")) == 6
    assert max(plain.values("validation", lr=lr).mean() for lr in plain.settings("lr")) < 0.15
    assert "no rate of six worked" in " ".join(source("live.html").split())


# ---- what is committed ---------------------------------------------------------------------------------------------------


def test_the_committed_page_is_made_from_its_data():
    committed = (FOLDER / "index.html").read_text(encoding="utf-8")
    assert len(committed.encode()) < 500_000
    assert outside(committed) == []
    again = living_page(recorded(committed))
    assert committed == again, "the page's sources have changed: minidl live --again --out docs/live"


def test_the_committed_data_are_whole():
    packed = data_of((FOLDER / "index.html").read_text(encoding="utf-8"))
    assert [net["id"] for net in packed["nets"]] == ["sigmoid", "conv"]
    for net in packed["nets"]:
        assert len(net["seeds"]) == 3
        for arm in net["arms"]:
            share = shares(net, arm)
            assert share.sum(-1) == pytest.approx(1, abs=0.05)  # roots are kept in 255 steps
            assert np.array(arm["acc"]).shape == (3, len(net["steps"]))
            assert (np.array(arm["sat"]) <= 100).all()
        assert net["tested"] <= 10_000
    assert "60,000 training" in packed["about"]
    assert "cut short" not in packed["about"]


@pytest.mark.parametrize("name", SMALL)
def test_the_committed_small_pages_are_those_of_the_sources(name):
    assert (FOLDER / f"{name}.html").read_text(encoding="utf-8") == page(name), "minidl live --again --out docs/live"


def test_the_committed_stills_are_there():
    for name in ("sigmoid", "conv"):
        assert (FOLDER / f"{name}.png").read_bytes().startswith(b"\x89PNG")

"""The figure of every claim, drawn from the results that are committed: it must show them, and say what it shows."""

import dataclasses
import io
import json
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from minidl.lab import plot
from minidl.lab.registry import NOT_TESTED, claims
from minidl.lab.study.claim import Result, Run

RESULTS = Path(__file__).parents[3] / "results"
CLAIMS = claims()


def committed(claim):
    runs = json.loads((RESULTS / f"{claim.id}.json").read_text(encoding="utf-8"))["runs"]
    return Result(tuple(Run(run["config"], run["record"]) for run in runs))


def others(result, factor=0.5):
    """The same runs, whose records have other numbers."""

    def change(value):
        if isinstance(value, dict):
            return {name: change(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [change(inner) for inner in value]
        return value if isinstance(value, bool | str) or value is None else value * factor

    return Result(tuple(Run(run.config, change(run.record)) for run in result.runs))


def drawn(claim, result):
    """The figure's axes that hold something, and its pixels."""
    figure = claim.figure(result)
    axes = [ax for ax in figure.axes if ax.has_data()]
    pixels = io.BytesIO()
    figure.savefig(pixels, format="rgba", dpi=50)
    plt.close(figure)
    return axes, pixels.getvalue()


def faults(claim):
    """What is wrong with a claim's figure."""
    result = committed(claim)
    axes, pixels = drawn(claim, result)
    found = []
    if not axes:
        found.append("nothing is drawn")
    if not any(ax.get_title() or ax.get_title(loc="left") for ax in axes):
        found.append("it has no title")
    if not all(ax.get_xlabel() or ax.get_ylabel() for ax in axes if ax.get_label() != "<colorbar>"):
        found.append("axes without a label")
    if drawn(claim, result)[1] != pixels:
        found.append("the same result gives another picture")
    if drawn(claim, others(result))[1] == pixels:
        found.append("another result gives the same picture")
    return found


@pytest.mark.parametrize("id", [id for id in CLAIMS if id not in NOT_TESTED])
def test_the_figure_shows_the_result(id):
    assert not faults(CLAIMS[id])


def test_a_figure_that_ignores_the_result_is_found():
    def empty(result):
        return plot.panels(2)[0]

    def constant(result):
        figure, axes = plt.subplots()
        axes.plot([0, 1], [0, 1])
        axes.set(title="the same whatever came out", xlabel="x", ylabel="y")
        return figure

    def bare(result):
        figure, axes = plt.subplots()
        axes.plot([0, 1], [0, result.values("forward").sum()])
        return figure

    claim = CLAIMS["conv"]
    assert "nothing is drawn" in faults(dataclasses.replace(claim, figure=empty))
    assert faults(dataclasses.replace(claim, figure=constant)) == ["another result gives the same picture"]
    assert {"it has no title", "axes without a label"} <= set(faults(dataclasses.replace(claim, figure=bare)))

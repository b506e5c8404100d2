"""The roofline: the roof is where the limits say, points are where their numbers say, the title counts them."""

import numpy as np
import pytest

from minidl.lab import plot

POINTS = {
    "minidl": {"conv2d": [(20, 90), (30, 260)], "relu": [(0.1, 0.9)], "step": [(9, 8)]},
    "torch eager": {"conv2d": [(20, 60), (30, 80)], "relu": [(0.1, 0.2)], "step": [(9, 16)]},
}


def dots(ax):
    """(x, y, filled) of every point."""
    return {
        (float(x), float(y), line.get_fillstyle() == "full")
        for line in ax.lines if line.get_marker() not in ("None", "") for x, y in zip(*line.get_data(), strict=True)
    }  # fmt: skip


def test_points_and_roof(readable):
    ax = readable(plot.roofline(POINTS, 128.0, 16.0))
    assert dots(ax) == {
        (20, 90, True), (30, 260, True), (0.1, 0.9, True), (9, 8, True),
        (20, 60, False), (30, 80, False), (0.1, 0.2, False), (9, 16, False),
    }  # fmt: skip
    (roof,) = [line for line in ax.lines if line.get_marker() == "None" and len(line.get_xdata()) == 3]
    x, y = map(np.asarray, roof.get_data())
    assert (x[1], y[1]) == (8, 128)
    assert y[0] == pytest.approx(16 * x[0])
    assert y[2] == 128
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert x[0] < 0.1
    assert x[2] > 30
    assert ax.get_ylim()[1] > 260
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["conv2d", "relu", "step"]
    assert ax.get_legend().get_title().get_text() == "full: minidl; hollow: torch eager"


def test_the_title_counts_who_reaches_half_of_the_roof(readable):
    ax = readable(plot.roofline({"minidl": POINTS["minidl"]}, 128.0, 16.0))
    assert ax.get_title("left") == "minidl: 3 of 4 reach at least half of the roof"
    assert ax.get_legend().get_title().get_text() == "full: minidl"


def test_pairs_are_joined(readable):
    ax = readable(plot.roofline(POINTS, 128.0, 16.0))
    joined = {tuple(map(tuple, np.asarray(line.get_xydata()))) for line in ax.lines if len(line.get_xdata()) == 2
              and line.get_marker() == "None"}  # fmt: skip
    assert ((20, 90), (20, 60)) in joined
    assert len(joined) == 4


def test_twelve_kinds_look_different(readable):
    ax = plot.roofline({"minidl": {str(i): [(1, 1)] for i in range(12)}}, 10, 10)
    looks = {(line.get_color(), line.get_marker()) for line in ax.lines if line.get_marker() != "None"}
    assert len(looks) == 12


@pytest.mark.parametrize(
    ("points", "limits", "word"),
    [
        ({}, (1, 1), "empty"),
        ({"a": {}}, (1, 1), "empty"),
        ({"a": {"x": [(1, 0)]}}, (1, 1), "positive"),
        ({"a": {"x": [(1, 2, 3)]}}, (1, 1), "pairs"),
        ({"a": {"x": [(1, 2)]}, "b": {"y": [(1, 2)]}}, (1, 1), "equal kinds"),
        ({"a": {"x": [(1, 2)]}, "b": {"x": [(1, 2), (3, 4)]}}, (1, 1), "equal kinds"),
        ({"a": {"x": [(1, 2)]}}, (0, 1), "gflops"),
        ({"a": {"x": [(1, 2)]}}, (1, float("nan")), "gb_per_s"),
    ],
)
def test_what_cannot_be_drawn(no_figure, points, limits, word):
    with pytest.raises(ValueError, match=word):
        plot.roofline(points, *limits)

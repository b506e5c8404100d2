"""Level lines are those of the numbers given."""

import numpy as np
import pytest

from minidl.lab import plot

X, Y = np.linspace(-1, 1, 5), np.linspace(0, 3, 4)
PLANE = X + 2 * Y[:, None]


def draw(x=X, y=Y, values=PLANE, **options):
    _, (ax,) = plot.panels(1)
    return plot.contours(ax, x, y, values, "It rises", "x (m)", "y (s)", **options)


def test_map_and_lines():
    ax = draw(bar="height (m)")
    filled, lines = ax.collections
    assert filled.get_clim()[0] <= -1
    assert filled.get_clim()[1] >= 7
    np.testing.assert_array_equal(filled.levels, lines.levels)
    assert (ax.get_title(loc="left"), ax.get_xlabel(), ax.get_ylabel()) == ("It rises", "x (m)", "y (s)")
    level = next(i for i, value in enumerate(lines.levels) if 2 < value < 4)
    points = np.vstack([path for path in lines.get_paths()[level].to_polygons(closed_only=False)])
    np.testing.assert_allclose(points @ [1, 2], lines.levels[level], atol=1e-9)
    words = plot.describe(ax)
    assert "1 map of level lines." in words
    assert "Colour: height (m)" in words


def test_no_bar_and_gaps():
    values = np.where(PLANE > 6, np.nan, PLANE)
    ax = draw(values=values)
    assert len(ax.figure.axes) == 1
    assert ax.collections[0].get_clim()[1] < 7


@pytest.mark.filterwarnings("error")
def test_a_level_plain_has_no_lines():
    assert len(draw(values=np.ones((4, 5))).collections) == 1


@pytest.mark.parametrize(
    "bad",
    [
        {"values": PLANE.T}, {"x": X[:1], "values": PLANE[:, :1]}, {"values": np.full((4, 5), np.nan)}, {"y": 3.0},
        {"x": X[::-1]}, {"y": [0, 1, np.nan, 3]}, {"values": "abc"}, {"levels": 0}, {"levels": 2.5},
    ],
)  # fmt: skip
def test_bad_input(bad):
    with pytest.raises(ValueError, match="contours: "):
        draw(**bad)

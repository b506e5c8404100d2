"""Every unit stands in its own cell, at the right height, and the title counts them."""

import numpy as np
import pytest
from matplotlib.collections import LineCollection

from minidl.lab import plot

STEPS = np.array([0, 10, 20])
MEDIANS = np.array([[0, 1.0, 2, 3, 4], [0, 2, 4, 6, 8], [0, 3, 6, 9, 12]])  # unit k rises by 2k
PERCENTILES = MEDIANS[:, :, None] + np.array([-1, 0, 1])
LIMITS = (-1.0, 13.0)


def medians(ax):
    """The drawn lines of medians: (units, steps, 2)."""
    return np.array([c.get_segments() for c in ax.collections if isinstance(c, LineCollection)][-1])


def test_a_cell_for_each_unit_by_rows_on_one_scale(readable):
    lines = medians(readable(plot.unit_bands(STEPS, PERCENTILES, limits=LIMITS)))
    assert np.floor(lines.mean(1)).tolist() == [[0, 1], [1, 1], [2, 1], [0, 0], [1, 0]]
    heights = lines[:, :, 1] - np.floor(lines[:, :1, 1])
    slope, base = np.polyfit(MEDIANS.T.ravel(), heights.ravel(), 1)
    np.testing.assert_allclose(heights, base + slope * MEDIANS.T, atol=1e-12)
    assert slope == pytest.approx(0.88 / 14)


def test_the_order_decides_who_stands_where():
    plain = medians(plot.unit_bands(STEPS, PERCENTILES, limits=LIMITS))
    turned = medians(plot.unit_bands(STEPS, PERCENTILES, limits=LIMITS, order=[4, 3, 2, 1, 0]))
    np.testing.assert_allclose(turned[0, :, 1] - 1, plain[4, :, 1])  # the last unit, now in the row above


def test_the_title_is_the_movement_of_all_units():
    ax = plot.unit_bands(STEPS, PERCENTILES, name="Input")
    assert ax.get_title("left").replace("\n", " ") == "Input: half of the medians move more than 2.00 band widths"
    assert ax.get_xlabel().startswith("the medians move 0 to 4.00 band widths\n")


def test_a_gap_and_a_unit_that_never_moves(readable):
    percentiles = PERCENTILES.copy()
    percentiles[1, 0] = np.nan
    ax = readable(plot.unit_bands(STEPS, percentiles, limits=LIMITS))
    segments = [c.get_segments() for c in ax.collections if isinstance(c, LineCollection)][-1]
    assert [len(segment) for segment in segments] == [2, 3, 3, 3, 3]
    flat = plot.unit_bands(STEPS, np.ones((3, 2, 3)), limits=LIMITS)
    assert "no band has a width" in flat.get_title("left")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(percentiles=PERCENTILES[:2]), r"percentiles is \(2, 5, 3\) but there are 3 steps"),
        (dict(percentiles=PERCENTILES[..., ::-1]), "percentiles decrease"),
        (dict(percentiles=PERCENTILES * np.nan), "without any finite"),
        (dict(steps=STEPS[::-1]), "steps must be finite and increase"),
        (dict(order=[0, 1, 2, 3, 3]), "order must have each of the 5 units once"),
        (dict(limits=(2.0, 1.0)), r"limits are \(2.0, 1.0\)"),
    ],
)
def test_what_cannot_be_right_is_refused(arguments, message, no_figure):
    with pytest.raises(ValueError, match=f"unit_bands: .*{message}|unit_bands: {message}"):
        plot.unit_bands(**(dict(steps=STEPS, percentiles=PERCENTILES) | arguments))

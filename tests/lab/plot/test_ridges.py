"""Ridgelines: heights are roots of shares, nothing is cut off."""

import numpy as np
import pytest

from minidl.lab import plot

EDGES = np.linspace(-2, 2, 5)
SHARES = np.array(
    [[[0.1, 0.4, 0.4, 0.1], [0.0, 1.0, 0.0, 0.0]], [[0.25] * 4, [0.0, 0.81, 0.19, 0.0]]]
)  # 2 seeds, 2 layers
NAMES = ["first", "second"]


def draw(**changes):
    (ax,) = plot.panels(1)[1]
    given = dict(edges=EDGES, shares=SHARES, names=NAMES, title="Title", xlabel="x") | changes
    return plot.ridges(ax, given.pop("edges"), given.pop("shares"), given.pop("names"), **given)


def heights(ax):
    """(row, seed) → heights above the row's base; the filled copy of the first seed is left out."""
    data = [patch.get_data() for patch in ax.patches if not patch.get_fill()]
    return [np.asarray(one.values) - one.baseline for one in data]


def test_heights_are_roots_of_shares():
    found = heights(draw())
    for height, share in zip(found, SHARES.swapaxes(0, 1).reshape(4, 4), strict=True):
        assert height == pytest.approx(0.9 * np.sqrt(share))


def test_nothing_reaches_into_the_row_above_or_out_of_the_axes():
    ax = draw()
    assert max(height.max() for height in heights(ax)) < 1
    low, high = ax.get_ylim()
    for patch in ax.patches:
        if hasattr(patch, "get_data"):
            assert np.max(patch.get_data().values) <= high
    assert low == 0


def test_a_peak_of_ones_own_makes_figures_comparable():
    found = heights(draw(shares=SHARES / 4, peak=1.0))
    assert found[2].max() == pytest.approx(0.45)


def test_the_first_layer_is_at_the_top():
    ax = draw(zones=[(-2, -1)])
    assert [text.get_text() for text in ax.get_yticklabels()] == NAMES
    assert ax.get_yticks()[0] > ax.get_yticks()[1]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (dict(shares=SHARES[0]), r"shares is \(2, 4\), for 2 names and 5 edges; it must be \(seeds, 2, 4\)"),
        (dict(shares=SHARES[:0]), "shares is"),
        (dict(names=["one"]), "for 1 names"),
        (dict(edges=EDGES[::-1]), "edges do not increase"),
        (dict(shares=-SHARES), "must be from 0 to the peak"),
        (dict(shares=np.full_like(SHARES, np.nan)), "must be from 0 to the peak"),
        (dict(peak=0.5), "must be from 0 to the peak, 0.5"),
        (dict(shares=0 * SHARES), "must be from 0 to the peak"),
    ],
)
def test_wrong_input_is_named(changes, told):
    with pytest.raises(ValueError, match=told):
        draw(**changes)


def test_a_figure_as_png():
    assert plot.png(draw()).startswith(b"\x89PNG")

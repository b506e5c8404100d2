"""Bands and histograms over training: in the right place, of the right size, with a title that follows."""

import numpy as np
import pytest

from minidl.lab import plot
from minidl.lab.plot.distributions import movement
from tests.lab.plot.test_curves import band, curve

STEPS = np.array([0, 10, 100, 1000])
PERCENTILES = np.array([[-1, 0, 1.5], [-2, -1, 0], [-3, 1, 2], [-1, 0.5, 3]])
EDGES = np.array([-4, -1, 0, 1, 2.0])
COUNTS = np.array([[0, 8, 8, 0], [1, 7, 7, 1], [4, 4, 4, 4], [0, 0, 0, 32]])


def test_the_band_lies_between_the_percentiles(readable):
    ax = readable(plot.percentile_bands(STEPS, PERCENTILES, name="input of a sigmoid"))
    drawn = [curve(ax, i)[1] for i in range(3)]
    assert np.array_equal(drawn, PERCENTILES[:, [0, 2, 1]].T)
    (collection,) = ax.collections
    assert band(collection) == {step: (low, high) for step, (low, _, high) in zip(STEPS, PERCENTILES, strict=True)}
    assert ax.get_ylim()[0] < -3
    assert ax.get_ylim()[1] > 3
    assert ax.get_ylabel() == "input of a sigmoid"
    assert ax.get_xlabel() == "training step"


def test_the_title_is_the_movement_in_widths_of_the_band():
    widths = [2.5, 2, 5, 4]
    title = plot.percentile_bands(STEPS, PERCENTILES).get_title("left")
    assert title == f"The median moves {2 / np.mean(widths):.2f} band widths"


def test_movement_of_a_band_without_width_and_of_nothing():
    assert movement(np.repeat([[1.0], [3.5]], 3, axis=1)) == "the median moves by 2.50"
    assert movement(np.full((2, 3), np.nan)) == "it is never finite"


def test_what_was_foretold_is_drawn_and_compared(readable):
    ax = readable(plot.percentile_bands([0, 1], [[0, 1, 2], [0, 2, 4]], foretold=[[0, 1, 2], [0, 3, 4]]))
    dashed = [line.get_ydata().tolist() for line in ax.get_lines()][-3:]
    assert dashed == [[0, 0], [1, 3], [2, 4]]
    assert ax.get_title("left") == "Foretold to within 0.25 band widths"
    assert "foretold" in [text.get_text() for text in ax.get_legend().get_texts()]
    flat = plot.percentile_bands([0], [[1, 1, 1]], foretold=[[1, 2, 3]])
    assert flat.get_title("left") == "No band has a width"


def test_the_legend_can_be_left_out():
    assert plot.percentile_bands(STEPS, PERCENTILES).get_legend() is not None
    assert plot.percentile_bands(STEPS, PERCENTILES, key=False).get_legend() is None


def test_a_row_that_is_not_finite_leaves_a_gap(readable):
    percentiles = PERCENTILES.copy()
    percentiles[1] = np.nan, np.inf, -np.inf
    ax = readable(plot.percentile_bands(STEPS, percentiles))
    assert np.isnan(curve(ax, 2)[1]).tolist() == [False, True, False, False]
    assert ax.get_title("left") == f"The median moves {1 / np.mean([2.5, 5, 4]):.2f} band widths"
    assert "never finite" in readable(plot.percentile_bands(STEPS, np.full((4, 3), np.inf))).get_title("left")


def test_one_step_can_be_drawn(readable):
    readable(plot.percentile_bands([7], [[0, 1, 2]]))
    readable(plot.histograms_over_time([7], COUNTS[:1], EDGES))


@pytest.mark.parametrize(
    ("steps", "percentiles", "message"),
    [
        (STEPS, PERCENTILES.T, r"percentiles is \(3, 4\) but there are 4 steps; it must be \(4, 3\)"),
        (STEPS, PERCENTILES[:, :2], r"percentiles is \(4, 2\)"),
        (STEPS, PERCENTILES[:, ::-1], "a row of percentiles decreases"),
        (STEPS[::-1], PERCENTILES, "steps must be finite and increase"),
    ],
)
def test_percentiles_that_cannot_be_right_are_refused(steps, percentiles, message, no_figure):
    with pytest.raises(ValueError, match=f"percentile_bands: {message}"):
        plot.percentile_bands(steps, percentiles)


def mesh(ax):
    (collection,) = ax.collections
    corners = collection.get_coordinates()
    return corners[0, :, 0], corners[:, 0, 1], collection.get_array()


def test_columns_stand_at_their_steps_also_when_these_are_uneven(readable):
    ax = readable(plot.histograms_over_time(STEPS, COUNTS, EDGES, name="activation"))
    borders, heights, _ = mesh(ax)
    assert borders.tolist() == [-5, 5, 55, 550, 1450]
    assert heights.tolist() == EDGES.tolist()
    assert ax.get_xlim() == (0, 1000)
    assert ax.get_ylim() == (-4, 2)
    assert ax.get_ylabel() == "activation"
    assert ax.get_xlabel() == "training step"


def test_colours_are_shares_of_a_step_and_empty_bins_stay_white():
    ax = plot.histograms_over_time(STEPS, COUNTS, EDGES)
    _, _, shares = mesh(ax)
    assert np.array_equal(shares.mask, COUNTS.T == 0)
    assert np.allclose(shares.filled(0), 100 * (COUNTS / COUNTS.sum(1, keepdims=True)).T)
    colorbar = ax.figure.axes[1]
    assert colorbar.get_ylabel() == "share of the values in a bin (%)"
    assert colorbar.get_ylim() == pytest.approx((6.25, 100), rel=0.01)


def test_colours_span_three_decades_at_most():
    ax = plot.histograms_over_time([0], [[1, 10**6]], [0, 1, 2])
    assert ax.figure.axes[1].get_ylim() == pytest.approx((0.1, 100), rel=0.01)


def test_shares_do_not_depend_on_how_many_values_there_were():
    once, tiny = (mesh(plot.histograms_over_time(STEPS, COUNTS * scale, EDGES))[2] for scale in (1, 1e-4))
    assert np.allclose(once.filled(0), tiny.filled(0))


def test_the_title_is_the_mean_at_both_ends():
    title = plot.histograms_over_time(STEPS, COUNTS, EDGES).get_title("left")
    assert title == "The mean goes from 0 to 1.50"


def test_a_step_without_values_is_a_white_column(readable):
    counts = COUNTS.copy()
    counts[3] = 0
    ax = readable(plot.histograms_over_time(STEPS, counts, EDGES))
    assert mesh(ax)[2].mask[:, 3].all()
    assert ax.get_title("left") == "The mean goes from 0 to −0.25"


@pytest.mark.parametrize(
    ("steps", "counts", "edges", "message"),
    [
        (STEPS, COUNTS.T[:3], EDGES, r"counts is \(3, 4\); 4 steps and 5 edges need \(4, 4\)"),
        (STEPS, COUNTS, EDGES[:-1], r"4 steps and 4 edges need \(4, 3\)"),
        (STEPS, COUNTS, EDGES[::-1], "edges must be finite and increase"),
        (STEPS[::-1], COUNTS, EDGES, "steps must be finite and increase"),
        (STEPS, -COUNTS, EDGES, "counts must be finite, not negative"),
        (STEPS, COUNTS * np.nan, EDGES, "counts must be finite"),
        (STEPS, 0 * COUNTS, EDGES, "not all zero"),
    ],
)
def test_histograms_that_cannot_be_right_are_refused(steps, counts, edges, message, no_figure):
    with pytest.raises(ValueError, match=f"histograms_over_time: .*{message}"):
        plot.histograms_over_time(steps, counts, edges)


def test_a_grid_has_a_picture_for_each_title_and_one_scale_of_colours(readable):
    counts = np.arange(12.0).reshape(3, 4)
    figure = plot.histogram_grid([0, 1, 2], {"a": counts, "b": 2 * counts, "c": counts}, np.arange(5), columns=2)
    pictures = [ax for ax in figure.axes if ax.get_title("left")]
    assert [ax.get_title("left") for ax in pictures] == ["a", "b", "c"]
    assert {ax.collections[0].get_clim() for ax in pictures} == {(0.1, 100)}
    readable(pictures[0])


def test_a_grid_needs_pictures(no_figure):
    with pytest.raises(ValueError, match="histogram_grid: grid"):
        plot.histogram_grid([0], {}, [0, 1], columns=3)

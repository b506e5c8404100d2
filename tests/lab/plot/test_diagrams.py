"""Drawings have what they are given, in their places, and refuse what cannot be drawn."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from minidl.lab import plot

PLACES = {"x": (0, 0), "μ": (1, 1), "x̂": (2, 0)}


def words(ax):
    return [text.get_text() for text in ax.texts if text.get_text()]


def test_flow_has_its_boxes_words_and_colours(readable):
    ax = readable(
        plot.flow(
            PLACES, [("x", "x̂", "1/s", 0), ("x", "μ", "1/m"), ("μ", "x̂", "", 1, 0.3)], "Routes", key={"direct": 0}
        )
    )
    assert sorted(words(ax)) == sorted(["x", "μ", "x̂", "1/s", "1/m"])
    assert ax.get_title("left") == "Routes"
    inks = {text.get_text(): to_hex(text.get_color()) for text in ax.texts}
    assert inks["1/s"] == plot.INKS[0]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["direct"]


def test_arrows_point_from_their_first_box_to_their_second():
    ax = plot.flow(PLACES, [("x", "x̂", "")], "One")
    (arrow,) = [text for text in ax.texts if getattr(text, "arrow_patch", None)]
    assert (tuple(arrow.xyann), tuple(arrow.xy)) == ((0, 0), (2, 0))


@pytest.mark.parametrize(("places", "arrows"), [({}, []), (PLACES, [("x", "y", "")])])
def test_flow_refuses_boxes_that_are_not_there(no_figure, places, arrows):
    with pytest.raises(ValueError, match="flow: arrows lead to"):
        plot.flow(places, arrows, "")


def test_network_has_a_circle_for_each_number_of_a_small_layer(readable):
    ax = readable(plot.network([3, 784, 2], "A network", between=["W₁", "W₂"]))
    dots = [line for line in ax.lines if line.get_marker() == "o"]
    assert [len(line.get_xdata()) for line in dots] == [3, 6, 2]
    assert len(ax.lines) - len(dots) == 3 * 6 + 6 * 2
    assert words(ax) == ["W₁", "W₂", "3", "⋮", "784", "2"]


@pytest.mark.parametrize(("sizes", "between"), [([3], []), ([3, 0], []), ([3, 2], ["a", "b"]), ([], [])])
def test_network_refuses_what_is_none(no_figure, sizes, between):
    with pytest.raises(ValueError, match="network: sizes are"):
        plot.network(sizes, "", between=between)


def test_a_batch_has_a_frame_round_its_column_or_row(readable):
    table = np.array([[4, -1.5], [6, 0], [8, 2]])
    (left, right) = plot.panels(2)[1]
    plot.batch_table(left, table, "A column", column=1)
    readable(plot.batch_table(right, table, "A row", row=2))
    assert words(left) == ["4", "−1.5", "6", "0", "8", "2"]
    frames = [ax.patches[0].get_bbox() for ax in (left, right)]
    inside = [[(j, i) for i in range(3) for j in range(2) if box.contains(j, i)] for box in frames]
    assert inside == [[(1, 0), (1, 1), (1, 2)], [(0, 2), (1, 2)]]


@pytest.mark.parametrize("options", [{"column": 2}, {"row": -1}])
def test_a_frame_must_be_in_the_table(options):
    with pytest.raises(ValueError, match="it has no such one"):
        plot.batch_table(plot.panels(1)[1][0], np.ones((2, 2)), "", **options)


@pytest.mark.parametrize("table", [np.ones(3), np.zeros((0, 2)), [[np.nan]]])
def test_a_batch_must_be_a_table(table):
    with pytest.raises(ValueError, match=r"must be \(m, C\)"):
        plot.batch_table(plot.panels(1)[1][0], table, "")


def test_zones_are_where_the_slope_is_small(readable):
    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    figure = plot.slope_zones(sigmoid, {"near 0": np.zeros(10), "far": np.full(10, 6.0), "half": np.array([0, 6.0])})
    top, middle, low = figure.axes
    readable(top)
    assert top.get_title("left") == "Flat (grey) beyond ±3.6"
    assert np.allclose(top.lines[0].get_ydata(), sigmoid(top.lines[0].get_xdata()))
    assert middle.lines[0].get_ydata().max() == pytest.approx(0.25)
    shares = [text.get_text() for text in low.get_legend().get_texts()]
    assert shares == ["near 0: 0 % flat", "far: 100 % flat", "half: 50 % flat"]


@pytest.mark.parametrize("inputs", [{}, {"a": []}, {"a": [np.nan]}])
def test_zones_need_inputs(no_figure, inputs):
    with pytest.raises(ValueError, match="slope_zones: "):
        plot.slope_zones(np.tanh, inputs)


def test_lines_have_the_ticks_that_were_asked_for_on_axes_of_their_own():
    ax = plot.lines(None, {"a": ([1, 2, 4], [3, 4, 9])}, "t", "x", "y", log="xy", xticks=[1, 4], yticks=[3, 0.5])
    assert [text.get_text() for text in ax.get_xticklabels()] == ["1", "4"]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["3", "0.5"]


def test_rows_are_joined_in_their_order(readable):
    ax = readable(plot.joined({"x": [1, 2, 3], "y": [0, 5, 1]}, "Before and after", "value"))
    assert [text.get_text() for text in ax.get_yticklabels()] == ["x", "y"]
    assert [list(line.get_xdata()) for line in ax.lines[:3]] == [[1, 0], [2, 5], [3, 1]]


@pytest.mark.parametrize("rows", [{}, {"x": [1], "y": [1, 2]}, {"x": [[1]]}])
def test_rows_of_other_sizes_are_refused(no_figure, rows):
    with pytest.raises(ValueError, match="all of one size"):
        plot.joined(rows, "", "")

"""Pictures of a study show the numbers they are given."""

import numpy as np
import pytest

from minidl.lab import plot
from minidl.lab.study.statistics import t_interval

SEEDS = np.array([[1.0, 2, 3], [2, 4, 6], [3, 3, 9]])


def axes():
    return plot.panels(1)[1][0]


def test_panels_have_a_title_and_a_note():
    figure, made = plot.panels(3, 2, title="All of it", note="from below")
    assert len(made) == 6
    assert figure.get_suptitle() == "All of it"
    assert figure.get_supxlabel() == "from below"


def test_a_key_may_be_below_the_axes_where_it_covers_nothing():
    runs = {"a": ([1, 2, 3], SEEDS), "b": ([1, 2, 3], SEEDS + 1)}
    figure, (ax,) = plot.panels(1)
    plot.lines(ax, runs, "title", "x", "y", key="below")
    figure.canvas.draw()
    assert ax.get_legend().get_window_extent().y1 < ax.xaxis.label.get_window_extent().y0 + 1
    inside = plot.lines(axes(), runs, "title", "x", "y")
    inside.figure.canvas.draw()
    assert inside.get_legend().get_window_extent().y0 > inside.get_window_extent().y0


def test_a_line_is_the_mean_in_its_interval():
    ax = plot.lines(axes(), {"a": ([1, 2, 3], SEEDS), "b": ([1, 2], [5, 6])}, "title", "x", "y")
    a, b = ax.get_lines()
    np.testing.assert_allclose(a.get_ydata(), SEEDS.mean(0))
    np.testing.assert_allclose(b.get_ydata(), [5, 6])
    (band,) = ax.collections  # one seed has no band
    edges = band.get_paths()[0].vertices
    low, high = edges[:, 1].min(), edges[:, 1].max()
    intervals = [t_interval(column) for column in SEEDS.T]
    np.testing.assert_allclose((low, high), (min(i.low for i in intervals), max(i.high for i in intervals)))
    assert (ax.get_title(loc="left"), ax.get_xlabel(), ax.get_ylabel()) == ("title", "x", "y")
    assert ax.get_legend().get_title().get_text().startswith("mean, and 95 %")
    assert a.get_linestyle() != b.get_linestyle() or a.get_color() != b.get_color()


def test_whole_numbers_have_whole_ticks():
    for x, whole in (([1, 2, 3], True), ([1, 2, 2.5], False)):
        ticks = plot.lines(axes(), {"a": (x, [1, 2, 3])}, "", "", "").get_xticks()
        assert all(float(tick).is_integer() for tick in ticks) == whole


def test_a_logarithmic_axis_averages_logarithms():
    ax = plot.lines(axes(), {"a": ([1, 10, 100], [[1, 1, 1], [100, 1, 1]])}, "", "", "", log="xy")
    np.testing.assert_allclose(ax.get_lines()[0].get_ydata(), [10, 1, 1])
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert [text.get_text() for text in ax.get_xticklabels()] == ["1", "10", "100"]


def test_what_is_not_finite_leaves_a_gap():
    ax = plot.lines(axes(), {"a": ([1, 2, 3], [[1, np.nan, 3], [1, 2, 3]])}, "", "", "")
    np.testing.assert_array_equal(np.isnan(ax.get_lines()[0].get_ydata()), [False, True, False])
    ax = plot.lines(axes(), {"a": ([1, 2, 3], [1, 0, 3])}, "", "", "", log="y")
    np.testing.assert_array_equal(np.isfinite(ax.get_lines()[0].get_ydata()), [True, False, True])


def test_intervals_show_every_seed():
    ax = plot.intervals(axes(), {"one": [1, 2, 3, np.nan], "two": [5]}, "title", "points", zero=True)
    dots = {tuple(line.get_xdata()) for line in ax.get_lines()}
    assert {(1.0, 2.0, 3.0), (2.0,), (5.0,)} <= dots
    assert tuple(t_interval([1, 2, 3])[1:]) in dots
    assert [text.get_text() for text in ax.get_yticklabels()] == ["one", "two"]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first row is on top
    assert ax.get_ylabel() == ""


def test_dots_are_where_the_numbers_are():
    ax = plot.dots(
        axes(), {"a": ([1, 4], [[1, 2], [3, np.nan]]), "b": ([4], [9])}, "title", "x", "y", log="x", zero=True
    )
    a, b, guide = ax.get_lines()
    np.testing.assert_array_equal(a.get_xydata(), [[1, 1], [4, 2], [1, 3]])
    np.testing.assert_array_equal(b.get_xydata(), [[4, 9]])
    assert set(guide.get_ydata()) == {0}
    assert (a.get_color(), a.get_marker()) != (b.get_color(), b.get_marker())
    assert [text.get_text() for text in ax.get_xticklabels()] == ["1", "4"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b"]
    assert (ax.get_title(loc="left"), ax.get_ylabel()) == ("title", "y")


def test_rows_have_names():
    ax = plot.dots(axes(), {"a": ([5, 6], [0, 1])}, "", "x", "", marks="|", rows=["up", "down"])
    assert [text.get_text() for text in ax.get_yticklabels()] == ["up", "down"]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]


def test_dots_beyond_the_edge_are_counted():
    ax = plot.dots(axes(), {"a": ([1, 2, 3], [-9, 1, 40])}, "", "x", "y", limits=(0, 5), diagonal=True)
    assert ax.get_ylim() == (0, 5)
    assert ax.get_ylabel() == "y (2 beyond the edge)"
    np.testing.assert_array_equal(ax.get_lines()[-1].get_xydata(), [[1, 1], [3, 3]])
    assert plot.dots(axes(), {"a": ([1], [1])}, "", "x", "y", limits=(0, 5)).get_ylabel() == "y"


def test_intervals_can_share_their_limits():
    assert plot.intervals(axes(), {"one": [1, 2]}, "", "", limits=(0, 7)).get_xlim() == (0, 7)


def test_checks_mark_what_is_beyond_its_bound():
    ax = plot.checks(axes(), {"fine": (1e-15, 1e-12), "none": (0.0, 0.0), "bad": (1e-3, 1e-12)}, "title")
    dots = [line for line in ax.get_lines() if line.get_marker() == "o"]
    fine, none, bad = dots
    assert fine.get_color() != bad.get_color()
    assert fine.get_color() == none.get_color()
    assert none.get_markerfacecolor() == "white" != fine.get_markerfacecolor()
    assert ax.get_xlim()[0] < 1e-15
    assert ax.get_xlim()[1] > 1e-3


@pytest.mark.parametrize(
    ("draw", "word"),
    [
        (lambda ax: plot.lines(ax, {}, "", "", ""), "empty"),
        (lambda ax: plot.lines(ax, {"a": ([1, 2], [1, 2, 3])}, "", "", ""), "2 steps"),
        (lambda ax: plot.lines(ax, {"a": ([2, 1], [1, 2])}, "", "", ""), "increase"),
        (lambda ax: plot.intervals(ax, {"a": [np.nan]}, "", ""), "no finite"),
        (lambda ax: plot.intervals(ax, {}, "", ""), "empty"),
        (lambda ax: plot.checks(ax, {}, ""), "empty"),
    ],
)
def test_errors(draw, word):
    with pytest.raises(ValueError, match=word):
        draw(axes())

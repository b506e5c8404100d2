"""Small multiples: a panel for each run, one legend, shared limits, a mark."""

import numpy as np
import pytest

from minidl.lab import plot

RUNS = {name: {"loss": ([0, 1, 2], [i, 2 * i, 3 * i])} for i, name in enumerate("ABC", 1)}


def test_each_run_has_a_panel_with_its_numbers_and_the_first_a_legend():
    figure = plot.line_grid(RUNS, "All rise", "step", "loss", columns=2, limits=(0, 10), mark=1.5)
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["A", "B", "C"]
    for i, ax in enumerate(figure.axes, 1):
        np.testing.assert_array_equal(ax.lines[0].get_ydata(), [i, 2 * i, 3 * i])
        np.testing.assert_array_equal(ax.lines[1].get_xdata(), [1.5, 1.5])
        assert ax.get_ylim() == (0, 10)
        assert (ax.get_legend() is not None) == (i == 1)
    plot.png(figure)


def test_without_limits_and_mark_each_panel_has_its_own():
    figure = plot.line_grid(RUNS, "All rise", "step", "loss", columns=3)
    assert len({ax.get_ylim() for ax in figure.axes}) == 3
    assert all(len(ax.lines) == 1 for ax in figure.axes)
    plot.png(figure)


def test_the_legend_is_in_the_panel_that_is_named():
    figure = plot.line_grid(RUNS, "", "", "", legend="B")
    assert [ax.get_legend() is not None for ax in figure.axes] == [False, True, False]
    with pytest.raises(ValueError, match="no panel 'Z' for the legend; there are A, B, C"):
        plot.line_grid(RUNS, "", "", "", legend="Z")


@pytest.mark.parametrize(("runs", "columns"), [({}, 4), (RUNS, 0), ([], 4)])
def test_no_runs_and_no_columns_are_refused(runs, columns):
    with pytest.raises(ValueError, match=r"line_grid|panels"):
        plot.line_grid(runs, "", "", "", columns=columns)

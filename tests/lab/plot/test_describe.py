"""A figure in words has what its drawing has."""

import numpy as np
import pytest

from minidl.lab import plot
from minidl.lab.plot import describe


@pytest.fixture(autouse=True)
def closed():
    from matplotlib import pyplot

    yield
    pyplot.close("all")


def test_one_panel_has_title_curves_axes_and_legend():
    _, (ax,) = plot.panels(1)
    ax.plot([0, 10, 20], [1, 2, 3], label="with BN")
    ax.plot([0, 10, 20], [1, 1, 1], label="without")
    ax.plot([0, 10, 20], [2, 2, 2], "o", label="dots")
    ax.set_xlim(0, 20)
    ax.set_yscale("log")
    ax.set_yticks([1, 3], ["one", "three"])
    ax.legend(title="arm")
    plot.label(ax, "The rate grows\nby a half", "step", "rate")
    assert describe(ax) == (
        "The rate grows by a half. 2 lines, 1 set of points. x: step, 0 to 20; y: rate, one, three, logarithmic. "
        "Legend (arm): with BN; without; dots."
    )


def test_ranges_are_those_of_the_ticks_with_a_true_minus():
    _, (ax,) = plot.panels(1)
    ax.plot([-1000, 0, 5000], [0, 0.5, 1])
    plot.label(ax, "It rises", "step", "share")
    assert "x: step, −1,000 to 5,000; y: share, 0 to 1." in describe(ax)


def test_panels_are_numbered_and_axes_in_common_are_said_once():
    figure, axes = plot.panels(2, note="five seeds")
    for ax, title in zip(axes, ("Before", "After"), strict=True):
        ax.bar([0, 1], [1, 2])
        plot.label(ax, title, "layer", "share")
    text = describe(figure)
    assert text.startswith("2 panels. (1) Before. 2 bars. (2) After. 2 bars. x: layer,")
    assert text.count("x: layer") == 1
    assert text.endswith("five seeds.")


def test_other_axes_are_said_for_each_panel():
    figure, (left, right) = plot.panels(2)
    plot.label(left, "Before", "layer", "share")
    plot.label(right, "After", "step", "share")
    assert "x: layer" in describe(figure)
    assert "x: step" in describe(figure)


def test_a_heat_map_has_its_colours_and_not_its_cells():
    _, (ax,) = plot.panels(1)
    plot.heat_map(ax, np.arange(25.0).reshape(5, 5), "Jacobian", "input", "output")
    text = describe(ax)
    assert text.startswith("Jacobian.")
    assert "x: input" in text
    assert "Colour:" in text


def test_words_in_a_picture_stand_in_for_a_legend():
    _, (ax,) = plot.panels(1)
    ax.text(0, 0, "the floor")
    assert "Written in it: the floor." in describe(ax)
    for i in range(40):
        ax.text(0, 0, str(i))
    assert "Written in it" not in describe(ax)


def test_an_empty_figure_and_a_very_long_one():
    from matplotlib.figure import Figure

    assert describe(Figure()) == ""
    figure, axes = plot.panels(12)
    for i, ax in enumerate(axes):
        plot.label(ax, f"panel {i} " + "long " * 60, f"x{i}", "y")
    text = describe(figure)
    assert len(text) <= 1200
    assert text.endswith(" …")


def test_no_letters_of_mathematics_markup_are_left():
    _, (ax,) = plot.panels(1)
    plot.label(ax, r"$x$ and  y", "$m$", "y")
    assert "$" not in describe(ax)

"""Sliders where somebody can move them, one drawing where nobody can."""

import sys
import types

import pytest

from minidl.lab.course import explore


@pytest.fixture(autouse=True)
def _no_figure_of_another_test():
    """A caption goes to the figure that is open, and other tests leave some."""
    from matplotlib import pyplot

    pyplot.close("all")


@pytest.fixture
def drawn(monkeypatch):
    monkeypatch.delenv("MINIDL_NO_WIDGETS", raising=False)
    return []


def test_without_widgets_four_stills_move_the_first_control(drawn, monkeypatch):
    monkeypatch.setenv("MINIDL_NO_WIDGETS", "1")
    monkeypatch.setitem(sys.modules, "ipywidgets", None)

    def draw(scale=1.0, batch=8, centred=True):
        drawn.append((scale, batch, centred))

    explore(draw, scale=(0.0, 3.0), batch=[2, 8], centred=False)
    assert drawn == [(0.0, 8, True), (1.0, 8, True), (2.0, 8, True), (3.0, 8, True)]


@pytest.mark.parametrize(
    ("control", "values"), [((2, 12), [2, 5, 9, 12]), ([3, 5], [3, 5]), (list(range(9)), [0, 2, 4, 6]), (True, [True])]
)
def test_stills_of_any_control(drawn, monkeypatch, control, values):
    monkeypatch.setenv("MINIDL_NO_WIDGETS", "1")
    explore(lambda m: drawn.append(m), m=control)
    assert drawn == values


def test_a_still_says_where_its_controls_are(monkeypatch):
    from matplotlib import pyplot

    from minidl.lab import plot

    monkeypatch.setenv("MINIDL_NO_WIDGETS", "1")
    explore(lambda gain=1.0: plot.panels(1), gain=(0.5, 2.0))
    assert [pyplot.figure(n).get_suptitle() for n in pyplot.get_fignums()] == [
        "gain = 0.5",
        "gain = 1",
        "gain = 1.5",
        "gain = 2",
    ]
    pyplot.close("all")


def test_says_what_to_install(drawn, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    explore(drawn.append, scale=(0.1, 3.0))
    assert "pip install ipywidgets" in capsys.readouterr().out
    assert not drawn


def test_hands_the_controls_to_ipywidgets(drawn, monkeypatch):
    fake = types.SimpleNamespace(interact=lambda draw, **controls: drawn.append((draw, controls)))
    monkeypatch.setitem(sys.modules, "ipywidgets", fake)
    explore(print, scale=(0.1, 3.0))
    assert drawn == [(print, {"scale": (0.1, 3.0)})]

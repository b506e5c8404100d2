"""A live figure replaces itself in a notebook, leaves no figure open, and is silent elsewhere."""

import sys
import types

import pytest
from matplotlib import pyplot

from minidl.lab import plot


@pytest.fixture
def shown(monkeypatch):
    """What a notebook would have shown: ("new", figure) or ("update", figure)."""
    calls = []

    class Handle:
        def update(self, figure):
            calls.append(("update", figure))

    def display(figure, display_id):
        calls.append(("new", figure))
        return Handle()

    shell = types.SimpleNamespace(kernel=object())
    module, inner = types.ModuleType("IPython"), types.ModuleType("IPython.display")
    module.get_ipython, module.version_info, inner.display = lambda: shell, (9, 0), display
    monkeypatch.setitem(sys.modules, "IPython", module)
    monkeypatch.setitem(sys.modules, "IPython.display", inner)
    return calls


def draw():
    return plot.loss_curves({"a": ([0, 1], [2.0, 1.0])})


def test_one_place_for_all_figures(shown):
    show = plot.live(draw)
    for _ in range(3):
        show()
    assert [what for what, _ in shown] == ["new", "update", "update"]
    assert all(figure.axes for _, figure in shown)
    assert not pyplot.get_fignums()


def test_two_live_figures_have_two_places(shown):
    plot.live(draw)()
    plot.live(draw)()
    assert [what for what, _ in shown] == ["new", "new"]


def test_outside_a_notebook_nothing_is_shown(monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    plot.live(draw)()
    assert capsys.readouterr().out == ""
    assert not pyplot.get_fignums()

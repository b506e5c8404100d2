"""Sliders where somebody can move them, one drawing where nobody can."""

import sys
import types

import pytest

from minidl.lab.course import explore


@pytest.fixture
def drawn(monkeypatch):
    monkeypatch.delenv("MINIDL_NO_WIDGETS", raising=False)
    return []


def test_draws_once_without_widgets(drawn, monkeypatch):
    monkeypatch.setenv("MINIDL_NO_WIDGETS", "1")
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    explore(lambda **values: drawn.append(values), scale=(0.1, 3.0), batch=[2, 8], centred=False)
    assert drawn == [{"scale": 0.1, "batch": 2, "centred": False}]


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

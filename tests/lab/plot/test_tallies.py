"""Counts stand in their cells, and a zero looks different from all others."""

from minidl.lab import plot


def test_counts_stand_where_they_belong():
    rows = {"a": {"x": 0, "y": 3}, "b": {"x": 10, "y": 7}}
    ax = plot.tallies(rows, 10, "title", "checks")
    words = {tuple(map(int, text.get_position())): text.get_text() for text in ax.texts}
    assert words == {(0, 0): "0", (1, 0): "3", (0, 1): "10", (1, 1): "7"}
    assert [text.get_text() for text in ax.get_xticklabels()] == ["x", "y"]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["a", "b"]
    assert ax.get_title(loc="left") == "title"


def test_more_is_darker_and_zero_is_hatched():
    ax = plot.tallies({"a": {"x": 0, "y": 3, "z": 10}}, 10, "", "")
    none, few, many = ax.patches
    assert none.get_hatch() == "//"
    assert few.get_hatch() is many.get_hatch() is None
    assert sum(many.get_facecolor()[:3]) < sum(few.get_facecolor()[:3]) < sum(none.get_facecolor()[:3])

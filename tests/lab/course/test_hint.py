"""The ladder of hints: one rung at a time, offered to a blank answer, and all of it again at the end."""

import pytest

from minidl.lab.course import _check, check, hint
from minidl.lab.course._check import exercise


@pytest.fixture
def ladder(monkeypatch):
    for name in ("_CHECKS", "_HINTS", "_given"):
        monkeypatch.setattr(_check, name, dict(getattr(_check, name)))

    @exercise("a square", hints=("What is 3 · 3?", "Multiply x by itself.", "y = x²"))
    def _(answer):
        """The square."""

    @exercise("nothing to say")
    def _(answer):
        """Nothing."""


def test_hints_come_one_by_one_then_all_then_from_the_first(ladder, capsys):
    printed = []
    for _ in range(5):
        hint("a square")
        printed.append(capsys.readouterr().out.splitlines())
    one, two, three = (
        "a square, hint 1 of 3: What is 3 · 3?",
        "a square, hint 2 of 3: Multiply x by itself.",
        "a square, hint 3 of 3: y = x²",
    )
    assert printed == [[one], [two], [three], [one, two, three], [one]]


def test_a_blank_answer_is_offered_the_hints_and_a_wrong_one_is_not(ladder, capsys):
    check("a square", ...)
    assert 'Stuck? hint("a square")' in capsys.readouterr().out
    check("nothing to say", ...)
    assert "hint" not in capsys.readouterr().out
    check("a square", lambda x: x)
    assert "Stuck" not in capsys.readouterr().out


def test_an_exercise_without_hints_says_so(ladder, capsys):
    hint("nothing to say")
    assert "no hints" in capsys.readouterr().out


def test_unknown_exercise():
    with pytest.raises(ValueError, match="hint: there is no exercise 'nine'"):
        hint("nine")

"""The core of the checks: three words, and whose fault what is."""

import io
import sys

import numpy as np
import pytest

from minidl import Tensor
from minidl.lab.course import _check, check, recall
from minidl.lab.course._check import FAIL, OPEN, PASS, Wrong, ask, compare, exercise
from tests.system.test_terminal import ENCODINGS, ODD_STREAMS, streams


@pytest.fixture
def square(monkeypatch):
    for name in ("_CHECKS", "_HINTS"):
        monkeypatch.setattr(_check, name, dict(getattr(_check, name)))

    @exercise("a square")
    def _(answer):
        """The square of numbers it has not seen."""
        x = np.array([1.5, -2.0, 3.0])
        compare("the square", ask(answer, x), x * x, instead={"this doubles": 2 * x})


def not_done(x):
    raise NotImplementedError


def mutates(x):
    x *= x
    return x


@pytest.mark.parametrize(
    ("answer", "word", "text"),
    [
        (lambda x: x**2, PASS, "The square of numbers"),
        (lambda x: x + x, FAIL, "this doubles"),
        (lambda x: x**3, FAIL, "off by up to"),
        (lambda x: x[0] ** 2, FAIL, r"shape (); it should be (3,)"),
        (lambda x: x / 0, FAIL, "not finite"),
        (lambda x: None, FAIL, "returns None"),
        (lambda x: "nine", FAIL, "array of numbers"),
        (lambda x: 10**400, FAIL, "array of numbers"),
        (lambda x: x.nine, FAIL, "AttributeError"),
        (mutates, FAIL, "in place"),
        (3.0, FAIL, "should be a function"),
        (..., OPEN, ""),
        (not_done, OPEN, ""),
    ],
)
def test_words(square, capsys, answer, word, text):
    assert check("a square", answer) == word
    printed = capsys.readouterr().out
    assert f"a square: {word}" in printed
    assert text in printed


def test_unknown_exercise():
    with pytest.raises(ValueError, match="there is no exercise 'nine'"):
        check("nine", 9)


def test_names_are_unique(square):
    with pytest.raises(ValueError, match="two checks named"):
        exercise("a square")(lambda: None)


def test_tensors_count_as_arrays():
    from minidl import Tensor

    compare("x", Tensor([1.0, 2.0]), [1, 2])
    with pytest.raises(Wrong, match="x is off by up to 1"):
        compare("x", Tensor([1.0, 3.0]), [1, 2])


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_a_lesson_prints_can_be_read_in_any_encoding(square, monkeypatch, tmp_path, encoding):
    monkeypatch.chdir(tmp_path)
    file = io.BytesIO()
    with streams(monkeypatch, io.TextIOWrapper(file, encoding, newline="\n")):
        for answer in (lambda x: x * x, lambda x: 2 * x, ...):
            check("a square", answer)
        recall("γ ≤ 1", "σ²")
        sys.stdout.flush()
        printed = file.getvalue().decode(encoding)
    assert [line.count("a square") for line in printed.splitlines()] == [1, 1, 1, 0]
    assert "?" not in printed


@pytest.mark.parametrize("make", ODD_STREAMS.values(), ids=ODD_STREAMS)
def test_a_check_answers_where_nothing_can_be_printed(square, monkeypatch, make):
    with streams(monkeypatch, make()):
        assert check("a square", lambda x: x * x) == PASS


def multiplies(x):
    return Tensor(x) @ Tensor(np.zeros((5, 5)))


def test_an_error_inside_the_library_quotes_the_learners_line():
    with pytest.raises(Wrong, match=r"in the line `return Tensor\(x\) @ Tensor\(np\.zeros\(\(5, 5\)\)\)`"):
        ask(multiplies, np.ones((2, 3)))


def test_an_error_without_a_line_of_the_learners_quotes_none():
    with pytest.raises(Wrong) as said:
        ask(Tensor(np.ones((2, 3))).reshape, 7)
    assert "in the line" not in str(said.value)


def test_mistakes_that_agree_by_chance_are_both_named():
    with pytest.raises(Wrong, match=r"^the square: this doubles\. Or: this adds 2\.$"):
        compare("the square", 6.0, 9.0, instead={"this halves": 1.5, "this doubles": 6.0, "this adds 2": 6.0})

"""The core of the checks: three words, and whose fault what is."""

import numpy as np
import pytest

from minidl.lab.course import _check, check
from minidl.lab.course._check import FAIL, OPEN, PASS, Wrong, ask, compare, exercise


@pytest.fixture
def square(monkeypatch):
    monkeypatch.setattr(_check, "_CHECKS", dict(_check._CHECKS))

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

"""Whatever an answer is, its check says pass, fail or not attempted: it never ends in a traceback."""

import inspect

import numpy as np
import pytest

from minidl.lab.course import _check, check


class Evil:
    """Raises an error at whatever is done with it."""

    def _stop(self, *_, **__):
        raise RuntimeError("do not touch")

    __array__ = __eq__ = __ne__ = __lt__ = __gt__ = __len__ = __iter__ = __bool__ = __float__ = __int__ = _stop
    __getattr__ = __getitem__ = __repr__ = __str__ = __hash__ = __add__ = __radd__ = __sub__ = __rsub__ = _stop


def generator(*_):
    yield 1


class Answer:
    """A class in the place of a function."""


VALUES = {
    "an array": np.arange(3.0),
    "an array without axes": np.array(2.0),
    "an empty array": np.zeros((0, 3)),
    "a list": [1, 2],
    "a ragged list": [[1], [2, 3]],
    "three lists": ([1], ["a"], [None]),
    "a text": "two",
    "a number in quotes": "2",
    "an integer": 2,
    "a huge integer": 10**400,
    "a truth": True,
    "a complex number": 1j,
    "complex numbers": np.array([1j, 2]),
    "nan": float("nan"),
    "infinity": float("inf"),
    "a dict": {"a": 1},
    "a set": {1, "a"},
    "dates": np.array(["2015-02-11"], dtype="datetime64[D]"),
    "a class": Answer,
    "a generator": generator(),
    "a module": np,
}
EVIL = {"an object that raises errors": Evil(), "a list of such": [Evil(), Evil()]}


def said_of(capsys, name, answer):
    count = len(inspect.signature(_check._CHECKS[name]).parameters)
    word = check(name, *[answer] * count)
    return word, capsys.readouterr().out


@pytest.mark.parametrize("name", _check.names())
def test_an_answer_of_any_type_is_told_what_it_should_be(name, capsys):
    for what, value in VALUES.items():
        for answer in (value, lambda *_, given=value, **__: given):
            word, said = said_of(capsys, name, answer)
            assert word == _check.FAIL, what
            assert len(said) > len(f"{name}: fail") + 20, what
            assert "Nothing can be made" not in said, f"{what}: {said}"


@pytest.mark.parametrize("name", _check.names())
def test_an_object_that_raises_errors_fails(name, capsys):
    for what, value in EVIL.items():
        for answer in (value, lambda *_, given=value, **__: given):
            assert said_of(capsys, name, answer)[0] == _check.FAIL, what


@pytest.mark.parametrize("name", _check.names())
def test_a_function_of_other_arguments_fails(name, capsys):
    for answer in (lambda: 1, lambda a, b, c, d, e, f, g, h: 1, Answer, generator, np.linalg.solve, print):
        assert said_of(capsys, name, answer)[0] == _check.FAIL


@pytest.mark.parametrize("name", _check.names())
def test_another_number_of_answers_is_said(name, capsys):
    for answers in ((), (1,) * 9):
        assert check(name, *answers) == _check.FAIL
        assert "It takes" in capsys.readouterr().out

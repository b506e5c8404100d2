"""How an exercise is checked: call the answer, compare it, and name the likely misconception.

A check is a function of the learner's answers that raises `Wrong` when one of them is not right:

    @exercise("linear")
    def linear(answer):
        '''y = xW + b for shapes that the learner has not seen.'''
        …
        compare("y", ask(answer, x, w, b), x @ w + b, instead={"the bias is missing": x @ w})

Checks use random shapes and numbers, so an answer passes by its maths and not by its looks. For whoever is stuck there is a
ladder of hints, `@exercise("linear", hints=(…))`: a question, then the next step, then the equation; never the answer.
"""

import inspect
import textwrap
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minidl.lab.course import _progress
from minidl.lab.course._predictions import predictions
from minidl.system.terminal import say
from minidl.tensor import Tensor

__all__ = ["Wrong", "array", "ask", "check", "compare", "exercise", "hint", "names", "number", "parts", "progress"]

_PACKAGE = str(Path(__file__).parents[2])
_CHECKS: dict[str, Callable[..., None]] = {}
_HINTS: dict[str, Sequence[str]] = {}
_given: dict[str, int] = {}  # hints so far, of each exercise
PASS, FAIL, OPEN = "pass", "fail", "not attempted"


class Wrong(Exception):
    """An answer that is not right; the message says what is likely behind it."""


class _NotAttempted(Exception):
    pass


def exercise(name: str, hints: Sequence[str] = ()) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a check under a name; the first line of its docstring says what an answer that passes has shown."""

    def register(function):
        if name in _CHECKS:
            raise ValueError(f"exercise: there are two checks named {name!r}; give one of them another name")
        _CHECKS[name], _HINTS[name] = function, hints
        return function

    return register


def names() -> list[str]:
    """List the names of all exercises of the course."""
    _load()
    return sorted(_CHECKS)


def check(name: str, *answers: Any) -> str:
    """Check the answers to an exercise; prints, and returns, "pass", "fail" or "not attempted".

    name     the exercise, as its cell says
    answers  what the learner wrote: functions or values; `...` and NotImplementedError mean "not attempted"
    Errors   ValueError for an exercise that does not exist; what is wrong with an answer is printed, not raised
    """
    _find("check", name)
    word, text = _judge(_CHECKS[name], answers)
    if word == OPEN and _HINTS[name]:
        text = f'. Stuck? hint("{name}")'
    if word != OPEN:
        _progress.note("exercises", name, word)
    say(f"{dict(zip((PASS, FAIL, OPEN), '✔✘○', strict=True))[word]} {name}: {word}{text}")
    return word


def hint(name: str) -> None:
    """Print the next hint for an exercise: a question first, the equation last; after that one, all of them again.

    Errors  ValueError for an exercise that does not exist
    """
    _find("hint", name)
    hints = _HINTS[name]
    if not hints:
        say(f"{name}: there are no hints for this one; what its check says of a wrong answer is all the help there is")
        return
    done = _given.get(name, 0)
    _given[name] = (done + 1) % (len(hints) + 1)
    for i in range(len(hints)) if done == len(hints) else [done]:
        say(f"{name}, hint {i + 1} of {len(hints)}: {hints[i]}")


def progress() -> None:
    """Print which exercises you have passed (✔), tried (✘) or left (○), how your predictions stand, and what comes next.

    `check` and `recall` keep this in the file progress.json beside the notebooks; delete it to start again.
    """
    try:
        predicted = predictions()
    except (OSError, ValueError) as error:
        predicted = {}
        say(str(error))
    _progress.report(names(), predicted)


def _find(op, name):
    _load()
    if name not in _CHECKS:
        raise ValueError(f"{op}: there is no exercise {name!r}; there are {', '.join(sorted(_CHECKS))}")


def _judge(function, answers):
    if any(answer is ... or answer is None for answer in answers):
        return OPEN, ""
    expected = list(inspect.signature(function).parameters)
    if len(answers) != len(expected):
        return FAIL, f". It takes {len(expected)} ({', '.join(expected)}), and was given {len(answers)}."
    try:
        with np.errstate(all="ignore"):  # a wrong answer may overflow
            function(*answers)
    except _NotAttempted:
        return OPEN, ""
    except Wrong as wrong:
        return FAIL, f". {wrong}"
    except Exception as error:  # an answer can be anything, and an error in the midst of a check would explain nothing
        said = textwrap.shorten(str(error), 200, placeholder=" …")
        return FAIL, f". Nothing can be made of your answer; the check stopped with {type(error).__name__}: {said}"
    return PASS, f". {(function.__doc__ or '').strip().splitlines()[0]}"


def ask(function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """Call the learner's function with these arguments, which it must not change, and return its result.

    Errors  Wrong if it raises an error, or changes an argument in place
    """
    if not callable(function):
        raise Wrong(f"The answer is a {type(function).__name__}; it should be a function.")
    given = [_copy(a) for a in arguments]
    try:
        result = function(*given, **named)
    except NotImplementedError:
        raise _NotAttempted from None
    except Wrong:
        raise
    except Exception as error:
        place = _learners(traceback.extract_tb(error.__traceback__))
        line = f", in the line `{textwrap.shorten(place.line, 120, placeholder=' …')}`" if place and place.line else ""
        said = textwrap.shorten(str(error), 200, placeholder=" …")
        shapes = ", ".join(str(a.shape) for a in arguments if isinstance(a, np.ndarray))
        which = f" It was given arrays of the shapes {shapes}." if shapes and isinstance(error, ValueError) else ""
        raise Wrong(f"Your function stopped with {type(error).__name__}: {said}{line}.{which}") from None
    for i, (before, after) in enumerate(zip(arguments, given, strict=True), 1):
        old, new = _arrays(before), _arrays(after)
        if len(old) != len(new) or not all(map(_same, old, new)):
            raise Wrong(
                f"Your function changes its argument number {i} in place, and others still need it; work on a copy."
            )
    return result


def _learners(frames):
    """Return the last place in the learner's own code, not in minidl nor in what is installed; None if there is none."""
    own = [f for f in frames if not f.filename.startswith(_PACKAGE) and "site-packages" not in f.filename]
    return own[-1] if own else None


def _arrays(argument):
    """The arrays that an argument is, or holds as a list."""
    listed = argument if isinstance(argument, list) else [argument]
    return [a for a in listed if isinstance(a, np.ndarray)]


def _copy(argument):
    if isinstance(argument, list):
        return [_copy(a) for a in argument]
    return argument.copy() if isinstance(argument, np.ndarray) else argument


def _same(before, after):
    return np.array_equal(before, after, equal_nan=before.dtype.kind in "fc")


def compare(
    what: str, got: Any, want: Any, tol: float = 1e-9, instead: Mapping[str, Any] | None = None, hint: str = ""
) -> None:
    """Raise Wrong unless `got` agrees with `want` to `tol`, relative to want's largest size (or 1).

    what     the quantity's name, for the message
    instead  misconception → what an answer that has it would be; those that agree with `got` are named, three at most,
             as two can agree by the luck of random numbers
    hint     what to look at when none of them agrees
    """
    want, single = np.asarray(want), isinstance(got, np.ndarray | np.generic | Tensor) and got.dtype == np.float32
    got = array(what, got, want.shape)
    if _agree(got, want, tol):
        return
    if single and _agree(got, want, 1e-5):
        raise Wrong(f"{what} is right to the seven digits of float32; compute in float64, as its arguments are.")
    likely = [words for words, wrong in (instead or {}).items() if _agree(got, np.asarray(wrong), max(tol, 1e-7))]
    if likely:
        raise Wrong(f"{what}: {'. Or: '.join(likely[:3])}.")
    if got.shape != want.shape:
        wanted = str(want.shape) if want.ndim else "one number"
        raise Wrong(f"{what} has the shape {got.shape}; it should be {wanted}.{_and(hint)}")
    if not np.isfinite(got).all():
        raise Wrong(f"{what} is not finite where it should be.{_and(hint)}")
    worst = np.abs(got - want).max()
    raise Wrong(f"{what} is off by up to {worst:.2g}, where the numbers reach {np.abs(want).max():.2g}.{_and(hint)}")


def array(what: str, got: Any, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """Return an answer as an array of float64; Wrong if it is none, whatever it is instead."""
    if got is ... or got is None:
        raise Wrong(f"{what} is missing: your function returns {got}.")
    try:
        found = np.asarray(got.data if isinstance(got, Tensor) else got)
        if found.dtype.kind in "biufO":  # neither text, which may be a number in quotes, nor complex numbers
            return found.astype(np.float64)
    except Exception:  # whatever it raises: an answer can be any object
        pass
    wanted = "one number" if shape == () else "an array of numbers" + (f", {shape}" if shape else "")
    raise Wrong(f"{what} is a {type(got).__name__}; it should be {wanted}.")


def number(what: str, got: Any) -> float:
    """Return an answer as a float; Wrong if it is not one number, or nan."""
    if isinstance(got, bool | np.bool_) or (found := array(what, got, ())).ndim:
        raise Wrong(f"{what} is a {type(got).__name__}; it should be one number.")
    if np.isnan(found):
        raise Wrong(f"{what} is nan, which is not a number. Is 0 divided by 0, or is a root taken of what is below 0?")
    return float(found)


def parts(result: Any, names: Sequence[str]) -> Sequence[Any]:
    """Return an answer's result as that many parts; Wrong, with their names, if it is something else."""
    several = isinstance(result, tuple | list) or (isinstance(result, np.ndarray) and result.ndim > 0)
    if not several or len(result) != len(names):
        raise Wrong(f"Your function should return {len(names)} things: {', '.join(names)}.")
    return result


def _agree(got, want, tol):
    if got.shape != want.shape:
        return False
    scale = max(1.0, float(np.abs(want).max(initial=0)))
    return bool(np.allclose(got, want, rtol=0, atol=tol * scale))


def _and(hint):
    return f" {hint}" if hint else ""


def _load():
    """Load the checks of all lessons, which register themselves; late, because each imports what its lesson is about."""
    import importlib
    import pkgutil

    from minidl.lab.course import checks

    for module in pkgutil.iter_modules(checks.__path__):
        importlib.import_module(f"{checks.__name__}.{module.name}")

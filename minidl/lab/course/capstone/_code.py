"""A digest of the code that makes a study's runs, in a notebook as well as in a file."""

import contextlib
import dis
import functools
import hashlib
import json
import types
from collections.abc import Callable
from typing import Any

__all__ = ["code_of"]


def code_of(run: Callable[..., Any]) -> str:
    """Return a digest of a function's compiled code, with the functions and plain constants of its own module that it names.

    Compiled code is the same after an edit of comments, and is there for code without a file. (The ledger's `fingerprint`
    counts each name that occurs, local ones too; in a notebook, where loops leave their variables behind, it would change
    without reason.) What has no Python code, such as a function of NumPy, counts by its name. Another version of Python
    compiles otherwise, so a study belongs to one.
    """
    told: list[Any] = []
    seen: set[int] = set()
    waiting = [run]
    while waiting:
        function = waiting.pop()
        if isinstance(function, functools.partial):
            told.append(_constant([function.args, function.keywords]))
            waiting.append(function.func)
            continue
        code = getattr(function, "__code__", None)
        if id(code or function) in seen:
            continue
        seen.add(id(code or function))
        told.append(
            f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', type(function).__name__)}"
        )
        if code is None:
            continue
        told += [_instructions(code), _constant(function.__defaults__), _constant(function.__kwdefaults__)]
        for name, value in _used(function, code):
            if isinstance(value, types.FunctionType) and value.__module__ == function.__module__:
                waiting.append(value)
            else:
                told.append((name, _constant(value)))
    return hashlib.sha256(repr(told).encode()).hexdigest()[:16]


def _instructions(code):
    """What a code object does: its parameters, its instructions with what they work on, and functions inside it."""
    told = [code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]]
    for i in dis.get_instructions(code):
        value = i.argval
        if isinstance(value, types.CodeType):
            told.append(_instructions(value))
        else:  # a set has no order that two sessions share
            told.append((i.opname, repr(sorted(map(repr, value)) if isinstance(value, frozenset) else value)))
    return told


def _used(function, code):
    """Pairs (name, value): what a function looks up in its module, and in the function that it was defined in."""
    yield from ((name, function.__globals__.get(name)) for name in _globals(code))
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        with contextlib.suppress(ValueError):  # not set yet
            yield name, cell.cell_contents


def _globals(code):
    """The names that a function looks up in its module, also from functions inside it."""
    for i in dis.get_instructions(code):
        if i.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield i.argval
        if isinstance(i.argval, types.CodeType):
            yield from _globals(i.argval)


def _constant(value):
    """Write a number, a text, or a collection of them; None for anything else, whose text may differ between sessions."""
    try:
        return json.dumps(list(value) if isinstance(value, range) else value, sort_keys=True)
    except (TypeError, ValueError, RecursionError):
        return None

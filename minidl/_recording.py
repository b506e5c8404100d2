"""Writing down what a computation does to arrays, while it does it, so that `replay.py` can do it again without asking.

Everything that minidl computes in a training step is a call that fills arrays: of a kernel, or of one of the few functions
under `@recorded`. While a recording is on, each such call is noted with its arguments, which also keeps its arrays.
"""

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["Recording", "assign", "note", "note_module", "recorded", "recording", "refuse"]

now = None  # the recording that is on
_one_at_a_time = threading.Lock()


class Recording:
    """What was done.

    calls       functions with their arguments, in their order
    modules     those that were called, and how often their attributes had been set before
    refused     the reason why repeating the calls would not do, if there is one
    """

    def __init__(self) -> None:
        self.calls: list[tuple[Callable[..., Any], tuple]] = []
        self.modules: list[tuple[Any, int]] = []
        self.refused: str | None = None
        self.thread = threading.get_ident()


@contextmanager
def recording() -> Iterator[Recording]:
    """Note what this thread computes inside: `with recording() as done: …`."""
    global now
    if now is not None and now.thread == threading.get_ident():
        raise RuntimeError("recording: one is on already; leave it first")
    with _one_at_a_time:
        now = Recording()
        try:
            yield now
        finally:
            now = None


def note(function, args):
    """A call that a recording repeats."""
    if now is not None and now.thread == threading.get_ident():
        now.calls.append((function, args))


def note_module(module):
    """A module that took part."""
    if now is not None and now.thread == threading.get_ident():
        now.modules.append((module, module._changes))


def refuse(reason):
    """Something that no repetition of calls would do again."""
    if now is not None and now.thread == threading.get_ident():
        now.refused = reason


def recorded(function):
    """Let a recording note the calls of a function that fills arrays by NumPy or Python. Its arguments go by position."""

    @functools.wraps(function)
    def call(*args):
        note(function, args)
        function(*args)

    return call


@recorded
def assign(array, values):
    """array[…] = values."""
    array[...] = values

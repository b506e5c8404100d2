"""Writing down what a computation does to arrays, while it does it, so that `replay.py` can do it again without asking.

Everything that minidl computes in a training step is a call that fills arrays: of a kernel, or of one of the few functions
under `@recorded`. While a recording is on, each such call is noted with its arguments, which also keeps its arrays.
"""

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["Recording", "assign", "is_recording", "note", "note_module", "recorded", "recording", "refuse"]

now = None  # the recording that is on
_one_at_a_time = threading.Lock()


class Recording:
    """What was done.

    calls       functions with their arguments, in their order
    modules     those that were called
    refused     the reason why repeating the calls would not do, if there is one
    """

    def __init__(self, before: Callable[[tuple], Any] | None) -> None:
        self.calls: list[tuple[Callable[..., Any], tuple]] = []
        self.modules: list[Any] = []
        self.refused: str | None = None
        self.before, self.thread = before, threading.get_ident()


@contextmanager
def recording(before: Callable[[tuple], Any] | None = None) -> Iterator[Recording]:
    """Note what this thread computes inside: `with recording() as done: …`.

    before    is called with the arguments of each call before it is made
    """
    global now
    if is_recording():
        raise RuntimeError("recording: one is on already; leave it first")
    with _one_at_a_time:
        now = Recording(before)
        try:
            yield now
        finally:
            now = None


def is_recording():
    """Whether what this thread computes is being noted."""
    return _here() is not None


def note(function, args):
    """A call that a recording repeats."""
    here = _here()
    if here is not None:
        here.calls.append((function, args))
        if here.before is not None:
            here.before(args)


def note_module(module):
    """A module that took part."""
    here = _here()
    if here is not None:
        here.modules.append(module)


def refuse(reason):
    """Something that no repetition of calls would do again."""
    here = _here()
    if here is not None:
        here.refused = reason


def _here():
    recording = now
    return recording if recording is not None and recording.thread == threading.get_ident() else None


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

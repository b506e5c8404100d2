"""Writing down what a computation does to arrays, while it does it, so that `replay.py` can do it again without asking.

Everything that minidl computes in a training step is a call that fills arrays: of a kernel, of a function under
`@numpy_kernel`, or of one that NumPy has, by `computed`. `kernels/jit.py` announces these calls, and `nn/module.py` those
of modules, to whoever listens. A recording listens, and notes each call with its arguments, which also keeps its arrays.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from minidl.kernels import jit
from minidl.nn import module

__all__ = ["Recording", "current", "recording"]

_now: Any = None  # the recording that is on
_one_at_a_time = threading.Lock()


class Recording:
    """What was done.

    calls       functions with their arguments, in their order
    modules     those that were called
    obstacle    why repeating the calls would not do, if somebody has found a reason
    """

    def __init__(self, before: Callable[[tuple], Any] | None) -> None:
        self.calls: list[tuple[Callable[..., Any], tuple]] = []
        self.modules: list[Any] = []
        self.obstacle: str | None = None
        self.before, self.thread = before, threading.get_ident()


@contextmanager
def recording(before: Callable[[tuple], Any] | None = None) -> Iterator[Recording]:
    """Note what this thread computes inside: `with recording() as done: …`.

    before    is called with the arguments of each call before it is made
    """
    global _now
    if current() is not None:
        raise RuntimeError("recording: one is on already; leave it first")
    with _one_at_a_time:
        now = _now = Recording(before)
        jit.on_call, module.on_call = _note_call, _note_module
        try:
            yield now
        finally:
            _now = jit.on_call = module.on_call = None


def current() -> Recording | None:
    """Return the recording that notes what this thread computes, if one does."""
    now = _now
    return now if now is not None and now.thread == threading.get_ident() else None


def _note_call(function, args):
    here = current()
    if here is not None:
        here.calls.append((function, args))
        if here.before is not None:
            here.before(args)


def _note_module(module):
    here = current()
    if here is not None:
        here.modules.append(module)

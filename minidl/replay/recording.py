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
    """What was done. A subclass notes other things.

    before      called with the arguments of each call before it is made
    calls       functions with their arguments, in their order
    modules     those that were called
    obstacle    why repeating the calls would not do, if somebody has found a reason
    """

    def __init__(self, before: Callable[[tuple], Any] | None = None) -> None:
        self.calls: list[tuple[Callable[..., Any], tuple]] = []
        self.modules: list[Any] = []
        self.obstacle: str | None = None
        self.before, self.thread = before, threading.get_ident()

    def note_call(self, function: Callable[..., Any], args: tuple) -> None:
        """Note that a function is about to fill arrays."""
        self.calls.append((function, args))
        if self.before is not None:
            self.before(args)

    def note_module(self, module: Any) -> None:
        """Note that a module is about to run."""
        self.modules.append(module)


@contextmanager
def recording(done: Any = None) -> Iterator[Any]:
    """Tell a recording, by default a new one, what this thread computes inside: `with recording() as done: …`."""
    global _now
    done = Recording() if done is None else done
    if current() is not None:
        raise RuntimeError("recording: one is on already; leave it first")
    with _one_at_a_time:
        _now = done
        jit.on_call, module.on_call = _note_call, _note_module
        try:
            yield done
        finally:
            _now = jit.on_call = module.on_call = None


def current() -> Recording | None:
    """Return the recording that notes what this thread computes, if one does."""
    now = _now
    return now if now is not None and now.thread == threading.get_ident() else None


def _note_call(function, args):
    here = current()
    if here is not None:
        here.note_call(function, args)


def _note_module(module):
    here = current()
    if here is not None:
        here.note_module(module)

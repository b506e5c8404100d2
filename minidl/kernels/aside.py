"""A second process compiles what comes next, while the first one compiles, and trains.

The cache of compiled kernels is on disk, so whoever compiles fills it for all. The second process starts when a kernel is
not in it, and does two things there.

- **Kernels that come later.** A training step of a network needs much the same kernels every time (`usual.txt`). The first
  process compiles from the beginning of that list, as it meets them, and the second one from its end.
- **Loops for many threads.** Such a build takes three times as long to compile as the one for one core, and both give the
  same bits. So the serial build runs as long as the parallel one is not there.

The second process ends when the first one has ended and all is compiled. It is not needed: where it cannot be started, all
is compiled where it is called.
"""

import atexit
import base64
import functools
import os
import pickle
import re
import subprocess
import sys
import threading
from collections import deque
from pathlib import Path

from numba.core import types

__all__ = ["Meanwhile", "before_compiling", "wait"]

refused = False  # it cannot be started, or is not wanted
_PATIENCE = 120  # seconds that one kernel may take
_OURS = (__name__.partition(".")[0],)  # packages that the second process imports: a user's own module may do anything
_second = None


class Meanwhile:
    """The parallel build of a kernel, or the serial one as long as it is being compiled.

    Once all is compiled the kernel has the parallel build in its place. Who has kept this object, as a replay does, goes on
    calling it.
    """

    __slots__ = ("_asked", "_kernel", "_ready")

    def __init__(self, kernel):
        self._kernel = kernel
        self._asked = {}  # types of arguments → a request, or None if they are compiled here
        self._ready = False

    def __call__(self, *args):
        parallel = self._kernel.parallel
        if self._ready:
            return parallel(*args)
        given = tuple(map(parallel.typeof_pyval, args))
        if given not in self._asked:
            self._asked[given] = None if parallel.is_at_hand(given) else _ask(self._kernel, given)
        request = self._asked[given]
        if request is not None and not request.is_settled():
            return self._kernel.serial(*args)
        self._asked[given] = None
        self._ready = not any(self._asked.values())
        if self._ready:
            self._kernel.for_many = parallel
        return parallel(*args)


def before_compiling(build, given):
    """Have the second process compile what usually follows; if it is at this very build, wait for it."""
    name = (build.py_func.__module__, build.py_func.__qualname__, given)
    if refused or not build.is_cached or not any(name in step for step in _usual()):
        return
    if getattr(_found(*name[:2]), "serial", None) is build and not build.is_at_hand(given):
        second = _running()
        if second is not None:
            second.meet(name)


def wait():
    """Wait until the second process has compiled all that it was asked for, as one must before taking times.

    Returns whether there was something to wait for: then the next calls load what it has compiled.
    """
    return _second is not None and _second.finish()


def _ask(kernel, given):
    """Return a request for a parallel build, or None if it has to be compiled here."""
    if refused or not kernel.parallel.is_cached or not _is_ours(kernel):
        return None
    second = _running()
    return second and second.ask((kernel.__module__, kernel.__qualname__, given))


def _running():
    """Return the second process, started if there is none; None if it cannot be."""
    global _second, refused
    try:
        if _second is None or _second.ended:
            _second = _Second()
    except (OSError, ValueError, RuntimeError):  # the last one while Python is ending
        refused = True
        return None
    return _second


def _is_ours(kernel):
    """Return whether the second process will find a kernel by its name."""
    module, name = kernel.__module__, kernel.__qualname__
    return module.partition(".")[0] in _OURS and _found(module, name) is kernel


def _found(module, name):
    """Return what has this name in a module, or None."""
    try:
        return functools.reduce(getattr, name.split("."), sys.modules[module])
    except (KeyError, AttributeError):
        return None


@functools.cache
def _usual():
    """Read `usual.txt`: for each network (module, name, types) of a step's kernels, in the order of their first calls."""
    text = Path(__file__).with_name("usual.txt").read_text(encoding="utf-8")
    steps = [block.split("\n")[1:] for block in text.strip().split("\n\n")]  # without the network's name
    return [[_kernel_of(line) for line in step] for step in steps]


def _kernel_of(line):
    module, name, given = line.split(" ", 2)
    return module, name, tuple(map(_type_of, given.split("; ")))


def _type_of(text):
    """Return the type that Numba writes like this."""
    if several := re.fullmatch(r"UniTuple\((.*) x (\d)\)", text):
        return types.UniTuple(_type_of(several[1]), int(several[2]))
    if array := re.fullmatch(r"array\((\w+), (\d)d, C\)", text):
        return types.Array(getattr(types, array[1]), int(array[2]), "C")
    return getattr(types, {"bool": "boolean"}.get(text, text))


class _Request:
    """A build that somebody waits for."""

    def __init__(self, second, name):
        self.second, self.name, self.done = second, name, False

    def is_settled(self):
        """Return whether it is compiled, or will not be."""
        return self.done or self.second.ended


class _Second:
    """A process that compiles one kernel after another, and answers with a line when it is done."""

    def __init__(self):
        path = os.pathsep.join(folder or os.getcwd() for folder in sys.path)
        self._process = subprocess.Popen(
            [sys.executable, "-c", f"from {__name__} import _serve; _serve()"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env=os.environ | {"PYTHONPATH": path}, start_new_session=True,  # so that Ctrl-C stops the first one only
        )  # fmt: skip
        self.ended = False
        self.current = None  # what it is at: a _Request, or the name of a kernel that comes later
        self._wanted = deque()  # requests for parallel builds
        self._step = []  # the list of which kernels are met
        self._later = []  # those of it that are not met yet
        self._seen = set()
        self._changed = threading.Condition()
        threading.Thread(target=self._listen, daemon=True).start()
        atexit.register(self._leave)

    def ask(self, name):
        """Return a request for a parallel build."""
        request = _Request(self, name)
        with self._changed:
            self._wanted.append(request)
            self._go_on()
        return request

    def meet(self, name):
        """Note that the first process has come to this kernel; wait if it is being compiled."""
        with self._changed:
            self._seen.add(name)
            if name not in self._step:
                self._step = next(step for step in _usual() if name in step)
            self._later = self._step[self._step.index(name) + 1 :]
            self._go_on()
        self.wait_until(lambda: self.current != name)

    def finish(self):
        """Wait until it has nothing to do; returns whether it had anything."""
        with self._changed:
            busy = self.current is not None and not self.ended
        self.wait_until(lambda: self.current is None)
        return busy

    def wait_until(self, true):
        """Wait until something is true, or the process has ended, or has been silent for too long."""
        with self._changed:
            while not (true() or self.ended) and self._changed.wait(_PATIENCE):
                pass

    def _go_on(self):
        """If it has nothing to do, give it the last kernel of those that come later; or else a parallel build."""
        if self.current is not None or self.ended:
            return
        while self._later and self.current is None:
            name = self._later.pop()
            if name not in self._seen:
                self._seen.add(name)
                self.current = name
                self._send(name, "serial")
        if self.current is None and self._wanted:
            self.current = self._wanted.popleft()
            self._send(self.current.name, "parallel")

    def _send(self, name, build):
        try:
            self._process.stdin.write(base64.b64encode(pickle.dumps((*name, build))).decode() + "\n")
            self._process.stdin.flush()
        except (OSError, ValueError):  # it was killed, or the pipe is closed
            self.ended = True

    def _listen(self):
        for _ in self._process.stdout:
            with self._changed:
                if isinstance(self.current, _Request):
                    self.current.done = True
                self.current = None
                self._go_on()
                self._changed.notify_all()
        with self._changed:
            self.ended = True
            self._changed.notify_all()

    def _leave(self):
        """Ask for all that is still wanted; the next program finds it in the cache."""
        with self._changed:
            for request in self._wanted:
                self._send(request.name, "parallel")
            self._wanted.clear()


def _after_fork():
    """Have a second process of one's own: the pipes of this one belong to the parent."""
    global _second
    if _second is not None:
        _second.ended = True
        _second._wanted.clear()
        _second._changed = threading.Condition()  # another thread may have held the old one
        _second = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _serve():
    """Compile what standard input asks for, until it ends."""
    import importlib

    global refused
    refused, heard = True, True
    for line in sys.stdin:
        try:
            module, name, given, build = pickle.loads(base64.b64decode(line))
            importlib.import_module(module)
            compiled = getattr(_found(module, name), build)
            if not compiled.is_at_hand(given):
                compiled.compile(given)
        except Exception:  # then the first process compiles it, and says what is wrong
            pass
        try:
            if heard:
                print(flush=True)
        except OSError:  # the first process has ended
            heard = False

"""The process in which one contender computes.

It loads the file of its contender and nothing else of minidl, so that the memory and the start of a peer are its own.
Commands arrive as lines of JSON, and each is answered by one. A contender is a file with two functions:

    start(variant, threads)         import the library; returns {"versions": {…}, "instructions": {…}}
    build(case, arrays, variant)    returns an object with `step()`, what is timed, and `check()`, a list of numbers in
                                    which all contenders must agree
"""

import ctypes
import importlib.util
import json
import os
import signal
import sys
import time

import numpy as np

__all__ = ["Session", "main", "make_arrays"]

WARM_UP = 2  # steps after the first, before anything is timed


def main(lines, reply):
    """Answer each line, until there are no more or a command leaves the process useless."""
    session = Session()
    for line in lines:
        message = json.loads(line)
        try:
            answer = getattr(session, message.pop("do"))(**message)
        except Exception as error:  # a peer may raise anything: the benchmark continues without it
            answer = {"error": one_line(error)}
        reply(json.dumps(answer))


class Session:
    """The commands. One case at a time."""

    def __init__(self):
        self.contender = self.built = None

    def start(self, file, root, variant, threads):
        """Load the contender; `root` is the folder in which it finds minidl, if it is minidl."""
        here = os.path.dirname(os.path.abspath(__file__))
        sys.path[:] = ([root] if root else []) + [folder for folder in sys.path if folder != here]
        spec = importlib.util.spec_from_file_location("contender", file)
        self.contender = importlib.util.module_from_spec(spec)
        sys.modules["contender"] = self.contender
        spec.loader.exec_module(self.contender)
        self.variant = variant
        return self.contender.start(variant, threads) | {"memory": peak_memory()}

    def build(self, case):
        """Build the case and take its first steps: the first one's time, and the numbers to check."""
        self.built = None
        self.built = self.contender.build(case, make_arrays(case), self.variant)
        start = time.perf_counter()
        self.built.step()
        first = time.perf_counter() - start
        numbers = self.built.check()
        getattr(self.contender, "settle", lambda: None)()
        for _ in range(WARM_UP):
            self.built.step()
            numbers += self.built.check()
        return {"first": first, "check": numbers}

    def run(self, seconds, least):
        """Run steps for so many seconds, at least so many: returns their times, and how many cores were busy."""
        self.built.step()  # not timed: it brings the data back into the caches
        times, busy, start = [], time.process_time(), time.perf_counter()
        end = start
        while len(times) < least or end - start < seconds:
            before = time.perf_counter()
            self.built.step()
            end = time.perf_counter()
            times.append(end - before)
        return {"times": times, "cores": (time.process_time() - busy) / (end - start), "memory": peak_memory()}

    def gradients(self, case, path):
        """Write the loss and all gradients of a network, in minidl's names and layout, to a file (for the tests)."""
        np.savez(path, **self.contender.build(case, make_arrays(case), self.variant).gradients())
        return {}

    def result(self, **how):
        """Return what the contender has come to, if its case is one that leads to something."""
        return self.built.result(**how)

    def drop(self):
        """Forget the case."""
        self.built = None
        return {}


def make_arrays(case):
    """Make the arrays that a case describes: the same numbers in every process."""
    arrays = {}
    for place, (name, (shape, *how)) in enumerate(case["arrays"].items()):
        generator = np.random.default_rng([case["seed"], place])
        if len(how) == 1:
            arrays[name] = generator.integers(0, how[0], shape)
        else:
            mean, std = how
            arrays[name] = (mean + std * generator.standard_normal(shape, np.float32)).astype(
                case.get("dtype", "float32")
            )
    return arrays


def peak_memory():
    """Return the most bytes of memory that this process has had; None where the system does not tell."""
    try:
        # On Linux `getrusage` also remembers the parent, from before this program was started in its copy.
        with open("/proc/self/status") as status:
            return next(1024 * int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        pass
    try:
        import resource
    except ImportError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def one_line(error):
    """Put an exception into one line: its type, the first line of its message, and a compiler's complaint if any."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    complaints = [line for line in lines[1:] if "error:" in line]
    text = ": ".join([type(error).__name__, *lines[:1], *complaints[:1]])
    return text if len(text) <= 160 else text[:159] + "…"


def _die_with_parent():
    """Have Linux end this process with its parent: a halted process cannot notice that its parent is gone."""
    if sys.platform == "linux":
        PR_SET_PDEATHSIG = 1
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    _die_with_parent()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # what libraries print must not get between the answers
    main(sys.stdin, lambda line: answers.write(line + "\n"))

"""Which threads run the kernels, how many there are, and from how much work on they pay.

Numba hands parallel loops to one of three libraries. OpenMP gives every thread an equal part, and threads spin while they
wait, so the next loop begins at once: that is the fastest where loops last some ten microseconds. But a thread that spins
for a partner whose core another program has taken makes a step of half a millisecond last many. So where the system tells
what its cores do, OpenMP is used, and no thread is started for a core that others keep busy: see `load.py`. Elsewhere it
is TBB: in it, a thread that runs takes the parts of one that does not, and one without work sleeps, and must be woken for
each loop (docs/speed-tried.md has figures). Where there is neither, it is Numba's own `workqueue`. Numba looks for TBB on
the loader's path, and pip puts it elsewhere: it is loaded from there before Numba looks. Who sets Numba's variables for any
of this is obeyed, and the bits are the same.
"""

import contextlib
import ctypes
import math
import os
import sys
import threading
import time
from importlib import metadata

import numba
import numpy as np
from numba.np.ufunc import parallel

from minidl.kernels import load

__all__ = ["adopt", "are_started", "get_num_threads", "parallel_from", "set_num_threads"]

# From this much work (elements, times the kernel's cost for each; 131,072 take one core about 15 µs) threads pay. Measured
# on two cores: OpenMP and TBB start a parallel loop in 2–6 µs while their threads are awake, Numba's own `workqueue`, all
# that some platforms have, in about 200 µs. Where the cores are busy with other things every start waits for them, so none
# is made lightly.
_PARALLEL_FROM = {"omp": 131_072, "tbb": 131_072, "workqueue": 2_097_152}


_chosen: int | None = None  # by `set_num_threads`
_allowed = 0  # of those, as many as have cores; 0 before the first parallel loop
_watch = load.Watch()
_here = threading.local()  # what Numba has been told in this thread of Python's: it keeps a number for each


def are_started() -> bool:
    """Return whether Numba's threads exist, which a forked process does not inherit."""
    return getattr(parallel, "_is_initialized", True)


def parallel_from() -> float:
    """Start Numba's threads, and return the work from which they pay: never, if there is one."""
    if not are_started():
        _prefer()
    numba.get_num_threads()  # starts them, so that the layer is known
    if numba.config.NUMBA_NUM_THREADS == 1:  # type: ignore[attr-defined]
        return math.inf
    return _PARALLEL_FROM[numba.threading_layer()]


def _prefer():
    """Have Numba look for the best of the libraries first, unless somebody has told it where to look."""
    config = numba.config
    if load.can_be_seen() and "NUMBA_THREADING_LAYER_PRIORITY" not in os.environ:
        config.THREADING_LAYER_PRIORITY = ["omp", "tbb", "workqueue"]  # type: ignore[attr-defined]
    if config.THREADING_LAYER in ("default", "tbb"):  # type: ignore[attr-defined]
        _load_tbb()


def _load_tbb():
    """Load TBB's library, if pip has installed it."""
    name = "tbb12.dll" if sys.platform == "win32" else "libtbb.so.12"
    with contextlib.suppress(metadata.PackageNotFoundError, OSError):
        for file in metadata.files("tbb") or ():
            if file.name == name:
                ctypes.CDLL(str(file.locate()), mode=ctypes.RTLD_GLOBAL)


def set_num_threads(n: int) -> None:
    """Use at most n threads from now on (1 … the number of cores). Results do not depend on n, only speed does.

    It holds in every thread of Python's. On Linux, as many threads fewer are used as other programs keep cores busy.
    """
    most = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    if not isinstance(n, int | np.integer) or not 1 <= n <= most:
        raise ValueError(f"set_num_threads: got {n}; this process can use 1 to {most} threads")
    global _chosen, _allowed
    _chosen = _allowed = int(n)


def get_num_threads() -> int:
    """Return how many threads the kernels use at most."""
    return _chosen or numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]


def adopt():
    """Make Numba use as many threads as were chosen and have cores; it keeps a number for each thread of Python's."""
    global _allowed
    now = time.monotonic()
    if now >= _watch.due:
        _watch.count(now)
        _allowed = max(1, min(get_num_threads(), round(_watch.free)))
    if getattr(_here, "n", None) != _allowed:
        numba.set_num_threads(_allowed)
        _here.n = _allowed

"""How many threads the kernels use, and from how much work on threads pay."""

import threading

import numba
import numpy as np
from numba.np.ufunc import parallel

__all__ = ["adopt", "are_started", "get_num_threads", "parallel_from", "set_num_threads"]

# From this much work (elements, times the kernel's cost for each; 131,072 take one core about 15 µs) threads pay. Measured
# on two cores: OpenMP and TBB start a parallel loop in 2–6 µs, Numba's own `workqueue`, all that some platforms have, in
# about 200 µs. Where the cores are busy with other things every start waits for them, so none is made lightly.
_PARALLEL_FROM = {"omp": 131_072, "tbb": 131_072, "workqueue": 2_097_152}


_chosen: int | None = None  # by `set_num_threads`
_here = threading.local()  # what Numba has been told in this thread of Python's: it keeps a number for each


def are_started() -> bool:
    """Return whether Numba's threads exist, which a forked process does not inherit."""
    return getattr(parallel, "_is_initialized", True)


def parallel_from() -> int:
    """Start Numba's threads, and return the work from which they pay."""
    numba.get_num_threads()  # starts them, so that the layer is known
    return _PARALLEL_FROM[numba.threading_layer()]


def set_num_threads(n: int) -> None:
    """Use n threads from now on (1 … the number of cores). Results do not depend on n, only speed does."""
    most = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    if not isinstance(n, int | np.integer) or not 1 <= n <= most:
        raise ValueError(f"set_num_threads: got {n}; this process can use 1 to {most} threads")
    global _chosen
    _chosen = int(n)
    adopt()


def get_num_threads() -> int:
    """Return how many threads the kernels use."""
    return numba.get_num_threads() if _chosen is None else _chosen


def adopt():
    """Make Numba use the chosen number in the calling thread, too."""
    if getattr(_here, "chosen", None) != _chosen:
        numba.set_num_threads(_chosen)
        _here.chosen = _chosen

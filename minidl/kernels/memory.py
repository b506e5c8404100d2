"""Memory that is freed is kept for the next step.

A training step allocates the same large arrays as the one before. On Linux, the C library maps memory of its own for a large
block and hands it back as soon as the block is freed, and every page that is asked for again costs a fault, and zeros that
nobody reads. Where activations have a quarter of a gigabyte, as in `minidl cifar`, that was a fifth to a third of a step. So
the C library is told, once, to map no blocks of their own, and to keep up to 2 GB at the end of what it has.
"""

import ctypes
import os
import sys

__all__ = ["keep_freed_memory"]

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # of glibc's malloc.h


def keep_freed_memory():
    """Make malloc keep freed memory, unless the user has settings of their own for it. Only on Linux with glibc."""
    if not sys.platform.startswith("linux") or any(
        name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ
    ):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # other C libraries have none
        mallopt(_MMAP_MAX, 0)  # a higher _MMAP_THRESHOLD is taken up to 32 MB only
        mallopt(_TRIM_THRESHOLD, 2**31 - 1)

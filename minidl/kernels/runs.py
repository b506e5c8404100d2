"""Runs of numbers inside flat arrays, for kernels that move many short ones.

A slice in a kernel costs some 20 ns (bounds, and counting references to its array), which is more than copying a pixel.
An offset costs nothing; it must be unsigned, as Numba asks signed ones whether they count from the end, and LLVM then
gives up on vector instructions.
"""

import numpy as np

from minidl.kernels.jit import device

__all__ = ["add", "copy", "offset"]

offset = np.uintp


@device
def copy(x, at, y, to, n):
    """y[to : to + n] = x[at : at + n]."""
    at, to = offset(at), offset(to)
    for i in range(offset(n)):
        y[to + i] = x[at + i]


@device
def add(x, at, y, to, n):
    """y[to : to + n] += x[at : at + n]."""
    at, to = offset(at), offset(to)
    for i in range(offset(n)):
        y[to + i] += x[at + i]

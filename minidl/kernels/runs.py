"""Parts of flat arrays, for kernels that move many short ones: runs of neighbours, and views of matrices.

A slice in a kernel costs some 20 ns (bounds, and counting references to its array), which is more than copying a pixel.
An offset costs nothing; it must be unsigned, as Numba asks signed ones whether they count from the end, and LLVM then
gives up on vector instructions.
"""

from typing import NamedTuple

import numpy as np

from minidl.kernels.jit import device, inlined

__all__ = ["View", "add", "clear", "copy", "offset", "shifted", "transposed", "view"]

offset = np.uintp


class View(NamedTuple):
    """A matrix inside a flat array: its element (i, j) is array[at + i·row + j·column].

    Where an element is a run of numbers, such as the channels of a pixel, this is where the run begins.
    """

    array: np.ndarray
    at: int
    row: int
    column: int


@device
def view(array, at, row, column):
    """Return a View. Its integers are all of one type, so that Numba compiles what takes views only once."""
    return View(array, np.intp(at), np.intp(row), np.intp(column))


@device
def shifted(x, i, j):
    """Return the view that begins at element (i, j) of another one."""
    return View(x.array, x.at + np.intp(i) * x.row + np.intp(j) * x.column, x.row, x.column)


@device
def transposed(x):
    """Return a view of the same numbers, rows and columns exchanged."""
    return View(x.array, x.at, x.column, x.row)


@inlined
def clear(x, at, n):
    """Set x[at : at + n] = 0."""
    at = offset(at)
    for i in range(offset(n)):
        x[at + i] = 0


@inlined
def copy(x, at, y, to, n):
    """Set y[to : to + n] = x[at : at + n]."""
    at, to = offset(at), offset(to)
    for i in range(offset(n)):
        y[to + i] = x[at + i]


@inlined
def add(x, at, y, to, n):
    """Add x[at : at + n] to y[to : to + n]."""
    at, to = offset(at), offset(to)
    for i in range(offset(n)):
        y[to + i] += x[at + i]

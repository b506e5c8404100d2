"""A matrix as an image: colours for signs, and the numbers themselves where there is room."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from numpy.typing import ArrayLike

from minidl.lab.plot._style import label

__all__ = ["heat_map", "log_map"]

_ROOM = 12  # rows and columns in which numbers can still be read


def heat_map(
    ax: Axes, matrix: ArrayLike, title: str, xlabel: str, ylabel: str, *, limit: float | None = None, bar: bool = True,
    frame: bool = True,
) -> Axes:  # fmt: skip
    """Draw each number as a square: orange below 0, white at 0, purple above; up to 12 × 12 with the number in it.

    matrix  (rows, columns); the first row is on top
    limit   the size at which colours are full; by default the largest in the matrix
    bar     whether to draw a scale of the colours
    frame   whether to draw ticks and a border
    Errors  ValueError for what is not a matrix of finite numbers, or a limit that is not above 0
    """
    matrix = np.asarray(matrix, dtype=float)
    if matrix.ndim != 2 or not matrix.size or not np.isfinite(matrix).all():
        raise ValueError(f"heat_map: matrix is {matrix.shape}; it must be (rows, columns), with finite numbers only")
    limit = limit if limit is not None else float(np.abs(matrix).max()) or 1.0
    if not limit > 0:
        raise ValueError(f"heat_map: limit is {limit}; it must be above 0, or None")
    image = ax.imshow(matrix, cmap="PuOr", vmin=-limit, vmax=limit, interpolation="nearest")
    if max(matrix.shape) <= _ROOM:
        _write_numbers(ax, matrix, limit)
        ax.set_xticks(range(matrix.shape[1]), [str(j + 1) for j in range(matrix.shape[1])])
        ax.set_yticks(range(matrix.shape[0]), [str(i + 1) for i in range(matrix.shape[0])])
    if bar:
        scale = ax.figure.colorbar(image, ax=ax, pad=0.02, shrink=0.8)
        scale.ax.tick_params(labelsize=8)
    if not frame:
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
    return label(ax, title, xlabel, ylabel, grid=False)


def log_map(
    ax: Axes,
    matrix: ArrayLike,
    title: str,
    xlabel: str,
    ylabel: str,
    *,
    bar: str,
    limits: tuple[float, float] | None = None,
) -> Axes:
    """Draw each number above 0 as a square, dark for small and light for large ones, on a logarithmic scale.

    matrix  (rows, columns); the first row is on top
    bar     what the numbers are, for the scale of the colours
    limits  (lowest, highest) of that scale, above 0; by default those of the matrix
    Errors  ValueError for what is not a matrix of finite numbers above 0, or such limits
    """
    matrix = np.asarray(matrix, dtype=float)
    if matrix.ndim != 2 or not matrix.size or not (np.isfinite(matrix) & (matrix > 0)).all():
        raise ValueError(
            f"log_map: matrix is {matrix.shape}; it must be (rows, columns), with finite numbers above 0 only"
        )
    low, high = limits or (matrix.min(), matrix.max())
    if not 0 < low <= high:
        raise ValueError(f"log_map: limits are {low} and {high}; they must be above 0, the first not above the second")
    image = ax.imshow(matrix, cmap="cividis", norm=LogNorm(low, high), interpolation="nearest")
    scale = ax.figure.colorbar(image, ax=ax, pad=0.02, shrink=0.85)
    scale.set_label(bar, fontsize=9)
    scale.ax.tick_params(labelsize=8)
    return label(ax, title, xlabel, ylabel, grid=False)


def _write_numbers(ax, matrix, limit):
    for (row, column), value in np.ndenumerate(matrix):
        text = f"{value:.2f}".replace("-0.00", "0.00").replace("-", "−")
        color = "white" if abs(value) > 0.7 * limit else "black"
        ax.text(column, row, text, ha="center", va="center", fontsize=7, color=color)

"""A function of two numbers as a map: colours, and lines along which it stays the same."""

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from minidl.lab.plot._style import label

__all__ = ["contours"]


def contours(
    ax: Axes, x: ArrayLike, y: ArrayLike, values: ArrayLike, title: str, xlabel: str, ylabel: str, *, levels: int = 14,
    bar: str = "",
) -> Axes:  # fmt: skip
    """Draw level lines of a function of x and y: light where it is low, dark where it is high.

    x, y     (columns,) and (rows,), finite and increasing
    values   (rows, columns); what is not finite leaves a white place
    levels   about how many lines
    bar      what the numbers are, for a scale of the colours; none without it
    Errors   ValueError for what is not such arrays of numbers, fewer than 2 × 2 of them, none that is finite, levels below 1
    """
    try:
        x, y, values = (np.asarray(array, dtype=float) for array in (x, y, values))
    except (TypeError, ValueError) as error:
        raise ValueError(f"contours: {error}; x, y and values must be arrays of numbers") from None
    if x.ndim != 1 or y.ndim != 1 or values.shape != (y.size, x.size) or min(values.shape) < 2:
        raise ValueError(
            f"contours: values are {values.shape}, x {x.shape} and y {y.shape}; they must be (rows, columns), (columns,) "
            "and (rows,), with at least two of each"
        )
    if not all(np.isfinite(places).all() and (np.diff(places) > 0).all() for places in (x, y)):
        raise ValueError("contours: x and y must be finite and increase")
    if not np.isfinite(values).any():
        raise ValueError("contours: no value is finite; there must be some to draw")
    if not isinstance(levels, int) or levels < 1:
        raise ValueError(f"contours: levels is {levels!r}; it must be a whole number of at least 1")
    shown = np.ma.masked_invalid(values)
    filled = ax.contourf(x, y, shown, levels, cmap="viridis_r")
    if shown.min() < shown.max():
        ax.contour(x, y, shown, levels, colors="white", linewidths=0.5)
    if bar:
        scale = ax.figure.colorbar(filled, ax=ax, pad=0.02, shrink=0.9)
        scale.set_label(bar, fontsize=9)
        scale.ax.tick_params(labelsize=8)
    return label(ax, title, xlabel, ylabel, grid=False)

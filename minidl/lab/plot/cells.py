"""A table as a picture: each cell shows its number and is coloured by it."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from minidl.lab.plot._style import label

__all__ = ["cells"]


def cells(
    ax: Axes, values: ArrayLike, rows: Sequence, columns: Sequence, title: str, xlabel: str, ylabel: str, *,
    limits: tuple[float, float] | None = None, form: str = "{:.0f}",
) -> Axes:  # fmt: skip
    """Draw numbers over two settings: light cells for low ones, dark for high ones.

    values          (rows, columns); what is not finite leaves a white cell
    rows, columns   names beside and below the cells; the first row is the lowest
    limits          the numbers of the lightest and the darkest colour; by default the lowest and highest of `values`
    form            how a number is written
    Errors          ValueError for sizes that do not match, no finite number, and limits out of order
    """
    values = np.asarray(values, dtype=float)
    if values.shape != (len(rows), len(columns)) or not np.isfinite(values).any():
        raise ValueError(
            f"cells: values are {values.shape}, for {len(rows)} rows and {len(columns)} columns; they must be "
            f"{(len(rows), len(columns))}, and some finite"
        )
    low, high = limits or (np.nanmin(values[np.isfinite(values)]), np.nanmax(values[np.isfinite(values)]))
    if not low <= high:
        raise ValueError(f"cells: limits are {low} and {high}; the first must not be above the second")
    shown = np.ma.masked_invalid(values)
    ax.imshow(shown, cmap="viridis_r", vmin=low, vmax=high, origin="lower", aspect="auto")
    middle = (low + high) / 2
    for (i, j), value in np.ndenumerate(values):
        if np.isfinite(value):
            ink = "white" if value > middle else "black"
            ax.text(j, i, form.format(value), ha="center", va="center", color=ink, fontsize=8.5)
    ax.set_xticks(range(len(columns)), [str(name) for name in columns])
    ax.set_yticks(range(len(rows)), [str(name) for name in rows])
    return label(ax, title, xlabel, ylabel, grid=False)

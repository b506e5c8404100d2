"""A table of counts: how often each test catches each defect."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import Rectangle

from minidl.lab.plot._check import check_mapping
from minidl.lab.plot._style import INKS, label, new_figure

__all__ = ["tallies"]


def tallies(
    rows: Mapping[str, Mapping[str, int]], total: int, title: str, xlabel: str, ax: Axes | None = None
) -> Axes:  # fmt: skip
    """Draw a cell for each row and column, with its count; the darker the more. Counts of 0 are hatched.

    rows     row → column → count, from 0 to total; the same columns in each
    Errors   ValueError for no rows, rows with different columns, counts outside 0 … total
    """
    check_mapping("tallies", "rows", rows, "row → column → count")
    columns = list(next(iter(rows.values())))
    for name, row in rows.items():
        if list(row) != columns or not columns:
            raise ValueError(f"tallies: {name!r} has the columns {list(row)}, the first row {columns}; give equal ones")
        if not all(0 <= count <= total for count in row.values()):
            raise ValueError(f"tallies: {name!r} has {list(row.values())}; counts must be from 0 to the total, {total}")
    ax = ax or new_figure(3.0 + 1.1 * len(columns), 1.4 + 0.42 * len(rows)).add_subplot()
    for i, row in enumerate(rows.values()):
        for j, count in enumerate(row.values()):
            _cell(ax, i, j, count, total)
    ax.set_xlim(-0.5, len(columns) - 0.5)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    label(ax, title, xlabel, "", grid=False)
    ax.set_xticks(range(len(columns)), columns)
    ax.set_yticks(range(len(rows)), list(rows))
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax


def _cell(ax, i, j, count, total):
    share = np.divide(count, total)
    shades = LinearSegmentedColormap.from_list("shades", ("#f3efe6", INKS[0]))
    box = Rectangle((j - 0.5, i - 0.5), 1, 1, facecolor=shades(share), edgecolor="white", linewidth=2)
    box.set_hatch(None if count else "//")
    ax.add_patch(box)
    ax.text(j, i, str(count), ha="center", va="center", fontsize=9, color="white" if share > 0.45 else "0.2")

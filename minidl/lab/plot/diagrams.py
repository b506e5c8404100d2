"""Drawings that carry a lesson's words: boxes with arrows between them, a network, a batch as a table."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike

from minidl.lab.plot._style import INKS, label, new_figure

__all__ = ["batch_table", "flow", "joined", "network"]

_MOST_CIRCLES = 7  # of a layer; a longer one has dots in its middle


def flow(
    places: Mapping[str, tuple[float, float]], arrows: Sequence[tuple], title: str, *, ax: Axes | None = None,
    key: Mapping[str, int] | None = None,
) -> Axes:  # fmt: skip
    """Draw boxes, and arrows between them with a word on each.

    places  name in the box → (x, y) of its middle; a unit is about the size of a box
    arrows  (from, to, word), or (from, to, word, ink, bend): the number of a colour (None for grey), and how far the
            arrow bends to its left, as a share of its length
    key     what a colour stands for: name → the number of a colour
    Errors  ValueError for no boxes, or an arrow from or to a box that is not there
    """
    ends = [name for arrow in arrows for name in arrow[:2]]
    if not places or set(ends) - set(places):
        raise ValueError(f"flow: arrows lead to {sorted(set(ends) - set(places))}; there are boxes {list(places)}")
    x, y = np.array(list(places.values()), dtype=float).T
    if ax is None:
        ax = new_figure(1.05 * np.ptp(x) + 1.6, 0.95 * np.ptp(y) + 1.6).add_subplot()
    for start, end, word, *rest in arrows:
        _arrow(ax, np.array(places[start]), np.array(places[end]), word, *rest)
    for name, (left, low) in places.items():
        box: dict[str, Any] = dict(boxstyle="round,pad=0.35", facecolor="white", edgecolor="0.45")
        ax.text(left, low, name, ha="center", va="center", fontsize=10.5, bbox=box, color="black", zorder=3)
    for name, ink in (key or {}).items():
        ax.plot([], [], color=INKS[ink], linewidth=2, label=name)
    if key:
        ax.legend(frameon=False, fontsize=9, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=len(key))
    ax.set(xlim=(x.min() - 0.7, x.max() + 0.7), ylim=(y.min() - 0.6, y.max() + 0.6))
    return _bare(ax, title)


def _arrow(ax, start, end, word, ink=None, bend=0.0):
    """An arrow between two boxes, and its word beside its middle."""
    color = "0.45" if ink is None else INKS[ink]
    style: dict[str, Any] = dict(
        arrowstyle="-|>", color=color, linewidth=1.2 if ink is None else 2, shrinkA=17, shrinkB=17
    )
    style["connectionstyle"] = f"arc3,rad={-bend}"
    ax.annotate("", end, start, arrowprops=style, zorder=2)
    along = end - start
    middle = (start + end) / 2 + np.array([-along[1], along[0]]) * bend / 2
    paper: dict[str, Any] = dict(boxstyle="round,pad=0.1", facecolor="white", edgecolor="none", alpha=0.9)
    if word:
        ax.text(*middle, word, ha="center", va="center", fontsize=9.5, color="black" if ink is None else color, bbox=paper,
                zorder=4)  # fmt: skip


def network(sizes: Sequence[int], title: str, *, between: Sequence[str] = (), ax: Axes | None = None) -> Axes:
    """Draw a network: a column of circles for each layer, lines for weights, and what happens between two columns below.

    sizes    how many numbers each layer has, the input first
    between  words below the gaps, one for each layer after the input
    Errors   ValueError for less than two layers, sizes below 1, and words that do not match the gaps
    """
    if len(sizes) < 2 or min(sizes) < 1 or (between and len(between) != len(sizes) - 1):
        raise ValueError(
            f"network: sizes are {list(sizes)}, with {len(between)} words between them; there must be two layers or "
            "more, each of at least 1, and a word for each gap or none"
        )
    ax = ax or new_figure(0.95 * len(sizes) + 0.6, 3.4).add_subplot()
    columns = [_column(size) for size in sizes]
    for i, (here, there) in enumerate(pairwise(columns)):
        for low in here:
            for high in there:
                ax.plot([i, i + 1], [low, high], color="0.8", linewidth=0.6, zorder=1)
        if between:
            ax.text(i + 0.5, -4.1, between[i], ha="center", va="top", fontsize=8.5)
    for i, (size, heights) in enumerate(zip(sizes, columns, strict=True)):
        ax.plot(np.full(len(heights), i), heights, "o", color=INKS[0], markersize=8, zorder=2)
        if size > _MOST_CIRCLES:
            ax.text(i, 0, "⋮", ha="center", va="center", fontsize=15, color=INKS[0])
        ax.text(i, 3.7, f"{size:,}", ha="center", va="bottom", fontsize=9)
    ax.set(xlim=(-0.5, len(sizes) - 0.5), ylim=(-5.4 if between else -3.6, 4.4))
    return _bare(ax, title)


def _column(size):
    """The heights of a layer's circles; a long layer shows six, with a gap in the middle."""
    if size <= _MOST_CIRCLES:
        return np.arange(size) - (size - 1) / 2
    return np.array([-3.0, -2.1, -1.2, 1.2, 2.1, 3.0])


def batch_table(ax: Axes, table: ArrayLike, title: str, *, column: int | None = None, row: int | None = None) -> Axes:
    """Draw a batch as a table of numbers, an example a row and a feature a column, with one of either framed.

    table        (m, C)
    column, row  what is framed: the numbers that share a mean and a variance
    Errors       ValueError for what is not a table of finite numbers, or a column or row that it does not have
    """
    table = np.asarray(table, dtype=float)
    if table.ndim != 2 or not table.size or not np.isfinite(table).all():
        raise ValueError(f"batch_table: table is {table.shape}; it must be (m, C), with finite numbers only")
    m, features = table.shape
    if (column is not None and not 0 <= column < features) or (row is not None and not 0 <= row < m):
        raise ValueError(f"batch_table: column is {column} and row {row}, of a table {table.shape}; it has no such one")
    for (i, j), value in np.ndenumerate(table):
        inside = j == column or i == row
        ax.text(j, i, f"{value:g}".replace("-", "−"), ha="center", va="center", fontsize=10.5,
                color="black" if inside else "0.5", fontweight="bold" if inside else None)  # fmt: skip
    frame: dict[str, Any] = dict(fill=False, edgecolor=INKS[1], linewidth=2.5)
    if column is not None:
        ax.add_patch(Rectangle((column - 0.45, -0.45), 0.9, m - 0.1, **frame))
    if row is not None:
        ax.add_patch(Rectangle((-0.45, row - 0.4), features - 0.1, 0.8, **frame))
    ax.set(xlim=(-0.7, features - 0.3), ylim=(m - 0.3, -0.7))
    label(ax, title, "feature", "example", grid=False)
    ax.set_xticks(range(features), [str(j + 1) for j in range(features)])
    ax.set_yticks(range(m), [str(i + 1) for i in range(m)])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax


def _bare(ax, title):
    label(ax, title, "", "", grid=False)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)
    return ax


def joined(rows: Mapping[str, ArrayLike], title: str, xlabel: str, ax: Axes | None = None) -> Axes:
    """Draw the same numbers in several rows, the first below; thin lines join what belongs together.

    rows    label → values (m,)
    Errors  ValueError for no rows, or rows of other sizes
    """
    values = [np.asarray(row, dtype=float) for row in rows.values()]
    if not values or any(row.ndim != 1 or row.shape != values[0].shape for row in values):
        raise ValueError(f"joined: rows are {[row.shape for row in values]}; there must be some, all of one size")
    ax = ax or new_figure(7, 3.2).add_subplot()
    ax.plot(values, range(len(values)), color="0.6", linewidth=1, zorder=1)
    for i, row in enumerate(values):
        ax.plot(row, np.full(len(row), i), "o", color=INKS[i % len(INKS)])
    label(ax, title, xlabel, "")
    ax.set_yticks(range(len(values)), list(rows))
    return ax

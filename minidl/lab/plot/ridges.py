"""Ridgelines: the distribution in each of several layers, one row above the other."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from minidl.lab.plot._style import INKS, label

__all__ = ["ridges"]

_FULL = 0.9  # of a row, for the highest column


def ridges(
    ax: Axes, edges: ArrayLike, shares: ArrayLike, names: Sequence[str], title: str, xlabel: str, *, ink: int = 0,
    zones: Sequence[tuple[float, float]] = (), peak: float | None = None,
) -> Axes:  # fmt: skip
    """Draw a histogram for each layer in a row of its own, the first at the top: the first seed filled, others as lines.

    The height of a column is the square root of its share, so that a narrow peak fits beside a wide hill.

    edges    (bins + 1,), increasing
    shares   (seeds, layers, bins), each from 0 to 1
    names    of the layers
    zones    pairs (from, to) along x that are shaded
    peak     the share that fills a row; by default the largest one drawn
    Errors   ValueError for other shapes, shares that are negative, above the peak or not finite
    """
    edges, shares = np.asarray(edges, dtype=float), np.asarray(shares, dtype=float)
    if shares.ndim != 3 or not shares.size or shares.shape[1:] != (len(names), edges.size - 1):
        raise ValueError(
            f"ridges: shares is {shares.shape}, for {len(names)} names and {edges.size} edges; it must be (seeds, "
            f"{len(names)}, {edges.size - 1})"
        )
    if not (np.diff(edges) > 0).all():
        raise ValueError("ridges: edges do not increase; each must be above the one before")
    peak = float(shares.max()) if peak is None else peak
    if not (peak > 0 and (shares >= 0).all() and (shares <= peak).all()):
        raise ValueError(
            f"ridges: shares go from {shares.min():g} to {shares.max():g}; they must be from 0 to the peak, {peak:g}"
        )
    for low, high in zones:
        ax.axvspan(low, high, color="0.93", linewidth=0, zorder=0)
    heights = _FULL * np.sqrt(shares / peak)
    for i in range(len(names)):
        base, (first, *others) = len(names) - 1 - i, heights[:, i]
        ax.stairs(base + first, edges, baseline=base, fill=True, color=INKS[ink], alpha=0.35, linewidth=0)
        for columns, width in zip([first, *others], [1.1, *[0.6] * len(others)], strict=True):
            ax.stairs(base + columns, edges, baseline=base, color=INKS[ink], linewidth=width)
    ax.set(xlim=(edges[0], edges[-1]), ylim=(0, len(names)))
    ax.set_yticks(np.arange(len(names))[::-1], list(names))
    return label(ax, title, xlabel, "layer", grid=False)

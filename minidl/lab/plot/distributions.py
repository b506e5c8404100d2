"""Distributions over training: a band between percentiles, and histograms as columns of colours."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter
from numpy.typing import ArrayLike

from minidl.lab.plot._check import check_increasing, check_mapping, check_percentiles
from minidl.lab.plot._style import DASHES, INKS, dress, label, legend, marker, new_axes, new_figure, short

__all__ = ["draw_band", "histogram_grid", "histograms_over_time", "movement", "percentile_bands"]


def percentile_bands(
    steps: ArrayLike, percentiles: ArrayLike, ax: Axes | None = None, *, name: str = "value",
    foretold: ArrayLike | None = None, key: bool = True,
) -> Axes:  # fmt: skip
    """Plot the 15th, 50th and 85th percentiles of a quantity over training: the median in a band that holds 70 %.

    steps        (T,), increasing
    percentiles  (T, 3), the columns in this order; a row that is not finite leaves a gap
    name         what the quantity is, with its unit: the label of the axis
    foretold     (T, 3), what the percentiles should be, as dashed lines
    key          whether to draw a legend
    The title tells how far the median moves: its highest less its lowest value, in mean widths of the band. With
    `foretold` it tells by how much that is off at most, in widths of the band at that step.
    Errors       ValueError for other shapes, percentiles out of order, steps that do not increase
    """
    steps, percentiles = check_percentiles("percentile_bands", steps, percentiles)
    wanted = None if foretold is None else check_percentiles("percentile_bands: foretold", steps, foretold)[1]
    ax = ax or new_axes()
    draw_band(ax, steps, percentiles)
    title = movement(percentiles)
    if wanted is not None:
        dashed = ax.plot(steps, wanted, color=INKS[1], linestyle=DASHES[1])
        dashed[0].set_label("foretold")
        title = _miss(percentiles, wanted)
        low, high = ax.get_ylim()
        ax.set_ylim(low, high + 0.2 * (high - low))  # room for the legend
    if key:
        legend(ax, ncols=2 if wanted is None else 3)
    return dress(ax, title[0].upper() + title[1:], name)


def draw_band(ax: Axes, steps, percentiles, ink: int = 0) -> None:
    """Draw the median, the band and its two edges, in the colour of that number."""
    low, median, high = percentiles.T
    color = INKS[ink]
    ax.fill_between(steps, low, high, color=color, alpha=0.22, linewidth=0, label="15th to 85th percentile")
    ax.plot(steps, low, color=color, linewidth=0.9, linestyle=DASHES[1])
    ax.plot(steps, high, color=color, linewidth=0.9, linestyle=DASHES[1])
    ax.plot(steps, median, color=color, linewidth=1.8, label="median", marker=marker(steps))
    ax.margins(x=0.02, y=0.15)


def movement(percentiles: np.ndarray) -> str:
    """Say how far the median moves (its highest minus its lowest value), in mean widths of the band if it has a width."""
    low, median, high = percentiles[~np.isnan(percentiles[:, 1])].T
    if not median.size:
        return "it is never finite"
    distance, width = np.ptp(median), (high - low).mean()
    return "the median moves " + (f"{short(distance / width)} band widths" if width > 0 else f"by {short(distance)}")


def _miss(percentiles, foretold):
    """Say by how much the percentiles are off what was foretold, at most, in widths of the band at that step."""
    width = (percentiles[:, 2] - percentiles[:, 0])[:, None]
    off = np.abs(foretold - percentiles)[width[:, 0] > 0] / width[width[:, 0] > 0]
    off = off[np.isfinite(off)]
    return f"foretold to within {short(off.max())} band widths" if off.size else "no band has a width"


def histograms_over_time(
    steps: ArrayLike, counts: ArrayLike, edges: ArrayLike, ax: Axes | None = None, *, name: str = "activation"
) -> Axes:  # fmt: skip
    """Show how a distribution changes over training: a histogram at each step, as a column of colours.

    steps   (T,), increasing, evenly spaced or not: a column reaches half-way to its neighbours
    counts  (T, bins), how many values fell into each bin; a bin without values stays white, and so does a whole column
    edges   (bins + 1,), increasing
    name    what the values are, with their unit: the label of the axis
    The title gives the mean at the first and last step, from the centres of the bins.
    Errors  ValueError for other shapes, counts that are negative or all zero, steps or edges that do not increase
    """
    op = "histograms_over_time"
    steps, edges = check_increasing(op, "steps", steps), check_increasing(op, "edges", edges)
    counts = np.asarray(counts)
    if counts.shape != (steps.size, edges.size - 1):
        raise ValueError(
            f"{op}: counts is {counts.shape}; {steps.size} steps and {edges.size} edges need "
            f"{(steps.size, edges.size - 1)}, one row a step and one column between two edges"
        )
    if not (np.isfinite(counts) & (counts >= 0)).all() or not counts.any():
        raise ValueError(f"{op}: counts must be finite, not negative, and not all zero")
    ax = ax or new_axes()
    totals = counts.sum(1, keepdims=True)
    share = 100 * counts / np.where(totals > 0, totals, 1)
    scale = LogNorm(max(share[share > 0].min(), share.max() / 1000) * 0.999, share.max())
    image = ax.pcolormesh(
        _borders(steps), edges, np.ma.masked_equal(share, 0).T, norm=scale, cmap="magma_r", rasterized=True
    )
    if steps.size > 1:
        ax.set_xlim(steps[0], steps[-1])
    bar = ax.figure.colorbar(image, ax=ax, pad=0.02, format=StrMethodFormatter("{x:g}"))
    bar.set_label("share of the values in a bin (%)", fontsize=9)
    bar.ax.tick_params(labelsize=8)
    first, last = (share[share.any(1)][[0, -1]] / 100) @ ((edges[1:] + edges[:-1]) / 2)
    return dress(ax, f"The mean goes from {short(first)} to {short(last)}", name, grid=False)


def _borders(steps):
    """Of the columns: half-way between steps, and as far outside the first and last; (T + 1,)."""
    if steps.size == 1:
        return steps[0] + np.array([-0.5, 0.5])
    middles = (steps[1:] + steps[:-1]) / 2
    return np.concatenate(([2 * steps[0] - middles[0]], middles, [2 * steps[-1] - middles[-1]]))


def histogram_grid(
    steps: ArrayLike, grid: Mapping, edges: ArrayLike, *, columns: int, name: str = "activation"
) -> Figure:
    """Draw `histograms_over_time` side by side, in rows of `columns`, with one scale of colours for all.

    grid    title → counts (T, bins)
    Errors  ValueError for an empty grid, and as `histograms_over_time`
    """
    check_mapping("histogram_grid", "grid", grid, "title → counts (T, bins)")
    rows = -(-len(grid) // columns)
    figure = new_figure(4.2 * columns, 2.6 * rows + 0.7)
    for i, (title, counts) in enumerate(grid.items()):
        ax = histograms_over_time(steps, counts, edges, figure.add_subplot(rows, columns, i + 1), name=name)
        mesh: Any = ax.collections[0]
        mesh.set_clim(0.1, 100)
        if (i + 1) % columns and i + 1 < len(grid):
            mesh.colorbar.remove()
        label(
            ax, title, "training step" if i + columns >= len(grid) else "", name if i % columns == 0 else "", grid=False
        )
    return figure

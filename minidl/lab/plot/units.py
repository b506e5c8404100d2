"""Every unit of a layer at once: its band over training in a small cell of its own, all on one scale."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from numpy.typing import ArrayLike

from minidl.lab.plot._check import check_increasing
from minidl.lab.plot._style import INKS, label, new_figure, short

__all__ = ["unit_bands"]

_MARGIN = 0.06  # of a cell, on each side


def unit_bands(
    steps: ArrayLike, percentiles: ArrayLike, ax: Axes | None = None, *, name: str = "Input", ink: int = 0,
    order: ArrayLike | None = None, limits: tuple[float, float] | None = None,
) -> Axes:  # fmt: skip
    """Plot the 15th to 85th percentile of each unit over training: a grid of cells, a band and its median in each.

    steps        (T,), increasing
    percentiles  (T, units, 3), the last axis in this order; what is not finite leaves a gap
    name         what the quantity is, for the title
    ink          the number of the colour
    order        the units in the order of the cells, from the upper left, by rows; by default as they are
    limits       (lowest, highest) of all cells; by default those of the numbers, without the outermost 0.5 % on each side
    The title tells how far the middle one of the medians moves (highest less lowest value, in mean widths of the unit's
    own band), and the text below from where to where they go.
    Errors       ValueError for other shapes, steps that do not increase, an order that is not one, limits out of order
    """
    at, values, units = _checked(steps, percentiles, order)
    low, high = limits or _limits(values)
    if not low < high:
        raise ValueError(f"unit_bands: limits are ({low}, {high}); the first must be below the second")
    columns = math.ceil(math.sqrt(len(units)))
    rows = math.ceil(len(units) / columns)
    ax = ax or new_figure(6.4, 6.9).add_subplot()
    x = _into_cell(at, at[0], max(at[-1], at[0] + 1))
    y = _into_cell(np.clip(values, low, high), low, high)[:, units]
    corners = np.stack([np.arange(len(units)) % columns, rows - 1 - np.arange(len(units)) // columns], 1)
    _draw(ax, x, y, corners, INKS[ink], _into_cell(0.0, low, high) if low < 0 < high else None)
    ax.set(xlim=(0, columns), ylim=(0, rows), aspect="equal")
    across = f"each cell: steps {at[0]:,.0f} to {at[-1]:,.0f} across, {short(low)} to {short(high)} up; grey: 0"
    title, ends = _movements(values)
    label(ax, f"{name}: {title}", f"{ends}{across}", "", grid=False)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return ax


def _limits(values):
    """Without the outermost 0.5 % on each side; a little around a constant."""
    low, high = np.percentile(values[np.isfinite(values)], [0.5, 99.5])
    return (low, high) if low < high else (low - 1, low + 1)


def _draw(ax, x, y, corners, color, zero):
    """Bands, medians and a line at 0, each as one collection: a hundred cells are drawn as fast as one."""
    frame = np.array([[0, 0], [1, 0], [1, 1], [0, 1.0]]) * (1 - _MARGIN) + _MARGIN / 2
    cells = PolyCollection([frame + corner for corner in corners], facecolors="0.955", linewidths=0)
    bands, medians, zeros = [], [], []
    for i, corner in enumerate(corners):
        whole = np.isfinite(y[:, i]).all(1)
        lower, median, upper = (np.stack([x, y[:, i, k]], 1)[whole] + corner for k in range(3))
        bands.append(np.concatenate([lower, upper[::-1]]))
        medians.append(median)
        if zero is not None:
            zeros.append(corner + np.array([[_MARGIN / 2, zero], [1 - _MARGIN / 2, zero]]))
    ax.add_collection(cells)
    ax.add_collection(LineCollection(zeros, colors="0.6", linewidths=0.6))
    ax.add_collection(PolyCollection(bands, facecolors=color, alpha=0.35, linewidths=0))
    ax.add_collection(LineCollection(medians, colors=color, linewidths=0.9))


def _into_cell(values, low, high):
    return _MARGIN + (1 - 2 * _MARGIN) * (values - low) / (high - low)


def _movements(percentiles):
    """Of all units: the middle movement of the median, in widths of the band; the smallest and the largest."""
    width = np.nanmean(percentiles[:, :, 2] - percentiles[:, :, 0], axis=0)
    moved = np.nanmax(percentiles[:, :, 1], axis=0) - np.nanmin(percentiles[:, :, 1], axis=0)
    ratio = moved[width > 0] / width[width > 0]
    if not ratio.size:
        return "no band has a width", ""
    half, least, most = (short(value) for value in (np.median(ratio), ratio.min(), ratio.max()))
    return f"half of the medians move more than {half} band widths", f"the medians move {least} to {most} band widths\n"


def _checked(steps, percentiles, order):
    steps = check_increasing("unit_bands", "steps", steps)
    percentiles = np.asarray(percentiles, dtype=float)
    if percentiles.ndim != 3 or len(percentiles) != steps.size or not percentiles.shape[1] or percentiles.shape[2] != 3:
        raise ValueError(
            f"unit_bands: percentiles is {percentiles.shape} but there are {steps.size} steps; it must be "
            f"({steps.size}, units, 3): the 15th, 50th and 85th percentile of each unit at each step"
        )
    percentiles = np.where(np.isfinite(percentiles).all(2, keepdims=True), percentiles, np.nan)
    if not np.isfinite(percentiles).any(axis=(0, 2)).all():
        raise ValueError("unit_bands: there is a unit without any finite percentiles; leave it out")
    if (np.diff(percentiles, axis=2) < 0).any():
        raise ValueError("unit_bands: percentiles decrease; the last axis must be the 15th, the 50th and the 85th")
    units = percentiles.shape[1]
    order = np.arange(units) if order is None else np.asarray(order)
    if sorted(order.tolist()) != list(range(units)):
        raise ValueError(f"unit_bands: order must have each of the {units} units once; it has {order.size} entries")
    return steps, percentiles, order

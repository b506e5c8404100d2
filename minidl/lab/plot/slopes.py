"""An activation function with its slope, where it is flat, and what falls there."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from minidl.lab.plot._check import check_mapping
from minidl.lab.plot._style import DASHES, INKS, label, new_figure

__all__ = ["slope_zones"]


def slope_zones(
    f: Callable, inputs: Mapping[str, ArrayLike], *, reach: float = 8.0, share: float = 0.1, name: str = "f"
) -> Figure:
    """Draw a function over its slope over distributions of inputs, with the zones shaded in which it is flat.

    f       a function of arrays, elementwise
    inputs  label → samples of what goes into it, at least one finite: a histogram each
    reach   how far the x axis goes, on both sides of 0
    share   flat is where the slope is below this share of its steepest
    The title says where the flat zones begin; each label, how much of a distribution lies in them.
    Errors  ValueError for no inputs, or inputs without a finite number
    """
    check_mapping("slope_zones", "inputs", inputs, "label → samples")
    samples = {key: np.asarray(values, dtype=float).ravel() for key, values in inputs.items()}
    samples = {key: values[np.isfinite(values)] for key, values in samples.items()}
    if empty := [key for key, values in samples.items() if not values.size]:
        raise ValueError(f"slope_zones: {empty[0]!r} has no finite number; each of the inputs must have some")
    x = np.linspace(-reach, reach, 1601)
    slope = _slope(f, x)
    flat = slope < share * slope.max()
    figure = new_figure(7, 6.2)
    top, middle, low = figure.subplots(3, 1, sharex=True, height_ratios=(1, 0.8, 1))
    for ax in (top, middle, low):
        ax.fill_between(x, 0, 1, where=flat, transform=ax.get_xaxis_transform(), color="0.9", linewidth=0)
    top.plot(x, f(x), color=INKS[0], linewidth=1.8)
    middle.plot(x, slope, color=INKS[1], linewidth=1.8)
    steep = np.abs(x[~flat]).max() if (~flat).any() else 0.0
    label(top, f"Flat (grey) beyond ±{steep:.1f}", "", f"{name}(x)")
    label(middle, "", "", "its slope")
    _draw_inputs(low, f, samples, x, share * slope.max())
    label(low, "", "x, what goes into it", "how often")
    low.set(xlim=(-reach, reach), yticks=[])
    return figure


def _draw_inputs(ax: Axes, f, samples, x, least):
    for i, (key, values) in enumerate(samples.items()):
        inside = 100 * (_slope(f, values) < least).mean()
        counts, edges = np.histogram(values, np.linspace(x[0], x[-1], 81))
        style: dict[str, Any] = dict(color=INKS[i % len(INKS)], linestyle=DASHES[i % len(DASHES)], linewidth=1.7)
        ax.stairs(counts / max(1, counts.max()), edges, label=f"{key}: {inside:.0f} % flat", **style)
    ax.legend(frameon=False, fontsize=8.5, loc="upper left", bbox_to_anchor=(1.01, 1))


def _slope(f, x, step=1e-4):
    return np.abs(f(x + step) - f(x - step)) / (2 * step)

"""Curves over training: accuracy, loss, and how far each layer moves."""

import math
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter
from numpy.typing import ArrayLike

from minidl.lab.plot._check import check_curves, check_fractions, check_mapping
from minidl.lab.plot._style import DASHES, GUIDE, INKS, dress, legend, marker, new_axes, short

__all__ = ["accuracy_curves", "draw_accuracies", "loss_curves", "update_ratios"]


def accuracy_curves(runs: Mapping, ax: Axes | None = None, target: float | None = None) -> Axes:
    """Plot accuracy over training, in percent.

    runs    label → (steps, accuracies): steps (T,), accuracies (T,), fractions from 0 to 1. With several seeds
            accuracies (S, T): the line is their mean, the band goes from the lowest to the highest.
    target  an accuracy such as 0.95: a thin line, and a dot where each curve first reaches it
    The axis ends at 100 %, and begins so that the worst run ends in its upper quarter; curves may enter from below.
    Errors  ValueError for no runs, sizes that do not match, steps that do not increase, accuracies outside 0 … 1
    """
    curves = check_curves("accuracy_curves", runs)
    for label, (_, values) in curves.items():
        check_fractions("accuracy_curves", label, values)
    ax = ax or new_axes()
    draw_accuracies(ax, curves, target)
    return dress(ax, _accuracy_title(curves, target), "accuracy (%)")


def loss_curves(runs: Mapping, ax: Axes | None = None) -> Axes:
    """Plot loss over training, on a logarithmic axis.

    runs    label → (steps, losses), as for `accuracy_curves`; a loss that is not positive or not finite leaves a gap
    Errors  ValueError for no runs, sizes that do not match, steps that do not increase
    """
    curves = check_curves("loss_curves", runs)
    curves = {label: (steps, _gaps(losses, losses > 0)) for label, (steps, losses) in curves.items()}
    ax = ax or new_axes()
    ax.set_yscale("log")
    for i, (label, (steps, losses)) in enumerate(curves.items()):
        _draw(ax, i, label, steps, losses)
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())
    _legend(ax, curves)
    return dress(ax, _loss_title(_ends(curves)), "loss")


def update_ratios(steps: ArrayLike, ratios: Mapping, ax: Axes | None = None) -> Axes:
    """Plot how far each layer moves in a step, relative to its weights: log10(std of the update / std of the weights).

    steps   (T,), increasing
    ratios  layer → (T,) of these logarithms; what is not finite leaves a gap
    A thin line marks −3, one part in a thousand, which is a common rule of thumb.
    Errors  ValueError for no layers, sizes that do not match, and steps that do not increase
    """
    check_mapping("update_ratios", "ratios", ratios, "layer → log10 of update over weight")
    curves = check_curves("update_ratios", {layer: (steps, row) for layer, row in ratios.items()})
    curves = {layer: (steps, _gaps(row)) for layer, (steps, row) in curves.items()}
    ax = ax or new_axes()
    for i, (layer, (x, row)) in enumerate(curves.items()):
        _draw(ax, i, layer, x, row)
    ax.axhline(-3, label="one in 1,000", **GUIDE)
    ax.margins(y=0.15)
    legend(ax, ncols=2)
    return dress(ax, _ratios_title(_ends(curves)), "log10(update std / weight std)")


def draw_accuracies(ax: Axes, curves: dict, target: float | None, inks=None) -> None:
    """Draw accuracies in percent, with their axis, their legend and the target; `inks` are numbers of colours."""
    for i, (label, (steps, values)) in zip(inks or range(len(curves)), curves.items(), strict=True):
        _draw(ax, i, label, steps, 100 * values)
        reached = None if target is None else _first(steps, values, target)
        if reached is not None:
            height = 100 * values.mean(0)[steps == reached]
            ax.plot(reached, height, "o", color=INKS[i % len(INKS)], markersize=5.5, zorder=4)
    if target is not None:
        ax.axhline(100 * target, label=f"{100 * target:g} %", **GUIDE)
    bottom = _bottom([values for _, values in curves.values()])
    ax.set_ylim(bottom, 100 + 0.01 * (100 - bottom))  # a curve at 100 % is not cut in half
    ax.yaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10], integer=True))
    _legend(ax, curves)


def _gaps(values, wanted=True):
    return np.where(np.isfinite(values) & wanted, values, np.nan)


def _bottom(accuracies):
    """Return where the axis begins, in percent: the worst run ends in the upper quarter, or all of the curves is seen."""
    worst = 100 * min(values[:, -1].min() for values in accuracies)
    lowest = 100 * min(values.min() for values in accuracies)
    return 5 * math.floor(min(95, max(lowest, 100 - 4 * (100 - worst))) / 5)


def _legend(ax, curves):
    several = any(len(values) > 1 for _, values in curves.values())
    legend(ax, title="mean, and range of the seeds" if several else None)


def _draw(ax, i, label, steps, values):
    """One line (values (1, T)), or a mean with its band (values (S, T)), in the i-th colour and dashes."""
    style = dict(color=INKS[i % len(INKS)], linestyle=DASHES[(i + i // len(INKS)) % len(DASHES)])
    seeds = len(values)
    if seeds > 1:
        label = f"{label} ({seeds} seeds)"
        ax.fill_between(steps, values.min(0), values.max(0), color=style["color"], alpha=0.2, linewidth=0)
    ax.plot(steps, values.mean(0), label=label, linewidth=1.7, marker=marker(steps), **style)
    ax.margins(x=0.02)


# ---- titles ----------------------------------------------------------------------------------------------------------


def _first(steps, values, target):
    """The first step at which the mean over seeds is at least the target, or None."""
    reached = values.mean(0) >= target
    return steps[reached.argmax()] if reached.any() else None


def _ends(curves):
    """label → the last value, as a mean over seeds, where it is finite."""
    ends = {label: float(values[:, -1].mean()) for label, (_, values) in curves.items()}
    return {label: end for label, end in ends.items() if np.isfinite(end)}


def _who(values, value):
    return " and ".join(str(label) for label in values if values[label] == value)


def _accuracy_title(curves, target):
    ends, several = _ends(curves), len(curves) > 1
    best = max(ends.values())
    end = f"{_who(ends, best)}, {100 * best:.2f} %"
    if target is None:
        return f"Highest at the end: {end}" if several else f"{100 * best:.2f} % at the end"
    steps = {label: _first(*curve, target) for label, curve in curves.items()}
    reached = {label: step for label, step in steps.items() if step is not None}
    if not reached:
        return f"{100 * target:g} % is not reached; highest at the end: {end}"
    first = min(reached.values())
    who = f"First to reach {100 * target:g} %: {_who(reached, first)}," if several else f"{100 * target:g} % reached"
    return f"{who} after {first:,.0f} steps"


def _loss_title(ends):
    if not ends:
        return "No loss is finite at the end"
    best = min(ends.values())
    return f"Lowest at the end: {_who(ends, best)}, {best:.3g}"


def _ratios_title(ends):
    if not ends:
        return "No layer moves at the end"
    low, high = min(ends, key=ends.get), max(ends, key=ends.get)
    shares = [f"{short(100 * 10 ** ends[layer])} % ({layer})" for layer in dict.fromkeys((high, low))]
    return f"The last step moves the weights by {' to '.join(shares)}"

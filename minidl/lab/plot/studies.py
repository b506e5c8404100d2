"""Pictures of a study: dots, lines with confidence bands, intervals side by side, and checks against a bound."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, NullLocator, StrMethodFormatter
from numpy.typing import ArrayLike

from minidl.lab.plot._check import check_curve, check_curves, check_mapping
from minidl.lab.plot._style import DASHES, GUIDE, INKS, label, legend, marker, new_axes, new_figure
from minidl.lab.study.statistics import t_interval

__all__ = ["checks", "dots", "intervals", "lines", "panels", "strands"]

BAND = "mean, and 95 % interval over the seeds"


def panels(
    columns: int, rows: int = 1, title: str = "", note: str = "", size: tuple[float, float] = (4.6, 3.9)
) -> tuple[Figure, list[Axes]]:
    """Make a figure of rows × columns axes, each of about `size` inches, with a title above and a note below all of them.

    Errors  ValueError for less than one column or row
    """
    if min(columns, rows) < 1:
        raise ValueError(f"panels: columns is {columns} and rows {rows}; both must be at least 1")
    figure = new_figure(size[0] * columns, size[1] * rows + 0.7)
    axes = [figure.add_subplot(rows, columns, i + 1) for i in range(rows * columns)]
    if title:
        figure.suptitle(title, fontsize=12, x=0.01, ha="left")
    if note:
        figure.supxlabel(note, fontsize=8)
    return figure, axes


def lines(
    ax: Axes | None, runs: Mapping, title: str, xlabel: str, ylabel: str, *, log: str = "",
    inks: Sequence[int] | None = None, key: bool | str = True, xticks: ArrayLike | None = None,
    yticks: ArrayLike | None = None,
) -> Axes:  # fmt: skip
    """Draw a line for each entry of `runs`: the mean over seeds, in a band that is its 95 % t interval.

    On a logarithmic y axis both are those of the logarithms. A logarithmic x axis with few points has its ticks at them.

    ax      None for the axes of a new figure
    runs    label → (x, values): x (T,), increasing; values (T,), or (S, T) with S seeds; what is not finite leaves a gap
    log     "x", "y" or "xy": the axes that are logarithmic
    inks    numbers of the colours and dashes, one for each line; by default 0, 1, 2 …
    key     whether to draw a legend; "below": below the axes, where it covers nothing
    xticks, yticks  the places of the ticks, which are written as they are; by default they are chosen
    Errors  ValueError for no runs, sizes that do not match, x that does not increase
    """
    ax = ax or new_axes()
    curves = check_curves("lines", runs)
    inks = range(len(curves)) if inks is None else inks
    if len(inks) != len(curves):
        raise ValueError(f"lines: there are {len(inks)} inks and {len(curves)} lines; each line must have one ink")
    for i, (name, (x, values)) in zip(inks, curves.items(), strict=True):
        _line(ax, i, name, x, values, "y" in log)
    places = sorted({float(number) for x, _ in curves.values() for number in x})
    if "x" in log:
        _log_x(ax, places)
    else:
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.10g}"))
        if all(place.is_integer() for place in places):  # no half layers
            ax.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))
    if "y" in log:
        _log_y(ax)
    for axis, ticks in ((ax.xaxis, xticks), (ax.yaxis, yticks)):
        if ticks is not None:
            axis.set_ticks(ticks, [f"{tick:.3g}" for tick in np.asarray(ticks)])
            axis.set_minor_locator(NullLocator())
    ax.margins(x=0.02)
    if key:
        several = any(len(values) > 1 for _, values in curves.values())
        legend(ax, below=key == "below", title=BAND if several else None)
    return label(ax, title, xlabel, ylabel)


def _log_x(ax, places):
    ax.set_xscale("log")
    if len(places) <= 9:
        ax.set_xticks(places, [f"{place:,.10g}" for place in places])
        ax.xaxis.set_minor_locator(NullLocator())


def _log_y(ax):
    """Plain numbers where they are short: 400 and 0.02, not 4 × 10²; minor ticks have none but on less than two decades."""
    ax.set_yscale("log")
    low, high = ax.get_ylim()
    if low >= 1e-3 and high <= 1e6:
        ax.yaxis.set_major_formatter(StrMethodFormatter("{x:,.10g}"))
        few = high / low < 50
        ax.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
        ax.yaxis.set_minor_formatter(StrMethodFormatter("{x:,.10g}") if few else NullFormatter())


def _line(ax, i, name, x, values, log):
    style = dict(color=INKS[i % len(INKS)], linestyle=DASHES[i % len(DASHES)])
    with np.errstate(divide="ignore", invalid="ignore"):  # no logarithm: a gap
        mean, low, high = np.exp(_bands(np.log(values))) if log else _bands(values)
    if len(values) > 1:
        ax.fill_between(x, low, high, color=style["color"], alpha=0.2, linewidth=0)
    ax.plot(x, mean, label=name, linewidth=1.7, marker=marker(x) or ("." if len(x) < 12 else None), **style)


def _bands(values):
    """Mean and interval of each column; nan where a seed has no finite value."""
    columns = np.where(np.isfinite(values).all(0), values, np.nan)
    return np.array([t_interval(column) for column in columns.T]).T


def dots(
    ax: Axes | None, groups: Mapping, title: str, xlabel: str, ylabel: str, *, log: str = "",
    inks: Sequence[int] | None = None, marks: str = "osD^v", limits: tuple[float, float] | None = None,
    zero: bool = False, diagonal: bool = False, rows: Sequence | None = None,
) -> Axes:  # fmt: skip
    """Draw dots of one kind for each entry of `groups`: two numbers of each run, say, against each other.

    ax        None for the axes of a new figure
    groups    label → (x, y): x (T,), y (T,) or (S, T) with S seeds; what is not finite is left out
    log       "x", "y" or "xy": the axes that are logarithmic; with few places along x its ticks are at them
    inks      numbers of the colours, one for each group; by default 0, 1, 2 …
    marks     matplotlib's letters for the shapes of the dots; after the last they begin again
    limits    (lowest, highest) of the y axis, whose label then tells how many dots lie beyond
    zero      draw a line at y = 0, for differences
    diagonal  draw the line y = x, for what was foretold against what was measured
    rows      names of the places 0, 1, 2 … along y, the first on top
    Errors    ValueError for no groups, sizes that do not match, no finite dot, a wrong number of inks, no marks
    """
    check_mapping("dots", "groups", groups, "label → (x, y)")
    inks = range(len(groups)) if inks is None else inks
    if len(inks) != len(groups) or not marks:
        raise ValueError(
            f"dots: {len(groups)} groups, {len(inks)} inks, marks {marks!r}; each group must have an ink and a mark"
        )
    pairs = {name: _dots_of(name, *pair) for name, pair in groups.items()}
    ax = ax or new_axes()
    for i, (ink, (name, (x, y))) in enumerate(zip(inks, pairs.items(), strict=True)):
        mark = marks[i % len(marks)]
        ax.plot(x, y, mark, color=INKS[ink % len(INKS)], label=name, markersize=12 if mark == "|" else 5, alpha=0.8)
    every = np.concatenate(list(pairs.values()), axis=1)
    if "x" in log:
        _log_x(ax, sorted(set(every[0].tolist())))
    if "y" in log:
        _log_y(ax)
    if zero:
        ax.axhline(0, **GUIDE)
    if diagonal:
        ends = [every[0].min(), every[0].max()]
        ax.plot(ends, ends, color="0.4", linewidth=1)
    if rows is not None:
        _name_rows(ax, rows)
    if limits is not None:
        ax.set_ylim(*limits)
        beyond = int(((every[1] < limits[0]) | (every[1] > limits[1])).sum())
        ylabel += f" ({beyond} beyond the edge)" if beyond else ""
    legend(ax)
    return label(ax, title, xlabel, ylabel)


def _dots_of(name, x, y):
    """The finite dots of a group, (2, dots)."""
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if x.ndim != 1 or y.ndim not in (1, 2) or y.shape[-1] != x.size:
        raise ValueError(f"dots: {name!r} has x {x.shape} and y {y.shape}; they must be (T,), and (T,) or (seeds, T)")
    both = np.stack([np.broadcast_to(x, y.shape).ravel(), y.ravel()])
    both = both[:, np.isfinite(both).all(0)]
    if not both.size:
        raise ValueError(f"dots: {name!r} has no finite dot; each group must have one")
    return both


def strands(ax: Axes, x: ArrayLike, values: ArrayLike, title: str, xlabel: str, ylabel: str, *, ink: int = 0) -> Axes:
    """Draw many thin lines in one colour: how all units of a layer move, and how many of them.

    x, values    (T,), increasing, and (T, units)
    Errors       ValueError for sizes that do not match, x that does not increase
    """
    steps, lines_of_units = check_curve("strands", title, x, np.transpose(values))
    ax.plot(steps, lines_of_units.T, color=INKS[ink], linewidth=0.6, alpha=0.5)
    ax.margins(x=0.02)
    return label(ax, title, xlabel, ylabel)


def intervals(
    ax: Axes, rows: Mapping, title: str, xlabel: str, *, zero: bool = False, log: bool = False,
    limits: tuple[float, float] | None = None,
) -> Axes:  # fmt: skip
    """Draw a row for each entry: every seed as a small dot, their mean as a large one, its 95 % t interval as a bar.

    rows    label → values (S,), one per seed; what is not finite is left out
    zero    draw a line at 0, for differences
    log     a logarithmic axis, and the mean and interval of logarithms; for ratios
    limits  (lowest, highest) of the x axis, so that panels share it; by default its own
    Errors  ValueError for no rows, one without finite values, or with `log` one that is not above 0
    """
    check_mapping("intervals", "rows", rows, "label → one value for each seed")
    for i, (name, values) in enumerate(rows.items()):
        values = np.asarray(values, dtype=float).ravel()
        values = values[np.isfinite(values)]
        if not values.size:
            raise ValueError(f"intervals: {name!r} has no finite value; each row must have one")
        if log and values.min() <= 0:
            raise ValueError(f"intervals: {name!r} has {values.min():g}; on a logarithmic axis all must be above 0")
        mean, low, high = np.exp(t_interval(np.log(values))) if log else t_interval(values)
        if values.size > 1:
            ax.plot([low, high], [i, i], color=INKS[0], linewidth=2.2, zorder=2)
        ax.plot(values, np.full(values.size, i + 0.22), ".", color=INKS[1], markersize=5, zorder=3)
        ax.plot(mean, i, "o", color=INKS[0], markersize=6, zorder=4)
    if zero:
        ax.axvline(0, **GUIDE)
    if log:
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_locator(NullLocator())
    else:
        ax.xaxis.set_major_locator(MaxNLocator(6))
    if limits is not None:
        ax.set_xlim(*limits)
    _name_rows(ax, rows)
    return label(ax, title, xlabel, "")


def checks(ax: Axes, rows: Mapping, title: str, xlabel: str = "largest deviation") -> Axes:
    """Draw each measured value (a dot) against its bound (a bar from the left), on a logarithmic axis.

    rows    name → (measured, allowed), both at least 0; an exact 0 is drawn at the left edge, as an open dot
    Errors  ValueError for no rows, or numbers below 0
    """
    check_mapping("checks", "rows", rows, "name → (measured, allowed)")
    for name, pair in rows.items():
        if len(pair) != 2 or not min(pair) >= 0:
            raise ValueError(f"checks: {name!r} is {pair}; it must be a pair of numbers of at least 0")
    positive = [number for pair in rows.values() for number in pair if number > 0] or [1.0]
    edge, most = min(positive) / 30, max(positive) * 10
    for i, (measured, allowed) in enumerate(rows.values()):
        right = measured <= allowed
        ax.plot([edge, max(allowed, edge)], [i, i], color="0.85", linewidth=9, solid_capstyle="butt", zorder=1)
        ax.plot(
            max(measured, edge), i, "o", color=INKS[0] if right else INKS[1], markersize=7, clip_on=False, zorder=3,
            markerfacecolor="white" if measured == 0 else None,
        )  # fmt: skip
    ax.set_xscale("log")
    ax.set_xlim(edge, most)
    _name_rows(ax, rows)
    return label(ax, title, f"{xlabel} (dot; open: exactly 0), and allowed (grey)", "")


def _name_rows(ax, rows):
    ax.set_yticks(range(len(rows)), [str(name) for name in rows])
    ax.set_ylim(len(rows) - 0.4, -0.6)

"""The roofline: how near each piece of work comes to what the machine can do."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from minidl.lab.plot._check import check_mapping
from minidl.lab.plot._style import GUIDE, INKS, dress, legend, new_figure, short

__all__ = ["roofline"]

_MARKERS = "osD^vPX*<>"


def roofline(
    points: Mapping[str, Mapping[str, Sequence[tuple[float, float]]]],
    gflops: float,
    gb_per_s: float,
    ax: Axes | None = None,
) -> Axes:
    """Plot speed against arithmetic intensity, both logarithmic, under the roof that memory and processor make.

    points     contender → kind of work → list of (flops for each byte moved, GFLOP/s). The first contender is drawn full,
               the others hollow; a thin line joins a contender's points with those of the first, which must be as many
    gflops     the roof's flat part: what a large matrix product reaches
    gb_per_s   its slope: what a large copy reaches
    Errors     ValueError for no points, points that are not two positive numbers, contenders with different kinds, and
               limits that are not positive
    Source     Williams, Waterman and Patterson 2009
    """
    drawn = _checked(points, gflops, gb_per_s)
    ax = ax or new_figure(8.5, 5.6).add_subplot()
    ax.set(xscale="log", yscale="log")
    first, *others = drawn
    for i, kind in enumerate(drawn[first]):
        ink, marker = INKS[i % len(INKS)], _MARKERS[i % len(_MARKERS)]
        ours = drawn[first][kind]
        ax.plot(*ours.T, marker, color=ink, markersize=6.5, label=kind, zorder=4)
        for other in others:
            theirs = drawn[other][kind]
            ax.plot(*theirs.T, marker, color=ink, fillstyle="none", markersize=5.5, zorder=3)
            for a, b in zip(ours, theirs, strict=True):
                ax.plot(*np.array([a, b]).T, color=ink, linewidth=0.7, alpha=0.45, zorder=2)
    _draw_roof(ax, drawn, gflops, gb_per_s)
    return _dress(ax, drawn, gflops, gb_per_s)


def _draw_roof(ax, points, gflops, gb_per_s):
    everything = np.concatenate([np.atleast_2d(p) for kinds in points.values() for p in kinds.values()])
    ridge = gflops / gb_per_s
    left, right = min(everything[:, 0].min(), ridge) / 2, max(everything[:, 0].max(), ridge) * 2
    ax.plot([left, ridge, right], [left * gb_per_s, gflops, gflops], **(GUIDE | dict(linestyle="-", color="0.25")))
    ax.set_xlim(left, right)
    ax.set_ylim(bottom=everything[:, 1].min() / 2, top=2.5 * max(gflops, everything[:, 1].max()))
    ax.annotate(
        f"{short(gflops)} GFLOP/s", (right, gflops), (-3, 4), textcoords="offset points", ha="right", fontsize=8
    )
    along = np.sqrt(left * ridge)
    ax.annotate(
        f"{short(gb_per_s)} GB/s",
        (along, along * gb_per_s),
        (-4, 3),
        textcoords="offset points",
        ha="right",
        fontsize=8,
    )


def _dress(ax, points, gflops, gb_per_s):
    first, *others = points
    over = np.concatenate([p[:, 1] / np.minimum(gflops, gb_per_s * p[:, 0]) for p in points[first].values()])
    half = int((over >= 0.5).sum())
    title = f"{first}: {half} of {over.size} reach at least half of the roof"
    dress(ax, title, "speed (GFLOP/s)")
    ax.set_xlabel("arithmetic intensity (flops for each byte moved)", fontsize=9)
    for axis, (low, high) in ((ax.xaxis, ax.get_xlim()), (ax.yaxis, ax.get_ylim())):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 1000 * low else (1,)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
        axis.set_minor_formatter(NullFormatter())
    drawn = f"full: {first}" + (f"; hollow: {', '.join(others)}" if others else "")
    legend(ax, title=drawn, ncols=2)
    return ax


def _checked(points, gflops, gb_per_s):
    check_mapping("roofline", "points", points, "contender → kind of work → points")
    for name, limit in (("gflops", gflops), ("gb_per_s", gb_per_s)):
        if not 0 < limit < np.inf:
            raise ValueError(f"roofline: {name} is {limit}; it must be a number above 0")
    checked, sizes = {}, None
    for contender, kinds in points.items():
        check_mapping("roofline", repr(contender), kinds, "kind of work → points")
        checked[contender] = {kind: _points(contender, kind, pairs) for kind, pairs in kinds.items()}
        own = {kind: len(pairs) for kind, pairs in checked[contender].items()}
        sizes = sizes or own
        if own != sizes:
            raise ValueError(
                f"roofline: {contender!r} has {own} points but the first contender {sizes}; give equal kinds"
            )
    return checked


def _points(contender, kind, pairs):
    pairs = np.asarray(pairs, dtype=float)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or not (np.isfinite(pairs) & (pairs > 0)).all():
        raise ValueError(
            f"roofline: the points of {contender!r}, {kind!r}, are {pairs.shape}; they must be pairs of positive numbers, "
            "(flops a byte, GFLOP/s)"
        )
    return pairs

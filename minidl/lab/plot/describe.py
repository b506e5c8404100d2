"""A figure in words, for those who cannot see it: made from what is drawn, so that it cannot differ from it."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection, PolyCollection, QuadMesh
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, NullLocator

__all__ = ["describe"]

_MOST = 12  # names in a list, and panels with a sentence each
_LETTERS = 1200  # of a whole description


def describe(drawn: Figure | Axes) -> str:
    """Describe a figure, or the figure of an axes: titles, what is drawn, axes with their ranges, legends.

    The numbers are those of the axes; what a figure shows is in its titles.
    """
    figure: Any = drawn.get_figure(root=True)
    panels = [ax for ax in figure.axes if ax.get_visible() and not _is_bar(ax)]
    bars = {id(bar): bar for bar in figure.axes if _is_bar(bar)}
    parts = [_sentence(figure.get_suptitle())] if figure.get_suptitle() else []
    if len(panels) > 1:
        parts.append(f"{len(panels)} panels.")
    if len(panels) > _MOST:  # such as a grid of images
        panels = [ax for ax in panels if _title(ax)][:_MOST] or panels[:1]
    described = [_panel(ax) for ax in panels]
    if len(described) > 1 and len({axes for _, _, axes, _ in described}) == 1:
        described = [(title, kind, "", key) for title, kind, _, key in described[:-1]] + described[-1:]
    for number, sentences in enumerate(described, 1):
        parts += [f"({number})", *sentences] if len(described) > 1 else sentences
    parts += [_key(legend) for legend in figure.legends]
    parts += [_colours(bar) for bar in bars.values()]
    parts += [_sentence(figure.get_supxlabel())]
    text = " ".join(filter(None, parts))
    return text if len(text) <= _LETTERS else text[: _LETTERS - 1].rsplit(" ", 1)[0] + " …"


def _panel(ax):
    """Title, what is drawn, axes and legend of one axes, each a sentence or nothing."""
    legend = ax.get_legend()
    return _sentence(_title(ax)), _kinds(ax), _axes(ax), _key(legend) if legend else _words(ax)


def _title(ax):
    return " ".join(filter(None, (ax.get_title(loc) for loc in ("left", "center", "right"))))


def _is_bar(ax):
    return ax.get_label() == "<colorbar>"


def _kinds(ax):
    """Count what is drawn: "3 lines, 1 band"."""
    curves = [line for line in ax.lines if line.get_visible() and len(line.get_xdata()) > 2]
    dotted = [line for line in curves if line.get_linestyle() in ("None", "none", "", " ")]
    counts = {
        "line": len(curves) - len(dotted),
        "set of points": len(dotted) + sum(isinstance(c, PathCollection) for c in ax.collections),
        "band": sum(isinstance(c, PolyCollection) for c in ax.collections),
        "set of line segments": sum(isinstance(c, LineCollection) for c in ax.collections),
        "bar": sum(isinstance(p, Rectangle) and bool(p.get_width() * p.get_height()) for p in ax.patches),
        "image": len(ax.images),
        "map of level lines": int(any(isinstance(c, QuadContourSet) for c in ax.collections)),
        "map of coloured cells": sum(isinstance(c, QuadMesh) for c in ax.collections),
    }
    told = [f"{n} {kind if n == 1 else _plural(kind)}" for kind, n in counts.items() if n]
    return _sentence(", ".join(told))


def _plural(kind):
    first, _, rest = kind.partition(" of ")
    return f"{first}s of {rest}" if rest else f"{first}s"


def _axes(ax):
    if not ax.axison:
        return ""
    told = [_axis("x", ax.xaxis, ax.get_xlim()), _axis("y", ax.yaxis, ax.get_ylim())]
    return _sentence("; ".join(filter(None, told)))


def _axis(name, axis, limits):
    """Write "x: training step, 0 to 5,000": from the first tick to the last, or the names that ticks have been given."""
    label = _plain(axis.get_label().get_text())
    if isinstance(axis.get_major_locator(), NullLocator) or not len(axis.get_majorticklocs()):
        return f"{name}: {label}" if label else ""
    fixed = isinstance(axis.get_major_locator(), FixedLocator)
    names = [_plain(tick.get_text()) for tick in axis.get_majorticklabels()] if fixed else []
    names = [tick for tick in names if tick]
    if 0 < len(names) <= _MOST:
        scale = ", ".join(names)
    else:
        low, high = sorted(limits)
        ticks = [tick for tick in axis.get_majorticklocs() if low <= tick <= high]
        first, last = (ticks[0], ticks[-1]) if len(ticks) > 1 else limits
        scale = f"{_number(first)} to {_number(last)}"
    scale += ", logarithmic" if axis.get_scale() in ("log", "symlog") else ""
    return f"{name}: {label}, {scale}" if label else f"{name}: {scale}"


def _key(legend):
    entries = [_plain(text.get_text()) for text in legend.get_texts()]
    title = _plain(legend.get_title().get_text())
    return _sentence(f"Legend{f' ({title})' if title else ''}: {'; '.join(entries[:_MOST])}") if entries else ""


def _words(ax):
    """What is written into the picture, in place of a legend; many words, such as a number in each cell, are left out."""
    words = [_plain(text.get_text()) for text in ax.texts if text.get_visible()]
    words = list(dict.fromkeys(filter(None, words)))
    return _sentence(f"Written in it: {'; '.join(words)}") if 0 < len(words) <= _MOST else ""


def _colours(bar):
    upright = bar.get_ylabel() or not bar.get_xlabel()
    axis, limits = (bar.yaxis, bar.get_ylim()) if upright else (bar.xaxis, bar.get_xlim())
    return _sentence(_axis("Colour", axis, limits))


def _number(value):
    return f"{float(f'{value:.3g}'):,g}".replace("-", "−")


def _plain(text):
    return " ".join(text.replace("$", "").split())


def _sentence(text):
    text = _plain(text)
    return text if not text or text.endswith((".", "?", "!", ":")) else f"{text}."

"""What all pictures share: how a figure is made and saved, and how axes are labelled.

Sizes are set on each artist and not in rcParams, so that nothing of the user's is changed, and a style of theirs stays.
"""

import io
import os
import sys
import textwrap
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from minidl.system.files import as_path, write_atomically

__all__ = ["DASHES", "GUIDE", "INKS", "PAPER", "caption", "dress", "label", "legend", "marker", "new_axes", "new_figure",
           "png", "save", "short"]  # fmt: skip

INKS = ("#0b3c7d", "#e8890c", "#00876c", "#b5498f", "#5c5c5c", "#57aee0")
DASHES = ("-", (0, (5, 1.5)), (0, (6, 1.5, 1, 1.5)), (0, (1.2, 1.2)), (0, (10, 2)), (0, (6, 1, 1, 1, 1, 1)))
GUIDE: dict[str, Any] = dict(color="0.4", linewidth=1, linestyle=(0, (2, 2)), zorder=1)
PAPER: dict[str, Any] = dict(cmap="gray_r", vmin=0)  # digits as dark ink on white
_LETTERS_PER_INCH = 14  # of a title; constrained layout then widens the axes a little


def save(drawn: Figure | Axes, path: str | os.PathLike, dpi: float = 100) -> None:
    """Write a figure, or the figure of an axes, to a file of the kind that its name says (.png, .pdf, .svg); close it.

    The file is written whole or not at all; its folder is made if there is none.
    Errors  OSError if the file cannot be written, ValueError for an unknown kind; the figure is closed all the same
    """
    from matplotlib import pyplot

    figure: Any = drawn.get_figure(root=True)
    path, drawing = as_path("save", path), io.BytesIO()
    try:
        figure.savefig(drawing, dpi=dpi, format=path.suffix.removeprefix(".") or None)
        write_atomically(path, drawing.getvalue())
    finally:
        pyplot.close(figure)


def png(drawn: Figure | Axes, dpi: float = 100) -> bytes:
    """Return a figure, or the figure of an axes, as the bytes of a PNG; close it."""
    from matplotlib import pyplot

    figure: Any = drawn.get_figure(root=True)
    drawing = io.BytesIO()
    try:
        figure.savefig(drawing, dpi=dpi, format="png")
    finally:
        pyplot.close(figure)
    return drawing.getvalue()


def new_figure(width: float, height: float) -> Figure:
    """Make a figure of that many inches, known to pyplot, so that notebooks and `pyplot.show()` display it."""
    if _no_display() and matplotlib.get_backend(auto_select=False) is None:
        matplotlib.use("agg")  # nobody has chosen a backend, and there is no screen to open a window on
    from matplotlib import pyplot

    return pyplot.figure(figsize=(width, height), layout=ConstrainedLayoutEngine(wspace=0.05))


def caption(text: str) -> None:
    """Write a line above the figure that was drawn last."""
    from matplotlib import pyplot

    if pyplot.get_fignums():
        pyplot.gcf().suptitle(text, fontsize=10, x=0.01, ha="left")


def new_axes() -> Axes:
    """Make the one axes of a new figure of the usual size."""
    return new_figure(7, 4.2).add_subplot()


def _no_display():
    return sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def dress(ax: Axes, title: str, ylabel: str, grid: bool = True) -> Axes:
    """Label as `label` does, with training steps along x."""
    label(ax, title, "training step", ylabel, grid)
    ax.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    return ax


def label(ax: Axes, title: str, xlabel: str, ylabel: str, grid: bool = True) -> Axes:
    """Set title and labels, a light grid and no box. The title is wrapped to the axes."""
    inches = ax.bbox.width / ax.figure.dpi
    letters = max(10, int(_LETTERS_PER_INCH * inches))
    lines = [textwrap.fill(line, letters) for line in title.splitlines()]
    ax.set_title("\n".join(lines), loc="left", fontsize=10)
    ax.set_xlabel(xlabel, fontsize=9)
    ax.set_ylabel(ylabel, fontsize=9)
    ax.tick_params(labelsize=8)
    ax.spines[["top", "right"]].set_visible(False)
    if grid:
        ax.grid(alpha=0.25, linewidth=0.6)
        ax.set_axisbelow(True)
    return ax


def legend(ax: Axes, below: bool = False, **options) -> None:
    """Draw a legend without a frame, where it covers least; or below the axes, in two columns."""
    place = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.13), "ncols": 2} if below else {"loc": "best"}
    ax.legend(**place, fontsize=8.5, title_fontsize=8.5, alignment="left", frameon=False, **options)


def marker(steps) -> str | None:
    """Return a dot for a curve with only one point, which no line would show."""
    return "o" if steps.size == 1 else None


def short(number: float) -> str:
    """Write a number for a title: a few digits, with a true minus sign."""
    text = f"{number:,.1f}" if abs(number) >= 10 else f"{number:.2f}" if abs(number) >= 0.01 else f"{number:.1g}"
    return text.replace("-", "−")

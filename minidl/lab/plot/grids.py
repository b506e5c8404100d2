"""Small multiples: the same lines for several runs, a panel for each."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from minidl.lab.plot._check import check_mapping
from minidl.lab.plot._style import GUIDE
from minidl.lab.plot.studies import lines, panels

__all__ = ["line_grid"]


def line_grid(
    runs: Mapping, title: str, xlabel: str, ylabel: str, *, columns: int = 4, note: str = "",
    size: tuple[float, float] = (3, 2.3), limits: tuple[float, float] | None = None, mark: float | None = None,
    legend: str = "",
) -> Figure:  # fmt: skip
    """Draw a panel for each entry of `runs`, as `lines` does, in rows of `columns`; one of them has a legend.

    runs    name of the panel → label → (x, values)
    limits  (lowest, highest) of all y axes; by default each has its own
    mark    where to draw a dotted upright line in each panel
    legend  the name of the panel that has room for the legend; by default the first
    Errors  ValueError for no runs, for a legend in a panel that does not exist, and those of `lines` and `panels`
    """
    check_mapping("line_grid", "runs", runs, "name of the panel → label → (x, values)")
    if legend and legend not in runs:
        raise ValueError(
            f"line_grid: there is no panel {legend!r} for the legend; there are {', '.join(map(str, runs))}"
        )
    figure, axes = panels(columns, -(-len(runs) // max(columns, 1)), title, note, size)
    for i, (ax, (name, curves)) in enumerate(zip(axes, runs.items(), strict=False)):
        lines(ax, curves, name, xlabel, ylabel, key=name == legend if legend else i == 0)
        if limits is not None:
            ax.set_ylim(*limits)
        if mark is not None:
            ax.axvline(mark, **GUIDE)
    for spare in axes[len(runs) :]:
        spare.remove()
    return figure

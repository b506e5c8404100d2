"""A figure that grows while something runs."""

import sys
from collections.abc import Callable

from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = ["live"]


def live(draw: Callable[[], Figure | Axes]) -> Callable[[], None]:
    """Make a function `show()` that calls `draw()` and puts the figure in the place of the one shown before.

    show = plot.live(lambda: plot.accuracy_curves(runs))
    for …: …a few training steps…; show()

    draw    takes nothing, and returns an axes or a figure that it made
    The figures are closed. Outside a notebook nothing is shown.
    Errors  TypeError if `draw` is not a function
    """
    if not callable(draw):
        raise TypeError(f"live: draw is a {type(draw).__name__}; it must be a function that makes a figure: lambda: …")
    handle = None

    def show():
        nonlocal handle
        from matplotlib import pyplot

        figure = draw().get_figure(root=True)
        pyplot.close(figure)  # else the notebook would show each of them again, below the cell
        if not _in_notebook():
            return
        from IPython.display import display

        if handle is None:
            handle = display(figure, display_id=True)
        else:
            handle.update(figure)

    return show


def _in_notebook():
    module = sys.modules.get("IPython")
    return module is not None and hasattr(module.get_ipython(), "kernel")

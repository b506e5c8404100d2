"""Batches of three as points in space, seen along (1, 1, 1): where normalising puts them, and what of a gradient passes."""

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from minidl.lab.plot._style import INKS, label, new_figure

__all__ = ["batches_of_three"]

_EYES = np.array([[1, -1, 0], [1, 1, -2]]) / np.sqrt(
    [[2], [6]]
)  # two directions at right angles to (1, 1, 1): what we see
_JOINED, _ARROWS = 40, 10


def batches_of_three(before: ArrayLike, after: ArrayLike, arriving: ArrayLike, passing: ArrayLike) -> Figure:
    """Draw batches before and after they are normalised, and gradients where they arrive and what passes of them.

    Each is (3, batches), a column a batch.
    Errors  ValueError for other shapes
    """
    arrays = [np.asarray(array, dtype=float) for array in (before, after, arriving, passing)]
    if any(array.ndim != 2 or len(array) != 3 or array.shape != arrays[0].shape for array in arrays):
        raise ValueError(
            f"batches_of_three: got {[array.shape for array in arrays]}; each must be (3, batches), all the same"
        )
    start, end, arrive, passes = (_EYES @ array for array in arrays)
    figure = new_figure(9.4, 5.4)
    left, right = figure.subplots(1, 2)
    left.plot(*np.stack([start, end])[:, :, :_JOINED].swapaxes(0, 1), color="0.8", linewidth=1, zorder=1)
    left.plot(*start, ".", color="0.55", markersize=4, label="x")
    left.plot(*end, ".", color=INKS[0], markersize=5, label="x̂")
    around = np.linspace(0, 2 * np.pi, 200)
    right.plot(3**0.5 * np.cos(around), 3**0.5 * np.sin(around), color=INKS[0], linewidth=1)
    for arrows, color, name in ((arrive, "0.7", "∂L/∂y arrives"), (passes, INKS[1], "σ · ∂L/∂x passes")):
        where, tips = end[:, :_ARROWS], arrows[:, :_ARROWS]
        right.quiver(*where, *tips, angles="xy", scale_units="xy", scale=1, color=color, label=name)
    titles = "Forward: all batches of three lie on one circle", "Backward: what passes runs along the circle"
    for ax, title in zip((left, right), titles, strict=True):
        ax.set(aspect="equal", xlim=(-3.3, 3.3), ylim=(-3.3, 3.3))
        ax.legend(frameon=False, fontsize=8.5, loc="upper right")
        label(ax, title, "(x₁ − x₂) / √2", "(x₁ + x₂ − 2x₃) / √6")
    return figure

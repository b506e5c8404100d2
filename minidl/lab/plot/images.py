"""Many small images side by side: digits, or the weights of units that look at digits."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from minidl.lab.plot._style import PAPER, new_figure

__all__ = ["images"]


def images(
    pixels: ArrayLike, names: Sequence[object] | None = None, title: str = "", *, columns: int = 8, signed: bool = False
) -> Figure:
    """Show a grid of images, all on one scale, each with its name above.

    pixels   (N, H, W), drawn dark on white
    names    N of them, or none
    columns  images in a row
    signed   for weights: white is 0, orange positive, purple negative, with a bar that says how much
    Errors   ValueError for other shapes, no images, a wrong number of names, numbers that are not finite
    """
    grid = _checked(pixels, names, columns)
    n, rows = len(grid), math.ceil(len(grid) / columns)
    figure = new_figure(max(6.0, 1.05 * min(columns, n)), 1.25 * rows + 0.6)
    if title:
        figure.suptitle(title, fontsize=10.5, x=0.01, ha="left")
    most = float(np.abs(grid).max()) or 1.0
    colours = dict(cmap="PuOr_r", vmin=-most, vmax=most) if signed else {**PAPER, "vmax": most}
    axes = figure.subplots(rows, min(columns, n), squeeze=False).ravel()
    for ax in axes:
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_color("0.8")
    for ax in axes[n:]:
        ax.set_axis_off()
    for i, (ax, image) in enumerate(zip(axes, grid, strict=False)):
        drawn = ax.imshow(image, **colours)
        if names is not None:
            ax.set_title(str(names[i]), fontsize=8)
    if signed:
        bar = figure.colorbar(drawn, ax=list(axes), shrink=0.8, pad=0.02)
        bar.set_label("weight", fontsize=9)
        bar.ax.tick_params(labelsize=8)
    return figure


def _checked(pixels, names, columns):
    pixels = np.asarray(pixels, dtype=float)
    if pixels.ndim != 3 or not pixels.size or not np.isfinite(pixels).all():
        raise ValueError(f"images: pixels are {pixels.shape}; they must be (N, H, W), at least one image, and finite")
    if columns < 1:
        raise ValueError(f"images: columns is {columns}; it must be at least 1")
    if names is not None and len(names) != len(pixels):
        raise ValueError(f"images: {len(names)} names for {len(pixels)} images; there must be one for each")
    return pixels

"""Interactive pages inside a lesson, with a picture of each for where nothing can be moved."""

import html
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from minidl import functional as F
from minidl.lab import plot
from minidl.lab.web import SMALL, page, source
from minidl.tensor import Tensor

__all__ = ["Shown", "show"]

_HEIGHT = 700  # of the frame, in pixels, until the page inside it sets its own


def show(name: str) -> "Shown":
    """Show an interactive page: "drag", one example of a batch of eight; "circle", all batches of three; "sliders", γ, β, ε.

    In a running notebook it can be moved. With MINIDL_NO_WIDGETS set, as when the lessons are published, a still picture is
    in its place. Nothing is loaded from elsewhere.
    Errors  ValueError for another name
    """
    if name not in SMALL:
        raise ValueError(f"show: there is no page {name!r}; there are {', '.join(SMALL)}")
    return Shown(name, live=not os.environ.get("MINIDL_NO_WIDGETS"))


class Shown:
    """A page as a notebook displays it: a frame with the page, or a PNG; and in words what it shows."""

    def __init__(self, name: str, live: bool = True):
        self.name, self.live = name, live

    def __repr__(self) -> str:
        return _STILLS[self.name][0]

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        shown: dict[str, Any] = {"text/plain": repr(self)}
        if self.live:
            inside = html.escape(page(self.name), quote=True)
            return shown | {
                "text/html": f'<iframe title="{html.escape(repr(self))}" srcdoc="{inside}" loading="lazy" '
                f'style="width:100%;height:{_HEIGHT}px;border:0"></iframe>'
            }
        still = _STILLS[self.name][1]()
        return {"text/plain": f"{self!r}\n{plot.describe(still)}", "image/png": plot.png(still)}


def _normalise(x, eps=1e-5):
    """x̂ of a column, and what passes of a gradient at it: (m,), (m,) → two arrays (m,)."""
    tensor = Tensor(np.asarray(x, dtype=np.float64)[:, None], requires_grad=True)
    return tensor, F.batch_norm(tensor, None, None, training=True, eps=eps)


def _drag():
    """The batch of drag.html, and the same with its last example far away."""
    start = np.array([float(x) for x in source("drag.html").partition("START = [")[2].partition("]")[0].split(",")])
    far = np.append(start[:-1], 9.0)
    figure, (left, right) = plot.panels(2, size=(4.6, 3.2))
    for place, (name, x) in enumerate({"start": start, "moved": far}.items()):
        tensor, hats = _normalise(x)
        hats.backward(np.eye(len(x))[:, -1:])
        ink = plot.INKS[1 - place]
        left.plot([x, hats.data[:, 0]], [2 * place + 1, 2 * place], color="0.75", linewidth=1)
        left.plot(x, np.full(len(x), 2 * place + 1), "o", color=ink)
        left.plot(hats.data[:, 0], np.full(len(x), 2 * place), "o", color=ink)
        numbers = np.arange(1, len(x) + 1) + 0.35 * (place - 0.5)
        right.bar(numbers, tensor.grad[:, 0], 0.33, color=ink, label=name)
        reached = hats.data[-1, 0]
    left.set_yticks(range(4), ["x̂, start", "x, start", "x̂, moved", "x, moved"])
    plot.label(left, f"One of eight, far from the others: its x̂ is {reached:.2f}", "value", "")
    right.axhline(0, color="0.4", linewidth=0.8)
    right.legend(frameon=False, fontsize=8.5)
    plot.label(right, "A gradient that arrives at example 8 alone passes to all", "example", "∂L/∂x")
    return figure


def _circle():
    """Batches of three before and after, and one gradient with what passes of it."""
    eyes = np.array([[1, -1, 0], [1, 1, -2]]) / np.sqrt([[2], [6]])  # two directions at right angles to (1, 1, 1)
    threes = np.random.default_rng(3).standard_normal((3, 200))
    hats = F.batch_norm(Tensor(threes), None, None, training=True, eps=0).data
    x, hat = _normalise(threes[:, 0], eps=0)
    pull = eyes.T @ [[1.4], [1.1]]
    hat.backward(pull)
    passes = x.grad * threes[:, 0].std()
    figure, (ax,) = plot.panels(1, size=(4.8, 4.8))
    ax.plot(*(eyes @ threes), ".", color="0.65", markersize=4, label="x")
    ax.plot(*(eyes @ hats), ".", color=plot.INKS[0], markersize=5, label="x̂")
    at = (eyes @ hat.data)[:, 0]
    for arrow, ink, name in ((pull, 1, "∂L/∂x̂ arrives"), (passes, 2, "σ · ∂L/∂x passes")):
        tip = (eyes @ arrow)[:, 0]
        ax.quiver(*at, *tip, angles="xy", scale_units="xy", scale=1, color=plot.INKS[ink], label=name, width=0.012)
    ax.set(aspect="equal", xlim=(-3.6, 3.6), ylim=(-3.6, 3.6))
    ax.legend(frameon=False, fontsize=8.5, loc="upper left")
    radius = np.linalg.norm(eyes @ hats, axis=0)
    title = f"All batches of three lie {radius.mean():.3f} from the centre after batch norm"
    plot.label(ax, title, "(x₁ − x₂) / √2", "(x₁ + x₂ − 2x₃) / √6")
    return figure


def _sliders():
    """One feature before, and after with three choices of γ, β and ε."""
    x = 3 + np.random.default_rng(0).gamma(4.0, 0.5, 2000)[:, None]
    figure, axes = plot.panels(4, size=(2.9, 2.4))
    plot_of = [("x", x[:, 0], 1)]
    for gamma, beta, eps in ((1.0, 0.0, 1e-5), (2.0, -3.0, 1e-5), (1.0, 0.0, 5.0)):
        y = F.batch_norm(
            Tensor(x), None, None, Tensor(np.array([gamma])), Tensor(np.array([beta])), training=True, eps=eps
        )
        plot_of.append(
            (f"γ = {gamma:g}, β = {beta:g}, ε = {eps:g}".replace("e-05", "e-5").replace("-", "−"), y.data[:, 0], 0)
        )
    for ax, (name, values, ink) in zip(axes, plot_of, strict=True):
        ax.hist(values, np.linspace(-8, 10, 73), color=plot.INKS[ink])
        ax.set_yticks([])
        mean = f"{values.mean():.1f}".replace("-0.0", "0.0").replace("-", "−")
        plot.label(ax, f"{name}\nmean {mean}, std {values.std():.2f}", "value", "")
    return figure


_STILLS: dict[str, tuple[str, Callable[[], Any]]] = {
    "drag": (
        "Eight examples, one of which can be dragged: all eight x̂ move with it, and a gradient that arrives at one "
        "example passes to all.",
        _drag,
    ),
    "circle": (
        "After batch norm all batches of three lie on a circle; of a gradient the part along the circle passes.",
        _circle,
    ),
    "sliders": (
        "The histogram of a feature before and after batch norm, with sliders: γ sets its width, β its place, and a large "
        "ε narrows it.",
        _sliders,
    ),
}

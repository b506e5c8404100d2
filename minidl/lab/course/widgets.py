"""Sliders for a figure; before each comes a figure that needs none."""

import inspect
import os
from collections.abc import Callable
from typing import Any

from minidl.lab import plot
from minidl.system.terminal import say

__all__ = ["explore"]


_FRAMES = 4


def explore(draw: Callable[..., Any], **controls: Any) -> None:
    """Draw again whenever a control is moved: `explore(draw, scale=(0.1, 3.0), batch=[2, 8, 60])`.

    draw      makes a figure from the controls' values, which have defaults
    controls  name → (lowest, highest), a list of choices, or a bool, as ipywidgets understands them
    Without ipywidgets a line says what to install. With MINIDL_NO_WIDGETS set, as when the lessons are published, four
    stills are drawn: the first control from its lowest value to its highest, the others at their defaults.
    """
    if os.environ.get("MINIDL_NO_WIDGETS"):
        for still in _stills(draw, controls):
            draw(**still)
            plot.caption(", ".join(f"{name} = {value:.3g}" if type(value) is float else f"{name} = {value}"
                                   for name, value in still.items()))  # fmt: skip
        return
    try:
        from ipywidgets import interact
    except ImportError:
        say("For sliders here: pip install ipywidgets, and restart the notebook. The figure above needs none.")
        return
    interact(draw, **controls)


def _stills(draw, controls):
    """The controls' values in each of a few stills."""
    defaults = {name: p.default for name, p in inspect.signature(draw).parameters.items() if p.default is not p.empty}
    (first, control), *_ = controls.items()
    if isinstance(control, list):
        values = control[:: max(1, len(control) // _FRAMES)][:_FRAMES]
    elif isinstance(control, tuple):
        low, high = control[:2]
        values = [low + (high - low) * i / (_FRAMES - 1) for i in range(_FRAMES)]
        values = [round(value) for value in values] if isinstance(low, int) and isinstance(high, int) else values
    else:
        values = [control]
    others = {name: c[0] if isinstance(c, tuple | list) else c for name, c in controls.items()} | defaults
    return [{name: others[name] for name in controls} | {first: value} for value in values]

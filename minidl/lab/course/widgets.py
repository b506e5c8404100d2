"""Sliders for a figure; before each comes a figure that needs none."""

import os
from collections.abc import Callable
from typing import Any

from minidl.system.terminal import say

__all__ = ["explore"]


def explore(draw: Callable[..., Any], **controls: Any) -> None:
    """Draw again whenever a control is moved: `explore(draw, scale=(0.1, 3.0), batch=[2, 8, 60])`.

    draw      makes a figure from the controls' values
    controls  name → (lowest, highest), a list of choices, or a bool, as ipywidgets understands them
    Without ipywidgets a line says what to install. With MINIDL_NO_WIDGETS set, where nobody can move them, it is drawn
    once.
    """
    if os.environ.get("MINIDL_NO_WIDGETS"):
        draw(
            **{name: control[0] if isinstance(control, tuple | list) else control for name, control in controls.items()}
        )
        return
    try:
        from ipywidgets import interact
    except ImportError:
        say("For sliders here: pip install ipywidgets, and restart the notebook. The figure above needs none.")
        return
    interact(draw, **controls)

"""How `backward()` works (`engine.py`, `modes.py`), what it refuses (`changes.py`), how to look at it (`anomaly.py`,
`picture.py`)."""

from minidl.autograd.anomaly import detect_anomaly
from minidl.autograd.changes import changed_in_place
from minidl.autograd.engine import Node
from minidl.autograd.modes import is_grad_enabled, no_grad

__all__ = ["Node", "changed_in_place", "detect_anomaly", "is_grad_enabled", "no_grad"]

"""What a network is made of: a table of its layers (`table.py`), a drawing (`network.py`).

Both are made from one forward pass that is watched: `trace.py`.
"""

from minidl.anatomy.network import Network
from minidl.anatomy.table import Summary, summary

__all__ = ["Network", "Summary", "summary"]

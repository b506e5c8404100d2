"""A step's kernel calls, written down and repeated. Nothing below knows of it."""

from minidl.replay.replay import Replay

__all__ = ["Replay"]

"""What the commands' flags have in common: numbers that must be positive, and a folder that must be writable."""

import argparse
from pathlib import Path

from minidl.system.files import write_atomically

__all__ = ["check_writable", "positive", "whole"]


def positive(kind):
    """Return a flag's type: a number above 0 of that kind."""

    def parse(text):
        value = _number(kind, text)
        if value is None or not 0 < value < float("inf"):
            raise argparse.ArgumentTypeError(f"{text} is not a {'whole ' if kind is int else ''}number above 0")
        return value

    return parse


def whole(text):
    """Read a flag that is 0, 1, 2, …"""
    value = _number(int, text)
    if value is None or value < 0:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of at least 0")
    return value


def _number(kind, text):
    try:
        return kind(text)
    except ValueError:
        return None


def check_writable(folder: Path) -> None:
    """Check, before the work and not after it, that results can be written to a folder."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / ".writable", b"")
        (folder / ".writable").unlink(missing_ok=True)  # another run may have been quicker
    except OSError as error:
        raise ValueError(f"cannot write to the folder {folder} ({error.strerror}); choose another with --out") from None

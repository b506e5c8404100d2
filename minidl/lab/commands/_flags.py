"""What the commands' flags have in common: numbers in a range, paths, and a folder that must be writable."""

import argparse
from pathlib import Path

from minidl.system.files import as_path, write_atomically

__all__ = ["at_least", "check_writable", "fraction", "path", "positive", "whole", "zero_or_more"]


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
    return at_least(0)(text)


def at_least(least, why=""):
    """Return a flag's type: a whole number of at least that; `why` is added where it is less."""

    def parse(text):
        value = _number(int, text)
        if value is None or value < least:
            raise argparse.ArgumentTypeError(f"{text} is not a whole number of at least {least}{why and '; ' + why}")
        return value

    return parse


def zero_or_more(text):
    """Read a flag that is a number of at least 0."""
    value = _number(float, text)
    if value is None or not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number of at least 0")
    return value


def fraction(text):
    """Read a flag that is a number from 0 to below 1."""
    value = _number(float, text)
    if value is None or not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 0 to below 1")
    return value


def path(text):
    """Read a flag that is a path, in which ~ is the home folder."""
    try:
        return as_path("flag", text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error).partition(": ")[2]) from None


def _number(kind, text):
    try:
        return kind(text)
    except ValueError:
        return None


def check_writable(folder: Path, flag: str = "--out") -> None:
    """Check, before the work and not after it, that results can be written to the folder that a flag names."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / ".writable", b"")
        (folder / ".writable").unlink(missing_ok=True)  # another run may have been quicker
    except OSError as error:
        raise ValueError(
            f"cannot write to the folder {folder} ({error.strerror}); choose another with {flag}"
        ) from None

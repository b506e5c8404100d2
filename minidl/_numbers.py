"""What settings must be: whole numbers, numbers in a range, pairs, True or False. Errors say which, and what came."""

import math
import operator
from typing import Any

import numpy as np

__all__ = ["check_between", "check_bool", "check_whole", "pair"]


def check_whole(op: str, name: str, value: Any, least: int = 1) -> int:
    """Check that a setting is a whole number of at least `least`, and return it as an int."""
    number = _whole(value)
    if number is None or number < least:
        raise ValueError(f"{op}: {name} is {value!r}; it must be a whole number of at least {least}")
    return number


def check_between(op: str, name: str, value: Any, least: float, most: float = math.inf) -> None:
    """Check that a setting is a number from `least` to `most`; NaN is not."""
    try:
        if least <= value <= most:
            return
    except TypeError:  # no number at all
        pass
    span = f"of at least {least}" if most == math.inf else f"from {least} to {most}"
    raise ValueError(f"{op}: {name} is {value!r}; it must be a number {span}")


def check_bool(op: str, name: str, value: Any) -> None:
    """Check that a setting is True or False: for Python every text is true, "no" as well."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{op}: {name} is {value!r}; it must be True or False")


def pair(op: str, name: str, value: Any, least: int) -> tuple[int, int]:
    """Return a whole number, or a pair of them, as a pair of ints; check that none is below `least`."""
    numbers = [_whole(number) for number in (value if isinstance(value, tuple | list) else (value, value))]
    if len(numbers) != 2 or any(number is None or number < least for number in numbers):
        raise ValueError(f"{op}: {name} is {value}; it must be a whole number of at least {least}, or a pair of them")
    return numbers[0], numbers[1]  # type: ignore[return-value]


def _whole(value):
    try:
        return operator.index(value)
    except TypeError:
        return None

"""Running a network without leaving a trace: afterwards all that its modules hold is what it was."""

import random
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from minidl.autograd.modes import mode
from minidl.nn import Module
from minidl.random import default_generator
from minidl.replay.surroundings import Surroundings, once

__all__ = ["recorded", "untouched"]

_HOLD_NOTHING = (int, float, str, bytes, np.ndarray, type(None))  # so that long lists of them take no time
_HOLD = (dict, list, set, deque, tuple, frozenset)


@contextmanager
def untouched(model: Module) -> Iterator[None]:
    """Put everything back afterwards, also after an error: `with untouched(model): …`.

    What      attributes of all modules (modes, hooks, counters), what lists, dicts and dataclasses in them hold, the numbers
              of parameters, buffers and other arrays, `.grad`, and generators: those in modules, minidl's, NumPy's, Python's
    Memory    a copy of the parameters and buffers, meanwhile
    """
    around = Surroundings([model])
    held = [vars(module) for module in around.modules]
    held += _containers(value for attributes in held for value in attributes.values())
    contents = [(container, container.copy()) for container in held]
    tensors = [(tensor, tensor.data, tensor.grad, tensor._hooks, tensor._requires_grad) for tensor in around.tensors]
    numbers = [(array, array.copy()) for array in around.arrays]
    states = [(g.bit_generator, g.bit_generator.state) for g in once([*around.generators, default_generator()])]
    others = np.random.get_state(), random.getstate()  # noqa: NPY002  a user's module may draw from them
    try:
        yield
    finally:
        for container, old in contents:
            container.clear()
            (container.update if isinstance(container, dict | set) else container.extend)(old)
        for tensor, data, grad, hooks, requires_grad in tensors:
            tensor.data, tensor.grad, tensor._hooks, tensor._requires_grad = data, grad, hooks, requires_grad
        for array, old in numbers:
            array[...] = old
        for generator, state in states:
            generator.state = state
        np.random.set_state(others[0])  # noqa: NPY002
        random.setstate(others[1])


@contextmanager
def recorded() -> Iterator[None]:
    """Record operations, also inside `no_grad`."""
    before, mode.enabled = mode.enabled, True
    try:
        yield
    finally:
        mode.enabled = before


def _containers(values) -> list[Any]:
    """List the lists, dicts, sets and attributes of dataclasses among values, and in them, on any level."""
    found: dict[int, Any] = {}
    new = list(values)
    while new:
        value = new.pop()
        if isinstance(value, _HOLD_NOTHING):
            continue
        if hasattr(value, "__dataclass_fields__") and hasattr(value, "__dict__") and not isinstance(value, type):
            value = vars(value)
        if isinstance(value, _HOLD) and id(value) not in found:
            found[id(value)] = value
            new += value.values() if isinstance(value, dict) else value
    return [value for value in found.values() if not isinstance(value, tuple | frozenset)]

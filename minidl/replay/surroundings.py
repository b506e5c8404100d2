"""What a step depends on besides its batch, so that a replay of it can see whether something has changed."""

import dataclasses
import pickle
import random
from collections import deque
from collections.abc import Iterator
from operator import is_
from types import SimpleNamespace
from typing import Any

import numpy as np

from minidl import nn
from minidl.random import default_generator
from minidl.tensor import Tensor

__all__ = ["Surroundings", "global_random_states", "once", "owner_of", "set_back"]

_MOST = 5_000  # things to watch: more would take longer than the step
_CONTAINERS = (dict, list, tuple, set, frozenset, deque)


class Surroundings:
    """Modules, with everything that is in their attributes, also inside lists, tuples, dicts and dataclasses; and tensors.

    modules, tensors, arrays, generators    what was found, each once; arrays (those of tensors too) that can change
    """

    def __init__(self, modules, tensors=()):
        self._contents, self._known, things = [], set(), [*tensors]
        self.modules, new = [], once(modules)
        while new:
            self.modules += new
            inside = [thing for module in new for thing in self._look_into(vars(module))]
            things += inside
            known = set(map(id, self.modules))
            new = [m for m in once(thing for thing in inside if isinstance(thing, nn.Module)) if id(m) not in known]
        self.tensors = once(thing for thing in things if isinstance(thing, Tensor))
        arrays = once([*(t.data for t in self.tensors), *(thing for thing in things if isinstance(thing, np.ndarray))])
        self.arrays = [array for array in arrays if array.flags.writeable and array.dtype.kind in "biuf"]
        held = [thing for thing in things if isinstance(thing, np.random.Generator)]
        self.generators = once([*held, default_generator()])
        self._tensors = [(t, t.data, t._hooks, t.requires_grad) for t in self.tensors]
        self.too_many = sum(len(items) for _, items in self._contents) > _MOST
        if self.too_many:
            self._contents = []

    def _look_into(self, container) -> Iterator[Any]:
        """Everything in it, on any level; each container is kept with what it holds now."""
        if id(container) in self._known:
            return
        self._known.add(id(container))
        if isinstance(container, dict):
            self._contents.append((container.keys(), list(container)))
            container = container.values()  # a view, like keys(): it shows what the dict holds later, too
        items = list(container)
        self._contents.append((container, items))
        for item in items:
            if isinstance(item, _CONTAINERS):
                yield from self._look_into(item)
                continue
            if isinstance(item, SimpleNamespace) or (dataclasses.is_dataclass(item) and hasattr(item, "__dict__")):
                yield from self._look_into(vars(item))
            yield item

    def are_unchanged(self):
        """Return whether modules hold the same things as before, and tensors the same arrays, hooks and `requires_grad`."""
        for container, items in self._contents:
            if len(container) != len(items) or not all(map(is_, container, items)):
                return False
        for t, data, hooks, requires_grad in self._tensors:
            if t.data is not data or t._hooks is not hooks or t.requires_grad is not requires_grad:
                return False
        return True

    def why_not(self):
        """Say what prevents a replay, if anything does."""
        if any(m._forward_hooks for m in self.modules) or any(t._hooks for t in self.tensors):
            return "there are hooks, which may do anything"
        if self.too_many:
            return f"its modules hold more than {_MOST:,} things, too many to watch"
        if any(not t.data.flags.writeable and t.data.base is not None for t in self.tensors):
            return "the array of a tensor is a read-only view of another"
        return None

    def random_states(self):
        """Return the states of all known random generators, to compare, and to go back to."""
        return [(generator, pickle.dumps(generator.bit_generator.state)) for generator in self.generators]

    def know(self, calls):
        """Look for random generators among the arguments of recorded calls, too."""
        drawn = [thing for _, args in calls for thing in args if isinstance(thing, np.random.Generator)]
        self.generators = once([*self.generators, *drawn])


def set_back(states):
    """Set random generators back to states that `random_states` gave."""
    for generator, state in states:
        generator.bit_generator.state = pickle.loads(state)


def global_random_states():
    """Return the states of Python's and NumPy's global generators, which no call of minidl's draws from."""
    return pickle.dumps([np.random.get_state(), random.getstate()])  # noqa: NPY002  users may


def once(things):
    """Return each of them once, by identity, in their order."""
    return list({id(thing): thing for thing in things}.values())


def owner_of(array):
    """Return the array whose memory it is."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array

"""An ONNX graph while it is built: nodes, initializers, and values that are kept in one of two layouts.

minidl has features last, and ONNX wants them at axis 1. A value of three axes or more may be there in both layouts:
`last` as minidl has it, `first` as ONNX wants it. Each is made from the other by a Transpose when it is first asked for,
so that a chain of convolutions, norms and activations has no Transpose in it.
"""

from typing import Any

import numpy as np

__all__ = ["Graph", "Value"]


class Value:
    """A result by its names in the graph: `last` and `first` (see above); None for a layout in which it is not there yet."""

    def __init__(self, ndim: int, last: str | None = None, first: str | None = None):
        self.ndim, self.last, self.first = ndim, last, first
        if ndim < 3:  # with two axes, features are last and at axis 1
            self.last = self.first = last or first


class Graph:
    """Nodes in their order, and initializers by name.

    names    id of an array → what it is called in the network's `state_dict`
    """

    def __init__(self, names: dict[int, str]):
        self.names = names
        self.nodes: list[tuple[str, list[str], str, dict[str, Any]]] = []
        self.initializers: dict[str, np.ndarray] = {}
        self._values: dict[int, Value] = {}  # id of an array of the trace → where it is
        self._kept: dict[tuple, str] = {}  # id and layout of a constant → its name
        self._lists: dict[tuple[int, ...], str] = {}
        self._taken: set[str] = set()
        self._reserved = set(names.values())
        self._alive: list[np.ndarray] = []

    # ---- names ---------------------------------------------------------------------------------------------------------

    def unique(self, name: str) -> str:
        """Return the name, or one like it that is not taken yet, and take it; names of the state are kept for their own."""
        chosen, count = name, 1
        while chosen in self._taken or chosen in self._reserved:
            count += 1
            chosen = f"{name}_{count}"
        self._taken.add(chosen)
        return chosen

    def node(self, op: str, *inputs: str, name: str | None = None, **attributes: Any) -> str:
        """Add a node with one output; return the output's name."""
        output = self.unique(name or op)
        self.nodes.append((op, list(inputs), output, attributes))
        return output

    def constant(self, array: Any, name: str = "constant") -> str:
        """Add an initializer; return its name."""
        name = self.unique(name)
        self.initializers[name] = np.array(array, order="C")
        return name

    def whole(self, *numbers: int) -> str:
        """Return the name of an initializer of whole numbers, as shapes and axes are given; one for each list."""
        if numbers not in self._lists:
            self._lists[numbers] = self.constant(np.array(numbers, np.int64), "numbers")
        return self._lists[numbers]

    # ---- values --------------------------------------------------------------------------------------------------------

    def put(self, array: np.ndarray, value: Value) -> None:
        """Say where a result of the trace is in the graph."""
        self._values[id(array)] = value

    def keep(self, array: np.ndarray) -> np.ndarray:
        """Keep an array that no trace keeps, as an array is known by its id; returns it."""
        self._alive.append(array)
        return array

    def known(self, array: np.ndarray) -> bool:
        """Return whether an array of the trace is a result, or an input; else it is a constant."""
        return id(array) in self._values

    def value(self, array: np.ndarray) -> Value:
        """Return where an array of the trace is; constants and parameters become initializers."""
        return self._values.get(id(array)) or Value(array.ndim, self.kept(array))

    def kept(self, array: np.ndarray, axes: tuple[int, ...] | None = None) -> str:
        """Return the name of a constant's initializer, with its axes permuted; under the name of the state if it has one."""
        key = id(array), axes
        if key not in self._kept:
            name = self.names.get(id(array), "constant")
            self._reserved.discard(name)
            self._kept[key] = self.constant(array if axes is None else array.transpose(axes), name)
        return self._kept[key]

    def permuted(self, array: np.ndarray, axes: tuple[int, ...]) -> str:
        """Return an array of the trace with its axes permuted: an initializer, or a Transpose of a result."""
        if self.known(array):
            return self.node("Transpose", self.last(array), perm=axes)
        return self.kept(array, axes)

    def last(self, array: np.ndarray) -> str:
        """Return the name of an array of the trace with its axes as minidl has them."""
        value = self.value(array)
        if value.last is None:
            value.last = self.node("Transpose", str(value.first), perm=(0, *range(2, value.ndim), 1))
        return value.last

    def first(self, array: np.ndarray) -> str:
        """Return the name of an array of the trace with its features at axis 1."""
        value = self.value(array)
        if value.first is None:
            value.first = self.node("Transpose", str(value.last), perm=(0, value.ndim - 1, *range(1, value.ndim - 1)))
            self._values.setdefault(id(array), value)
        return value.first

    # ---- what emitters end with ----------------------------------------------------------------------------------------

    def put_last(self, array: np.ndarray, name: str) -> None:
        """Say that a result is there with the axes that minidl has."""
        self.put(array, Value(array.ndim, last=name))

    def put_first(self, array: np.ndarray, name: str) -> None:
        """Say that a result is there with its features at axis 1."""
        self.put(array, Value(array.ndim, first=name))

    def elementwise(self, op: str, inputs: list[np.ndarray], output: np.ndarray, **attributes: Any) -> None:
        """Add a node that works number by number, in the layout in which its operands are; single numbers have none."""
        values = [self.value(array) for array in inputs if array.size > 1]
        firsts = [value.first is not None for value in values]
        same = all(value.ndim == output.ndim for value in values) and not any(
            id(array) not in self._values for array in inputs if array.size > 1
        )
        if output.ndim > 2 and same and (all(firsts) or any(value.last is None for value in values)):
            names = [self.first(array) if array.size > 1 else self.last(array) for array in inputs]
            self.put_first(output, self.node(op, *names, **attributes))
        else:
            self.put_last(output, self.node(op, *map(self.last, inputs), **attributes))

"""What a call of a network does, written down as a list of operations: the graph behind `onnx.py` and `torch.py`.

An observer of the engine is told of every operation when it is done. It finds the operation's own variables (stride,
padding, ε, an index …) in the frame that is still there, by the names that they have in the source.
"""

import copy
import sys
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from minidl.autograd import no_grad
from minidl.autograd.anomaly import place
from minidl.autograd.changes import name_of
from minidl.autograd.engine import observe
from minidl.nn.module import Module
from minidl.tensor import Tensor

__all__ = ["Call", "Trace", "as_inputs", "in_evaluation", "trace"]


class Call:
    """One operation that was done.

    op        its name: "conv2d", "add"
    inputs    the arrays of the tensors that it was given
    output    the array of its result
    given     its variables by name
    where     " in layer 3 (Linear), called at train.py:12"
    changed   whether an operand was changed in place after the operation that made it
    """

    def __init__(self, op: str, inputs: list[np.ndarray], output: np.ndarray, given: dict[str, Any], where: str):
        self.op, self.inputs, self.output, self.given, self.where = op, inputs, output, given, where
        self.changed = False

    def __repr__(self) -> str:
        return f"{self.op}{self.where}"


class Trace:
    """The operations of one call, in their order, and the arrays that went in and came out; arrays tell who is who."""

    def __init__(self, inputs: list[np.ndarray]):
        self.inputs, self.outputs = inputs, list[np.ndarray]()
        self.calls: list[Call] = []


class _Listener:
    """Writes down what this thread does; everything goes on to the observer before, if there is one."""

    def __init__(self, done):
        self.calls, self.thread, self.before = done.calls, threading.get_ident(), None
        self.marks = {id(array): _mark(array) for array in done.inputs}

    @property
    def looks_at_no_numbers(self):
        return getattr(self.before, "looks_at_no_numbers", self.before is None)

    def forward_done(self, out, parents, backward):
        if threading.get_ident() == self.thread:
            variables = dict(sys._getframe(2).f_locals)  # of the function that called `_from_op`
            inputs = [parent._settle() for parent in parents]
            call = Call(name_of(backward), inputs, out.data, variables, place()[1])
            call.changed = any(self.marks.get(id(array), _mark(array)) != _mark(array) for array in inputs)
            self.marks[id(out.data)] = _mark(out.data)
            self.calls.append(call)
        if self.before is not None:
            self.before.forward_done(out, parents, backward)

    def backward_begins(self, node):
        if self.before is not None:
            self.before.backward_begins(node)

    def backward_done(self, node, grad, parent_grads):
        if self.before is not None:
            self.before.backward_done(node, grad, parent_grads)


def _mark(array):
    return zlib.crc32(np.ascontiguousarray(array))


@contextmanager
def _listening(done: Trace) -> Iterator[None]:
    listener = _Listener(done)
    listener.before = observe(listener)
    try:
        yield
    finally:
        observe(listener.before)


def trace(model: Module, inputs: list[np.ndarray]) -> Trace:
    """Call a network, without gradients, and write down what it does."""
    done = Trace(inputs)
    with no_grad(), _listening(done):
        result = model(*map(Tensor, inputs))
    outputs = list(result) if isinstance(result, tuple | list) else [result]
    if not outputs or not all(isinstance(output, Tensor) for output in outputs):
        kinds = ", ".join(type(output).__name__ for output in outputs) or "nothing"
        raise TypeError(
            f"{type(model).__name__}: its forward returned {kinds}; it must be a tensor, or a tuple of them"
        )
    done.outputs = [output._settle() for output in outputs]
    return done


def in_evaluation(model: Module) -> Module:
    """Return a network in evaluation mode with the parameters and buffers of another; modes, hooks, generators are copies.

    So whatever its forward changes in itself, such as a generator that it draws from, the other one does not notice.
    """
    shared = [*model.parameters(), *model.buffers()]
    return copy.deepcopy(model, {id(array): array for array in shared}).eval()


def as_inputs(op: str, example: Any) -> list[np.ndarray]:
    """Return an example, or a tuple of them for a forward with several arguments, as arrays of numbers with a batch."""
    examples = example if isinstance(example, tuple) else (example,)
    inputs = [Tensor(each).data for each in examples]
    for array in inputs:
        if array.ndim == 0 or array.size == 0:
            raise ValueError(
                f"{op}: the example is {array.shape}; it must be a batch of at least one, such as images (N, H, W, C)"
            )
    if not inputs or len({len(array) for array in inputs}) > 1:
        raise ValueError(
            f"{op}: the examples are {[array.shape for array in inputs]}; there must be one at least, in equal numbers"
        )
    return inputs

"""detect_anomaly: which operation, in which layer, first made a NaN or an infinity.

    with minidl.detect_anomaly():
        loss = F.cross_entropy(model(Tensor(images)), labels)
        loss.backward()

Training is several times slower in there: use it on the steps before the one that failed.
"""

import os
import sys
import weakref
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from minidl.autograd.changes import held_by, name_of
from minidl.autograd.engine import Node, observe

__all__ = ["detect_anomaly", "place"]

_HERE = os.path.dirname(os.path.dirname(__file__))  # the package: lines in it are not the caller's


@contextmanager
def detect_anomaly() -> Iterator[None]:
    """Stop at the first operation that makes a NaN or an infinity, forward or backward, and at changes in place.

    Errors  FloatingPointError names the operation, its layer, the line that called it, and whether what the operation got
            was finite; RuntimeError, in `backward()`, if an array that the tape still needs was changed in the meantime, by
            anybody
    All threads are watched. What was computed before the `with` is not known in it.
    """
    before = observe(_Observer())
    try:
        yield
    finally:
        observe(before)


class _Observer:
    """Looks at every result and every gradient; remembers where each result was made, and from what."""

    refuses = True

    def __init__(self):
        self.names = weakref.WeakKeyDictionary()  # result → the operation that made it, and where
        self.marks = weakref.WeakKeyDictionary()  # result → checksums of the arrays that its backward needs
        self.name = None  # of the operation whose backward is running

    def forward_done(self, out, parents, backward):
        module, where = place()
        name = name_of(backward) + where
        if not _finite(out.data):
            _refuse_forward(name, module, out, parents)
        if out.requires_grad:
            self.names[out], self.marks[out] = name, _marks(backward)

    def backward(self, node, grad):
        """Return node._backward(grad), looked at before and after."""
        self._compare_marks(node)
        parent_grads = node._backward(grad)
        self._refuse_backward(node, grad, parent_grads)
        return parent_grads

    def _compare_marks(self, node):
        self.name = self.names.pop(node, node.op)
        marks = self.marks.pop(node, None)
        if marks is not None and marks != _marks(node._backward):
            raise RuntimeError(
                f"detect_anomaly: the backward of {self.name} needs an array as it was in the forward pass, and it was "
                "changed in place since; change arrays after backward, or work on a copy"
            )

    def _refuse_backward(self, node, grad, parent_grads):
        for i, (parent, parent_grad) in enumerate(zip(node._parents, parent_grads, strict=True)):
            if parent_grad is None or not parent.requires_grad or _finite(parent_grad):
                continue
            if not _finite(grad):
                given, remedy = f"was given {_bad(grad)} and", "look at the gradient that backward started with"
            else:
                given, remedy = f"was given numbers {_range([grad])} and", "at these operands it has no finite slope"
            raise FloatingPointError(
                f"detect_anomaly: the backward of {self.name} {given} made {_bad(parent_grad)} for its operand {i}, of "
                f"shape {parent.data.shape}, which holds numbers {_range([parent.data])}; {remedy}"
            )


def _refuse_forward(name, module, out, parents):
    made = f"detect_anomaly: {name} made {_bad(out.data)}"
    guilty = next((i for i, parent in enumerate(parents) if not _finite(parent.data)), None)
    if guilty is None:
        numbers = _range([parent.data for parent in parents])
        raise FloatingPointError(f"{made} from numbers {numbers}; keep them in its range, or take smaller steps")
    parent = parents[guilty]
    own = next(
        (attribute for attribute, value in (vars(module) if module else {}).items() if value is parent),
        f"operand {guilty}",
    )
    raise FloatingPointError(
        f"{made}, because its {own}, of shape {parent.data.shape}, already held {_bad(parent.data)}; look at the data, or "
        "at the step that moved this parameter"
    )


def _finite(array):
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())


def _bad(array):
    bad = ~np.isfinite(array)
    return f"{array[bad].flat[0]} ({bad.sum():,} of {array.size:,} numbers are not finite)"


def _range(arrays):
    arrays = [array for array in arrays if array.size]
    return f"from {min(a.min() for a in arrays):.4g} to {max(a.max() for a in arrays):.4g}" if arrays else "of no size"


def _marks(backward):
    """A checksum of every array that a backward function needs, in the sense of `changes.needs`."""
    asks_for_data = "data" in backward.__code__.co_names
    arrays = [v.data if isinstance(v, Node) and asks_for_data else v for v in held_by(backward)]
    return [zlib.crc32(np.ascontiguousarray(a)) for a in arrays if isinstance(a, np.ndarray)]


def place():
    """Tell an observer which module waits for an operation, and where: " in layer 3 (Linear), called at train.py:12"."""
    modules, line, frame = [], "", sys._getframe(2)
    while frame is not None:
        owner = frame.f_locals.get("self")
        if hasattr(owner, "named_modules"):
            modules.append(owner)
        if not line and not frame.f_code.co_filename.startswith(_HERE):
            line = f", called at {os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"
        frame = frame.f_back
    if not modules:
        return None, line
    path = next((name for name, module in modules[-1].named_modules() if module is modules[0]), "")
    layer = f"layer {path}" if path else "the module"
    return modules[0], f" in {layer} ({type(modules[0]).__name__}){line}"

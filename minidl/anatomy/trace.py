"""One forward pass, watched: which modules were called, by whom, with what, and which operations each of them did."""

from collections.abc import Iterator, Mapping
from numbers import Integral
from typing import Any

import numpy as np

from minidl.anatomy.untouched import recorded, untouched
from minidl.autograd.changes import name_of
from minidl.autograd.engine import observe
from minidl.nn import BatchNorm, Module
from minidl.replay.recording import Recording, current, recording
from minidl.tensor import Tensor

__all__ = ["Call", "Op", "Trace", "traced"]


class Call:
    """A call of a module.

    name        the module's, as in `named_modules()`
    above       the call inside which it happened; None for the network's own
    inside      calls and operations that happened inside, in their order
    inputs, outputs    tensors, also those in lists and dicts
    """

    def __init__(self, module: Any, name: str, above: "Call | None"):
        self.module, self.name, self.above = module, name, above
        self.depth: int = 0 if above is None else above.depth + 1  # how many calls it is in
        self.has_calls = False
        self.inside: list[Any] = []
        self.inputs: list[Tensor] = []
        self.outputs: list[Tensor] = []

    @property
    def is_leaf(self):
        """Whether no module was called inside; the network itself is no leaf, as one wants to look into it."""
        return self.above is not None and not self.has_calls


class Op:
    """An operation: its name, operands, result and backward, and the call that it belongs to."""

    def __init__(self, out: Tensor, parents: tuple[Tensor, ...], backward: Any, call: Call):
        self.out, self.parents, self.backward, self.call = out, parents, backward, call
        self.name = name_of(backward)
        self.is_ours = (backward.__module__ or "").startswith("minidl.")  # so its name says what it does


class Trace(Recording):
    """What happened in a forward pass.

    calls_in_order      of modules, in the order in which they began; the network's own is the first
    ops                 in their order
    events              ("begin", call), ("op", op) and ("end", call), in their order
    inputs              the examples, as tensors
    remark              what was done differently from what one would expect
    """

    def __init__(self, model: Module, inputs: tuple[Tensor, ...]):
        super().__init__()
        self.inputs, self.remark = inputs, ""
        self.calls_in_order: list[Call] = []
        self.ops: list[Op] = []
        self.events: list[tuple[str, Any]] = []
        self.stack: list[Call] = []
        self._names = {id(module): name for name, module in model.named_modules()}
        self._hooks: list[tuple[Any, Any]] = []
        self._hooked: set[int] = set()
        self._before: Any = None

    # ---- modules: told by nn/module.py when they begin, and by a hook when they are done ------------------------------

    def note_call(self, function, args):
        """Pass over a kernel: what it does belongs to an operation."""

    def note_module(self, module):
        """Note that a call begins."""
        if id(module) not in self._hooked:
            self._hooked.add(id(module))
            before = vars(module).get("_forward_hooks")
            self._hooks.append((module, before))
            others = {k: h for k, h in (before or {}).items() if not hasattr(h, "looks_at_this_module")}  # no Probe's
            object.__setattr__(module, "_forward_hooks", {**others, self: self._end})
        above = self.stack[-1] if self.stack else None
        call = Call(module, self._names.get(id(module), f"({type(module).__name__})"), above)
        if above is not None:
            above.inside.append(call)
            above.has_calls = True
        self.stack.append(call)
        self.calls_in_order.append(call)
        self.events.append(("begin", call))

    def _end(self, module, args, output):
        if current() is not self:
            return
        while self.stack and self.stack[-1].module is not module:
            self.stack.pop()  # it raised, and somebody caught that
        if self.stack:
            call = self.stack.pop()
            call.inputs, call.outputs = list(_tensors(args)), list(_tensors(output))
            self.events.append(("end", call))

    # ---- operations: told by autograd/engine.py -----------------------------------------------------------------------

    @property
    def refuses(self):
        """Whether `detect_anomaly` is on as well."""
        return getattr(self._before, "refuses", False)

    def forward_done(self, out, parents, backward):
        """Note an operation."""
        if current() is self and self.stack:
            op = Op(out, parents, backward, self.stack[-1])
            op.call.inside.append(op)
            self.ops.append(op)
            self.events.append(("op", op))
        if self._before is not None:
            self._before.forward_done(out, parents, backward)

    def backward(self, node, grad):
        """Return node._backward(grad); whoever looked on before sees it."""
        return node._backward(grad) if self._before is None else self._before.backward(node, grad)

    def failed_in_a_norm(self):
        """Return whether the module that was called last is a batch norm that had to train, and could do without."""
        norm = self.stack[-1].module if self.stack else None
        return isinstance(norm, BatchNorm) and norm.training and norm.track_running_stats

    def run(self, model):
        """Run the network, and note what happens."""
        with recording(self):
            self._before = observe(self)
            try:
                model(*self.inputs)
            finally:
                observe(self._before)
                for module, before in self._hooks:
                    if before is None:
                        vars(module).pop("_forward_hooks", None)
                    else:
                        object.__setattr__(module, "_forward_hooks", before)


def traced(op: str, model: Module, examples: tuple[Any, ...]) -> Trace:
    """Run the network once on examples, in its own mode, and return what happened; afterwards all is as it was.

    A shape in place of an example stands for random numbers of that shape. Where batch norm cannot train on so small a batch
    it takes its running statistics; `remark` says so.
    """
    if not isinstance(model, Module):
        raise TypeError(f"{op}: model is a {type(model).__name__}; it must be a Module")
    if not examples:
        raise TypeError(f"{op}: there is no example; pass the shape of a batch, such as (1, 28, 28, 1), or a batch")
    if current() is not None:
        raise RuntimeError(f"{op}: a step is being recorded; it must be called outside of a network's forward")
    inputs = tuple(_as_input(op, example, model) for example in examples)
    trace = Trace(model, inputs)
    try:
        _run(trace, model)
    except ValueError:
        if not trace.failed_in_a_norm():
            raise
        again = Trace(model, inputs)
        again.remark = "batch norm needs more than one example to train on: it is shown as in evaluation"
        try:
            _run(again, model, norms_in_evaluation=True)
        except ValueError:
            pass  # it was something else
        else:
            return again
        raise
    return trace


def _run(trace, model, norms_in_evaluation=False):
    with untouched(model), recorded():
        for norm in model.modules() if norms_in_evaluation else ():
            if isinstance(norm, BatchNorm) and norm.track_running_stats:
                norm.training = False
        trace.run(model)


def _as_input(op, example, model):
    """An example as a tensor: itself, an array's numbers, or random ones of a shape."""
    if isinstance(example, Tensor):
        return example
    if _is_shape(example):
        if any(n < 0 for n in example):
            raise ValueError(f"{op}: the shape is {tuple(example)}; its sizes must not be negative")
        dtype = next((p.dtype for p in model.parameters()), np.dtype(np.float32))
        try:
            return Tensor(np.random.default_rng(0).standard_normal(example, dtype=dtype))
        except (MemoryError, ValueError, OverflowError):
            raise ValueError(
                f"{op}: a batch of shape {tuple(example)} does not fit in memory; it must be smaller"
            ) from None
    if isinstance(example, tuple | list) and all(isinstance(part, tuple) and _is_shape(part) for part in example):
        raise TypeError(f"{op}: the example is {example!r}; shapes of several inputs must be passed one by one")
    if isinstance(example, Integral | str) or example is None:
        raise TypeError(
            f"{op}: the example is {example!r}; it must be the shape of a batch, such as (1, 784), or an array"
        )
    return Tensor(example)


def _is_shape(example):
    return isinstance(example, tuple | list) and all(
        isinstance(n, Integral) and not isinstance(n, bool) for n in example
    )


def _tensors(value: Any) -> Iterator[Tensor]:
    """Yield the tensors in a value, also in lists, tuples and dicts."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _tensors(item)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _tensors(item)

"""How numbers flow through a network: one unit for each module that has no module in it, and for each operation between
modules; and who gets what from whom."""

from typing import Any

from minidl.anatomy.trace import Call, Op, Trace
from minidl.autograd.picture import SIGNS
from minidl.nn import Parameter

__all__ = ["Box", "Flow", "Unit", "Value", "ways_up"]

MOST = 300  # units that a drawing can hold and still be read


class Box:
    """A call with units in it: the module's name and type, the box around it, and in how many it is."""

    def __init__(self, call: Any, above: "Box | None"):
        self.name, self.title, self.above = call.name, type(call.module).__name__, above
        self.depth: int = call.depth


class Value:
    """A tensor that flows: the unit that made it, and its shape."""

    def __init__(self, unit, shape):
        self.unit, self.shape = unit, tuple(shape)


class Unit:
    """A module, an operation, or the network's input or output.

    kind        "module", "op", "input" or "output"
    title, name, detail    what is written on its card
    above       the box inside which it is
    operands    values it is given, each once
    shapes      of what it makes
    """

    def __init__(self, kind: str, title: str, name: str, above: Any, detail: str = ""):
        self.kind, self.title, self.name, self.above, self.detail = kind, title, name, above, detail
        self.operands: list[Value] = []
        self.shapes: list[tuple[int, ...]] = []

    def takes(self, value):
        """Add a value to its operands, unless it is there, or its own."""
        if value is not None and value.unit is not self and value not in self.operands:
            self.operands.append(value)

    def makes(self, tensor):
        """Return the value of a tensor that it makes."""
        return Value(self, tensor.shape)


class Flow:
    """The units of a trace; nothing of the trace is kept.

    root      the box of the network itself
    order     all other boxes, and units, in the order in which they began
    hidden    how many units are not shown; modules are shown without what is in them before anything is hidden
    """

    def __init__(self, trace: Trace):
        deepest = max(call.depth for call in trace.calls_in_order)
        counts = [_count(trace, depth) for depth in range(1, deepest + 1)] or [0]
        self._depth = max([depth for depth, count in enumerate(counts, 1) if count <= MOST], default=1)
        self.root = Box(trace.calls_in_order[0], None)
        self.order: list[Any] = []
        self._boxes: dict[Call, Box] = {}
        self._maker: dict[int, Value | None] = {}  # tensor → where it comes from, as things stand
        self._passed_on: dict[Call, dict[int, Value | None]] = {}  # what was so before a module handed on what it got
        self._units: dict[Call, Unit] = {}
        self._calls: dict[int, int] = {}
        for i, tensor in enumerate(trace.inputs):
            unit = Unit("input", "input" if len(trace.inputs) == 1 else f"input {i + 1}", "", self.root)
            unit.shapes.append(tuple(tensor.shape))
            self._maker.setdefault(id(tensor), unit.makes(tensor))
            self.order.append(unit)
        for event, thing in trace.events:
            getattr(self, f"_{event}")(thing)
        output = Unit("output", "output", "", self.root)
        for tensor in trace.calls_in_order[0].outputs:
            output.takes(self._maker.get(id(tensor)))
        units = [thing for thing in self.order if isinstance(thing, Unit)]
        self.hidden = max(0, len(units) - MOST)
        if self.hidden:
            self._hide(units[MOST:])
        elif output.operands:
            self.order.append(output)
        del self._boxes, self._maker, self._passed_on, self._units, self._calls  # which hold the tensors

    def _hide(self, units):
        hidden = set(units)
        kept = [thing for thing in self.order if thing not in hidden]
        boxes = {box for thing in kept if isinstance(thing, Unit) for box in ways_up(thing.above)}
        self.order = [thing for thing in kept if isinstance(thing, Unit) or thing in boxes]

    # ---- which call is a unit -------------------------------------------------------------------------------------------

    def _outermost(self, call):
        """The call around this one, or itself, that is shown as one unit; None if it is shown with what is in it."""
        if call.depth < self._depth:
            return call if call.is_leaf else None
        while call.depth > self._depth:
            call = call.above
        return call if call.above is not None else None

    # ---- what happened, in its order --------------------------------------------------------------------------------------

    def _begin(self, call):
        if self._outermost(call) not in (None, call):
            return
        if self._outermost(call) is None:
            self._passed_on[call] = {}
            self._boxes[call] = self.root
            if call.above is not None:
                self._boxes[call] = Box(call, self._boxes[call.above])
                self.order.append(self._boxes[call])
            return
        again = self._calls[id(call.module)] = self._calls.get(id(call.module), 0) + 1
        weight = getattr(call.module, "weight", None)
        detail = f"weight {weight.shape}" if isinstance(weight, Parameter) and weight.ndim > 1 else ""
        name = call.name + (f" (call {again})" if again > 1 else "")
        unit = self._units[call] = Unit("module", type(call.module).__name__, name, self._boxes[call.above], detail)
        for tensor in call.inputs:
            unit.takes(self._maker.get(id(tensor)))
        self.order.append(unit)

    def _op(self, op: Op):
        around = self._outermost(op.call)
        unit = self._units[around] if around is not None else self._new_op(op)
        for parent in op.parents:
            unit.takes(self._maker.get(id(parent)))
        self._maker[id(op.out)] = unit.makes(op.out)

    def _new_op(self, op):
        names = {id(p): name for name, p in op.call.module.named_parameters()}
        held = ", ".join(names[id(p)] for p in op.parents if id(p) in names)
        unit = Unit("op", SIGNS.get(op.name, op.name), held, self._boxes[op.call])
        unit.shapes.append(tuple(op.out.shape))
        self.order.append(unit)
        return unit

    def _end(self, call):
        around = self._outermost(call)
        if around is None:
            self._leave(call)
        elif around is call:
            unit = self._units[call]
            unit.shapes = [tuple(tensor.shape) for tensor in call.outputs]
            for tensor in call.outputs:
                before = self._maker.get(id(tensor))
                if before is None or before.unit is not unit:  # it hands on what it was given
                    self._passed_on[call.above].setdefault(id(tensor), before)
                    self._maker[id(tensor)] = unit.makes(tensor)

    def _leave(self, call):
        """Outside of a call, what was only handed on inside, and is not its output, comes from where it came before."""
        outputs = {id(tensor) for tensor in call.outputs}
        for tensor, before in self._passed_on.pop(call).items():
            if tensor not in outputs:
                self._maker[tensor] = before
            elif call.above is not None:
                self._passed_on[call.above].setdefault(tensor, before)


def _count(trace, depth):
    """How many units there are if calls of that depth are not looked into."""
    units = sum(call.depth == depth or (call.is_leaf and call.depth < depth) for call in trace.calls_in_order)
    return units + sum(op.call.depth < depth and not op.call.is_leaf for op in trace.ops)


def ways_up(call):
    """List a call or box, and those that it is in, from the inside to the outside."""
    found = []
    while call is not None:
        found.append(call)
        call = call.above
    return found

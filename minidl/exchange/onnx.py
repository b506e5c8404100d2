"""Networks for ONNX: what a network does to an example, as a graph that onnxruntime and other tools run.

    exchange.onnx.export(model, images[:1], "model.onnx")

The network is called twice, on the example and on another batch of another size. What its operations do the same way in
both calls is the graph; sizes that differ are the batch's; and where a number differs that is no operation's result, the
network has computed with NumPy what the graph would not compute again, and is refused.
"""

import os
from typing import Any

import numpy as np

from minidl import _version
from minidl._numbers import check_bool
from minidl.exchange.graph import Graph, Value
from minidl.exchange.onnx_ops import FORMS, NotExported
from minidl.exchange.trace import Call, Trace, as_inputs, in_evaluation, trace
from minidl.nn.fold import folded
from minidl.nn.module import Module
from minidl.system.files import as_path, write_atomically
from minidl.tensor import Tensor

__all__ = ["NotExported", "export"]

OLDEST, USUAL = 20, 22  # of ONNX's operator sets: the first with Gelu; one that onnxruntime knows since 2024


def export(
    model: Module, example: Any, path: str | os.PathLike, *, layout: str = "NHWC", fold_batch_norm: bool = False,
    opset: int = USUAL,
) -> None:  # fmt: skip
    """Write a network, as it is in evaluation, to an ONNX file; the batch may then have any size.

    example   a batch of inputs, as the network gets them; a tuple of them for a forward with several arguments. Its sizes,
              except for the batch's, are those of the graph
    layout    of images (four axes) at the graph's inputs and outputs: "NHWC" as here, or "NCHW" as in PyTorch
    fold_batch_norm    compute each batch norm into the linear or conv layer whose result it alone uses, wherever that is
    opset     ONNX's version of the operators
    Names     initializers have those of `state_dict`; convolutions' weights are (O, C, kh, kw) there. Inputs are "input", or
              "input_0", …, and outputs alike
    Errors    NotExported, a ValueError, names all operations that cannot be exported, and what depends on the input, or on
              the size of the batch, in another way than by operations. ModuleNotFoundError without the package onnx. The
              file is written whole, and last
    Not seen  an `if` in a forward that looks at numbers: the graph does what was done for the example
    """
    op = "exchange.onnx.export"
    target = _checked(op, model, path, layout, fold_batch_norm)
    onnx = _import(op)
    newest = onnx.defs.onnx_opset_version()
    if isinstance(opset, bool) or not isinstance(opset, int) or not OLDEST <= opset <= newest:
        raise ValueError(f"{op}: opset is {opset!r}; it must be a whole number from {OLDEST} to {newest}")
    model, inputs = in_evaluation(model), as_inputs(op, example)
    first = trace(model, inputs)
    try:
        second = trace(model, _others(inputs))
    except Exception as error:
        raise NotExported(
            f"{op}: the network takes no batch of {2 * len(inputs[0]) + 1} ({error}); the batch must be free"
        ) from error
    builder = _Builder(op, model, first, second, fold_batch_norm)
    builder.build(layout)
    proto = _as_proto(onnx, builder, opset, type(model).__name__)
    onnx.checker.check_model(proto, full_check=True)
    write_atomically(target, proto.SerializeToString())


def _import(op):
    try:
        import onnx
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"{op}: {error}; it must be installed: pip install onnx", name=error.name) from None
    return onnx


def _checked(op, model, path, layout, fold):
    """Check the settings, and return the path."""
    if not isinstance(model, Module):
        raise TypeError(f"{op}: model is a {type(model).__name__}; it must be a minidl Module")
    if layout not in ("NHWC", "NCHW"):
        raise ValueError(f'{op}: layout is {layout!r}; it must be "NHWC" or "NCHW"')
    check_bool(op, "fold_batch_norm", fold)
    path = as_path(op, path)
    if path.is_dir():
        raise IsADirectoryError(f"{op}: {path} is a folder; name a file in it, such as {path / 'model.onnx'}")
    return path


def _others(inputs):
    """Another batch, of twice as many examples and one: floats near those of the examples, whole numbers that they have."""
    generator, others = np.random.default_rng(0), []
    for array in inputs:
        more = generator.choice(array.reshape(-1), (2 * len(array) + 1, *array.shape[1:])).astype(array.dtype)
        if array.dtype.kind == "f":
            more += generator.uniform(0.1, 0.3, more.shape).astype(array.dtype)
        others.append(more)
    return others


class _Step:
    """An operation of both traces, as its form sees it (see `onnx_ops.py`)."""

    def __init__(self, call: Call, twin: Call):
        self.call, self.twin = call, twin
        self.op, self.inputs, self.output = call.op, call.inputs, call.output

    @property
    def x(self) -> np.ndarray:
        """The first operand."""
        return self.inputs[0]

    @property
    def shape(self) -> list[int | None]:
        """The sizes of the result, None where they depend on the batch."""
        return [a if a == b else None for a, b in zip(self.output.shape, self.twin.output.shape, strict=True)]

    def __getitem__(self, name: str) -> Any:
        """A variable of the operation, which must be the same for any input."""
        if name not in self.call.given:
            raise NotExported(f"its form expects a variable {name!r}, which {self.op} has not")
        mine, other = self.call.given[name], self.twin.given[name]
        if not isinstance(mine, Tensor) and not _equal(mine, other):
            raise NotExported(f"its {name} depends on the input")
        return mine


def _equal(a, b):
    if isinstance(a, tuple | list):
        return type(a) is type(b) and len(a) == len(b) and all(map(_equal, a, b))
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return a is b or (np.shape(a) == np.shape(b) and np.asarray(a).tobytes() == np.asarray(b).tobytes())
    return type(a) is type(b) and a == b


class _Builder(Graph):
    """The graph of two traces of a network."""

    def __init__(self, op: str, model: Module, first: Trace, second: Trace, fold: bool):
        named = [*((name, parameter.data) for name, parameter in model.named_parameters()), *model.named_buffers()]
        super().__init__({id(array): name for name, array in named})
        self.op, self.model, self.first_trace, self.second = op, type(model).__name__, first, second
        self._made: dict[
            tuple[int, ...], tuple[np.ndarray, np.ndarray]
        ] = {}  # layer and batch norm → folded weight, bias
        self._norms: dict[int, _Step] = {}  # id of a result → the batch norm that is folded into what made it
        self._folded: set[int] = set()  # ids of results of such batch norms
        self.steps = self._pair()
        if fold:
            self._find_folds()

    def _pair(self):
        """The operations of both traces side by side."""
        ours, others = self.first_trace.calls, self.second.calls
        for i in range(max(len(ours), len(others))):
            a, b = (calls[i] if i < len(calls) else None for calls in (ours, others))
            if a is None or b is None or (a.op, len(a.inputs), a.output.ndim) != (b.op, len(b.inputs), b.output.ndim):
                raise NotExported(
                    f"{self.op}: {self.model} does {a or 'nothing more'} for the example and {b or 'nothing more'} for "
                    "another batch; it must do the same for any input"
                )
        return [_Step(a, b) for a, b in zip(ours, others, strict=True)]

    # ---- folding ---------------------------------------------------------------------------------------------------------

    def _find_folds(self):
        uses: dict[int, int] = {}
        for array in [array for step in self.steps for array in step.inputs] + self.first_trace.outputs:
            uses[id(array)] = uses.get(id(array), 0) + 1
        made = {id(step.output): step for step in self.steps}
        for norm in self.steps:
            source = made.get(id(norm.x))
            if (
                norm.op in ("batch_norm", "batch_norm_relu_max_pool2d")
                and not norm["training"]
                and source is not None
                and source.op in ("linear", "conv2d")
                and uses[id(norm.x)] == 1
                and not any(id(array) in made for array in (*source.inputs[1:], *norm.inputs[1:]))
            ):
                self._norms[id(source.output)] = norm
                self._folded.add(id(norm.output))

    def is_folded(self, call: _Step) -> bool:
        """Return whether a batch norm is in the layer before it already."""
        return id(call.output) in self._folded

    def folded(self, call: _Step) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the weight and bias of a linear or conv layer, with the batch norm that is folded into it."""
        weight, bias = call.inputs[1], (call.inputs[2] if len(call.inputs) > 2 else None)
        norm = self._norms.get(id(call.output))
        if norm is None:
            return weight, bias
        gamma, beta = (None if norm[name] is None else norm[name].data for name in ("weight", "bias"))
        statistics = norm["running_mean"], norm["running_var"], norm["eps"]
        key = tuple(map(id, (weight, bias, *statistics[:2], gamma, beta)))
        if key not in self._made:
            name = self.names.get(id(weight), "constant.weight")
            fresh = name[: -len("weight")] + "bias" if name.endswith("weight") else f"{name}_bias"
            bias_name = fresh if bias is None else self.names.get(id(bias), "constant.bias")
            weight, bias = map(self.keep, folded(weight, bias, statistics, gamma, beta))
            self.names |= {id(weight): name, id(bias): bias_name}
            self._made[key] = weight, bias
        return self._made[key]

    # ---- building --------------------------------------------------------------------------------------------------------

    def build(self, layout: str) -> None:
        """Add everything from the inputs to the outputs; or refuse, and name all that cannot be exported."""
        inputs = self.first_trace.inputs
        self.inputs = [
            (self.unique(name), array) for name, array in zip(_numbered("input", inputs), inputs, strict=True)
        ]
        self.turned = layout == "NCHW"
        for name, array in self.inputs:
            turned = self.turned and array.ndim == 4
            self.put(array, Value(4, first=name) if turned else Value(array.ndim, last=name))
        refused = [why for step in self.steps if (why := self._add(step))]
        if refused:
            raise NotExported(
                f"{self.op}: {self.model} cannot be exported; this must be done in another way:{''.join(refused)}"
            )
        outputs, others, self.outputs = self.first_trace.outputs, self.second.outputs, []
        for name, array, twin in zip(_numbered("output", outputs), outputs, others, strict=True):
            if not self.known(array):
                raise NotExported(f"{self.op}: the {name} is not computed from the input by operations; it must be")
            source = self.first(array) if self.turned and array.ndim == 4 else self.last(array)
            sizes = [
                a if a == b else "batch" if a == len(inputs[0]) else None
                for a, b in zip(array.shape, twin.shape, strict=True)
            ]
            if self.turned and array.ndim == 4:
                sizes = [sizes[0], sizes[3], sizes[1], sizes[2]]
            self.outputs.append((self.node("Identity", source, name=name), array.dtype, sizes))

    def _add(self, step):
        """Add one operation; return why that cannot be, as a line of the error, or None."""
        if step.op not in FORMS:
            self.put_last(step.output, "")  # so that what follows is not blamed
            return f"\n  {step.call}: has no form in ONNX"
        foreign = self._foreign(step)
        if foreign:
            self.put_last(step.output, "")
            return f"\n  {step.call}: {foreign}"
        try:
            FORMS[step.op](self, step)
        except NotExported as error:
            self.put_last(step.output, "")
            return f"\n  {step.call}: {error}"
        return None

    def _foreign(self, step):
        """What is wrong with an operand: a number that was computed from the input, but not by an operation."""
        if step.call.changed:
            return "an operand was changed in place after it was computed"
        for array, twin in zip(step.inputs, step.twin.inputs, strict=True):
            if not (array is twin or self.known(array)) and not _equal(array, twin):
                return (
                    f"its operand of shape {array.shape} depends on the input, or on the size of the batch, but is no "
                    "result of minidl's operations"
                )
        return None


def _numbered(name, arrays):
    return [name] if len(arrays) == 1 else [f"{name}_{i}" for i in range(len(arrays))]


def _as_proto(onnx, graph, opset, name):
    """The graph as ONNX's own kind of object."""
    helper = onnx.helper

    def kind(dtype):
        return helper.np_dtype_to_tensor_dtype(np.dtype(dtype))

    def attribute(value):
        return kind(value) if isinstance(value, np.dtype) else list(value) if isinstance(value, tuple) else value

    used = {source for _, inputs, _, _ in graph.nodes for source in inputs}
    nodes = [
        helper.make_node(
            op, inputs, [output], name=output, **{key: attribute(value) for key, value in settings.items()}
        )
        for op, inputs, output, settings in graph.nodes
    ]
    inputs = []
    for source, array in graph.inputs:
        sizes = array.shape[1:]
        if graph.turned and array.ndim == 4:
            sizes = (sizes[2], *sizes[:2])
        inputs.append(helper.make_tensor_value_info(source, kind(array.dtype), ["batch", *sizes]))
    outputs = [helper.make_tensor_value_info(output, kind(dtype), sizes) for output, dtype, sizes in graph.outputs]
    initializers = [onnx.numpy_helper.from_array(a, n) for n, a in graph.initializers.items() if n in used]
    body = helper.make_graph(nodes, name, inputs, outputs, initializers)
    return helper.make_model_gen_version(
        body,
        opset_imports=[helper.make_opsetid("", opset)],
        producer_name="minidl",
        producer_version=_version.__version__,
    )

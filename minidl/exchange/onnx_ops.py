"""How each operation of minidl is written in ONNX: `FORMS`, one function for each.

A function adds nodes to the graph for one operation of a trace, and says where its result is:

    @form("silu")
    def _silu(graph, call):
        gate = graph.node("Sigmoid", graph.last(call.x))
        graph.put_last(call.output, graph.node("Mul", graph.last(call.x), gate))

call.x is the array of the first operand, call.inputs those of all, call.output that of the result. `graph.last(array)` is
its name in the graph, with minidl's axes, and `graph.first(array)` with features at axis 1. `call["eps"]` is what a variable
of the operation's own source was.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from minidl.exchange.graph import Graph

__all__ = ["FORMS", "NotExported", "form"]


class NotExported(ValueError):
    """An operation that has no form in ONNX, or not with these settings; the text says why."""


FORMS: dict[str, Callable[[Graph, Any], None]] = {}


def form(*ops: str) -> Callable[[Callable[[Graph, Any], None]], Callable[[Graph, Any], None]]:
    """Make a function the form of the operations of these names."""

    def add(function):
        FORMS.update(dict.fromkeys(ops, function))
        return function

    return add


# ---- number by number ----------------------------------------------------------------------------------------------------

_SAME = {"relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh", "gelu": "Gelu", "exp": "Exp", "log": "Log", "neg": "Neg",
         "add": "Add", "sub": "Sub", "mul": "Mul", "truediv": "Div", "pow": "Pow"}  # fmt: skip


@form(*_SAME)
def _elementwise(graph, call):
    inputs = call.inputs
    if any(array.dtype != call.output.dtype for array in inputs):  # whole numbers, of which floats are made
        inputs = [_cast(graph, array, call.output.dtype) for array in inputs]
    graph.elementwise(_SAME[call.op], inputs, call.output)


@form("add_relu")
def _add_relu(graph, call):
    total = graph.keep(np.empty_like(call.output))
    graph.elementwise("Add", call.inputs, total)
    graph.elementwise("Relu", [total], call.output)


def _cast(graph, array, dtype):
    """An array of the trace in another type, as a result that is known to the graph."""
    if array.dtype == dtype:
        return array
    result = graph.keep(np.empty(array.shape, dtype))
    graph.elementwise("Cast", [array], result, to=dtype)
    return result


@form("to")
def _to(graph, call):
    graph.elementwise("Cast", call.inputs, call.output, to=call.output.dtype)


# ---- products ------------------------------------------------------------------------------------------------------------


@form("linear")
def _linear(graph, call):
    weight, bias = graph.folded(call)
    x, names = graph.last(call.x), [graph.last(weight), *([] if bias is None else [graph.last(bias)])]
    if call.x.ndim == 2:
        product = graph.node("Gemm", x, *names)
    else:
        product = graph.node("MatMul", x, names[0])
        product = product if bias is None else graph.node("Add", product, names[1])
    graph.put_last(call.output, product)


@form("matmul", "matmul_nd")
def _matmul(graph, call):
    graph.put_last(call.output, graph.node("MatMul", *map(graph.last, call.inputs)))


@form("conv2d")
def _conv2d(graph, call):
    weight, bias = graph.folded(call)
    names = [graph.permuted(weight, (3, 2, 0, 1)), *([] if bias is None else [graph.last(bias)])]
    settings = {"kernel_shape": weight.shape[:2], "strides": call["stride"], "pads": 2 * call["padding"]}
    graph.put_first(call.output, graph.node("Conv", graph.first(call.x), *names, **settings))


@form("silu")
def _silu(graph, call):
    gate = graph.keep(np.empty_like(call.x))
    graph.elementwise("Sigmoid", [call.x], gate)
    graph.elementwise("Mul", [call.x, gate], call.output)


@form("leaky_relu")
def _leaky_relu(graph, call):
    graph.elementwise("LeakyRelu", [call.x], call.output, alpha=float(call["slope"]))


@form("conv_transpose2d")
def _conv_transpose2d(graph, call):
    weight, *bias = call.inputs[1:]
    settings = {"kernel_shape": weight.shape[:2], "strides": call["stride"], "pads": 2 * call["padding"]}
    names = [graph.permuted(weight, (2, 3, 0, 1)), *map(graph.last, bias)]
    result = graph.node("ConvTranspose", graph.first(call.x), *names, output_padding=call["output_padding"], **settings)
    graph.put_first(call.output, result)


@form("embedding")
def _embedding(graph, call):
    numbers = call.call.given[
        "given"
    ]  # the array of a tensor that operations may have made; another must be a constant
    numbers = numbers if graph.known(numbers) else call["given"]
    graph.put_last(call.output, graph.node("Gather", graph.last(call.x), graph.last(numbers)))


@form("interpolate")
def _interpolate(graph, call):
    scales = graph.constant(np.array((1, 1, *call["scale"]), np.float32))
    settings = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    if call["mode"] == "bilinear":
        where = "align_corners" if call["align_corners"] else "half_pixel"
        settings = {"mode": "linear", "coordinate_transformation_mode": where}
    graph.put_first(call.output, graph.node("Resize", graph.first(call.x), "", scales, **settings))


# ---- norms ---------------------------------------------------------------------------------------------------------------


@form("batch_norm")
def _batch_norm(graph, call):
    if call["training"]:
        _by_batch(graph, call)
    elif graph.is_folded(call):
        graph.put(call.output, graph.value(call.x))
    else:
        graph.put_first(call.output, _normalised(graph, call))


def _normalised(graph, call):
    """The name of what batch norm in evaluation makes, features at axis 1."""
    scale, shift = _scale_and_shift(graph, call)
    statistics = [call[name].astype(call.x.dtype, copy=False) for name in ("running_mean", "running_var")]
    return graph.node(
        "BatchNormalization",
        graph.first(call.x),
        scale,
        shift,
        *map(graph.kept, map(graph.keep, statistics)),
        epsilon=float(call["eps"]),
    )


def _scale_and_shift(graph, call):
    """The names of γ and β, of ones and zeros where there are none."""
    features, dtype = call.x.shape[-1], call.x.dtype
    scale = graph.constant(np.ones(features, dtype)) if call["weight"] is None else graph.last(call["weight"].data)
    shift = graph.constant(np.zeros(features, dtype)) if call["bias"] is None else graph.last(call["bias"].data)
    return scale, shift


def _by_batch(graph, call):
    """Batch norm by the statistics of the batch itself, which one without running statistics uses in evaluation."""
    axes, dtype = graph.whole(*range(call.x.ndim - 1)), call.x.dtype
    x = graph.last(call.x)
    centred = graph.node("Sub", x, graph.node("ReduceMean", x, axes))
    var = graph.node("ReduceMean", graph.node("Mul", centred, centred), axes)
    deviation = graph.node("Sqrt", graph.node("Add", var, graph.constant(np.array(call["eps"], dtype))))
    result = graph.node("Div", centred, deviation)
    for op, parameter in (("Mul", call["weight"]), ("Add", call["bias"])):
        if parameter is not None:
            result = graph.node(op, result, graph.last(parameter.data))
    graph.put_last(call.output, result)


@form("batch_renorm")
def _batch_renorm(graph, call):
    if call["training"]:
        raise NotExported("it is in training; in evaluation it can be")
    scale, shift = _scale_and_shift(graph, call)
    mean, std = call["running_mean"], call["running_std"]
    var = graph.constant(np.square(std, dtype=np.float64).astype(call.x.dtype), "variance")
    names = scale, shift, graph.kept(graph.keep(mean.astype(call.x.dtype, copy=False))), var
    graph.put_first(call.output, graph.node("BatchNormalization", graph.first(call.x), *names, epsilon=0.0))


@form("group_norm", "group_norm_relu")
def _group_norm(graph, call):
    (groups, ndim, dtype) = call["groups"], call.x.ndim, call.x.dtype
    parted = graph.node("Reshape", graph.first(call.x), graph.whole(0, groups, -1))
    ones, zeros = graph.constant(np.ones(groups, dtype)), graph.constant(np.zeros(groups, dtype))
    normal = graph.node("InstanceNormalization", parted, ones, zeros, epsilon=float(call["eps"]))
    sizes = call.x.shape[-1:] + call.x.shape[1:-1]
    result = graph.node("Reshape", normal, graph.whole(-1, *sizes))
    for op, parameter in (("Mul", call["weight"]), ("Add", call["bias"])):
        if parameter is not None:
            name = graph.last(parameter.data)
            name = name if ndim == 2 else graph.node("Unsqueeze", name, graph.whole(*range(1, ndim - 1)))
            result = graph.node(op, result, name)
    graph.put_first(call.output, graph.node("Relu", result) if call["relu"] else result)


@form("layer_norm")
def _layer_norm(graph, call):
    settings = {"axis": -1, "epsilon": float(call["eps"])}
    graph.put_last(call.output, graph.node("LayerNormalization", *map(graph.last, call.inputs), **settings))


@form("batch_norm_relu_max_pool2d")
def _fused(graph, call):
    if call["training"]:
        raise NotExported("it has no running statistics; export the network as it was before nn.fuse")
    x = graph.first(call.x) if graph.is_folded(call) else _normalised(graph, call)
    pooled = graph.node("MaxPool", graph.node("Relu", x), kernel_shape=(2, 2), strides=(2, 2))
    graph.put_first(call.output, pooled)


# ---- over windows, over an axis ------------------------------------------------------------------------------------------


@form("max_pool2d", "avg_pool2d")
def _pool(graph, call):
    op = "MaxPool" if call.op == "max_pool2d" else "AveragePool"
    settings = {"kernel_shape": call["kernel_size"], "strides": call["stride"]}
    graph.put_first(call.output, graph.node(op, graph.first(call.x), **settings))


@form("softmax", "log_softmax")
def _softmax(graph, call):
    op = "Softmax" if call.op == "softmax" else "LogSoftmax"
    graph.put_last(call.output, graph.node(op, graph.last(call.x), axis=-1))


@form("sum", "mean", "max")
def _reduce(graph, call):
    op, dims = {"sum": "ReduceSum", "mean": "ReduceMean", "max": "ReduceMax"}[call.op], call["dims"]
    x = _cast(graph, call.x, call.output.dtype)
    over = [] if dims is None else [graph.whole(*dims)]
    settings = {"keepdims": int(call["keepdim"]), **({"noop_with_empty_axes": 1} if dims == () else {})}
    graph.put_last(call.output, graph.node(op, graph.last(x), *over, **settings))


# ---- shapes --------------------------------------------------------------------------------------------------------------


@form("reshape")
def _reshape(graph, call):
    if sum(size is None for size in call.shape) > 1:
        raise NotExported(f"several sizes of its result {call.output.shape} depend on the batch; only one of them may")
    sizes = [-1 if size is None else size for size in call.shape]
    graph.put_last(call.output, graph.node("Reshape", graph.last(call.x), graph.whole(*sizes)))


@form("permute")
def _permute(graph, call):
    dims = tuple(d % call.x.ndim for d in call["dims"])
    graph.put_last(call.output, graph.permuted(call.x, dims))


@form("cat")
def _cat(graph, call):
    names = map(graph.last, call.inputs)
    graph.put_last(call.output, graph.node("Concat", *names, axis=call["dim"] % call.output.ndim))


@form("getitem")
def _getitem(graph, call):
    parts = _index_parts(call["index"], call.x.ndim)
    name, axis, dropped, added = graph.last(call.x), 0, [], []
    for part in parts:  # axes of x, one after the other; those of whole numbers go at the end, and new ones come last
        if part is None:
            added.append(axis - len(dropped) + len(added))
            continue
        if isinstance(part, slice):
            if part != slice(None):
                name = _sliced(graph, name, part, axis)
        else:
            name = graph.node("Gather", name, graph.constant(np.asarray(part, np.int64)), axis=axis)
            if np.ndim(part) == 0:
                name = graph.node("Unsqueeze", name, graph.whole(axis))
                dropped.append(axis)
        axis += 1
    if dropped:
        name = graph.node("Squeeze", name, graph.whole(*dropped))
    if added:
        name = graph.node("Unsqueeze", name, graph.whole(*added))
    graph.put_last(call.output, name if parts else graph.node("Identity", name))


def _sliced(graph, name, part, axis):
    step = 1 if part.step is None else part.step
    most, least = np.iinfo(np.int64).max, np.iinfo(np.int64).min
    start = (0 if step > 0 else most) if part.start is None else part.start
    stop = (most if step > 0 else least) if part.stop is None else part.stop
    return graph.node("Slice", name, *(graph.whole(number) for number in (start, stop, axis, step)))


def _index_parts(index, ndim):
    """An index as a list with one entry for each axis, and None for each new one; … is written out."""
    parts = list(index) if isinstance(index, tuple) else [index]
    arrays = [part for part in parts if isinstance(part, np.ndarray) and part.ndim]
    for part in parts:
        whole = np.asarray(part).dtype.kind in "iu" and not isinstance(part, bool | np.bool_)
        if not (part is None or part is Ellipsis or isinstance(part, slice) or whole):
            raise NotExported(
                f"an index of {type(part).__name__} is not known; use slices, whole numbers, None, … or one list"
            )
    numbers = [part for part in parts if not isinstance(part, slice) and part is not None and part is not Ellipsis]
    if arrays and (len(numbers) > 1 or arrays[0].ndim > 1):
        raise NotExported("an index with several arrays or numbers is not known; index one axis after the other")
    missing = ndim - sum(part is not None and part is not Ellipsis for part in parts)
    if not any(part is Ellipsis for part in parts):
        parts.append(Ellipsis)
    at = next(i for i, part in enumerate(parts) if part is Ellipsis)
    return parts[:at] + [slice(None)] * missing + parts[at + 1 :]

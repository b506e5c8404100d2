"""In which order PyTorch has the features of a flattened image, and so of the parameters behind it.

minidl flattens an image in the order H, W, C, and PyTorch in the order C, H, W. Whatever works feature by feature (ReLU,
batch norm) leaves the order as it is, up to a linear layer, whose weight has a row for each feature. Three ways lead to the
orders: a trace of a call; without an example the layers of a Sequential, which say what follows what; and for a forward of
one's own an image of a size that fits, found by trying.
"""

import math
from typing import Any

import numpy as np

from minidl import nn
from minidl.exchange.trace import Call, Trace, as_inputs, in_evaluation, trace
from minidl.nn.module import Module

__all__ = ["Orders", "orders_of"]

Orders = dict[int, dict[int, np.ndarray]]  # id of an array of a model → axis → positions here, in PyTorch's order

_SIDES = [*range(1, 65), 224, 96, 128, 160, 192, 256]  # of images to try
_FIRST_IS_GREY = 8  # pixels; smaller square images are no reason to think of colours


def orders_of(op: str, model: Module, example: Any = None) -> Orders:
    """Return for a model's arrays the axes whose order differs, and how: torch = own.take(order, axis)."""
    if example is None and _is_sequential(model):
        return _of_layers(op, model)
    if example is None:
        return _by_trying(op, in_evaluation(model))
    return _Followed(op, trace(in_evaluation(model), as_inputs(op, example))).orders


def _arrays(model):
    return [*(parameter.data for parameter in model.parameters()), *model.buffers()]


def _channels_first(features, channels):
    """The positions of an image's features, flattened in the order H, W, C, in the order C, H, W."""
    return np.arange(features).reshape(features // channels, channels).T.reshape(-1)


# ---- by a trace ----------------------------------------------------------------------------------------------------------

_ELEMENTWISE = {"add", "sub", "mul", "truediv", "pow"}  # of two operands
_NORMS = {"batch_norm", "layer_norm"}  # feature by feature, with parameters
_PRODUCTS = {"linear", "matmul"}  # with a row for each feature of x, and a column for each of y


class _Followed:
    """The orders that the operations of a trace ask for.

    A flattened image has a known order, and so has what is reshaped to an image. Operations that go feature by feature
    hand it on, in both directions, until nothing changes. What no rule reaches has the same order here and there.
    """

    def __init__(self, op: str, traced: Trace):
        self.op = op
        self.last: dict[int, np.ndarray] = {}  # id of an array → the order of its last axis
        self.permuted: dict[int, tuple[int, ...]] = {}  # id of an array of four axes → how they were permuted
        self.orders: Orders = {}
        self.computed = {id(call.output) for call in traced.calls} | {id(array) for array in traced.inputs}
        before = -1
        while before != len(self.last):
            before = len(self.last)
            for call in traced.calls:
                self._hand_on(call)
        for call in traced.calls:
            self._finish(call)

    def _hand_on(self, call):
        image, flat = _image_and_flat(call)
        if image is not None:
            axes = self.permuted.get(id(image), (0, 1, 2, 3))
            if axes not in ((0, 1, 2, 3), (0, 3, 1, 2)):
                self._refuse(call, f"the image was permuted by {axes} before")
            here = axes == (0, 1, 2, 3)
            self._set(call, flat, _channels_first(flat.shape[1], image.shape[3] if here else 1))
        elif call.op == "permute" and call.output.ndim == 4:
            self.permuted[id(call.output)] = tuple(d % 4 for d in call.given["dims"])
        elif _joins_features(call):
            if any(id(array) in self.last for array in call.inputs):
                self._set(call, call.output, self._joined(call.inputs))
        else:
            self._same(call, _by_feature(call))

    def _same(self, call, arrays):
        """Hand the order of one of some arrays on to all."""
        order = next((self.last[id(array)] for array in arrays if id(array) in self.last), None)
        axes = next((self.permuted[id(array)] for array in arrays if id(array) in self.permuted), None)
        for array in arrays:
            if order is not None:
                self._set(call, array, order)
            if axes is not None and array.ndim == 4:
                self.permuted[id(array)] = axes

    def _set(self, call, array, order):
        if not np.array_equal(self.last.setdefault(id(array), order), order):
            self._refuse(call, "two orders meet")

    def _joined(self, arrays):
        starts = np.cumsum([0, *(array.shape[-1] for array in arrays)])
        parts = [self.last.get(id(array), np.arange(array.shape[-1])) for array in arrays]
        return np.concatenate([start + part for start, part in zip(starts, parts, strict=False)])

    def _finish(self, call):
        """Note the orders of a call's parameters, and check that no feature comes from another place."""
        x, y = call.inputs[0], call.output
        if call.op in _PRODUCTS:
            weight, *bias = call.inputs[1:]
            self._note(call, weight, -2 if weight.ndim > 1 else -1, self.last.get(id(x)))
            for array in (weight, *bias) if weight.ndim > 1 else ():
                self._note(call, array, -1, self.last.get(id(y)))
            return
        followed = [*_by_feature(call), *call.inputs] if _joins_features(call) else _by_feature(call)
        if id(y) in self.last and followed:
            statistics = [call.given[name] for name in ("running_mean", "running_var") if call.op == "batch_norm"]
            for array in [*call.inputs, *(array for array in statistics if array is not None)]:
                if id(array) not in self.computed and array.shape[-1:] == y.shape[-1:]:
                    self._note(call, array, -1, self.last[id(y)])
        if _image_and_flat(call)[0] is None and not _drops_features(call):
            followed = {id(array) for array in followed} | ({id(y)} if _joins_features(call) else set())
            for array in (*call.inputs, y):
                if id(array) not in followed and self._differs(self.last.get(id(array))):
                    self._refuse(call, "it does not keep them in their places")

    def _note(self, call, array, axis, order):
        if order is None or array.ndim < -axis:
            return
        if id(array) in self.computed:
            if self._differs(order):
                self._refuse(call, "its weight is computed")
            return
        known = self.orders.setdefault(id(array), {}).setdefault(axis % array.ndim, order)
        if not np.array_equal(known, order):
            self._refuse(call, "its weight would need two orders at once")

    @staticmethod
    def _differs(order):
        return order is not None and not np.array_equal(order, np.arange(len(order)))

    def _refuse(self, call, why):
        raise ValueError(
            f"{self.op}: the order of a flattened image cannot be followed through {call}: {why}. It must go into a linear "
            "layer, or be reshaped to an image, by operations that keep each feature in its place"
        )


def _image_and_flat(call: Call):
    """The image and its flat form, if a call makes one from the other; else two Nones."""
    x, y = call.inputs[0], call.output
    if call.op == "reshape" and x.shape[-1:] != y.shape[-1:]:
        for image, flat in ((x, y), (y, x)):
            if image.ndim == 4 and flat.shape == (len(image), math.prod(image.shape[1:])):
                return image, flat
    return None, None


def _joins_features(call):
    return call.op == "cat" and call.given["dim"] % call.output.ndim == call.output.ndim - 1


def _drops_features(call):
    """Whether a call reduces all features to one number, in which their order is lost."""
    dims = call.given.get("dims")
    return call.op in ("sum", "mean", "max") and (dims is None or -1 % call.inputs[0].ndim in _positive(dims, call))


def _positive(dims, call):
    return {d % call.inputs[0].ndim for d in dims}


def _by_feature(call: Call) -> list[np.ndarray]:
    """The operands and the result of a call whose features all correspond, each to itself; else none."""
    (x, *_), y, size = call.inputs, call.output, call.output.shape[-1:]
    if not size or (x.shape[-1:] != size and call.op not in _ELEMENTWISE):
        return []
    if call.op in _NORMS:
        return [x, y]
    if call.op == "getitem":
        features = np.broadcast_to(np.arange(size[0]), x.shape)[call.given["index"]]
        return [x, y] if (features == np.arange(size[0])).all() else []
    if call.op == "permute":
        return [x, y] if call.given["dims"][-1] % y.ndim == y.ndim - 1 else []
    if call.op in ("sum", "mean", "max"):
        return [] if _drops_features(call) else [x, y]
    one = len(call.inputs) == 1 and x.shape == y.shape and "group_norm" not in call.op  # any activation
    if one or call.op in (*_ELEMENTWISE, "cat", "reshape"):
        return [array for array in (*call.inputs, y) if array.shape[-1:] == size]
    return []


# ---- without an example --------------------------------------------------------------------------------------------------


def _leaves(model):
    """The layers of a network in the order in which its Sequentials call them."""
    if type(model).forward is nn.Sequential.forward:
        for child in model.children():
            yield from _leaves(child)
    else:
        yield model


def _is_sequential(model):
    """Whether a network is made of Sequentials and of layers that say what they do to channels and features."""
    for layer in _leaves(model):
        known = isinstance(
            layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear | nn.BatchNorm | nn.LayerNorm | nn.GroupNorm
        )
        bare = type(layer).__module__.startswith("minidl.nn.") and not any(True for _ in layer.children())
        if not bare or not (known or not _arrays(layer)):
            return False
    return True


def _of_layers(op, model):
    """The orders behind the Flatten of a Sequential, whose channels are those of the layer before that has any."""
    found: Orders = {}
    channels = flattened = None  # of the image so far; of the image whose features still have their order
    vectors = False
    for layer in _leaves(model):
        arrays = [array for array in _arrays(layer) if array.ndim]
        if isinstance(layer, nn.Flatten):
            if not vectors:
                flattened, channels = channels or 0, None
            vectors = True
        elif isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            channels = layer.weight.shape[3]
        elif isinstance(layer, nn.GroupNorm) and flattened is not None:
            raise ValueError(
                f"{op}: a GroupNorm follows a Flatten; its groups of features have other members in PyTorch"
            )
        elif flattened is not None and arrays:
            features = len(arrays[0])
            if not flattened:
                _check_may_be_grey(op, features)
            elif features % flattened:
                raise ValueError(
                    f"{op}: an image of {flattened} channels is flattened, and {type(layer).__name__} wants {features} "
                    f"features; they must be a multiple of {flattened}"
                )
            for array in arrays[:1] if isinstance(layer, nn.Linear) else arrays:
                found.setdefault(id(array), {})[0] = _channels_first(features, flattened or 1)
            if isinstance(layer, nn.Linear):
                flattened = None
        elif isinstance(layer, nn.Linear):
            vectors = vectors or channels is None
            channels = channels and layer.weight.shape[1]
        elif arrays:
            channels = len(arrays[0])
    return found


def _check_may_be_grey(op, features):
    """Check that what a first Flatten gets are not colour images, whose order would be a question."""
    side = math.isqrt(features // 3)
    if features == 3 * side * side and side >= _FIRST_IS_GREY:
        raise ValueError(
            f"{op}: the network begins with a Flatten to {features} features, which may be colour images of "
            f"{side}×{side}; pass example, a batch of its inputs, so that their order is known"
        )


def _by_trying(op, model):
    """The orders of a network with a forward of its own: of the smallest square image that it takes.

    They depend on channels and features alone, so any size that fits the layers gives the same.
    """
    first = next((module for module in model.modules() if isinstance(module, nn.Conv2d)), None)
    if first is None:
        if not any(parameter.ndim == 4 for parameter in model.parameters()):
            layer = next((module for module in model.modules() if isinstance(module, nn.Linear)), None)
            if layer is not None and any(isinstance(module, nn.Flatten) for module in model.modules()):
                _check_may_be_grey(op, layer.weight.shape[0])
            return {}
    else:
        channels, dtype = first.weight.shape[2], first.weight.dtype
        for side in _SIDES:
            try:
                traced = trace(model, [np.zeros((1, side, side, channels), dtype)])
            except Exception:  # the model refuses this size, in its own way
                continue
            return _Followed(op, traced).orders
    raise ValueError(
        f"{op}: {type(model).__name__} takes no square images of those that were tried, so the order behind a flattened "
        "image is not known; pass example, a batch of its inputs"
    )

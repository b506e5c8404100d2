"""Weights from and to PyTorch: for a network of the same structure, its names and layouts. PyTorch itself is not needed.

exchange.torch.load_state_dict(model, theirs.state_dict())
theirs.load_state_dict({name: torch.from_numpy(array) for name, array in exchange.torch.state_dict(model).items()})
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from minidl import nn
from minidl.autograd import changed_in_place
from minidl.exchange.order import orders_of
from minidl.nn.module import Mismatch, Module, check_state
from minidl.nn.parameter import Parameter
from minidl.optim import SGD
from minidl.tensor import Tensor

__all__ = ["load_optimizer_state_dict", "load_state_dict", "optimizer_state_dict", "state_dict"]

# Kind of layer → its parameter → own.transpose(axes) is PyTorch's. All other arrays have the same axes here and there.
AXES: dict[type[Module], dict[str, tuple[int, ...]]] = {
    nn.Linear: {"weight": (1, 0)},  # (in, out) → (out, in)
    nn.Conv2d: {"weight": (3, 2, 0, 1)},  # (kh, kw, C, O) → (O, C, kh, kw)
    nn.ConvTranspose2d: {"weight": (2, 3, 0, 1)},  # (kh, kw, C, O) → (C, O, kh, kw)
}
_SETTINGS = (
    "lr",
    "momentum",
    "dampening",
    "weight_decay",
    "nesterov",
    "initial_lr",
)  # of a group of SGD, here and there


class _Place:
    """An array of the network at a name of PyTorch's: how it is laid out there."""

    def __init__(self, name, array, axes=None, orders=(), fixed=False):
        self.name, self.array, self.orders, self.fixed = name, array, dict(orders), fixed
        self.axes = tuple(range(array.ndim)) if axes is None else axes

    def view(self):
        """The own array with PyTorch's axes."""
        return self.array.transpose(self.axes)

    def theirs(self, array):
        """A copy of an own array in PyTorch's layout."""
        for axis, order in self.orders.items():
            array = array.take(order, axis)
        return np.array(array.transpose(self.axes), order="C")

    def ours(self, array):
        """An array of PyTorch's in the own layout."""
        array = array.transpose(np.argsort(self.axes))
        for axis, order in self.orders.items():
            array = array.take(np.argsort(order), axis)
        return array


def state_dict(model: Module, *, example: Any = None) -> dict[str, np.ndarray]:
    """Return copies of all parameters and buffers by PyTorch's names, in PyTorch's layouts and its order.

    Layouts   Linear (out, in), Conv2d (O, C, kh, kw); what follows a flattened image is in the order C, H, W. Parameters of
              your own modules, and all vectors, are as they are
    Names     the same; a tied parameter is there under each of its names, and a batch norm without γ has one of ones
    example   a batch of inputs, as the network gets them, of any size; a tuple for several. Without it, the layers of a
              Sequential tell the order behind a Flatten, and of another network the smallest square image that it takes;
              images that come straight into a Flatten are then taken to be grey
    Errors    TypeError for what is no Module; ValueError where the order of a flattened image is not known
    """
    return {
        place.name: place.theirs(place.array) for place in _places("exchange.torch.state_dict", model, example).values()
    }


def load_state_dict(model: Module, state: Mapping[str, Any], strict: bool = True, *, example: Any = None) -> Mismatch:
    """Copy a state of PyTorch's, of a network of the same structure, into this one. Unless everything fits, nothing changes.

    state     arrays or tensors by name, as `state_dict()` of an nn.Module gives them, or a file of safetensors
    strict    names that are missing or unexpected are an error too; returned otherwise
    example   as for `state_dict`
    Errors    ValueError lists, in PyTorch's names and shapes, all that are missing, unexpected, of another shape, not real
              numbers, not whole ones where the own are; tied here, but different there; a γ that is not 1 where the batch
              norm here has none. A tied parameter may be given under one of its names or all
    """
    op = "exchange.torch.load_state_dict"
    places = _places(op, model, example)
    if not isinstance(state, Mapping):
        raise TypeError(
            f"{op}: got a {type(state).__name__}; it must be a dict of arrays by name, as state_dict() gives it"
        )
    given, unread = _as_arrays(state)
    fits = {n: place for n, place in places.items() if n in given and given[n].shape == place.view().shape}
    ours = {name: place.ours(given[name]) for name, place in fits.items()}
    wanted = _wanted({name: place for name, place in places.items() if name not in unread}, given)
    own = {name: place.view() for name, place in wanted.items()}
    more = {"tied here, but not the same": _torn(fits, ours), "not 1": _not_one(fits, given)}
    ready, mismatch = check_state(op, model, own, given, strict, **{"no arrays": list(unread.values())}, **more)
    copies = [(place, place.ours(ready[name])) for name, place in wanted.items() if name in ready and not place.fixed]
    for place, array in copies:
        place.array[...] = array
    changed_in_place(model.parameters())
    return mismatch


def _places(op, model, example):
    """Every name that PyTorch would have for the model's arrays, in its order."""
    if not isinstance(model, Module):
        raise TypeError(f"{op}: model is a {type(model).__name__}; it must be a minidl Module")
    model._state()  # refuses two things of one name
    orders = orders_of(op, model, example)
    return {place.name: place for place in _walk(model, "", (), orders)}


def _walk(module: Module, prefix: str, above: tuple, orders) -> Iterator[_Place]:
    """Each array under each of its names: a module's parameters, its buffers, then its children's."""
    axes = next((AXES[kind] for kind in type(module).__mro__ if kind in AXES), {})
    held = {name: parameter.data for name, parameter in module._attributes(Parameter)}
    if isinstance(module, nn.BatchNorm) and module.weight is None and module.bias is not None:
        yield _Place(f"{prefix}weight", np.ones_like(module.bias.data), fixed=True)
    held |= {name: getattr(module, name) for name in module._buffers if getattr(module, name) is not None}
    for name, array in held.items():
        yield _Place(prefix + name, array, axes.get(name), orders.get(id(array), {}))
    for name, child in module.named_children():
        if child not in (*above, module):  # a module that is in one of its own children has no end of names
            yield from _walk(child, f"{prefix}{name}.", (*above, module), orders)


def _wanted(places, given):
    """The places that must be given: of a tied array those that are, else its first; no γ that is always 1."""
    some = {id(place.array) for name, place in places.items() if name in given}
    wanted, seen = {}, set()
    for name, place in places.items():
        first = id(place.array) not in seen | some and not place.fixed
        if name in given or first:
            wanted[name] = place
        seen.add(id(place.array))
    return wanted


def _torn(fits, ours):
    """Tied parameters that are given with different numbers, by their names."""
    names: dict[int, list[str]] = {}
    for name, place in fits.items():
        names.setdefault(id(place.array), []).append(name)
    return [
        " and ".join(tied)
        for tied in names.values()
        if any(not np.array_equal(ours[name], ours[tied[0]], equal_nan=ours[name].dtype.kind == "f") for name in tied)
    ]


def _not_one(fits, given):
    return [
        f"{name}, and the batch norm here has no γ"
        for name, place in fits.items()
        if place.fixed and not (given[name] == 1).all()
    ]


def _as_arrays(state):
    """The values of a mapping as arrays; and what is wrong with those that are none, by name."""
    given, unread = {}, {}
    for name, value in state.items():
        try:
            given[name] = _as_array(value)
        except Exception as error:  # of a tensor without numbers, on a device that is gone, of a kind of its own
            unread[name] = f"{name}: a {type(value).__name__} ({error})"
    return given, unread


def _as_array(value):
    if isinstance(value, Tensor):
        return value.data
    if hasattr(value, "detach"):  # a tensor of PyTorch's, on any device
        value = value.detach().cpu()
        try:
            return value.numpy()
        except TypeError:  # bfloat16, of which NumPy knows nothing; float32 holds all of its numbers
            return value.float().numpy()
    return np.asarray(value)


# ---- the state of an optimizer -------------------------------------------------------------------------------------------


def optimizer_state_dict(optimizer: SGD, model: Module, *, example: Any = None) -> dict[str, Any]:
    """Return the state of an SGD as that of PyTorch's SGD over the parameters of the same network: how a run goes on there.

    Arrays    momentum buffers are arrays in PyTorch's layout: make tensors of them, as of a `state_dict`
    example   as for `state_dict`
    """
    op = "exchange.torch.optimizer_state_dict"
    places, state = _of_parameters(op, optimizer, model, example), optimizer.state_dict()
    return {
        "state": {i: {"momentum_buffer": places[i].theirs(buffer)} for i, buffer in state["buffers"].items()},
        "param_groups": [
            {name: group[name] for name in (*_SETTINGS, "params") if name in group} for group in state["groups"]
        ],
    }


def load_optimizer_state_dict(optimizer: SGD, model: Module, state: Mapping[str, Any], *, example: Any = None) -> None:
    """Take over the state of PyTorch's SGD over the parameters of the same network, in equal groups; or change nothing.

    Errors    ValueError for another optimizer's state, other groups or shapes, and for `maximize`, which is not known here
    """
    op = "exchange.torch.load_optimizer_state_dict"
    places = _of_parameters(op, optimizer, model, example)
    try:
        groups = [
            {name: group[name] for name in (*_SETTINGS, "params") if name in group} for group in state["param_groups"]
        ]
        maximized = any(group.get("maximize") for group in state["param_groups"])
        given = {i: entry["momentum_buffer"] for i, entry in state["state"].items()}
        buffers = {i: _as_array(buffer) for i, buffer in given.items() if buffer is not None}
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{op}: got no state of PyTorch's SGD ({error!r}); it must be what its state_dict() gave"
        ) from None
    if maximized:
        raise ValueError(f"{op}: the state is of an SGD with maximize, which is not known here; it must be without")
    for i, buffer in buffers.items():
        if i not in range(len(places)) or buffer.shape != places[i].view().shape:
            expected = places[i].view().shape if i in range(len(places)) else "no such parameter"
            raise ValueError(
                f"{op}: the momentum of parameter {i} is {buffer.shape}, expected {expected}; it must be of the same network"
            )
    optimizer.load_state_dict({"groups": groups, "buffers": {i: places[i].ours(b) for i, b in buffers.items()}})


def _of_parameters(op, optimizer, model, example):
    """The places of an optimizer's parameters, by their positions."""
    if not isinstance(optimizer, SGD):
        raise TypeError(f"{op}: optimizer is a {type(optimizer).__name__}; it must be an SGD of minidl's")
    places = {}
    for place in _places(op, model, example).values():
        places.setdefault(id(place.array), place)
    flat = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    if any(id(parameter.data) not in places for parameter in flat):
        raise ValueError(
            f"{op}: the optimizer moves parameters that the model has not; pass the network that it trains"
        )
    return [places[id(parameter.data)] for parameter in flat]

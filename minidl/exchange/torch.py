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
from minidl.optim import SGD, Adam, AdamW
from minidl.tensor import Tensor

__all__ = ["load_optimizer_state_dict", "load_state_dict", "optimizer_state_dict", "state_dict"]

# Kind of layer → its parameter → own.transpose(axes) is PyTorch's. All other arrays have the same axes here and there.
AXES: dict[type[Module], dict[str, tuple[int, ...]]] = {
    nn.Linear: {"weight": (1, 0)},  # (in, out) → (out, in)
    nn.Conv2d: {"weight": (3, 2, 0, 1)},  # (kh, kw, C, O) → (O, C, kh, kw)
    nn.ConvTranspose2d: {"weight": (2, 3, 0, 1)},  # (kh, kw, C, O) → (C, O, kh, kw)
}


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
              norm here has none; and a prefix that is before all names. A tied parameter may be given under one of its
              names or all
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
    try:
        ready, mismatch = check_state(op, model, own, given, strict, **{"no arrays": list(unread.values())}, **more)
    except ValueError as error:
        raise ValueError(f"{error}{_hint(places, state)}") from None
    copies = [(place, place.ours(ready[name])) for name, place in wanted.items() if name in ready and not place.fixed]
    for place, array in copies:
        place.array[...] = array
    changed_in_place(model.parameters())
    return mismatch


def _hint(places, state):
    """How to get at the weights where they are under another name: a prefix to all, or one entry of a checkpoint."""
    names = [name for name in state if isinstance(name, str)]
    for name, value in state.items():
        if isinstance(value, Mapping) and not places.keys().isdisjoint(value):
            return f"\n  the weights are in its entry {name!r}: pass state[{name!r}]"
    for name in names if places.keys().isdisjoint(names) else ():
        place = next((place for place in places if name.endswith(f".{place}")), None)
        if place is None:
            continue
        prefix = name.removesuffix(place)
        if all(other.startswith(prefix) for other in names):
            return (
                f"\n  all names begin with {prefix!r}, as nn.DataParallel and torch.compile make them: pass "
                f"{{name.removeprefix({prefix!r}): w for name, w in state.items()}}"
            )
    return ""


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


def optimizer_state_dict(optimizer: SGD | Adam, model: Module, *, example: Any = None) -> dict[str, Any]:
    """Return the state of an SGD, Adam or AdamW as that of PyTorch's, for the same network: how a run goes on there.

    Arrays    momentum, moments and steps are arrays, in PyTorch's layout: make tensors of them, as of a `state_dict`
    example   as for `state_dict`
    """
    op = "exchange.torch.optimizer_state_dict"
    places, state = _of_parameters(op, optimizer, model, example), optimizer.state_dict()
    if isinstance(optimizer, Adam):
        decay = {"decoupled_weight_decay": isinstance(optimizer, AdamW)}
        entries = {
            i: {
                name: np.array(value, np.float32) if name == "step" else places[i].theirs(value)
                for name, value in moments.items()
            }
            for i, moments in state["buffers"].items()
        }
        return {"state": entries, "param_groups": [group | decay for group in state["groups"]]}
    entries = {i: {"momentum_buffer": places[i].theirs(buffer)} for i, buffer in state["buffers"].items()}
    return {"state": entries, "param_groups": state["groups"]}


def load_optimizer_state_dict(
    optimizer: SGD | Adam, model: Module, state: Mapping[str, Any], *, example: Any = None
) -> None:
    """Take over the state of PyTorch's SGD, Adam or AdamW over the parameters of the same network; or change nothing.

    Groups    as many, with the same parameters in the same order
    Errors    ValueError for another optimizer's state, other groups or shapes, a part of Adam's state that is missing, a
              count of steps that is none, and for SGD's `maximize`, which is not known here
    """
    op = "exchange.torch.load_optimizer_state_dict"
    places, kind = _of_parameters(op, optimizer, model, example), type(optimizer).__name__
    try:
        known = {*optimizer.defaults, "initial_lr", "params"}
        groups = [
            {name: _plain(value) for name, value in group.items() if name in known} for group in state["param_groups"]
        ]
        given = {
            i: {name: _as_array(value) for name, value in entry.items() if value is not None}
            for i, entry in state["state"].items()
        }
        strange = [sorted({*optimizer.defaults} - set(group)) for group in groups if {*optimizer.defaults} - set(group)]
    except (KeyError, TypeError, AttributeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"{op}: got no state of PyTorch's {kind} ({error!r}); it must be what its state_dict() gave"
        ) from None
    if strange:
        raise ValueError(
            f"{op}: got no state of PyTorch's {kind} (a group without {', '.join(strange[0])}); make the optimizer that it "
            "is of"
        )
    _check_kind(op, optimizer, state["param_groups"])
    amsgrad = {i for group in groups if group.get("amsgrad") for i in group["params"]}
    buffers = {i: _buffer(op, optimizer, i, entry, places, i in amsgrad) for i, entry in given.items()}
    optimizer.load_state_dict(
        {"groups": groups, "buffers": {i: buffer for i, buffer in buffers.items() if buffer is not None}}
    )


def _plain(value):
    """A setting as Python has it: PyTorch's learning rate and betas may be tensors."""
    if isinstance(value, tuple):
        return tuple(map(_plain, value))
    return value.item() if hasattr(value, "item") else value


def _check_kind(op, optimizer, groups):
    """Refuse what would go on in another way here."""
    kind = type(optimizer).__name__
    if isinstance(optimizer, Adam):
        for group in groups:
            decoupled = group.get("decoupled_weight_decay", isinstance(optimizer, AdamW))
            if decoupled != isinstance(optimizer, AdamW):
                other = "AdamW" if decoupled else "Adam"
                raise ValueError(
                    f"{op}: the state is of PyTorch's {other}, and the optimizer is {kind}, whose weight decay is another; "
                    f"make an optim.{other}"
                )
    elif any(group.get("maximize") for group in groups):
        raise ValueError(f"{op}: the state is of an SGD with maximize, which is not known here; it must be without")


def _buffer(op, optimizer, i, entry, places, amsgrad):
    """What is kept of parameter i, from what PyTorch keeps of it; None if that is nothing."""
    needed = ("exp_avg", "exp_avg_sq", *(("max_exp_avg_sq",) if amsgrad else ()))
    if isinstance(optimizer, SGD):
        needed = ("momentum_buffer",) if entry else ()
    missing = [name for name in needed if name not in entry]
    if isinstance(optimizer, Adam) and "step" not in entry:
        missing.append("step")
    if missing:
        raise ValueError(
            f"{op}: the state of parameter {i} has no {' and no '.join(missing)}; it must be what the state_dict() of "
            f"PyTorch's {type(optimizer).__name__} gave"
        )
    for name in needed:
        shape = places[i].view().shape if i in range(len(places)) else "no such parameter"
        if entry[name].shape != shape:
            raise ValueError(
                f"{op}: {name} of parameter {i} is {entry[name].shape}, expected {shape}; it must be of the same network"
            )
    arrays = {name: places[i].ours(entry[name]) for name in needed}
    if isinstance(optimizer, SGD):
        return arrays.get("momentum_buffer")
    step = entry["step"]
    if step.size != 1 or step.dtype.kind not in "iuf" or not (step >= 1).all() or not float(step.item()).is_integer():
        raise ValueError(f"{op}: step of parameter {i} is {step}; it must be a whole number of at least 1")
    return {"step": int(step.item())} | arrays


def _of_parameters(op, optimizer, model, example):
    """The places of an optimizer's parameters, by their positions."""
    if not isinstance(optimizer, SGD | Adam):
        raise TypeError(
            f"{op}: optimizer is a {type(optimizer).__name__}; it must be an SGD, Adam or AdamW of minidl's"
        )
    places = {}
    for place in _places(op, model, example).values():
        places.setdefault(id(place.array), place)
    flat = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    if any(id(parameter.data) not in places for parameter in flat):
        raise ValueError(
            f"{op}: the optimizer moves parameters that the model has not; pass the network that it trains"
        )
    return [places[id(parameter.data)] for parameter in flat]

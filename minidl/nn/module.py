"""Module: a part of a network that owns parameters.

A module is an ordinary object. Its parameters and submodules are its attributes, also inside lists, tuples and dicts, and
are found by looking at them. Buffers are plain arrays, and are registered. What is assigned later must be of the same kind.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from minidl.autograd import changed_in_place
from minidl.nn.parameter import Parameter
from minidl.tensor import Tensor

M = TypeVar("M", bound="Module")
on_call: Any = None  # told of every module that is called; whoever wants to know sets it

CONTAINERS = (list, tuple, dict, deque, set, frozenset)

__all__ = ["CONTAINERS", "Identity", "Module"]


class Module:
    """Base of all layers and networks. Subclasses define `forward`; one calls the module itself."""

    training = True
    _buffers: tuple[str, ...] = ()
    _optional: tuple[str, ...] = ()  # places of parameters that may be None
    _forward_hooks: dict | None = None

    if TYPE_CHECKING:  # submodules and parameters are attributes of any name

        def __getattr__(self, name: str) -> Any: ...

    def __call__(self, *args: Any) -> Any:
        if on_call is not None:
            on_call(self)
        output = self.forward(*args)
        if self._forward_hooks:
            for hook in tuple(self._forward_hooks.values()):
                replacement = hook(self, args, output)
                if replacement is not None:
                    output = replacement
        return output

    def forward(self, *args: Any) -> Any:
        """Compute the module's output; subclasses define it."""
        raise TypeError(f"{type(self).__name__}: define forward(self, x)")

    # ---- what is inside ----------------------------------------------------------------------------------------------

    def named_children(self) -> Iterator[tuple[str, "Module"]]:
        """Yield submodules one level down, with their names."""
        return self._attributes(Module)

    def children(self) -> Iterator["Module"]:
        """Yield submodules one level down."""
        return (child for _, child in self.named_children())

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, "Module"]]:
        """Yield this module (its name is empty) and all below it, each once, with dotted names."""
        return self._walk(prefix, set())

    def modules(self) -> Iterator["Module"]:
        """Yield this module and all below it, each once."""
        return (module for _, module in self.named_modules())

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Yield all parameters, each once (a shared one under its first name), with dotted names."""
        return _each_once(
            (_join(path, name), parameter)
            for path, module in self.named_modules()
            for name, parameter in module._attributes(Parameter)
        )

    def parameters(self) -> Iterator[Parameter]:
        """Yield all parameters, each once."""
        return (parameter for _, parameter in self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield the arrays that belong to the state but are not trained, such as running statistics, with dotted names."""
        for path, module in self.named_modules():
            held = ((name, getattr(module, name)) for name in module._buffers)
            yield from ((_join(path, name), array) for name, array in held if array is not None)

    def buffers(self) -> Iterator[np.ndarray]:
        """Yield the arrays that belong to the state but are not trained."""
        return (buffer for _, buffer in self.named_buffers())

    def register_buffer(self, name: str, array: np.ndarray | None) -> None:
        """Make an array an attribute that `state_dict` includes. Change it in place. None keeps a place for one."""
        if not isinstance(name, str) or not (array is None or isinstance(array, np.ndarray)):
            raise TypeError(
                f"register_buffer: got {name!r} and a {type(array).__name__}; they must be a name and a NumPy array"
            )
        if not name or "." in name or (hasattr(self, name) and name not in self._buffers):
            raise ValueError(
                f"register_buffer: the name is {name!r}; it must be that of a new attribute of {type(self).__name__}, "
                "without a dot"
            )
        self._buffers = (*_without(name, self._buffers), name)
        setattr(self, name, array)

    def __setattr__(self, name: str, value: Any) -> None:
        """Keep the places of parameters, buffers and modules for their kind, or None: anything else would be lost."""
        held = vars(self).get(name)
        if name in self._buffers:
            if isinstance(value, (Parameter, Module)):
                self._buffers = _without(name, self._buffers)
            else:
                value = np.asarray(value) if isinstance(value, np.generic) else value  # NumPy's count + 1 is no array
                self._check_kind(name, value, np.ndarray, "a buffer: it must be a NumPy array")
        elif isinstance(held, Parameter) or name in self._optional:
            self._check_kind(name, value, (Parameter, Module), "a parameter: it must be an nn.Parameter")
            if value is None and name not in self._optional:
                self._optional = (*self._optional, name)
        elif isinstance(held, Module):
            self._check_kind(name, value, (Parameter, Module), "a module: it must be an nn.Module")
        object.__setattr__(self, name, value)

    def _check_kind(self, name, value, kind, place):
        if not (value is None or isinstance(value, kind)):
            raise TypeError(
                f"{type(self).__name__}: got a {type(value).__name__} as {name!r}, the place of {place}, or None"
            )

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        self._buffers, self._optional = _without(name, self._buffers), _without(name, self._optional)

    def _attributes(self, kind):
        for name, value in vars(self).items():
            if isinstance(value, kind):
                yield name, value
            elif isinstance(value, CONTAINERS) and name != "_forward_hooks":
                yield from _found(name, value, kind)

    def _walk(self, prefix, seen):
        if id(self) not in seen:  # a module may be in several places, also in one of its own children
            seen.add(id(self))
            yield prefix, self
            for name, child in self.named_children():
                yield from child._walk(_join(prefix, name), seen)

    # ---- acting on all of it -----------------------------------------------------------------------------------------

    def apply(self: M, function: Callable[["Module"], Any]) -> M:
        """Call `function(module)` on every submodule, each once, and last on this one; returns self."""
        for module in self._children_first(set()):
            function(module)
        return self

    def _children_first(self, seen):
        seen.add(id(self))
        for child in self.children():
            if id(child) not in seen:
                yield from child._children_first(seen)
        yield self

    def train(self: M, mode: bool = True) -> M:
        """Switch to training mode: batch statistics, dropout. Returns self."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self: M) -> M:
        """Switch to evaluation mode: running statistics, no dropout. Returns self."""
        return self.train(False)

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.parameters():
            parameter.grad = None

    def requires_grad_(self: M, requires_grad: bool = True) -> M:
        """Freeze (False) or unfreeze all parameters. Returns self."""
        for parameter in self.parameters():
            parameter.requires_grad = requires_grad
        return self

    def to(self: M, dtype: DTypeLike) -> M:
        """Turn parameters and float buffers into float32 or float64, in place. Returns self."""
        if dtype not in (np.float32, np.float64, "float32", "float64", float):
            raise TypeError(f"{type(self).__name__}.to: got {dtype!r}; a network must be float32 or float64")
        for parameter in self.parameters():
            parameter._own(parameter.data.astype(dtype))
            parameter.grad = None
        changed_in_place(self.parameters())
        for module in self.modules():
            for name in module._buffers:
                buffer = getattr(module, name)
                if buffer is not None and buffer.dtype.kind == "f":
                    setattr(module, name, buffer.astype(dtype))
        return self

    def register_forward_hook(self, hook: Callable[["Module", tuple, Any], Any]) -> "HookHandle":
        """Call `hook(module, inputs, output)` after every forward; what it returns, if not None, replaces the output.

        Returns a handle: `handle.remove()`, or use it as a context.
        """
        if not callable(hook):
            raise TypeError(f"register_forward_hook: got a {type(hook).__name__}; it must be a function")
        if self._forward_hooks is None:
            self._forward_hooks = {}
        handle = HookHandle(self._forward_hooks)
        self._forward_hooks[handle] = hook
        return handle

    def __getstate__(self):  # what copies and pickles take along: not the hooks of a Probe, which looks at this module
        hooks = self._forward_hooks or {}
        others = {handle: hook for handle, hook in hooks.items() if not hasattr(hook, "looks_at_this_module")}
        return vars(self) if len(others) == len(hooks) else vars(self) | {"_forward_hooks": others}

    # ---- state -------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return copies of all parameters and buffers by name: further training does not change them."""
        return {name: array.copy() for name, array in self._state().items()}

    def load_state_dict(self, state: Mapping[str, ArrayLike | Tensor], strict: bool = True) -> "Mismatch":
        """Copy a state into this network. Unless everything fits, nothing is changed.

        strict    names that are missing or unexpected are an error too; returned otherwise
        Errors    ValueError lists all names that are missing, unexpected, of another shape, not real numbers, not whole
                ones where the own are, or whose own array is read-only
        """
        own = self._state()
        ready, mismatch = check_state("load_state_dict", self, own, state, strict)
        for name, array in ready.items():
            own[name][...] = array
        changed_in_place(self.parameters())
        return mismatch

    def _state(self):
        named = [*((name, parameter.data) for name, parameter in self.named_parameters()), *self.named_buffers()]
        state = dict(named)
        if len(state) < len(named):  # such as the keys 1 and "1" of a dict
            twice = [name for name in state if [n for n, _ in named].count(name) > 1]
            raise ValueError(f"state_dict: two things are named {twice}; each must have a name of its own")
        return state

    # ---- what it looks like ------------------------------------------------------------------------------------------

    def graph(self, *example: Any) -> Any:
        """Draw the network as it computes an example, or one of that shape: a picture in a notebook, elsewhere text."""
        import minidl

        return minidl.summary(self, *example).graph

    def extra_repr(self) -> str:
        """Return the layer's settings, for its `repr`."""
        return ""

    def __repr__(self) -> str:
        lines = self._lines()
        width = max(len(text) for text, _ in lines)
        return "\n".join(f"{text:<{width}}  {count:>10,} parameters" if count else text for text, count in lines)

    def _lines(self, label="", above=()):
        """Pairs of a line of text and the parameters to state on it."""
        indent, children = "  " * len(above), list(self.named_children())
        if any(module is self for module in above):
            return [(f"{indent}{label}{type(self).__name__}(…), see above", 0)]
        head = f"{indent}{label}{type(self).__name__}({self.extra_repr()}"
        count = sum(p.data.size for p in self.parameters())
        if not children:
            return [(head + ")", count)]
        below = [line for name, child in children for line in child._lines(f"({name}): ", (*above, self))]
        return [(head, count), *below, (f"{indent})", 0)]


class Mismatch(NamedTuple):
    """What `load_state_dict(strict=False)` passed over."""

    missing: list[str]
    unexpected: list[str]


def check_state(op, model, own, state, strict, **more):
    """Check that a state fits a model's own arrays; return its arrays in their types, and a Mismatch. `more`: faults."""
    if not isinstance(state, Mapping):
        raise TypeError(f"{op}: got a {type(state).__name__}; it must be a dict of arrays by name")
    missing, unexpected = [n for n in own if n not in state], [str(n) for n in state if n not in own]
    shared = {n: _as_array(state[n]) for n in own if n in state}
    report = {
        **({"missing": missing, "unexpected": unexpected} if strict else {}),
        "misshaped": [f"{n}: {a.shape}, expected {own[n].shape}" for n, a in shared.items() if a.shape != own[n].shape],
        "not real numbers": [f"{n}: {a.dtype}" for n, a in shared.items() if a.dtype.kind not in "biuf"],
        "not whole numbers": [n for n, a in shared.items() if own[n].dtype.kind in "iu" and not _are_whole(a)],
        "read-only": [n for n in shared if not own[n].flags.writeable],
        **more,
    }
    if any(report.values()):
        lines = "".join(f"\n  {kind}: {'; '.join(names)}" for kind, names in report.items() if names)
        raise ValueError(f"{op}: this state does not fit {type(model).__name__}; it must be of an equal one:{lines}")
    return {name: np.asarray(array, own[name].dtype) for name, array in shared.items()}, Mismatch(missing, unexpected)


class HookHandle:
    """Takes a hook away again: `handle.remove()`, or `with module.register_forward_hook(f): …`."""

    def __init__(self, hooks):
        self._hooks = hooks

    def remove(self) -> None:
        """Take the hook away; a second time does nothing."""
        self._hooks.pop(self, None)

    def __enter__(self) -> "HookHandle":
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()


class Identity(Module):
    """Returns what it is given; keeps the place of a layer that was taken out."""

    def forward(self, x: Any) -> Any:
        """Return x itself."""
        return x


def _found(name, value, kind, above=()):
    """Each thing of a kind that an attribute is or holds, in lists, tuples and dicts on any level, with its name."""
    if isinstance(value, kind):
        yield name, value
    elif isinstance(value, CONTAINERS) and not any(value is outer for outer in above):
        items = list(value.items() if isinstance(value, dict) else enumerate(value))
        wanted = [(key, item) for key, item in items if isinstance(item, (kind, *CONTAINERS))]
        inside = [found for key, item in wanted for found in _found(f"{name}.{key}", item, kind, (*above, value))]
        if inside and isinstance(value, set | frozenset):
            raise TypeError(
                f"Module: {name} is a {type(value).__name__}, which has no order; it must be a list or a dict"
            )
        if inside and kind is Parameter and any(_looks_trained(item) for _, item in items):
            raise TypeError(f"Module: {name} holds parameters and a plain Tensor; it must be wrapped: nn.Parameter(…)")
        yield from inside


def _looks_trained(item):
    return isinstance(item, Tensor) and item.requires_grad and not isinstance(item, Parameter)


def _are_whole(array):
    return array.dtype.kind != "f" or bool(((np.abs(array) < 2**53) & (np.trunc(array) == array)).all())


def _without(name, names):
    return tuple(n for n in names if n != name)


def _as_array(value):
    return value.data if isinstance(value, Tensor) else np.asarray(value)


def _join(path, name):
    return f"{path}.{name}" if path else name


def _each_once(named):
    seen = set()
    for name, item in named:
        if id(item) not in seen:
            seen.add(id(item))
            yield name, item

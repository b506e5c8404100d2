"""Module: a part of a network that owns parameters; and Parameter.

A module is an ordinary object. Its parameters, buffers and submodules are its attributes (also inside lists and tuples),
and are found by looking at them; nothing has to be registered but the names of buffers, which are plain arrays.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from minidl.autograd import changed_in_place
from minidl.tensor import Tensor

M = TypeVar("M", bound="Module")
on_call: Any = None  # told of every module that is called; whoever wants to know sets it

__all__ = ["Identity", "Module", "Parameter", "replace_child"]


class Parameter(Tensor):
    """A tensor that training changes: `requires_grad` is True."""

    __slots__ = ()

    def __init__(self, data: ArrayLike | Tensor):
        super().__init__(data, requires_grad=True)


class Module:
    """Base of all layers and networks. Subclasses define `forward`; one calls the module itself."""

    training = True
    _buffers: tuple[str, ...] = ()
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
        return _each_once(self._walk(prefix))

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
            yield from ((_join(path, name), getattr(module, name)) for name in module._buffers)

    def buffers(self) -> Iterator[np.ndarray]:
        """Yield the arrays that belong to the state but are not trained."""
        return (buffer for _, buffer in self.named_buffers())

    def register_buffer(self, name: str, array: np.ndarray) -> None:
        """Make an array an attribute that `state_dict` includes. Change it in place."""
        if not isinstance(name, str) or not isinstance(array, np.ndarray):
            raise TypeError(
                f"register_buffer: got {name!r} and a {type(array).__name__}; they must be a name and a NumPy array"
            )
        setattr(self, name, array)
        self._buffers = (*self._buffers, name)

    def _attributes(self, kind):
        for name, value in vars(self).items():
            if isinstance(value, kind):
                yield name, value
            elif isinstance(value, list | tuple):
                yield from ((f"{name}.{i}", item) for i, item in enumerate(value) if isinstance(item, kind))

    def _walk(self, prefix):
        yield prefix, self
        for name, child in self.named_children():
            yield from child._walk(_join(prefix, name))

    # ---- acting on all of it -----------------------------------------------------------------------------------------

    def apply(self: M, function: Callable[["Module"], Any]) -> M:
        """Call `function(module)` on every submodule, and last on this one; returns self."""
        for child in self.children():
            child.apply(function)
        function(self)
        return self

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
            parameter.data, parameter.grad = parameter.data.astype(dtype), None
        changed_in_place(self.parameters())
        for module in self.modules():
            for name in module._buffers:
                if getattr(module, name).dtype.kind == "f":
                    setattr(module, name, getattr(module, name).astype(dtype))
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

    # ---- state -------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return copies of all parameters and buffers by name: further training does not change them."""
        return {name: array.copy() for name, array in self._state().items()}

    def load_state_dict(self, state: Mapping[str, ArrayLike | Tensor], strict: bool = True) -> "Mismatch":
        """Copy a state into this network. Unless everything fits, nothing is changed.

        strict    names that are missing or unexpected are an error too; returned otherwise
        Errors    ValueError lists all names that are missing, unexpected, of another shape, or not real numbers
        """
        if not isinstance(state, Mapping):
            raise TypeError(f"load_state_dict: got a {type(state).__name__}; it must be a dict of arrays by name")
        own = self._state()
        missing, unexpected = [n for n in own if n not in state], [n for n in state if n not in own]
        shared = {n: _as_array(state[n]) for n in own if n in state}
        misshaped = [f"{n}: {a.shape}, expected {own[n].shape}" for n, a in shared.items() if a.shape != own[n].shape]
        report = {
            "misshaped": misshaped,
            "not real numbers": [f"{n}: {a.dtype}" for n, a in shared.items() if a.dtype.kind not in "biuf"],
        }
        if strict:
            report = {"missing": missing, "unexpected": unexpected} | report
        if any(report.values()):
            lines = "".join(f"\n  {kind}: {'; '.join(names)}" for kind, names in report.items() if names)
            raise ValueError(
                f"load_state_dict: this state does not fit {type(self).__name__}; it must be one of the same network:{lines}"
            )
        for name, array in shared.items():
            own[name][...] = array
        changed_in_place(self.parameters())
        return Mismatch(missing, unexpected)

    def _state(self):
        return {name: parameter.data for name, parameter in self.named_parameters()} | dict(self.named_buffers())

    # ---- what it looks like ------------------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """Return the layer's settings, for its `repr`."""
        return ""

    def __repr__(self) -> str:
        lines = self._lines()
        width = max(len(text) for text, _ in lines)
        return "\n".join(f"{text:<{width}}  {count:>10,} parameters" if count else text for text, count in lines)

    def _lines(self, label="", depth=0):
        """Pairs of a line of text and the parameters to state on it."""
        indent, children = "  " * depth, list(self.named_children())
        head = f"{indent}{label}{type(self).__name__}({self.extra_repr()}"
        count = sum(p.data.size for p in self.parameters())
        if not children:
            return [(head + ")", count)]
        below = [line for name, child in children for line in child._lines(f"({name}): ", depth + 1)]
        return [(head, count), *below, (f"{indent})", 0)]


class Mismatch(NamedTuple):
    """What `load_state_dict(strict=False)` passed over."""

    missing: list[str]
    unexpected: list[str]


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


def replace_child(parent: Module, name: str, child: Module) -> None:
    """Put a module where `named_children()` found `name`: under that name, or as "name.index" in a list or tuple."""
    name, _, index = name.partition(".")
    if not index:
        setattr(parent, name, child)
        return
    items = list(getattr(parent, name))
    items[int(index)] = child
    setattr(parent, name, items)


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

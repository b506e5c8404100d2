"""Containers: `Residual`, and lists and dicts of modules, whose `forward` is written by whoever uses them."""

from collections.abc import Iterable, Iterator, Mapping
from numbers import Integral
from typing import Any

from minidl.nn.module import Module
from minidl.tensor import Tensor

__all__ = ["ModuleDict", "ModuleList", "Residual"]


class Residual(Module):
    """y = x + body(x), so that what flows back reaches x undiminished, whatever the body does.

        nn.Residual(nn.Sequential(nn.Conv2d(64, 64, 3, padding=1), nn.BatchNorm(64), nn.ReLU()))

    body        a module whose output has the shape of its input, or of the shortcut's output
    shortcut    a module in the place of x: y = shortcut(x) + body(x), such as a 1×1 convolution where sizes change
    With a ReLU behind it in a Sequential, `nn.fuse` makes one pass of the sum and the ReLU
    Errors      TypeError for what is no Module; ValueError if the two outputs have other shapes: nothing is broadcast
    Source      He et al. 2016, "Deep Residual Learning for Image Recognition"
    """

    def __init__(self, body: Module, shortcut: Module | None = None):
        for name, module in (("body", body), ("shortcut", shortcut)):
            if not isinstance(module, Module) and not (module is None and name == "shortcut"):
                raise TypeError(
                    f"Residual: {name} is a {type(module).__name__}; it must be a Module: nn.Sequential(a, b)"
                )
        self.body, self.shortcut = body, shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Return shortcut(x) + body(x)."""
        straight, y = self._branches(x)
        return straight + y

    def _branches(self, x):
        straight = x if self.shortcut is None else self.shortcut(x)
        y = self.body(x)
        if straight.shape != y.shape:
            what = "x" if self.shortcut is None else "the shortcut's output"
            raise ValueError(
                f"Residual: the body's output is {y.shape} but {what} is {straight.shape}; they must be equal: give it a "
                "shortcut, such as a 1×1 convolution"
            )
        return straight, y


class ModuleList(Module):
    """A list of modules that are parts of the module that holds it; its `forward` uses them as it likes.

    Plain lists do as well: see `Module`. This one looks like PyTorch's, and refuses what is no module.

    modules    any number of modules, in a list, a generator, …; their names are "0", "1", …
    Errors     TypeError for what is no Module; IndexError for a place that there is not
    """

    def __init__(self, modules: Iterable[Module] = ()):
        self.extend(modules)

    def forward(self, *args: Any) -> Any:
        """Raise: a list does not know how its modules are used."""
        raise TypeError(
            "ModuleList: a list cannot be called; call its modules in your forward (for layer in self.layers: x = layer(x)) "
            "or use nn.Sequential"
        )

    def append(self, module: Module) -> "ModuleList":
        """Add a module at the end. Returns self."""
        return self.extend([module])

    def extend(self, modules: Iterable[Module]) -> "ModuleList":
        """Add modules at the end. Returns self."""
        if not isinstance(modules, Iterable) or isinstance(modules, str):
            raise TypeError(f"ModuleList: got a {type(modules).__name__}; it must be a list of modules")
        return self._hold([*self, *modules])

    def insert(self, index: int, module: Module) -> None:
        """Put a module before the one at `index`; as in lists, at the end if there are fewer."""
        if not isinstance(index, Integral):
            raise TypeError(f"ModuleList: index is {index!r}; it must be a whole number")
        held = list(self)
        held.insert(index, module)
        self._hold(held)

    def pop(self, index: int = -1) -> Module:
        """Take a module out, and return it."""
        module = self[self._place(index)]
        del self[index]
        return module

    def __getitem__(self, index: Any) -> Any:
        held = list(self)
        return ModuleList(held[index]) if isinstance(index, slice) else held[self._place(index)]

    def __setitem__(self, index: Any, module: Any) -> None:
        held = list(self)
        held[index if isinstance(index, slice) else self._place(index)] = module
        self._hold(held)

    def __delitem__(self, index: Any) -> None:
        held = list(self)
        del held[index if isinstance(index, slice) else self._place(index)]
        self._hold(held)

    def __iadd__(self, modules: Iterable[Module]) -> "ModuleList":
        return self.extend(modules)

    def __add__(self, modules: Iterable[Module]) -> "ModuleList":
        return ModuleList(self).extend(modules)

    def __len__(self) -> int:
        return len(list(self.children()))

    def __iter__(self) -> Iterator[Module]:
        return self.children()

    def _place(self, index):
        n = len(self)
        if not isinstance(index, Integral) or not -n <= index < n:
            span = f"from {-n} to {n - 1}" if n else "left alone: the list is empty"
            raise IndexError(f"ModuleList: index is {index!r}; it must be {span}")
        return index

    def _hold(self, modules):
        """Hold these modules and no others; or, if one of them is none, change nothing."""
        for i, module in enumerate(modules):
            if not isinstance(module, Module):
                raise TypeError(f"ModuleList: module {i} is a {type(module).__name__}; it must be a Module")
        for name, _ in list(self.named_children()):
            delattr(self, name)
        for i, module in enumerate(modules):
            setattr(self, str(i), module)
        return self


class ModuleDict(Module):
    """Modules by name, parts of the module that holds it; its `forward` uses them as it likes.

    Plain dicts do as well: see `Module`. This one looks like PyTorch's, and refuses what is no module.

    modules    a dict, or pairs of a name and a module, in their order
    Errors     TypeError for what is no Module; KeyError for a name that there is not; ValueError for a name that is no
               attribute's, or that ModuleDict has itself
    """

    def __init__(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] = ()):
        self.update(modules)

    def forward(self, *args: Any) -> Any:
        """Raise: a dict does not know how its modules are used."""
        raise TypeError("ModuleDict: a dict cannot be called; call its modules in your forward: self.parts[name](x)")

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Take over modules by name; or, if one of them does not fit, change nothing."""
        try:
            new = dict(modules.items() if isinstance(modules, Mapping | ModuleDict) else modules)
        except (TypeError, ValueError):
            raise TypeError(
                f"ModuleDict: got a {type(modules).__name__}; it must be a dict of modules, or pairs (name, module)"
            ) from None
        for name, module in new.items():
            if not isinstance(module, Module):
                raise TypeError(f"ModuleDict: {name!r} is a {type(module).__name__}; it must be a Module")
            if not isinstance(name, str) or not name or "." in name or (hasattr(self, name) and name not in self):
                raise ValueError(
                    f"ModuleDict: the name is {name!r}; it must be a text without dots that ModuleDict has no use for itself"
                )
        for name, module in new.items():
            setattr(self, name, module)

    def keys(self) -> Iterable[str]:
        """Return the names."""
        return dict(self.named_children()).keys()

    def values(self) -> Iterable[Module]:
        """Return the modules."""
        return dict(self.named_children()).values()

    def items(self) -> Iterable[tuple[str, Module]]:
        """Return pairs of a name and a module."""
        return dict(self.named_children()).items()

    def get(self, name: str, default: Any = None) -> Any:
        """Return the module of a name, or `default` if there is none."""
        return dict(self.named_children()).get(name, default)

    def pop(self, name: str) -> Module:
        """Take a module out, and return it."""
        module = self[name]
        delattr(self, name)
        return module

    def clear(self) -> None:
        """Take all modules out."""
        for name in list(self):
            delattr(self, name)

    def __getitem__(self, name: str) -> Any:
        held = dict(self.named_children())
        if name not in held:
            raise KeyError(
                f"ModuleDict: there is no {name!r}; it must be one of {', '.join(held) or 'none: it is empty'}"
            )
        return held[name]

    def __setitem__(self, name: str, module: Module) -> None:
        self.update({name: module})

    def __delitem__(self, name: str) -> None:
        self.pop(name)

    def __contains__(self, name: object) -> bool:
        return name in dict(self.named_children())

    def __len__(self) -> int:
        return len(list(self.children()))

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self.named_children())

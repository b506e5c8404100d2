"""Putting a module into another one's place: how `fold.py` and `fuse.py` change the copies that they return."""

from minidl.nn.module import CONTAINERS, Module

__all__ = ["replace_child"]


def replace_child(parent: Module, name: str, child: Module) -> None:
    """Put a module where `named_children()` found `name`; a list, tuple or dict that it was in is replaced by a new one."""
    for attribute, value in list(vars(parent).items()):
        if name == attribute or name.startswith(f"{attribute}."):
            setattr(parent, attribute, _replaced(attribute, value, name, child))


def _replaced(path, value, name, child):
    if path == name:
        return child
    if not name.startswith(f"{path}.") or not isinstance(value, CONTAINERS):
        return value
    if isinstance(value, dict):
        return {key: _replaced(f"{path}.{key}", item, name, child) for key, item in value.items()}
    return [_replaced(f"{path}.{i}", item, name, child) for i, item in enumerate(value)]

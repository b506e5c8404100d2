"""A number that changes with the code of a run, so that what an older version of it found is not taken for its result."""

import ast
import hashlib
import inspect
import sys
import textwrap
from types import FunctionType, ModuleType

__all__ = ["fingerprint"]


def fingerprint(function):
    """Hex digits that change with a function's code, and with all that it uses from its own package.

    Counted are functions, classes and constants that it names, wherever in the package they are defined, and what those
    name in turn. Comments, docstrings and layout do not count, nor does code of other packages.
    """
    package = function.__module__.rpartition(".")[0] or function.__module__
    seen, waiting = {}, [function]
    while waiting:
        thing = inspect.unwrap(waiting.pop())
        name = f"{thing.__module__}.{thing.__qualname__}"
        if name in seen:
            continue
        tree = _without_docstrings(thing)
        constants = []
        for label, used in _used(tree, sys.modules[thing.__module__]):
            if isinstance(used, type | FunctionType) or hasattr(used, "__wrapped__"):
                waiting += [used] if _belongs(used, package) else []
            elif isinstance(used, int | float | str | tuple | frozenset | dict | list) or _belongs(type(used), package):
                constants.append(f"{label} = {used!r}")
        seen[name] = [ast.unparse(tree), *constants]
    text = "\n".join(line for name in sorted(seen) for line in (name, *seen[name]))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _belongs(thing, package):
    module = getattr(inspect.unwrap(thing), "__module__", None) or ""
    return module == package or module.startswith(package + ".")


def _without_docstrings(thing):
    tree = ast.parse(textwrap.dedent(inspect.getsource(thing)))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
    return tree


def _used(tree, module):
    """Names in a tree that are globals of its module, with their values; for an imported module, `module.attribute`."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            found[node.id] = getattr(module, node.id, None)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            owner = getattr(module, node.value.id, None)
            if isinstance(owner, ModuleType):
                found[f"{node.value.id}.{node.attr}"] = getattr(owner, node.attr, None)
    return [(name, found[name]) for name in sorted(found) if found[name] is not None]

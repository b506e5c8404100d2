"""A number that changes with the code of a run, so that old results are not taken for those of new code."""

import ast
import hashlib
import inspect
import sys
import textwrap
from pathlib import Path
from types import FunctionType, ModuleType

__all__ = ["fingerprint"]


def fingerprint(function):
    """Return hex digits that change with a function's code, and with everything that it uses from its own library.

    From the function's own folder, the functions, classes and constants that it names are counted, and those that they
    name in turn: a study does not depend on its neighbours. From the rest of the library whole files are counted, and the
    files that they import at their head, as it is hard to tell which kernels a layer uses. Comments, docstrings and layout
    do not count, nor does code of other libraries.
    """
    folder = function.__module__.rpartition(".")[0] or function.__module__
    library = folder.partition(".")[0]
    seen, modules, waiting = {}, set(), [function]
    while waiting:
        thing = inspect.unwrap(waiting.pop())
        name = f"{thing.__module__}.{thing.__qualname__}"
        if name in seen:
            continue
        tree = _without_docstrings(ast.parse(textwrap.dedent(inspect.getsource(thing))))
        constants = []
        for label, used in _used(tree, sys.modules[thing.__module__]):
            home = _home(used)
            if isinstance(used, ModuleType):
                continue  # what is used of it has a label of its own
            if _within(home, folder) and (isinstance(used, type | FunctionType) or hasattr(used, "__wrapped__")):
                waiting.append(used)
            elif isinstance(used, int | float | str | tuple | frozenset | dict | list) or _within(
                type(used).__module__, folder
            ):
                constants.append(f"{label} = {used!r}")
            elif _within(home, library):
                modules.add(home)
        seen[name] = [ast.unparse(tree), *constants]
    seen |= _files(modules, library)
    text = "\n".join(line for name in sorted(seen) for line in (name, *seen[name]))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _home(thing):
    """The module in which a function, a class, or what one wraps is defined."""
    return getattr(inspect.unwrap(thing) if callable(thing) else thing, "__module__", None) or ""


def _within(module, package):
    return module == package or module.startswith(package + ".")


def _without_docstrings(tree):
    for node in ast.walk(tree):
        documented = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module)
        if documented and ast.get_docstring(node) is not None:
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


def _files(modules, library):
    """name → [code] of modules of a library, and of those that they import when they are imported."""
    found, waiting = {}, sorted(modules)
    while waiting:
        name = waiting.pop()
        if name not in found:
            tree = _without_docstrings(ast.parse(_text(sys.modules[name])))
            found[name] = [ast.unparse(tree)]
            waiting += [imported for imported in _imported(tree) if _within(imported, library)]
    return found


def _text(module):
    return Path(module.__file__).read_text(encoding="utf-8")


def _imported(tree):
    """Names of the modules that the statements at the head of a file load."""
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in sys.modules)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name for name in (node.module, *inner) if name in sys.modules)

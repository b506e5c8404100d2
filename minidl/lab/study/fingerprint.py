"""A number that changes with the code of a run, so that old results are not taken for those of new code."""

import ast
import functools
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
        constants, used = [], _used(tree, sys.modules[thing.__module__])
        while used:
            label, value = used.pop(0)
            home = _home(value)
            if isinstance(value, ModuleType):
                continue  # what is used of it has a label of its own
            if _within(home, folder) and (_has_code(value) or hasattr(value, "__wrapped__")):
                waiting.append(value)
            elif isinstance(value, int | float | str | tuple | frozenset | dict | list) or _within(
                type(value).__module__, folder
            ):
                inner = []
                constants.append(f"{label} = {_shown(value, inner)}")
                used += [("", one) for one in inner]
            elif _within(home, library):
                modules.add(home)
        seen[name] = [ast.unparse(tree), *constants]
    seen |= _files(modules, library)
    text = "\n".join(line for name in sorted(seen) for line in (name, *seen[name]))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _has_code(value):
    return isinstance(value, type | FunctionType)


def _shown(value, inner):
    """A constant as text that is the same in every process; the functions and classes in it are named, and put into `inner`.

    The repr of a function has its address, and a set of texts has another order each time.
    """
    if _has_code(value):
        inner.append(value)
        return f"{value.__module__}.{value.__qualname__}"
    if type(value) is dict:
        return f"{{{', '.join(f'{_shown(name, inner)}: {_shown(one, inner)}' for name, one in value.items())}}}"
    if type(value) is frozenset:
        return f"frozenset({{{', '.join(sorted(_shown(one, inner) for one in value))}}})"
    if type(value) in (list, tuple):
        text = ", ".join(_shown(one, inner) for one in value)
        return f"[{text}]" if type(value) is list else f"({text},)" if len(value) == 1 else f"({text})"
    return repr(value)


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
            code, imported = _parsed(_text(sys.modules[name]))
            found[name] = [code]
            waiting += [other for other in imported if other in sys.modules and _within(other, library)]
    return found


def _text(module):
    return Path(module.__file__).read_text(encoding="utf-8")


@functools.cache  # claims share a hundred files
def _parsed(text):
    """A file's code, and what the statements at its head import: modules, or names in modules."""
    tree = _without_docstrings(ast.parse(text))
    return ast.unparse(tree), tuple(_imported(tree))


def _imported(tree):
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)

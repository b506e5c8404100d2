"""What is public in minidl and where it is defined, read from the sources with `ast`; nothing is imported."""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
Definition = ast.FunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign


class Public(NamedTuple):
    """A public name: the module that offers it, the file and the node that define it."""

    module: str
    name: str
    file: Path
    node: Definition

    @property
    def full(self) -> str:
        """The name that one writes to import it."""
        return f"{self.module}.{self.name}"


def file_of(module: str) -> Path:
    """Return the file of a module or package; it need not exist."""
    place = ROOT.joinpath(*module.split("."))
    return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")


@functools.cache
def tree_of(file: Path) -> ast.Module:
    """Parse a file."""
    return ast.parse(file.read_text(encoding="utf-8"))


def modules() -> list[str]:
    """List all modules that can be imported by a name without an underscore."""
    found = []
    for file in sorted((ROOT / "minidl").rglob("*.py")):
        parts = file.relative_to(ROOT).with_suffix("").parts
        if not any(part.startswith("_") and part != "__init__" for part in parts):
            found.append(".".join(parts).removesuffix(".__init__"))
    return found


def offered(module: str) -> list[str]:
    """List what a module has in `__all__`."""
    for node in tree_of(file_of(module)).body:
        if isinstance(node, ast.Assign) and "__all__" in _targets(node):
            return list(ast.literal_eval(node.value))
    return []


def definition(module: str, name: str) -> Public | None:
    """Follow the imports of a module to where a name is defined; None for a module, or what is not minidl's.

    Errors  KeyError if the module has no such name
    """
    file, where = file_of(module), name
    for _ in range(9):
        found = [n for n in _definitions(tree_of(file), inside=(ast.If, ast.Try, ast.With)) if where in _named(n)]
        if found:  # of an overloaded function, the one that says what it does
            return Public(module, name, file, next(filter(_docstring, found), found[0]))
        imported = _imported(file, where)
        if imported is None:
            raise KeyError(f"{module} has no {name}")
        source, where = imported
        if source.split(".")[0] != "minidl" or file_of(f"{source}.{where}").exists():
            return None
        file = file_of(source)
    raise KeyError(f"{module}.{name} is imported in a circle")


def _docstring(node):
    return isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node)


def _imported(file, name):
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return node.module, alias.name
    return None


def _targets(node):
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    flat = [name for target in targets for name in (target.elts if isinstance(target, ast.Tuple) else [target])]
    return [name.id for name in flat if isinstance(name, ast.Name)]


def line_of(file: Path, name: str) -> int | None:
    """Find the line in which a function, class, method (`Class.method` or `method`) or constant is defined."""
    first, _, rest = name.partition(".")
    places = [node for node in _definitions(tree_of(file)) if first in _named(node)]
    if not rest:
        return places[0].lineno if places else None
    for place in places:
        for node in _definitions(place):
            if rest in _named(node):
                return node.lineno
    return None


def _definitions(node, inside=(ast.AST,)) -> Iterator[Definition]:
    """Walk over definitions, the outermost first; with `inside`, only into nodes of these kinds."""
    inner = list(ast.iter_child_nodes(node))
    yield from (n for n in inner if isinstance(n, ast.FunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign))
    for child in inner:
        if isinstance(child, inside):
            yield from _definitions(child, inside)


def _named(node):
    return [node.name] if isinstance(node, ast.FunctionDef | ast.ClassDef) else _targets(node)


def bases(public: Public) -> list[Public]:
    """List minidl's classes that a class inherits from, the nearest first."""
    found = []
    for base in getattr(public.node, "bases", ()):
        name = base.id if isinstance(base, ast.Name) else ""
        module = ".".join(public.file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        try:
            place = definition(module, name) if name else None
        except KeyError:
            continue  # Python's own, such as Exception
        if place and isinstance(place.node, ast.ClassDef):
            found += [place, *bases(place)]
    return found


# ---- where the lessons use a name ----------------------------------------------------------------------------------------


def slug(heading: str) -> str:
    """Return the anchor that a heading has, as GitHub makes it."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").replace("*", "")
    return re.sub(r"[^\w\- ]", "", plain.strip().lower()).replace(" ", "-")


@functools.cache
def uses() -> dict[tuple[Path, str], list[tuple[str, str]]]:
    """Map (file, name of the definition) to the lessons that use it: (lesson, anchor of the section), once a lesson."""
    found: dict[tuple[Path, str], list[tuple[str, str]]] = {}
    for lesson in sorted((ROOT / "lessons").glob("[0-9][0-9]_*.py")):
        text, seen = lesson.read_text(encoding="utf-8"), set()
        imported = _imports(ast.parse(text))
        section = ""
        for line in text.splitlines():
            heading = re.match(r"# #+ (.*)", line)
            section = slug(heading[1]) if heading else section
            if line.startswith("#") and not re.search(r"\]\(\.\./minidl", line):
                continue
            for place in _used(line, imported):
                if place not in seen:
                    seen.add(place)
                    found.setdefault(place, []).append((lesson.stem, section))
    return found


def _imports(tree):
    """Name in a lesson → what it stands for: a module's full name, or (module, name)."""
    names: dict[str, str | tuple[str, str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "minidl":
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                names[alias.asname or alias.name] = full if file_of(full).exists() else (node.module, alias.name)
    return names


def _used(line, imported):
    for name, path in re.findall(r"\[`(\w+)[^`]*`\]\(\.\./(minidl/[\w/]+\.py)\)", line):
        yield ROOT / path, name
    if line.startswith(("#", "from ", "import ")):
        return
    for word, attribute in re.findall(r"\b([A-Za-z_]\w*)(?:\.([A-Za-z_]\w*))?", line):
        meant = imported.get(word)
        try:
            if isinstance(meant, tuple):
                place = definition(*meant)
            elif meant and attribute:
                place = definition(meant, attribute)
            else:
                continue
        except KeyError:
            continue
        if place:
            yield place.file, getattr(place.node, "name", place.name)

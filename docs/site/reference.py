"""The API reference: pages of Markdown from signatures and docstrings, read with `ast`."""

import ast
import functools
import re
from pathlib import Path

from docstrings import as_markdown
from names import ROOT, Public, bases, definition, file_of, modules, offered, tree_of, uses

__all__ = ["PAGES", "entries", "index", "page", "page_of", "pages"]

# A name that several modules offer is described where it comes first; `test_site.py` wants every module to be on a page.
PAGES = {
    "tensor": ("Tensors and gradients", "minidl minidl.tensor minidl.autograd minidl.gradcheck minidl.random"),
    "functional": ("Operations", "minidl.functional"),
    "nn": ("Networks", "minidl.nn minidl.nn.init"),
    "optim": ("Optimisers and schedules", "minidl.optim"),
    "training": ("Training", "minidl.train minidl.probe minidl.anatomy minidl.checkpoint minidl.replay"),
    "exchange": ("Other tools", "minidl.exchange"),
    "data": ("Data", "minidl.data"),
    "course": ("The course", "minidl.lab.course"),
    "plot": ("Pictures", "minidl.lab.plot minidl.lab.live minidl.lab.web"),
    "study": (
        "Studies and claims",
        "minidl.lab.study minidl.lab.registry minidl.lab.paper minidl.lab.after minidl.lab.models minidl.lab.graphs "
        "minidl.lab.language minidl.lab.scenes minidl.lab.recipe minidl.lab.mirror minidl.lab.photos",
    ),
    "bench": ("Benchmark and commands", "minidl.lab.bench minidl.lab.commands"),
    "inside": ("Kernels and system", "minidl.ops minidl.kernels minidl.system"),
}
OPERATORS = {
    "add": "x + y", "sub": "x - y", "mul": "x * y", "truediv": "x / y", "pow": "x ** y", "matmul": "x @ y", "neg": "-x",
    "getitem": "x[index]", "setitem": "x[index] = y", "len": "len(x)", "iter": "for row in x", "contains": "y in x",
    "float": "float(x)", "int": "int(x)", "bool": "bool(x)", "format": 'f"{x:.2f}"', "array": "np.asarray(x)",
    "radd": "1 + x", "rsub": "1 - x", "rmul": "2 * x", "rtruediv": "1 / x", "rpow": "2 ** x", "rmatmul": "array @ x",
    "call": "layer(x)", "eq": "x == y", "lt": "x < y", "enter": "with …:", "next": "next(x)", "and": "x & y",
    "hash": "hash(x)", "reversed": "reversed(x)", "index": "range(x)", "delitem": "del x[index]",
}  # fmt: skip


def pages() -> dict[str, list[str]]:
    """Map each page to its modules: those that are named, each followed by what is inside it."""
    left, found = modules(), {slug: [] for slug in PAGES}
    for slug, (_, named) in PAGES.items():
        for module in named.split():
            taken = [m for m in left if m == module or (module != "minidl" and m.startswith(f"{module}."))]
            found[slug] += [m for m in taken if m not in _named_elsewhere(module)]
            left = [m for m in left if m not in found[slug]]
    return found


def _named_elsewhere(module):
    return {m for _, named in PAGES.values() for m in named.split()} - {module}


@functools.cache
def entries() -> dict[str, dict[str, list[Public]]]:
    """Map page → module → the names that are described there, each once on the site."""
    seen, found = set(), {}
    for slug, listed in pages().items():
        found[slug] = {}
        for module in listed:
            found[slug][module] = []
            for name in sorted(offered(module), key=str.lower):
                public = definition(module, name)
                place = public and (public.file, getattr(public.node, "name", public.name))
                if public and place not in seen:
                    seen.add(place)
                    found[slug][module].append(public)
    return found


@functools.cache
def page_of() -> dict[tuple[Path, str], tuple[str, str]]:
    """Map (file, name of the definition) to where it is described: (page, anchor)."""
    return {
        (p.file, getattr(p.node, "name", p.name)): (slug, p.full)
        for slug, listed in entries().items()
        for found in listed.values()
        for p in found
    }


def page(slug: str) -> str:
    """Write a page of the reference."""
    parts = [f"# {PAGES[slug][0]}"]
    for module, found in entries()[slug].items():
        about = ast.get_docstring(tree_of(file_of(module))) or ""
        if not found and module != "minidl.functional":
            continue
        source = file_of(module).relative_to(ROOT).as_posix()
        taken = any(p.full == module for names in entries()[slug].values() for p in names)  # as by `minidl.nn.fuse`
        directive = f"```{{py:module}} {module}\n{':no-index:' if taken else ''}\n```"
        parts += [f"## `{module}`", directive, as_markdown(about, 0)]
        parts += [f"[`{source}`](/{source})"]
        parts += [_entry(public) for public in found]
    return "\n\n".join(parts) + "\n"


def index() -> str:
    """Write the reference's first page: every public name, by page and module."""
    parts = ["# Reference", "Every public name, from the docstrings, with links to source and lessons."]
    parts.append('```{raw} html\n<p><a href="../genindex.html">All names from A to Z</a></p>\n```')
    for slug, listed in entries().items():
        parts.append(f"## [{PAGES[slug][0]}]({slug}.md)")
        for module, found in listed.items():
            if found:
                names = " · ".join(f"[`{p.name}`]({slug}.md#{p.full})" for p in found)
                parts.append(f"**{module}**: {names}")
    toctree = "\n".join(PAGES)
    return "\n\n".join(parts) + f"\n\n```{{toctree}}\n:hidden:\n\n{toctree}\n```\n"


def _entry(public):
    node = public.node
    kind = {ast.ClassDef: "class", ast.FunctionDef: "function"}.get(type(node), "data")
    out = [f"``````{{py:{kind}}} {public.name}{_signature_of(node)}", f":module: {public.module}", ""]
    if kind == "data":
        out += [_comment(public), ""]
    else:
        out += [as_markdown(ast.get_docstring(node) or "", 4, _lessons), ""]
    if kind == "class":
        out += _members(public)
    out += [_links(public), "", "``````"]
    return "\n".join(out)


def _signature_of(node):
    if isinstance(node, ast.FunctionDef):
        return _signature(node)
    if isinstance(node, ast.ClassDef):
        start = next((n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"), None)
        if start:
            return re.sub(r" -> None$", "", _signature(start, True))
        fields = [n for n in node.body if isinstance(n, ast.AnnAssign)]
        if fields and (_is_record(node)):
            return "(" + ", ".join(_field(n) for n in fields) + ")"
        return ""
    return ""


def _is_record(node):
    named = [ast.unparse(base) for base in node.bases] + [ast.unparse(d) for d in node.decorator_list]
    return any("NamedTuple" in name or "dataclass" in name for name in named)


def _field(node):
    value = "" if node.value is None else f" = {ast.unparse(node.value)}"
    return f"{ast.unparse(node.target)}: {ast.unparse(node.annotation)}{value}"


class _Unquoted(ast.NodeTransformer):
    """Takes the quotes off annotations such as "Tensor"."""

    def visit_Constant(self, node):
        return ast.parse(node.value, mode="eval").body if isinstance(node.value, str) else node


def _unquoted(arguments):
    for argument in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]:
        if argument is not None and argument.annotation is not None:
            argument.annotation = _Unquoted().visit(argument.annotation)
    return ast.unparse(arguments)


def _type(annotation):
    return ast.unparse(_Unquoted().visit(annotation))


def _signature(node, bound=False):
    arguments = node.args
    if bound and arguments.args and arguments.args[0].arg in ("self", "cls"):
        rest = arguments.args[1:]
        arguments = ast.arguments(
            arguments.posonlyargs, rest, arguments.vararg, arguments.kwonlyargs, arguments.kw_defaults,
            arguments.kwarg, arguments.defaults,
        )  # fmt: skip
    elif bound and arguments.posonlyargs:
        arguments = ast.arguments(
            arguments.posonlyargs[1:], arguments.args, arguments.vararg, arguments.kwonlyargs, arguments.kw_defaults,
            arguments.kwarg, arguments.defaults,
        )  # fmt: skip
    returns = f" -> {_type(node.returns)}" if node.returns else ""
    return f"({_unquoted(arguments)}){returns}"


def _members(public):
    """Methods with their docstrings, operators, and what is inherited."""
    out, mine = [], _methods(public.node)
    described = page_of()
    hidden = [base for base in bases(public) if (base.file, base.node.name) not in described]
    for owner in [public, *hidden]:  # what a private base has is described here: there is no other place
        for name, method in _methods(owner.node).items():
            if not name.startswith("_") and ast.get_docstring(method) and (owner is public or name not in mine):
                out += _method(owner, method)
    out += _operators([public, *bases(public)])
    for base in bases(public):
        place = described.get((base.file, base.node.name))
        names = [n for n, m in _methods(base.node).items() if not n.startswith("_") and ast.get_docstring(m)]
        names = [name for name in names if name not in mine]
        if place and names:
            slug, full = place
            links = ", ".join(f"[`{name}`]({slug}.md#{full}.{name})" for name in names)
            out += [f"Inherited from [`{base.node.name}`]({slug}.md#{full}): {links}", ""]
    return out


def _methods(node):
    return {n.name: n for n in node.body if isinstance(n, ast.FunctionDef)}


def _method(owner, method):
    decorators = {ast.unparse(d) for d in method.decorator_list}
    kind = "property" if "property" in decorators else "staticmethod" if "staticmethod" in decorators else "method"
    kind = "classmethod" if "classmethod" in decorators else kind
    signature = "" if kind == "property" else _signature(method, kind != "staticmethod")
    options = [f":type: {_type(method.returns)}"] if kind == "property" and method.returns else []
    source = owner.file.relative_to(ROOT).as_posix()
    return [
        f"`````{{py:{kind}}} {method.name}{signature}", *options, "",
        as_markdown(ast.get_docstring(method), 8, _lessons), "",
        f"[source](/{source}#L{method.lineno})", "`````", "",
    ]  # fmt: skip


def _operators(owners):
    """One line with all operators that a class or its bases define, each with a link to its lines."""
    found = {}
    for owner in owners:
        source = owner.file.relative_to(ROOT).as_posix()
        for n in owner.node.body:
            names = [n.name] if isinstance(n, ast.FunctionDef) else []
            if isinstance(n, ast.Assign):
                names = [t.id for t in n.targets if isinstance(t, ast.Name)]
            for name in names:
                sign = OPERATORS.get(name.strip("_")) if re.fullmatch(r"__\w+__", name) else None
                if sign:
                    found.setdefault(sign, f"[`{sign}`](/{source}#L{n.lineno})")
    return [f"Operators: {', '.join(found.values())}", ""] if found else []


def _lessons(key, text):
    if key != "Lessons" and key != "Lesson":
        return text
    return re.sub(r"\b([01]\d)\b", lambda found: f"[{found[1]}](/lessons/{_stem(found[1])}.ipynb)", text)


def _stem(number):
    return next((ROOT / "lessons").glob(f"{number}_*.py")).stem


def _links(public):
    source = public.file.relative_to(ROOT).as_posix()
    links = [f"[source](/{source}#L{public.node.lineno})"]
    places = uses().get((public.file, getattr(public.node, "name", public.name)), ())
    if places:
        told = (f"[{lesson.partition('_')[0]}](/lessons/{lesson}.ipynb#{anchor})" for lesson, anchor in places)
        links.append(f"in {'lesson' if len(places) == 1 else 'lessons'} {', '.join(told)}")
    return "{.links}\n" + " · ".join(links)


def _comment(public):
    """What a constant is: its value if that is short, and the comment beside it."""
    lines = public.file.read_text(encoding="utf-8").splitlines()
    comment = re.search(r"(?<=  # ).*", lines[public.node.lineno - 1])
    value = ast.unparse(public.node.value) if public.node.value else ""
    value = f"`{value}`" if value and len(value) <= 60 else ""
    if public.name == "CLAIM":
        claim = next((k.value.value for k in public.node.value.keywords if k.arg == "id"), "")
        value = f"The claim [{claim}](/results/README.md), as the ledger has it." if claim else ""
    comment = comment[0] if comment and not comment[0].startswith(("type:", "noqa", "fmt:")) else ""
    return " — ".join(filter(None, [value, comment]))

"""The source as pages: each line is an anchor, `#L12`."""

import ast
import functools
from html import escape
from pathlib import Path

from names import ROOT
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

__all__ = ["files", "index", "page"]


@functools.cache
def files() -> list[Path]:
    """List the files that have a page: the package, the lessons' sources and their solutions."""
    found = [*(ROOT / "minidl").rglob("*.py"), *(ROOT / "lessons").rglob("[0-9][0-9]_*.py")]
    return sorted(found, key=lambda path: (path.parent.relative_to(ROOT).parts[0] == "lessons", path.parent, path.name))


def page(file: Path) -> str:
    """Write a file as a page that search leaves alone: the reference has the same words, and leads here."""
    name = file.relative_to(ROOT).as_posix()
    html = highlight(file.read_text(encoding="utf-8"), PythonLexer(stripnl=False), HtmlFormatter(nowrap=True))
    lines = "".join(_line(i, line) for i, line in enumerate(html.rstrip("\n").split("\n"), 1))
    block = f'<div class="highlight source"><pre tabindex="0" aria-label="{escape(name)}">{lines}</pre></div>'
    fence = "`" * 12
    return (
        f"---\norphan: true\nnosearch: true\n---\n\n# `{name}`\n\n[All files](/source/index.md)\n\n"
        f"{fence}{{raw}} html\n{block}\n{fence}\n"
    )


def _line(i, html):
    link = f'<a href="#L{i}" data-line="{i}" tabindex="-1" aria-label="Line {i}"></a>'
    return f'<span class="line" id="L{i}">{link}{html}\n</span>'


def index() -> str:
    """Write the list of files, folder by folder, with the first line of each docstring."""
    parts, folder = (
        ["# Source", "Every line has an anchor. [The map](/docs/architecture.md) says what to read first."],
        None,
    )
    for file in files():
        name = file.relative_to(ROOT)
        if name.parent != folder:
            folder = name.parent
            anchor = folder.as_posix().replace("/", "-")
            parts.append(f"({anchor})=\n\n## `{folder.as_posix()}`")
            parts.append("")
        about = (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").partition("\n")[0]
        about = about.replace("`", "").replace("*", "\\*").replace("_", "\\_").replace("<", "\\<")
        told = f": {about}" if about else ""
        parts[-1] += f"- [`{name.name}`](/{name.as_posix()}){told}\n"
    return "\n\n".join(parts)

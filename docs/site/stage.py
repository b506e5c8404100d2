"""Collect the site's sources: Markdown as it is, notebooks with their exercises folded, the reference, the source."""

import json
import re
import sys
from pathlib import Path

import reference
import source
from names import ROOT

__all__ = ["LIVE", "PAGES", "SECTIONS", "stage"]

LIVE = "docs/live/index.html"  # the living figure; the site does without it where it is missing

# file in the repository → page of the site
PAGES = {
    "README.md": "index",
    "lessons/README.md": "lessons/index",
    "results/README.md": "results/index",
    "docs/README.md": "docs/index",
    **{f"docs/{p.name}": f"docs/{p.stem}" for p in sorted((ROOT / "docs").glob("*.md")) if p.name != "README.md"},
    "datasets/README.md": "datasets/index",
    "minidl/kernels/README.md": "minidl/kernels/index",
    "minidl/lab/README.md": "minidl/lab/index",
    "CONTRIBUTING.md": "contributing",
    "CHANGELOG.md": "changelog",
    **{f"lessons/{p.name}": f"lessons/{p.stem}" for p in sorted((ROOT / "lessons").glob("[0-9][0-9]*_*.ipynb"))},
}
_DOCS = ["demo", "coming-from-pytorch", "recipes", "where-things-live", "architecture", "speed", "promises"]
_LATER = [p for p in PAGES.values() if re.fullmatch(r"docs/[\w-]+", p) and p[5:] not in ("index", *_DOCS)]
SECTIONS = {
    "The course": [p for p in PAGES.values() if p.startswith("lessons/")],
    "The paper": ["results/index"],
    "Guides": ["docs/index", *(f"docs/{name}" for name in _DOCS), *_LATER, "datasets/index"],
    "Reference": ["reference/index", "source/index", "minidl/kernels/index", "minidl/lab/index"],
    "Project": ["contributing", "changelog"],
}
_START = """\
{.start}
[Start the course](lessons/README.md) [Install](#run-it) [Claims](results/README.md)
[Reference](/reference/index.md) [Source](docs/architecture.md)
"""
_FRAME = f"""\
```{{raw}} html
<iframe class="live" src="{LIVE}" title="A network while it trains, with and without batch normalization"
 loading="lazy"></iframe>
<p class="live-link"><a href="{LIVE}">Open this figure on a page of its own</a></p>
```
"""


_TOP = (
    '<p class="run"><a download href="{name}">Download this notebook</a> to run it, or <code>make lessons</code> in a clone '
    "of minidl copies all of them.</p>"
)
_NOTE = (
    "To solve it, open `{name}` in Jupyter (`make lessons`), replace the body of the first cell, and "
    "run both. The second cell checks your answer. [One solution](solutions/{stem}.py)"
)


def stage(folder: Path) -> None:
    """Write all sources of the site into a folder; what is there and no longer wanted goes."""
    wanted = dict(_pages())
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_file() and path.relative_to(folder).as_posix() not in wanted:
            path.unlink()
    for name, content in wanted.items():
        place = folder / name
        if not place.exists() or place.read_bytes() != content:  # what has not changed is not built again
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)


def _pages():
    """Pairs of a name and its content."""
    for file, page in PAGES.items():
        text = (ROOT / file).read_text(encoding="utf-8")
        if file == "README.md":
            text = _landing(text)
        if file.endswith(".ipynb"):
            yield f"{page}.ipynb", _lesson(Path(file), json.loads(text)).encode()
        else:
            yield f"{page}.md", text.encode()
        for image in re.findall(r"!\[(?:\\.|[^\]\\])*\]\(([^)\s:]+)\)", text):
            place = (ROOT / file).parent.joinpath(image).resolve()
            yield place.relative_to(ROOT).as_posix(), place.read_bytes()
    yield "reference/index.md", reference.index().encode()
    for slug in reference.PAGES:
        yield f"reference/{slug}.md", reference.page(slug).encode()
    yield "source/index.md", source.index().encode()
    for file in source.files():
        yield f"source/{file.relative_to(ROOT).with_suffix('').as_posix()}.md", source.page(file).encode()


def _landing(text):
    """README, but first what it is, for whom, the ways in, and the living figure; and the table of contents."""
    title, sentence, rest = text.split("\n\n", 2)
    whom = ""
    if found := re.search(r"^It is for .*?\.\s+", rest, re.M | re.S):  # a sentence; the rest of its paragraph stays
        whom, rest = found[0], rest.replace(found[0], "", 1)
    figure = _FRAME if (ROOT / LIVE).exists() else ""
    if figure:  # its still would be there twice
        rest = re.sub(r"^\[?!\[[^\]]*\]\(docs/live/[\w.]+\)(\]\([^)]*\))?\n\n", "", rest, flags=re.M)
    trees = [
        f"```{{toctree}}\n:hidden:\n:caption: {caption}\n\n" + "\n".join(pages) + "\n```\n"
        for caption, pages in SECTIONS.items()
    ]
    return "\n\n".join([title, sentence, whom, _START, figure, rest, *trees])


def _lesson(file, notebook):
    """A notebook with a line on how to run it, its exercises folded, and interactive pages in the place of their stills."""
    cells, i = notebook["cells"], 1
    out = [cells[0], _markdown(_raw(_TOP.format(name=file.name)), "run")]
    while i < len(cells):
        tags = cells[i].get("metadata", {}).get("tags", [])
        name = next((tag.partition(":")[2] for tag in tags if tag.startswith("exercise:")), None)
        if name is None:
            out += _shown(cells[i]) or [cells[i]]
            i += 1
            continue
        opening = f'<details class="exercise"><summary>Write it: <code>{name}</code></summary>'
        out.append(_markdown(_raw(opening), f"begin-{name}"))
        out.append(_markdown(_NOTE.format(name=file.name, stem=file.stem), f"note-{name}"))
        out += cells[i : i + 2]  # where one writes, and the check
        out.append(_markdown(_raw("</details>"), f"end-{name}"))
        i += 2
    return json.dumps({**notebook, "cells": out}, ensure_ascii=False, indent=1)


def _shown(cell):
    """The page that a cell such as `show("drag")` shows; and the cell with its still, for readers without JavaScript."""
    found = re.fullmatch(r'(?:course\.)?show\("(\w+)"\)', "".join(cell["source"]).strip())
    if cell["cell_type"] != "code" or not found:
        return None
    page = f"docs/live/{found[1]}.html"
    title = re.search(r"<title>(.*?)(?: · minidl)?</title>", (ROOT / page).read_text(encoding="utf-8"))[1]
    frame = f'<iframe class="live small" src="../{page}" title="{title}" loading="lazy"></iframe>\n<noscript>'
    return [_markdown(_raw(frame), f"show-{cell['id']}"), cell, _markdown(_raw("</noscript>"), f"still-{cell['id']}")]


def _raw(html):
    return f"```{{raw}} html\n{html}\n```"


def _markdown(text, name):
    return {"cell_type": "markdown", "id": re.sub(r"\W", "-", name)[:60], "metadata": {}, "source": text}


if __name__ == "__main__":
    stage(Path(sys.argv[1]))

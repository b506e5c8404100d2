"""What minidl's pages need of Sphinx: links that GitHub understands, text alternatives, tables that become cards.

Links are written for the repository: `../minidl/ops/norm.py`, `../README.md#run-it`. Each is resolved here to a page of the
site, for a name in a source file to the line of its definition; a link that leads nowhere is a warning, and fails the
build. Other files of the repository that are linked are copied beside the pages.
"""

import functools
import hashlib
import json
import os
import posixpath
import re
import shutil
from html import escape
from pathlib import Path

import source
from docutils import nodes
from names import ROOT, definition, line_of, slug
from reference import page_of
from sphinx.util import logging
from stage import PAGES, SECTIONS

logger = logging.getLogger(__name__)
_ORIGIN = {page: file for file, page in PAGES.items()}
_NAME = re.compile(r"[A-Za-z_]\w*(\.\w+)*(\(\))?")


def setup(app):
    """Connect to Sphinx."""
    app.connect("env-purge-doc", lambda app, env, doc: _copied(env).pop(doc, None))
    app.connect("doctree-read", read)
    app.connect("doctree-resolved", enlarge)
    app.connect("html-page-context", describe)
    app.connect("html-page-context", navigate, priority=400)  # before the theme asks for the list of pages
    app.connect("build-finished", copy)
    return {"parallel_read_safe": False, "version": "1"}


def _copied(env):
    if not hasattr(env, "minidl_files"):
        env.minidl_files = {}
    return env.minidl_files


def read(app, doctree):
    """Finish a page that has just been read."""
    page = app.env.docname
    _anchors(doctree)
    _code_links(app, doctree, page)
    if page == "index" and app.config.minidl_repository:
        _repository(doctree, app.config.minidl_repository)
    for node in list(doctree.findall(nodes.reference)):
        if "refuri" in node and not node.get("internal") and not re.match(r"[a-z]+:|#", node["refuri"]):
            node["refuri"] = _resolve(app, page, node)
            node["internal"] = True
    _alternatives(doctree, page)
    for table in doctree.findall(nodes.table):
        _cards(table)


# ---- links ---------------------------------------------------------------------------------------------------------------


def _anchors(doctree):
    """Give each heading the anchor that it has on GitHub, too."""
    seen = {}
    for section in doctree.findall(nodes.section):
        title = section.next_node(nodes.title)
        name = slug(title.astext()) if title is not None else ""
        seen[name] = seen.get(name, -1) + 1
        name = f"{name}-{seen[name]}" if seen[name] else name
        if name and name not in section["ids"] and not any(name in n["ids"] for n in doctree.findall(nodes.section)):
            section["ids"].append(name)


def _resolve(app, page, node):
    target, _, anchor = node["refuri"].partition("#")
    origin = _ORIGIN.get(page, f"{page}.md")
    here = "" if target.startswith("/") else posixpath.dirname(origin)
    path = posixpath.normpath(posixpath.join(here, target.lstrip("/")))
    uri, found = _uri(app, page, path, node, anchor)
    if uri is None:
        logger.warning("the link %r leads nowhere", node["refuri"], location=node)
        return node["refuri"]
    return uri + (f"#{found}" if found else "")


def _uri(app, page, path, node, anchor):
    """Return where a path of the repository is on the site ("" for this page), and the anchor there; or None."""
    builder, file = app.builder, ROOT / path
    if path in PAGES:
        return builder.get_relative_uri(page, PAGES[path]), anchor
    if path.endswith(".md") and path.removesuffix(".md") in app.env.found_docs:
        return builder.get_relative_uri(page, path.removesuffix(".md")), anchor
    if file in source.files():
        app.env.note_dependency(file)  # when its lines move, this page is read again
        return builder.get_relative_uri(page, f"source/{path.removesuffix('.py')}"), anchor or _line(file, node)
    if file.is_dir() and any(file in known.parents for known in source.files()):
        return builder.get_relative_uri(page, "source/index"), path.replace("/", "-")
    if file.is_file():
        _copied(app.env).setdefault(page, set()).add(path)
        return posixpath.relpath(path, posixpath.dirname(page) or "."), anchor
    return None, ""


def _line(file, node):
    """Return the anchor of the definition that a link names: [`batch_norm`](../minidl/ops/norm.py)."""
    code = node.next_node(nodes.literal)
    name = code.astext().split("(")[0].split(" ")[0] if code is not None else ""
    if not _NAME.fullmatch(name) or name == file.name or "/" in name:
        return ""
    line = line_of(file, name)
    if line is None:
        logger.warning("%s has no %s", file.relative_to(ROOT), name, location=node)
    return f"L{line}"


def _code_links(app, doctree, page):
    """Make links of files (`minidl/autograd/engine.py`), and in the reference of public names (`F.batch_norm`)."""
    files = {file.relative_to(ROOT).as_posix() for file in source.files()}
    described = page_of()
    for code in list(doctree.findall(nodes.literal)):
        text = code.astext()
        if _has_parent(code, (nodes.reference, nodes.title)):
            continue
        if text in files:
            uri = app.builder.get_relative_uri(page, f"source/{text.removesuffix('.py')}")
        elif page.startswith("reference/") and (place := _described(text, described)):
            uri = f"{app.builder.get_relative_uri(page, f'reference/{place[0]}')}#{place[1]}"
        else:
            continue
        code.replace_self(nodes.reference("", "", code.deepcopy(), internal=True, refuri=uri))


def _described(text, described):
    module, _, name = text.removesuffix("()").rpartition(".")
    module = {"F": "minidl.functional", "nn": "minidl.nn", "optim": "minidl.optim", "data": "minidl.data",
              "nn.init": "minidl.nn.init"}.get(module, module)  # fmt: skip
    for place in [module] if module else ["minidl", "minidl.functional", "minidl.nn", "minidl.optim"]:
        try:
            found = definition(place, name) if place.startswith("minidl") and _NAME.fullmatch(name) else None
        except (KeyError, FileNotFoundError):
            continue
        if found:
            return described.get((found.file, getattr(found.node, "name", name)))
    return None


def _repository(doctree, address):
    """Say on the first page where one clones from."""
    for text in list(doctree.findall(nodes.Text)):
        before, words, after = text.partition("a clone of this repository")
        if words:
            link = nodes.reference("", words, refuri=address)
            return text.parent.replace(text, [nodes.Text(before), link, nodes.Text(after)])
    logger.warning("README does not say where a clone comes from", location=doctree)


def _has_parent(node, kinds):
    while node is not None:
        if isinstance(node, kinds):
            return True
        node = node.parent
    return False


def copy(app, error):
    """Copy the files that pages link to, and the notebooks, to where the links expect them."""
    if error or app.builder.name != "html":
        return
    wanted = {path for paths in _copied(app.env).values() for path in paths}
    wanted |= {file for file in PAGES if file.endswith(".ipynb")}
    for path in sorted(wanted | set(app.config.minidl_files)):
        place = Path(app.outdir, path)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, place)
    Path(app.outdir, ".nojekyll").touch()


# ---- pictures and tables -------------------------------------------------------------------------------------------------


def _alternatives(doctree, page):
    """Give each picture of a notebook the text alternative that its metadata has; a picture without one is a warning."""
    texts = _texts(ROOT / _ORIGIN[page]) if _ORIGIN.get(page, "").endswith(".ipynb") else {}
    for image in doctree.findall(nodes.image):
        if not image.get("alt"):
            image["alt"] = texts.get(Path(image["uri"]).stem, "")
        if not image["alt"]:
            logger.warning("the image %s has no text alternative", image["uri"], location=image)


def _texts(notebook):
    """Map the hash of each picture, which names its file, to its text alternative."""
    import base64

    found = {}
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", ()):
            for kind, content in output.get("data", {}).items():
                if kind.startswith("image/"):
                    content = "".join(content)
                    if kind == "image/svg+xml":
                        raw = os.linesep.join(content.splitlines()).encode()
                    else:
                        raw = base64.b64decode(content)
                    alt = output.get("metadata", {}).get(kind, {}).get("alt", "")
                    found[hashlib.sha256(raw).hexdigest()] = alt
    return found


def enlarge(app, doctree, page):
    """Make each figure a link to itself, since on a phone its letters are small."""
    for image in list(doctree.findall(nodes.image)):
        if _has_parent(image, nodes.reference) or not image["uri"].endswith((".png", ".svg")):
            continue
        name = app.env.images.get(image["uri"], (None, Path(image["uri"]).name))[1]
        uri = posixpath.relpath(f"_images/{name}", posixpath.dirname(page) or ".")
        image.replace_self(nodes.reference("", "", image.deepcopy(), internal=True, refuri=uri, classes=["figure"]))


def _cards(table):
    """Write each column's heading into its cells, for phones, where a row becomes a card if sentences are in it.

    The ledger's table and that of the lessons are such; tables of numbers scroll.
    """
    head = table.next_node(nodes.thead)
    names = [entry.astext() for entry in head.findall(nodes.entry)] if head is not None else []
    rows = list(table.next_node(nodes.tbody).findall(nodes.row))
    if len(names) < 4 or not any(len(entry.astext()) > 60 for row in rows for entry in row):
        return
    table["classes"].append("cards")
    for row in rows:
        for i, (name, entry) in enumerate(zip(names, row.findall(nodes.entry), strict=True)):
            paragraph = entry.next_node(nodes.paragraph)
            if paragraph is not None and name and i:  # the first cell is the card's title
                paragraph.insert(0, nodes.inline("", f"{name}: ", classes=["card-label"]))


def describe(app, page, template, context, doctree):
    """Give a page the description that search engines show: its first paragraph."""
    first = next(iter(doctree.findall(nodes.paragraph)), None) if doctree is not None else None
    if first is not None and not page.startswith("source/"):
        text = escape(" ".join(first.astext().split())[:300], quote=True)
        context["metatags"] = context.get("metatags", "") + f'<meta name="description" content="{text}">'


def navigate(app, page, template, context, doctree):
    """Write the list of all pages, which is in each of them.

    Sphinx makes it from copies of the headings of every page, for every page. That was half of the build.
    """

    def listed(names, level):
        found = ""
        for name in names:
            here = "current " * (name == page)
            inner = listed(app.env.toctree_includes.get(name, ()), level + 1) if name != app.config.root_doc else ""
            on_way = " current" * (name == page or 'class="current"' in inner)
            uri = "#" if name == page else app.builder.get_relative_uri(page, name)
            link = f'<a class="{here}reference internal" href="{uri}">{_title_of(app, name)}</a>'
            found += f'<li class="toctree-l{level}{on_way}">{link}{inner}</li>\n'
        way = ' class="current"' * (" current" in found)
        return found and f"<ul{way}>\n{found}</ul>\n"

    tree = "".join(
        f'<p class="caption" role="heading"><span class="caption-text">{caption}</span></p>\n{listed(pages, 1)}'
        for caption, pages in SECTIONS.items()
    )
    context["toctree"] = lambda **options: tree


@functools.cache
def _title_of(app, page):
    return app.builder.render_partial(app.env.titles[page])["title"]

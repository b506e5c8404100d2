"""Check a built site: links and anchors, text alternatives, nothing from elsewhere, three clicks to everything."""

import sys
from collections import deque
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

__all__ = ["check"]

_LOADED = {("script", "src"), ("img", "src"), ("link", "href"), ("iframe", "src"), ("source", "src"), ("use", "href")}
_NOT_LOADED = {"canonical", "index", "search", "next", "prev", "author"}
_CLICKS = 3


class _Page(HTMLParser):
    """What a page has: anchors, links, and what is wrong with it on its own."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.wrong = set(), [], []
        self.feed(text)
        if "katex-error" in text:
            self.wrong.append("a formula could not be typeset")

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if given.get("id") in self.ids and tag != "path":
            self.wrong.append(f"the id {given['id']} is there twice")
        self.ids |= {given[k] for k in ("id", "name") if given.get(k) and (k == "id" or tag == "a")}
        if tag == "img" and not _is_text(given.get("alt"), given.get("src", "")):
            self.wrong.append(f"the image {given.get('src')} has no text alternative")
        for key in ("href", "src", "action"):
            if given.get(key):
                loaded = (tag, key) in _LOADED and given.get("rel") not in _NOT_LOADED
                self.links.append((tag, given[key], loaded))

    handle_startendtag = handle_starttag


def _is_text(alt, src):
    """Whether an alternative says something; the name of the file does not."""
    return bool(alt and alt.strip()) and alt != src and not alt.endswith((".png", ".svg", ".jpg"))


def check(root: Path) -> list[str]:
    """Print and return what is wrong with a site."""
    root = root.resolve()
    pages = {path: _Page(path.read_text(encoding="utf-8")) for path in sorted(root.rglob("*.html"))}
    wrong = [f"{path.relative_to(root)}: {what}" for path, page in pages.items() for what in page.wrong]
    leads = {}
    for path, page in pages.items():
        leads[path] = set()
        for tag, link, loaded in page.links:
            parts = urlsplit(link)
            if parts.scheme in ("data", "mailto"):
                continue
            if parts.scheme or parts.netloc:
                wrong += [f"{path.relative_to(root)}: {link} is loaded from elsewhere"] if loaded else []
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            why = _broken(root, pages, parts, target)
            if why:
                wrong.append(f"{path.relative_to(root)}: {link} {why}")
            elif tag in ("a", "form"):
                leads[path].add(target)
    wrong += _far(root, pages, leads)
    for line in wrong:
        print(line, file=sys.stderr)
    links = sum(len(page.links) for page in pages.values())
    print(f"{len(pages)} pages and {links:,} links checked: {len(wrong) or 'nothing'} wrong")
    return wrong


def _broken(root, pages, parts, target):
    if parts.path.startswith("/"):
        return "is no relative address, and breaks under a sub-path"
    if not target.is_relative_to(root) or not target.is_file():
        return "leads nowhere"
    if parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].ids:
        return "leads to no anchor"
    return None


def _far(root, pages, leads):
    """List the pages that are more than three clicks from the first one."""
    start = root / "index.html"
    clicks, waiting = {start: 0}, deque([start])
    while waiting:
        page = waiting.popleft()
        for target in leads.get(page, ()):
            if target not in clicks:
                clicks[target] = clicks[page] + 1
                waiting.append(target)
    return [
        f"{path.relative_to(root)}: {clicks.get(path, 'no')} clicks from the first page"
        for path in pages
        if clicks.get(path, 99) > _CLICKS
    ]


if __name__ == "__main__":
    sys.exit(1 if check(Path(sys.argv[1])) else 0)

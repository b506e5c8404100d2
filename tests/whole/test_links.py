"""Links between the pages lead somewhere: to a file that is there, and to a heading that it has."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
AWAY = {".venv", ".venv-oldest", ".venv-site", ".git", "runs", "work", "build", "dist"}
PAGES = sorted(p for p in ROOT.rglob("*.md") if not AWAY & set(p.relative_to(ROOT).parts) and "egg-info" not in str(p))
INLINE = r"\[[^\]]*\]\(\s*<?([^)\s>]+)>?[^)]*\)"
IMAGE = re.compile("!" + INLINE)
LINK = re.compile(INLINE + r"|^\[[^\]]+\]:\s*(\S+)|<(?:img|a)\s[^>]*(?:src|href)=\"([^\"]+)\"", re.M)


def text_of(page):
    """A page without what is code."""
    text = re.sub(r"^(```|~~~).*?^\1", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    return re.sub(r"`[^`\n]*`", "", text)


def targets(text):
    """Where links lead, and images come from; an image may be what one clicks on."""
    return [*IMAGE.findall(text), *("".join(found) for found in LINK.findall(IMAGE.sub("image", text)))]


def anchors(page):
    """The names that GitHub gives to a page's headings, and those that it has written out."""
    text, found = re.sub(r"^(```|~~~).*?^\1", "", page.read_text(encoding="utf-8"), flags=re.M | re.S), []
    for heading in re.findall(r"^#{1,6} +(.+?) *#*$", text, flags=re.M):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").replace("*", "")
        name = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        found.append(f"{name}-{found.count(name)}" if name in found else name)
    return {*found, *re.findall(r"<a (?:id|name)=\"([^\"]+)\"", text)}


def broken(page, target):
    """What is wrong with a link; None if nothing is, or if it leads to the internet."""
    if re.match(r"[a-z]+:", target):
        return None if re.match(r"(https?://[\w.-]+\.[a-z]+(/|$)|mailto:)", target) else "is no address"
    path, _, anchor = target.partition("#")
    place = (page.parent / path).resolve() if path else page
    if not place.exists():
        return "leads to no file"
    if not place.is_relative_to(ROOT):
        return "leads out of the repository"
    if anchor and place.suffix == ".md" and anchor not in anchors(place):
        return "leads to no heading"
    return None


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    wrong = {target: why for target in targets(text_of(page)) if (why := broken(page, target))}
    assert not wrong


def test_broken_links_are_found(tmp_path):
    page = ROOT / "README.md"
    text = (
        '[a](no-such.md) ![b](docs/no-such.png) <img src="gone.svg"> [c](#no-such-heading)\n[d]: LICENSE\n[e](LICENSE)'
        "[![f](docs/rooms.svg)](no-such.toml)"
    )
    assert {target: broken(page, target) for target in targets(text)} == {
        "no-such.md": "leads to no file", "docs/no-such.png": "leads to no file", "gone.svg": "leads to no file",
        "#no-such-heading": "leads to no heading", "LICENSE": None, "docs/rooms.svg": None,
        "no-such.toml": "leads to no file",
    }  # fmt: skip
    assert broken(page, "https://example") == "is no address"
    other = tmp_path / "page.md"
    other.write_text("# `a` & *B*: c_d!\n## Twice\n## Twice\n```\n# no heading\n```\n", encoding="utf-8")
    assert anchors(other) == {"a--b-c_d", "twice", "twice-1"}

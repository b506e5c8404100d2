"""A docstring of minidl as Markdown: prose as it is, and lines such as "Forward   y = …" as a list of definitions."""

import re
from collections.abc import Callable

__all__ = ["as_markdown", "escape"]

_WIDTH = 119  # a line ended before this column was ended on purpose
_LONG = 70  # a line with several formulas that is longer is a line each
_ROW = re.compile(r"(?P<key>\S(?:\S| (?! ))*?)(?P<gap> {2,})(?P<text>\S.*)")
_FORMULA = re.compile(r"[\w ]{1,20}: |∂|.{1,12} = ")  # begins a line of its own
_BULLET = re.compile(r"[-*] |\d+\. ")


def as_markdown(docstring: str, indent: int = 4, link: Callable[[str, str], str] | None = None) -> str:
    """Write a docstring (without its indentation) as Markdown.

    indent  how far it was indented in its file: how wide its lines were
    link    turns (key, text) of a definition into Markdown, after escaping
    """
    blocks = re.split(r"\n\s*\n", docstring.strip("\n"))
    return "\n\n".join(_block(block.splitlines(), indent, link or (lambda _, text: text)) for block in blocks)


def _block(lines, indent, link):
    parts, i = [], 0
    while i < len(lines):
        rows, i = _rows(lines, i)
        if rows:
            parts.append(_definitions(rows, indent, link))
        else:
            start = i
            while i < len(lines) and not (_ROW.fullmatch(lines[i]) and not _BULLET.match(lines[i])):
                i += 1
            parts.append(_prose(lines[start:i]))
    return "\n\n".join(parts)


def _rows(lines, i):
    """Collect (key, its lines, the column they begin in) from line i on."""
    rows = []
    while i < len(lines):
        row = _ROW.fullmatch(lines[i])
        if row and not _BULLET.match(lines[i]):
            rows.append((row["key"], [row["text"]], row.start("text")))
        elif rows and lines[i].startswith(" "):
            rows[-1][1].append(lines[i][min(rows[-1][2], len(lines[i]) - len(lines[i].lstrip())) :])
        else:
            break
        i += 1
    return rows, i


def _definitions(rows, indent, link):
    told = []
    for key, lines, column in rows:
        paragraph = [lines[0]]
        for line in lines[1:]:
            room = _WIDTH - indent - column - len(paragraph[-1].splitlines()[-1])
            ended = room > len(line.split()[0]) + 1 or line.startswith(" ") or _FORMULA.match(line)
            paragraph.append("\n" + line if ended else line)
        text = " ".join(paragraph).replace(" \n", "\n")
        text = "\n".join(re.sub(" {2,}", "\n", line) if len(line) > _LONG else line for line in text.splitlines())
        text = "\\\n  ".join(link(key, escape(line)) for line in text.splitlines())
        told.append(f"{escape(key)}\n: {text}")
    return "\n\n".join(told)


def _prose(lines):
    if any(line.startswith("    ") for line in lines):  # an example or a formula, set apart
        return "```text\n" + "\n".join(lines) + "\n```"
    return "\n".join(escape(line) for line in lines)


def escape(text: str) -> str:
    """Keep signs of mathematics from being read as Markdown, except in `code`; wide gaps stay wide."""
    parts = re.split(r"(`[^`]*`)", text)
    parts = [part if part.startswith("`") else re.sub(r"([\\*_<\[\]|~$#])", r"\\\1", part) for part in parts]
    bullet = _BULLET.match(text)
    joined = "".join(parts)
    if bullet and text.startswith("*"):
        joined = joined.removeprefix("\\")
    return re.sub(r"(?<=\S) {2,}", "\u2003 ", joined)

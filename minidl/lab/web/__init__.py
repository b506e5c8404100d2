"""The sources of the interactive pages, and how one page is put together from them.

A page is one file, without a library and without an address of anything else: it works where it is put. Each `.html` here
names the scripts and styles that belong into it in a comment, `/* include norm.js */`.
"""

import json
import re
from pathlib import Path

__all__ = ["SMALL", "page", "source"]

SMALL = ("drag", "circle", "sliders")  # those that the lessons show
_HERE = Path(__file__).parent


def source(name: str) -> str:
    """Read a file of this folder, such as norm.js."""
    return (_HERE / name).read_text(encoding="utf-8")


def page(name: str, data: object = None, **texts: str) -> str:
    """Put a page together: the scripts and styles that it names, JSON in the place of /* data */, texts of {{name}}.

    Errors  ValueError for a page that does not exist, and for a place in it that nothing fills
    """
    known = sorted(path.stem for path in _HERE.glob("*.html"))
    if name not in known:
        raise ValueError(f"page: there is no page {name!r}; there are {', '.join(known)}")
    text = re.sub(r"/\* include ([\w.]+) \*/", lambda found: source(found[1]).strip(), source(f"{name}.html"))
    for place, value in texts.items():
        text = text.replace(f"{{{{{place}}}}}", value)
    if left := re.findall(r"\{\{(\w+)\}\}", text):
        raise ValueError(f"page: {name} has a place for {', '.join(left)}; pass it")
    if data is not None:
        compact = json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        text = text.replace("/* data */", compact.replace("<", "\\u003c"))  # no text can end the script that holds it
    return text

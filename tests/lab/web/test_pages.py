"""Each page is one file that needs nothing else, and small."""

import re

import pytest

from minidl.lab.web import SMALL, page, source

ALLOWED = {"http://www.w3.org/2000/svg"}  # the name of a language, which nobody fetches
LOADS = re.compile(
    r"<(?:link|img|iframe|script|source|video|audio|object|embed)\b[^>]*(?:src|href|data)=\"(?!data:)", re.I
)


def outside(text):
    """Addresses in a page, and whatever makes a browser fetch something."""
    addresses = set(re.findall(r"(?:https?:|ftp:|wss?:)?//[\w-]+\.[\w./-]+", text)) - ALLOWED
    calls = re.findall(
        r"\b(?:fetch|XMLHttpRequest|importScripts|WebSocket|EventSource|sendBeacon)\b|@import|url\((?!data:)", text
    )
    return [*addresses, *calls, *LOADS.findall(text)]


@pytest.mark.parametrize("name", SMALL)
def test_small_pages_are_small_and_stand_alone(name):
    text = page(name)
    assert len(text.encode()) < 60_000
    assert outside(text) == []
    assert "/* include" not in text
    assert text.count("<h1>") == 1


@pytest.mark.parametrize("name", SMALL)
def test_small_pages_say_something_without_javascript(name):
    assert re.search(r"<noscript><p class=\"says\">.{60,}</p></noscript>", page(name))


@pytest.mark.parametrize("name", SMALL)
def test_every_control_has_a_name(name):
    text = page(name)
    for control in re.findall(r"<(?:input|select)[^>]*\bid=\"([\w-]+)\"", text):
        assert re.search(rf'<label for="{control}"|<label>[^<]*<(?:input|select)[^>]*id="{control}"', text), control


def test_the_search_for_addresses_can_fail():
    for text in (
        '<script src="https://cdn.example.org/x.js">', '<link rel="stylesheet" href="style.css">', "fetch('x')",
        "@import 'x.css'", "background:url(x.png)", "//cdn.example.org/x.js",
    ):  # fmt: skip
        assert outside(text), text
    assert outside("const SVG = 'http://www.w3.org/2000/svg'; // a comment") == []


def test_what_is_missing_is_named():
    with pytest.raises(ValueError, match=r"no page 'no'; there are circle, drag, live, sliders"):
        page("no")
    with pytest.raises(ValueError, match="live has a place for still, about"):
        page("live")


def test_no_text_in_the_data_can_end_its_script():
    text = page("live", {"a": "</script><script>alert(1)</script>"}, still="", about="")
    assert "alert(1)</script>" not in text
    assert "\\u003c/script>" in text


def test_pages_use_one_copy_of_the_arithmetic():
    for name in SMALL:
        assert source("norm.js").strip() in page(name)
        assert "include norm.js" in source(f"{name}.html")

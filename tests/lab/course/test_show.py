"""A page where it can be moved, a picture where not."""

import html
import re

import pytest

from minidl.lab.course import show
from minidl.lab.web import SMALL, page


@pytest.mark.parametrize("name", SMALL)
def test_a_running_notebook_gets_the_page(name, monkeypatch):
    monkeypatch.delenv("MINIDL_NO_WIDGETS", raising=False)
    bundle = show(name)._repr_mimebundle_()
    assert set(bundle) == {"text/html", "text/plain"}
    inside = re.search(r'srcdoc="([^"]*)"', bundle["text/html"])[1]
    assert html.unescape(inside) == page(name)
    assert 'title="' in bundle["text/html"]


@pytest.mark.parametrize("name", SMALL)
def test_a_published_lesson_gets_a_still_and_words(name, monkeypatch):
    monkeypatch.setenv("MINIDL_NO_WIDGETS", "1")
    bundle = show(name)._repr_mimebundle_()
    assert set(bundle) == {"image/png", "text/plain"}
    assert bundle["image/png"].startswith(b"\x89PNG")
    words, described = bundle["text/plain"].split("\n")  # the second line becomes the picture's text alternative
    assert words == repr(show(name))
    assert len(described) > 100
    assert bundle == show(name)._repr_mimebundle_(), "a lesson that is built again is the same"


def test_stills_are_closed(monkeypatch):
    from matplotlib import pyplot

    monkeypatch.setenv("MINIDL_NO_WIDGETS", "1")
    before = pyplot.get_fignums()
    show("drag")._repr_mimebundle_()
    assert pyplot.get_fignums() == before


@pytest.mark.parametrize("name", ["no", "", None, 3])
def test_an_unknown_page_is_named(name):
    with pytest.raises(ValueError, match=r"there is no page .*; there are drag, circle, sliders"):
        show(name)

"""Titles of figures carry one finding, and at most one number."""

import json
import re
from pathlib import Path

import pytest

pytest.importorskip("jupytext")

from minidl.lab.course import notebooks

FOLDER = Path(__file__).parents[3] / "lessons"
LESSONS = notebooks.sources(FOLDER)
lesson = pytest.mark.parametrize("source", LESSONS, ids=[path.stem for path in LESSONS])

DRAWN = r"\d+ (?:lines?|sets? of|bands?|bars?|images?|maps? of)\b"
# What names a thing and measures nothing: a setting (m = 4, rate 0.1), a place (layer 2), a name with a number in it (BN 1).
NAMES = re.compile(
    r"\b[\w̄]+(?: [\w̄]+)? = [−-]?[\d.e−-]+"
    r"|\b(?:rate|lr|std|layers?|step|images?|unit|row|figure|BN|batches of|others|the) s?[\d,.]*\d(?: and \d+)?"
    r"|\(\d{4}\)|m − 2|\bby \d steps|β ± 1\.04|\(std\b[^)]*\)",
    re.I,
)
NUMBER = re.compile(r"\d(?:[\d,]*\d)?(?:\.\d+)?(?:e[−-]?\d+)?(?: (?:of|±) [\d,.]*\d)?")


def titles(alternative):
    """The titles of a picture, from its text alternative: of the whole, and of each panel."""
    parts = re.split(r"(?:^|(?<=\s))\(\d+\) (?=\S)", alternative) if " (1) " in alternative else [alternative]
    for part in parts:
        told = re.split(rf"(?<=[.!?]) (?=(?:{DRAWN}|x:|y:|\d+ panels|Legend|Written in it|Colour))", part)[0]
        if not re.match(rf"{DRAWN}|x:|y:|\d+ panels", told):
            yield told


def numbers(title):
    """The numbers that a title tells; “3 of 5” and “0.5 ± 0.1” are one each."""
    return NUMBER.findall(NAMES.sub(" ", title))


def crowded(source):
    """The titles of a lesson's figures that have more than one number, without pictures of single predictions."""
    for cell in json.loads(source.with_suffix(".ipynb").read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", ()):
            alternative = output.get("metadata", {}).get("image/png", {}).get("alt", "")
            for title in titles(alternative):
                if len(numbers(title)) > 1 and not re.match(r"\d → \d", title):
                    yield title


@lesson
def test_titles_have_at_most_one_number(source):
    found = list(crowded(source))
    assert not found, "\n".join(found)


def test_titles_are_found_in_the_words_of_a_picture():
    one = "It falls. 2 lines. x: step, 0 to 5. Legend: a; b."
    assert list(titles(one)) == ["It falls."]
    two = "Above all. 2 panels. (1) First (a): 3 %. 1 line. x: step. (2) Second. 1 band. y: loss."
    assert list(titles(two)) == ["Above all.", "First (a): 3 %.", "Second."]


@pytest.mark.parametrize(("title", "count"), [
    ("At m = 4 BN reads 3.5 points less", 1), ("3 of 5 are smaller, at rate 0.1", 1), ("+0.53 ± 0.12 points", 1),
    ("96.1 % with BN, 94.0 % without", 2), ("BN is last", 0), ("1,135 images", 1), ("off by 1e-06 inside, 7e-01 outside", 2),
    ("From 15 to 240 it falls", 2),
])  # fmt: skip
def test_numbers_are_counted(title, count):
    assert len(numbers(title)) == count

"""The page that answers d2l's questions: each with a lesson and a row of the ledger, and with numbers that are theirs."""

import json
import re

import pytest

from tests.whole.test_links import ROOT, anchors

PAGE = ROOT / "docs" / "seven-questions.md"
SECTIONS = dict(re.findall(r"^## (\d)\. .*?\n(.*?)(?=^## |\Z)", PAGE.read_text(encoding="utf-8"), re.M | re.S))
question = pytest.mark.parametrize("number", SECTIONS)


def lessons(text):
    return re.findall(r"\]\(\.\./lessons/(\d\d\w*)\.ipynb\)", text)


def claims(text):
    return re.findall(r"\[([\w-]+)\]\(\.\./results/README\.md#([\w-]+)\)", text)


def measured(text):
    """What the ledger's linked rows and the linked lessons' outputs say."""
    told = []
    for name, _ in claims(text):
        verdict = json.loads((ROOT / "results" / f"{name}.json").read_text(encoding="utf-8"))["verdict"]
        told += [verdict["number"], verdict["because"]]
    for stem in lessons(text):
        notebook = json.loads((ROOT / "lessons" / f"{stem}.ipynb").read_text(encoding="utf-8"))
        for cell in notebook["cells"]:
            told += ["".join(output.get("text", "")) for output in cell.get("outputs", ())]
    return told


def unfounded(text):
    """Numbers in bold that none of the linked rows and lessons has, as they are written."""
    bold = [" ".join(number.split()) for number in re.findall(r"\*\*(.+?)\*\*", text, re.S)]
    return [number for number in bold if not any(_stands_in(number, told) for told in measured(text))]


def _stands_in(number, told):
    return re.search(rf"(?<![\d.]){re.escape(number)}(?![\d]|\.\d)", told)


def test_all_questions_are_there():
    assert list(SECTIONS) == list("12345678")


@question
def test_each_is_asked_answered_and_linked(number):
    asked, answer, links = re.fullmatch(
        r"\n\*(.+?)\*\n\n(.+?)\n\n(Lessons?: .+)", SECTIONS[number].rstrip(), re.S
    ).groups()
    assert asked.endswith("?")
    sentences = re.split(r"(?<=[.!?])\s+(?=[A-Z`])", answer)
    assert 3 <= len(sentences) <= 6, sentences
    assert lessons(links)
    assert claims(links)
    for stem in lessons(links):
        assert (ROOT / "lessons" / f"{stem}.ipynb").exists()
    for name, anchor in claims(links):
        assert anchor.startswith(f"{name}-"), "the link's text is the claim's name"
        assert anchor in anchors(ROOT / "results" / "README.md")


@question
def test_numbers_are_those_that_were_measured(number):
    assert re.search(r"\*\*[^*]*\d[^*]*\*\*", SECTIONS[number]) or "nothing here answers" in SECTIONS[number].lower()
    assert unfounded(SECTIONS[number]) == []


def test_a_number_that_nobody_measured_is_found():
    links = "Ledger: [bias](../results/README.md#bias-reproduced)"
    assert unfounded(f"It was **+0.01 ± 0.00** and **0.5**. {links}") == ["+0.01 ± 0.00", "0.5"]
    assert unfounded(f"It was **+0.00 ±\n0.00**. {links}") == []


def test_the_page_is_linked():
    for index in ("docs/README.md", "lessons/README.md"):
        assert "seven-questions.md)" in (ROOT / index).read_text(encoding="utf-8")

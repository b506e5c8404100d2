"""Words are defined before they are used, and numbers that a lesson quotes are those that it has printed."""

import re
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")

from minidl.lab.course import notebooks  # noqa: E402

FOLDER = Path(__file__).parents[3] / "lessons"
LESSONS = notebooks.sources(FOLDER)
lesson = pytest.mark.parametrize("source", LESSONS, ids=[path.stem for path in LESSONS])
GLOSSARY = (FOLDER / "README.md").read_text(encoding="utf-8").partition("## Glossary")[2]
EVERYDAY = {"line", "thread", "point"}  # they have their common meaning, too, and lessons use it before the other
FORMS = {
    "batch": "batch(es)?", "bias": "bias(es)?", "leaf": "lea(f|ves)", "loss": "loss(es)?", "SGD": "SGD",
    "saturation": "saturat(ed|ion)", "node": "nodes?",
}  # fmt: skip
WORDS = {
    word: FORMS.get(word, re.sub(r"\\? ", r"\\s+", re.escape(word)) + "s?")
    for entry in [*re.findall(r"(?m)^- \*\*(.+?)\*\*", GLOSSARY), "node"]
    for word in (w if w.isupper() or w == "tanh" else w[0].lower() + w[1:] for w in entry.split(", "))
    if word not in EVERYDAY
}
NUMBER = re.compile(r"(?<![\w.,^_{−/-])\d[\d,]*(?:\.\d+)?(?![\w^}])")
SMALL = 12  # counts of things that stand in the text
IN_OUR_RUN = re.compile(r"in\s+our\s+run", re.I)


def prose(source, skip=0):
    """The lesson's text in its order, without code, formulas, the targets of links, and the first `skip` cells."""
    cells = notebooks.read(source).cells[skip:]
    text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    text = re.sub(r"```.*?```|`[^`]*`|\$\$.*?\$\$|\$[^$]*\$", " ", text, flags=re.S)
    return re.sub(r"\]\([^)]*\)", "]", text)


def undefined(word, texts):
    """Where a word is used first without being defined: in bold, in the same paragraph or before; None if all is well.

    texts   name → text, in the order in which they are read
    """
    case = 0 if word.isupper() else re.I
    for name, text in texts.items():
        used = re.search(rf"\b{WORDS[word]}\b", text, case)
        if used:
            bold = re.search(rf"\*\*[^*]*\b{WORDS[word]}\b", text, case)
            if not bold:
                return f"{name} uses {word!r} first, and does not define it"
            early = text[: used.start()].count("\n\n") < text[: bold.start()].count("\n\n")
            return f"{name} uses {word!r} before it defines it" if early else None
    return None


TEXTS = {  # the first cell says what the lesson is about
    source.stem: re.sub(r"(?m)^#.*$", "", prose(source, skip=1)) for source in LESSONS
}


@pytest.mark.parametrize("word", WORDS)
def test_words_are_defined_before_they_are_used(word):
    assert undefined(word, TEXTS) is None


def test_a_word_that_is_not_defined_is_found():
    right = {"00": "A **gain** is a factor.", "01": "The gain."}
    assert undefined("gain", right) is None
    assert "does not define" in undefined("gain", {"00": "A gain.", "01": "A **gain** is a factor."})
    assert "before" in undefined("gain", {"00": "A gain.\n\nA **gain** is a factor."})
    assert undefined("gain", {"00": "Again, a **gain** is a factor."}) is None


def numbers(text):
    """(number, its decimals) in a text."""
    for found in NUMBER.findall(text):
        yield float(found.replace(",", "")), len(found.partition(".")[2])


def shown(source):
    """All numbers that a lesson prints, has in its figures' words, or sets in its code; percent also as they are."""
    found = set()
    for cell in nbformat.read(source.with_suffix(".ipynb"), as_version=4).cells:
        text = cell.source if cell.cell_type == "code" else ""
        for output in cell.get("outputs", ()):
            text += (
                "\n"
                + output.get("text", "")
                + "\n".join(str(v) for k, v in output.get("data", {}).items() if "text/" in k)
            )
            text += " ".join(
                value.get("alt", "") for value in output.get("metadata", {}).values() if hasattr(value, "get")
            )
        found |= {
            float(n.replace(",", "").replace("_", "")) for n in re.findall(r"\d[\d,_]*(?:\.\d+)?(?:e[+-]?\d+)?", text)
        }
    return found


def unfounded(text, known):
    """The numbers of what is told of a run, which are not among those known: from "in our run" to the paragraph's end.

    A list that "in our run:" introduces belongs to it.
    """
    wrong, goes_on = [], False
    for paragraph in re.split(r"\n\s*\n|\n(?=- )", text):
        goes_on = goes_on and paragraph.startswith("- ")
        for sentence in re.split(r"(?<=[.:;?!])\s+", paragraph):
            goes_on = goes_on or bool(IN_OUR_RUN.search(sentence))
            if goes_on:
                for value, decimals in numbers(sentence):
                    right = any(round(k * scale, decimals) == value for k in known for scale in (1, 100))
                    if not right and not (decimals == 0 and value <= SMALL):
                        wrong.append(f"{value:g} in: {' '.join(sentence.split())}")
        goes_on = (goes_on and paragraph.rstrip().endswith(":")) or (goes_on and paragraph.startswith("- "))
    return wrong


@lesson
def test_numbers_of_a_run_are_in_its_outputs(source):
    wrong = unfounded(prose(source), shown(source))
    assert not wrong, "\n".join(wrong)


def test_a_number_that_was_not_printed_is_found():
    assert unfounded("In our run it ended at 91 %.", {92.0}) == ["91 in: In our run it ended at 91 %."]
    assert not unfounded("In our run it ended at 92 %, after 2,000 steps.", {91.8, 2000.0})
    assert not unfounded("In our run it was 11.3, in 3 of 5.", {11.3})
    assert len(unfounded("- In our run:\n- plain: 85\n- centred. Some 86.\n\nThat is 99.", set())) == 2
    assert not unfounded("Guessing gives 10 %.", set())

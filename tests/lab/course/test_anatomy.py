"""What every lesson has, found by folder: a lesson that is added comes under these tests when it arrives."""

import ast
import base64
import importlib
import io
import pkgutil
import re
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image

nbformat = pytest.importorskip("nbformat")

from minidl.lab.course import _check, notebooks  # noqa: E402
from tests.lab.course import wrong  # noqa: E402

_check.names()  # loads all checks
FOLDER = Path(__file__).parents[3] / "lessons"
LESSONS = notebooks.sources(FOLDER)
lesson = pytest.mark.parametrize("source", LESSONS, ids=[path.stem for path in LESSONS])
WRONG = {
    name: cases
    for module in pkgutil.iter_modules(wrong.__path__)
    for name, cases in importlib.import_module(f"{wrong.__name__}.{module.name}").WRONG.items()
}
DRAWING = {"ax", "axes", "left", "right", "figure", "plot", "title", "titles", "xlabel", "ylabel"}
WIDEST = 1340  # pixels
MOST_DRAWING = 20  # percent of a lesson's lines
BARE = re.compile(r"(?:\d+ panels\. \(1\) )?(?:\d+ (?:line|band|set|bar|image|map)s?\b|x:|y:)")


def texts(source):
    return [cell.source for cell in notebooks.read(source).cells if cell.cell_type == "markdown"]


def code(source):
    """The cells that a reader runs, without those in which they write."""
    for cell in notebooks.read(source).cells:
        if cell.cell_type == "code" and not any(
            tag.startswith(notebooks.EXERCISE) for tag in cell.metadata.get("tags", ())
        ):
            yield cell.source


def outputs(source):
    for cell in nbformat.read(source.with_suffix(".ipynb"), as_version=4).cells:
        yield from cell.get("outputs", ())


@lesson
def test_opens_with_a_question_and_what_one_needs(source):
    first = texts(source)[0]
    assert first.splitlines()[0].endswith("?"), "the title is no question"
    assert "**You need**" in first


@lesson
def test_asks_for_a_prediction(source):
    assert re.search(r"\bpredictions?\b", "\n".join(texts(source)), re.I)


@lesson
def test_ends_with_what_was_not_shown_a_summary_and_what_comes_next(source):
    whole = "\n".join(texts(source))
    assert re.search(r"^## What (we|was) (did )?not show", whole, re.M)
    assert re.search(r"^## (In short|Summary)", whole, re.M)
    following = LESSONS[LESSONS.index(source) + 1 :]
    if following:
        end = texts(source)[-1]
        assert f"({following[0].stem}.ipynb)" in end[-600:], "no link to the next lesson at the end"
        assert re.search(r"\bnext\b|\bnow\b", end[-600:], re.I)


@lesson
def test_figures_have_titles_and_words(source):
    alternatives = [
        o.metadata[kind]["alt"] for o in outputs(source) for kind in o.get("data", {}) if kind.startswith("image/")
    ]
    assert alternatives
    assert all(len(text) > 40 for text in alternatives)
    assert not [text for text in alternatives if BARE.match(text)], "a figure has no title"


@lesson
def test_figures_are_readable_in_a_column_and_in_a_dark_page(source):
    """In a column of 1,000 pixels the smallest text, 8 points at 100 an inch, has 8 pixels; the paper is white."""
    for output in outputs(source):
        if "image/png" in output.get("data", {}):
            image = Image.open(io.BytesIO(base64.b64decode(output.data["image/png"])))
            told = output.metadata["image/png"]["alt"][:60]
            assert image.width <= WIDEST, f"{image.width} pixels: {told}"
            corners = [(0, 0), (image.width - 1, 0), (0, image.height - 1), (image.width - 1, image.height - 1)]
            assert {image.convert("RGBA").getpixel(place) for place in corners} == {(255, 255, 255, 255)}, told


@lesson
def test_exercises_have_a_check_hints_and_wrong_answers(source):
    cells = notebooks.read(source).cells
    found = notebooks.exercises(notebooks.read(source))
    assert len(found) >= 2
    assert re.search(r"^from minidl\.lab\.course import .*\bhint\b", "\n".join(code(source)), re.M)
    for i, cell in enumerate(cells):
        for name in (
            tag.removeprefix(notebooks.EXERCISE) for tag in cell.metadata.get("tags", ()) if tag in _tags(found)
        ):
            assert f'hint("{name}")' in cell.source, f"{name}: whoever is stuck does not see the hints"
            assert f'check("{name}"' in cells[i + 1].source
            assert len(_check._HINTS[name]) >= 3, name
            assert _check._HINTS[name][0].count("?") or name == "predictions", f"{name}: the first hint is a question"
            assert len(WRONG[name]) >= 3, name


def _tags(names):
    return {notebooks.EXERCISE + name for name in names}


@lesson
def test_hints_do_not_contain_the_answer(source):
    answers = notebooks.exercises(notebooks.read(source.parent / "solutions" / source.name))
    for name, cell in answers.items():
        lines = [line.strip() for line in cell.source.splitlines() if len(line.strip()) > 25]
        for line in lines:
            expression = line.removeprefix("return ").partition(" = ")[2] or line.removeprefix("return ")
            assert not any(len(expression) > 25 and expression in text for text in _check._HINTS[name]), name


@lesson
def test_solutions_say_their_steps(source):
    cells = notebooks.read(source.parent / "solutions" / source.name).cells
    for before, cell in pairwise(cells):
        if cell.metadata.get("tags"):
            assert before.cell_type == "markdown"
            assert len(before.source.split()) > 20, cell.metadata.tags


def drawing(statements):
    """The numbers of the lines that only draw."""
    found = set()
    for statement in statements:
        inner = [part for field in ("body", "orelse", "finalbody") for part in getattr(statement, field, [])]
        last = inner[0].lineno - 1 if inner else statement.end_lineno
        here = range(statement.lineno, last + 1)
        found |= drawing(inner)
        names = {n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and n.lineno in here}
        imports = isinstance(statement, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef)
        if names & DRAWING and not imports:
            found |= set(here)
    return found


@lesson
def test_the_experiment_stands_in_the_cells_and_the_drawing_in_plot(source):
    draws = every = 0
    for text in code(source):
        lines = {i for i, line in enumerate(text.splitlines(), 1) if line.strip() and not line.strip().startswith("#")}
        draws += len(drawing(ast.parse(text).body) & lines)
        every += len(lines)
    assert 100 * draws / every <= MOST_DRAWING, f"{draws} of {every} lines only draw"


def test_lines_that_draw_are_counted():
    text = "x = measure()\nfigure, (ax,) = plot.panels(1)\nfor a in x:\n    ax.plot(a)\n    y = a + 1\nprint(y)"
    assert drawing(ast.parse(text).body) == {2, 4}

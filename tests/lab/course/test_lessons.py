"""The lessons as their readers meet them: they run, source and notebook agree, checks reject and solutions pass."""

import ast
import base64
import importlib
import io
import pkgutil
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

nbformat = pytest.importorskip("nbformat")

from minidl.lab.course import _check, check, notebooks  # noqa: E402
from tests.lab.course import wrong  # noqa: E402

ROOT = Path(__file__).parents[3]
LESSONS = notebooks.sources(ROOT / "lessons")
lesson = pytest.mark.parametrize("source", LESSONS, ids=[path.stem for path in LESSONS])
WRONG = {
    name: cases
    for module in pkgutil.iter_modules(wrong.__path__)
    for name, cases in importlib.import_module(f"{wrong.__name__}.{module.name}").WRONG.items()
}
MEGABYTE = 1_000_000
INDEX = (ROOT / "lessons" / "README.md").read_text(encoding="utf-8")


def solutions(source):
    """Answers by exercise, as text."""
    path = source.parent / "solutions" / source.name
    return {n: cell.source for n, cell in notebooks.exercises(notebooks.read(path)).items()} if path.exists() else {}


def texts(notebook):
    """Everything that stands in the outputs as text."""
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if output.output_type == "error":
                yield f"error: {output.ename}"
            yield from ("stderr: " + output.text,) if output.get("name") == "stderr" else ()
            yield output.get("text", "")
            yield from (str(v) for k, v in output.get("data", {}).items() if k.startswith("text/"))


def alternatives(notebook):
    """What each picture of a notebook says to those who cannot see it."""
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            for kind in output.get("data", {}):
                if kind.startswith("image/"):
                    yield output.metadata.get(kind, {}).get("alt", "")


def checks(notebook):
    """Exercise → the call of `check` in the notebook, as an expression."""
    calls = {}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            for node in ast.walk(ast.parse(re.sub(r"^[%!].*$", "", cell.source, flags=re.M))):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "check":
                    calls[node.args[0].value] = ast.unparse(node)
    return calls


@lesson
def test_runs_in_quick_mode(source, tmp_path):
    notebook = notebooks.read(source)
    notebooks.execute(notebook, source.parent, quick=True)
    printed = list(texts(notebook))
    assert not [text for text in printed if text.startswith(("error", "stderr"))]
    for name in notebooks.exercises(notebook):
        assert any(f"{name}: not attempted" in text for text in printed), f"{name} is not checked where it stands"
    described = list(alternatives(notebook))
    assert described
    assert all(len(text) > 40 for text in described), "a figure has no words"
    assert not any("Figure size" in text for text in described)


@pytest.mark.full
@lesson
def test_runs_with_the_solutions(source):
    notebook = notebooks.inject(notebooks.read(source), solutions(source))
    notebooks.execute(notebook, source.parent)
    printed = list(texts(notebook))
    warned = [text for text in printed if text.startswith(("error", "stderr"))]
    assert not [text for text in warned if "could not download MNIST" not in text]  # without a network, that is said
    for name in notebooks.exercises(notebook):
        assert any(f"{name}: pass" in text for text in printed), f"{name} does not pass"


@lesson
def test_source_and_notebook_agree(source):
    committed = nbformat.read(source.with_suffix(".ipynb"), as_version=4)

    def cells(notebook):
        return [(c.cell_type, c.source, c.metadata.get("tags", [])) for c in notebook.cells]

    same = cells(notebooks.read(source)) == cells(committed)
    assert same, f"the notebook is older than its source: make lessons-build LESSONS={source.name[:2]}"


@lesson
def test_outputs_are_fit_to_print(source):
    path = source.with_suffix(".ipynb")
    assert path.stat().st_size < 1.5 * MEGABYTE
    for text in texts(nbformat.read(path, as_version=4)):
        assert not text.startswith(("error", "stderr")), text
        assert not re.search(r"Warning|Traceback|/home/|/root/|/tmp/|/work/|/Users/|[A-Z]:\\", text), text


@lesson
def test_opens_with_its_question_and_time(source):
    first = notebooks.read(source).cells[0]
    assert first.cell_type == "markdown"
    number = source.stem.partition("_")[0]
    assert first.source.startswith(f"# {number} ")
    found = re.search(
        r"\*\*Time\*\*: about (.+?) with the exercises; the cells run in about (.+?) on two cores", first.source
    )
    row = re.search(rf"^\| \[{number}\]\({source.stem}\.ipynb\) .*$", INDEX, re.M)[0]
    assert tuple(cell.strip() for cell in row.split("|")[3:5]) == found.groups(), "the index tells other times"
    assert int(found[1].removesuffix(" minutes")) <= 90, "at most an hour and a half of a student's time"


@lesson
def test_links_lead_somewhere(source):
    for cell in notebooks.read(source).cells:
        if cell.cell_type != "markdown":
            continue
        for target in re.findall(r"\]\(([^)]+)\)", cell.source):
            if not target.startswith(("http://", "https://", "#", "attachment:")):
                assert (source.parent / target.split("#")[0]).exists(), target
        for path, name in re.findall(r"\[`(\w+)[^`]*`\]\(\.\./(minidl/[\w/]+\.py)\)", cell.source):
            text = (ROOT / name).read_text(encoding="utf-8")
            assert re.search(rf"\b{path}\b", text), f"{name} has no {path}"


@lesson
def test_cells_are_short(source):
    for cell in notebooks.read(source).cells:
        assert cell.cell_type != "code" or len(cell.source.splitlines()) <= 30, cell.source


@lesson
def test_solutions_pass(source, capsys):
    notebook, answers = notebooks.read(source), solutions(source)
    calls = checks(notebook)
    assert set(answers) == set(notebooks.exercises(notebook))
    assert len(answers) >= 2
    for name, answer in answers.items():
        scope = {"check": check}
        exec(answer, scope)
        assert eval(calls[name], scope) == _check.PASS, capsys.readouterr().out


@pytest.mark.parametrize("name", _check.names())
def test_wrong_answers_fail_with_the_right_message(name, capsys):
    assert len(WRONG[name]) >= 3, f"{name} needs at least three wrong answers"
    for answers, message in WRONG[name]:
        assert check(name, *answers) == _check.FAIL, message
        assert message in capsys.readouterr().out


def test_a_graph_is_described_by_its_text():
    data = {"image/svg+xml": "<svg/>", "text/plain": "#1  a * b   6.0\n#2  #1 + c  8.0"}
    metadata = notebooks._alternative(data)
    assert metadata == {"image/svg+xml": {"alt": "A graph of 2 nodes: #1 a * b 6.0; #2 #1 + c 8.0."}}
    assert data["text/plain"].startswith("#1  a * b")
    assert notebooks._alternative({"text/plain": "6.0"}) == {}


def test_a_packed_picture_has_the_same_pixels_and_takes_no_more_room():
    pixels = np.random.default_rng(0).integers(0, 3, (60, 80, 4), np.uint8) * 90
    plain = io.BytesIO()
    Image.fromarray(pixels).save(plain, "PNG", compress_level=0)
    before = base64.b64encode(plain.getvalue()).decode() + "\n"
    after = notebooks._packed(before)
    assert len(after) < len(before) / 2
    with Image.open(io.BytesIO(base64.b64decode(after))) as image:
        np.testing.assert_array_equal(np.asarray(image), pixels)
    assert notebooks._packed(after) == after


def test_a_packed_picture_without_transparency_has_three_channels():
    pixels = np.random.default_rng(0).integers(0, 3, (60, 80, 4), np.uint8) * 90
    pixels[..., 3] = 255
    plain = io.BytesIO()
    Image.fromarray(pixels).save(plain, "PNG")
    after = notebooks._packed(base64.b64encode(plain.getvalue()).decode() + "\n")
    with Image.open(io.BytesIO(base64.b64decode(after))) as image:
        np.testing.assert_array_equal(np.asarray(image), pixels[..., :3])


def test_every_check_belongs_to_a_lesson():
    known = {name for source in LESSONS for name in notebooks.exercises(notebooks.read(source))}
    assert known == set(_check.names()) == set(WRONG)

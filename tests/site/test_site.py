"""The site's parts that need no Sphinx: public names, docstrings as Markdown, links, text alternatives, the checker."""

import ast
import json
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs" / "site"))

import check  # noqa: E402
import docstrings  # noqa: E402
import names  # noqa: E402
import reference  # noqa: E402
import stage  # noqa: E402

sys.path.remove(str(ROOT / "docs" / "site"))

NOTEBOOKS = sorted((ROOT / "lessons").glob("*.ipynb"))


# ---- the reference -------------------------------------------------------------------------------------------------------


def public():
    """Every (file, name) that a module offers, read without the code under test: from `__all__`."""
    found = set()
    for module in names.modules():
        for node in ast.parse(names.file_of(module).read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
                found |= {(module, name) for name in ast.literal_eval(node.value)}
    return found


def test_every_public_name_is_described_once():
    described = [p for listed in reference.entries().values() for found in listed.values() for p in found]
    places = [(p.file, getattr(p.node, "name", p.name)) for p in described]
    assert len(places) == len(set(places)) > 300
    for module, name in public():
        defined = names.definition(module, name)
        if defined is not None:  # else a module of minidl, or Numba's
            assert (defined.file, getattr(defined.node, "name", name)) in places, f"{module}.{name}"


def test_every_public_module_is_on_a_page():
    listed = [module for found in reference.pages().values() for module in found]
    assert len(listed) == len(set(listed))
    assert {module for module in names.modules() if names.offered(module)} <= set(listed)


def test_names_are_described_where_one_imports_them():
    full = {p.full for listed in reference.entries().values() for found in listed.values() for p in found}
    assert {"minidl.Tensor", "minidl.functional.batch_norm", "minidl.nn.BatchNorm", "minidl.nn.init.normal_"} <= full
    assert "minidl.ops.norm.batch_norm" not in full


def test_an_entry_has_its_definitions_source_and_lessons():
    text = reference.page("functional")
    entry = text[text.index("{py:function} batch_norm(x: Tensor") :].partition("\n``````\n")[0]
    for key in ("Forward", "Backward", "Shape", "Errors", "Source"):
        assert f"\n{key}\n: " in entry
    line = names.line_of(ROOT / "minidl/ops/norm.py", "batch_norm")
    assert f"(/minidl/ops/norm.py#L{line})" in entry
    assert "(/lessons/05_algorithm_1.ipynb#four-lines)" in entry
    assert "derives the forward, [06](/lessons/06_backward.ipynb)" in entry


def test_a_class_has_its_operators_and_what_it_inherits():
    text = reference.page("tensor")
    tensor = text[text.index("{py:class} Tensor(data: Operand") :].partition("\n``````\n")[0]
    operators = re.search(r"^Operators: .*", tensor, re.M)[0]
    for sign in ("x + y", "1 + x", "x @ y", "-x", "x[index]", "len(x)", "float(x)"):
        assert f"[`{sign}`](/minidl/" in operators
    assert re.search(r"Inherited from \[`Node`\].*\[`backward`\]", tensor)
    assert "{py:method} item()" in tensor  # of a private base, which has no place of its own
    norm = reference.page("nn")
    norm = norm[norm.index("{py:class} BatchNorm(") :].partition("\n``````\n")[0]
    assert re.search(r"Inherited from \[`Module`\].*\[`parameters`\]", norm)
    assert not re.search(r"Inherited from \[`Module`\].*\[`forward`\]", norm)  # it has its own


# ---- docstrings ----------------------------------------------------------------------------------------------------------


def test_rows_become_definitions_and_formulas_keep_their_lines():
    text = docstrings.as_markdown(
        "Do it.\n\nForward   y = 2·x    z = y*y\n          training: y = 3·x\nShape     x (N,)\n\nMore."
    )
    assert text == "Do it.\n\nForward\n: y = 2·x\u2003 z = y\\*y\\\n  training: y = 3·x\n\nShape\n: x (N,)\n\nMore."


def test_many_formulas_in_a_row_become_lines():
    first, second = "y = " + "a + " * 10 + "a", "z = " + "b + " * 10 + "b"
    assert docstrings.as_markdown(f"Forward   {first}    {second}") == f"Forward\n: {first}\\\n  {second}"


def test_a_sentence_that_was_wrapped_flows_again():
    long = (
        "a sentence that goes on, and on, until there is no more room for a word in its line, so that it was cut here"
    )
    text = docstrings.as_markdown(f"x    {long}\n     then ends", 4)
    assert text == f"x\n: {long} then ends"


def test_lists_and_blocks_are_left_alone():
    assert docstrings.as_markdown("- one  thing\n- `a_b` and c_d") == "- one\u2003 thing\n- `a_b` and c\\_d"
    assert docstrings.as_markdown("As in\n    a  b\n    c") == "```text\nAs in\n    a  b\n    c\n```"


# ---- links ---------------------------------------------------------------------------------------------------------------


def test_definitions_are_found_by_name():
    tensor = ROOT / "minidl/tensor.py"
    lines = tensor.read_text(encoding="utf-8").splitlines()
    assert lines[names.line_of(tensor, "Tensor.__mul__") - 1].strip().startswith("def __mul__")
    assert lines[names.line_of(tensor, "__mul__") - 1].strip().startswith("def __mul__")
    assert lines[names.line_of(tensor, "Tensor") - 1].startswith("class Tensor")
    assert names.line_of(tensor, "no_such_name") is None
    assert names.line_of(tensor, "Tensor.no_such_name") is None
    with pytest.raises(KeyError, match="has no no_such_name"):
        names.definition("minidl.tensor", "no_such_name")


@pytest.mark.parametrize("lesson", NOTEBOOKS, ids=lambda p: p.stem)
def test_lessons_link_to_definitions_that_are_there(lesson):
    text = lesson.with_suffix(".py").read_text(encoding="utf-8")
    for name, path in re.findall(r"\[`([\w.]+)[^`]*`\]\(\.\./(minidl/[\w/]+\.py)\)", text):
        assert names.line_of(ROOT / path, name), f"{path} has no {name}"


# ---- text alternatives ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda p: p.stem)
def test_every_figure_of_a_lesson_has_a_text_alternative(notebook):
    seen = 0
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", ()):
            for kind in output.get("data", {}):
                if kind.startswith("image/"):
                    seen += 1
                    text = output["metadata"].get(kind, {}).get("alt", "")
                    assert len(text) > 40, f"{cell['id']}: make lessons-build LESSONS={notebook.name[:2]}"
    assert seen >= 2


PAGES = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *ROOT.glob("*/README.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_every_picture_of_a_page_has_a_text_alternative(page):
    for text in re.findall(r"!\[((?:\\.|[^\]\\])*)\]\(", page.read_text(encoding="utf-8")):
        assert len(text) > 20, f"{page}: {text!r}"


# ---- lessons and the first page ------------------------------------------------------------------------------------------


def staged(stem):
    """The cells of a lesson on the site: (kind, source)."""
    file = Path("lessons", f"{stem}.ipynb")
    lesson = stage._lesson(file, json.loads((ROOT / file).read_text(encoding="utf-8")))
    return [(cell["cell_type"], "".join(cell["source"])) for cell in json.loads(lesson)["cells"]]


@pytest.mark.parametrize(
    ("stem", "pages"), [("05_algorithm_1", ["drag", "sliders"]), ("06_backward", ["drag", "circle"])]
)
def test_an_interactive_page_is_in_its_place_and_its_still_only_without_javascript(stem, pages):
    cells = staged(stem)
    shown = [i for i, (kind, source) in enumerate(cells) if kind == "code" and "show(" in source]
    assert [re.search(r'"(\w+)"', cells[i][1])[1] for i in shown] == pages
    for i, page in zip(shown, pages, strict=True):
        assert re.search(rf'<iframe class="live small" src="\.\./docs/live/{page}\.html" title="[^"]+', cells[i - 1][1])
        assert cells[i - 1][1].rstrip("`\n").endswith("<noscript>")
        assert "</noscript>" in cells[i + 1][1]
        assert (ROOT / f"docs/live/{page}.html").exists()


def test_other_cells_are_left_alone():
    assert stage._shown({"cell_type": "code", "source": "figure = show(1)", "id": "a"}) is None
    assert stage._shown({"cell_type": "markdown", "source": 'show("drag")', "id": "a"}) is None


def test_the_first_page_says_for_whom_before_its_figure_and_says_it_once():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    first = stage._landing(readme)
    whom = re.search(r"^It is for .*?\.", readme, re.M | re.S)[0]
    assert first.count(whom) == 1
    assert first.index(whom) < first.index("{.start}") < first.index('<iframe class="live"') < first.index("## Run it")
    still = re.search(r"^\[!\[.*\]\(docs/live/.*$", readme, re.M)[0]  # in whose place the figure itself is
    lost = set(readme.replace(still, "").split()) - set(first.split())
    assert not lost, "something of README is not on the first page"


def test_a_still_of_the_living_figure_gives_way_to_the_figure_itself():
    still = "[![Layers.](docs/live/sigmoid.png)](docs/live/index.html)"
    readme = f"# m\n\nWhat it is.\n\n{still}\n\n![Other](docs/a.png)\n\nIt is for you. More.\n"
    first = stage._landing(readme)
    assert "sigmoid.png" not in first
    assert "![Other](docs/a.png)" in first
    assert first.index("It is for you.") < first.index("<iframe") < first.index("More.")


# ---- the checker ---------------------------------------------------------------------------------------------------------

GOOD = '<html><a href="b.html#there">b</a><img src="c.png" alt="A curve that falls."></html>'


@pytest.fixture
def site(tmp_path):
    (tmp_path / "index.html").write_text(GOOD, encoding="utf-8")
    (tmp_path / "b.html").write_text('<p id="there"><a href="c.png">c</a></p>', encoding="utf-8")
    (tmp_path / "c.png").write_bytes(b"")
    return tmp_path


def test_a_sound_site_passes(site, capsys):
    assert check.check(site) == []
    assert "nothing wrong" in capsys.readouterr().out


@pytest.mark.parametrize(("html", "message"), [
    ('<a href="gone.html">x</a>', "gone.html leads nowhere"),
    ('<a href="b.html#gone">x</a>', "b.html#gone leads to no anchor"),
    ('<a href="/b.html">x</a>', "/b.html is no relative address, and breaks under a sub-path"),
    ('<a href="../outside.html">x</a>', "../outside.html leads nowhere"),
    ('<img src="c.png">', "the image c.png has no text alternative"),
    ('<img src="c.png" alt=" ">', "the image c.png has no text alternative"),
    ('<img src="c.png" alt="_images/c.png">', "the image c.png has no text alternative"),
    ('<script src="https://cdn.example.org/x.js"></script>', "https://cdn.example.org/x.js is loaded from elsewhere"),
    ('<link rel="stylesheet" href="https://example.org/x.css">', "https://example.org/x.css is loaded from elsewhere"),
    ('<p id="a"></p><p id="a"></p>', "the id a is there twice"),
    ('<span class="katex-error">x</span>', "a formula could not be typeset"),
])  # fmt: skip
def test_what_is_wrong_is_found(site, html, message):
    (site / "index.html").write_text(GOOD + html, encoding="utf-8")
    assert check.check(site) == [f"index.html: {message}"]


def test_links_to_other_sites_are_allowed(site):
    (site / "index.html").write_text(GOOD + '<a href="https://arxiv.org/abs/1502.03167">paper</a>', encoding="utf-8")
    assert check.check(site) == []


def test_a_page_that_is_four_clicks_away_is_found(site):
    for i, name in enumerate("pqrs"):
        following = "pqrs"[i + 1 : i + 2]
        (site / f"{name}.html").write_text(f'<a href="{following}.html">x</a>' if following else "", encoding="utf-8")
    (site / "index.html").write_text(GOOD + '<a href="p.html">p</a>', encoding="utf-8")
    assert check.check(site) == ["s.html: 4 clicks from the first page"]

"""What readers meet first: a README that is short and runs, pages that name what is there, a drawing of the imports."""

import importlib.util
import re

import numpy as np
import pytest

from minidl import data
from tests.helpers import JIT
from tests.whole.test_links import PAGES, ROOT, targets

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_pages_name_files_that_exist():
    """Paths in code, `minidl/…` or `tests/…`, not only links."""
    missing = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        named = re.findall(r"`((?:minidl|tests|docs|lessons)/[\w/.]+?)(?:::\w+)?`", text)
        missing += [(page.name, name) for name in named if not (ROOT / name).exists()]
    assert missing == []


def test_documents_are_listed():
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    assert {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"} <= set(targets(index))


# ---- README --------------------------------------------------------------------------------------------------------------


def test_readme_has_at_most_900_words():
    assert len(README.split()) <= 900  # as `wc -w` counts, tables and code included


def test_readme_shows_python_before_anything_else():
    before = README.partition("```python")[0]
    assert len(before.splitlines()) <= 10
    assert "```" not in before


def python_of_readme():
    return re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.mark.skipif(not JIT, reason="takes long as plain Python")
def test_the_python_of_readme_runs_and_learns(monkeypatch):
    monkeypatch.setattr(data, "mnist", lambda: data.strokes(train=6000, test=100))
    (code,) = python_of_readme()
    names = {}
    exec(compile(code, "README.md", "exec"), names)
    model, test = names["model"], names["test"]
    model.eval()
    pixels = test.images.reshape(-1, 784).astype("float32") / 255
    right = model(names["Tensor"](pixels)).data.argmax(-1) == test.labels
    assert np.mean(right) > 0.5  # one of ten by chance


def test_the_commands_of_readme_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        targets = re.findall(r"(?:^|`)make ([a-z][a-z-]*)", text, re.MULTILINE)
        assert [target for target in targets if f"\n{target}:" not in makefile] == [], page.name


# ---- the drawing ---------------------------------------------------------------------------------------------------------


def drawing():
    spec = importlib.util.spec_from_file_location("draw_rooms", ROOT / "docs" / "draw_rooms.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_drawing_of_the_rooms_shows_the_imports():
    rooms = drawing()
    committed = (ROOT / "docs" / "rooms.svg").read_text(encoding="utf-8")
    assert committed == rooms.draw(rooms.imports()), "the imports have changed: python docs/draw_rooms.py"


def test_the_drawing_leaves_out_arrows_that_others_imply(tmp_path):
    rooms = drawing()
    for name, text in {
        "nn/layers": "from minidl import functional as F\nfrom minidl.ops.linear import linear",
        "functional": "def f():\n    import minidl.ops.linear",
        "ops/linear": "import numpy",
        "random": "",
        "ops/norm": "from minidl import random",
    }.items():
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    graph = rooms.imports(tmp_path)
    assert graph == {"nn": {"functional", "ops"}, "functional": {"ops"}, "ops": set()}
    assert sorted(rooms.arrows(graph)) == [("functional", "ops"), ("nn", "functional")]
    assert rooms.floors(graph) == [["nn"], ["functional"], ["ops"]]
    with pytest.raises(ValueError, match="cellar: give the layer"):
        rooms.draw({**graph, "cellar": set()})
    assert rooms.draw(graph) != rooms.draw({**graph, "nn": {"ops"}})

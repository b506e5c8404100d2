"""The code of docs/recipes.md runs, in order, and does what the page says; its picture shows what there is."""

import importlib.util
import re

import numpy as np
import pytest

from minidl import nn
from minidl.data import augment
from tests.helpers import JIT
from tests.whole.test_links import ROOT

DRAWING = ROOT / "docs" / "draw_augment.py"
PAGE = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")


@pytest.mark.skipif(not JIT, reason="takes long as plain Python")
def test_the_code_of_the_page_runs(capsys):
    n, side, batch = 64, 32, 8
    labels = np.arange(n) % 2
    noise = np.random.default_rng(0).integers(0, 256, (n, side, side, 3))
    names = {"images": (noise // (1 + labels[:, None, None, None])).astype(np.uint8), "labels": labels}
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    code = "\n".join(block for block in blocks if "SummaryWriter" not in block)  # for that see test_probe_records.py
    code = code.replace("// 64)", f"// {batch})").replace("batch_size=64", f"batch_size={batch}")
    exec(compile(code, "recipes.md", "exec"), names)
    printed = capsys.readouterr().out
    assert re.match(r"[\d.]+%, with six views [\d.]+%\n", printed)
    assert "parameters (" in printed
    assert "GlobalAvgPool2d" in printed
    assert names["step"] == names["steps"] == 2 * n // batch
    model, optimizer = names["model"], names["optimizer"]
    assert [name for name, p in model.named_parameters() if not p.requires_grad] == ["0.weight"]
    assert [p is model[4].bias for p in optimizer.param_groups[0]["params"]] == [True]
    assert len(optimizer.param_groups[1]["params"]) == len(list(model.parameters())) - 1
    np.testing.assert_allclose(names["schedule"].get_last_lr(), [0.64 * 0.07, 0.01 * 0.07])
    assert isinstance(model[4], nn.BatchNorm)
    assert all(np.isfinite(array).all() for array in model.state_dict().values())


def test_the_picture_shows_each_augmentation():
    spec = importlib.util.spec_from_file_location("draw_augment", DRAWING)
    drawing = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(drawing)
    rows = drawing.rows()
    images = rows.pop("images")
    assert {name.split(",")[0] for name in rows} == set(augment.__all__)
    assert all(row.shape == images.shape and np.any(row != images) for row in rows.values())
    assert DRAWING.with_name("augment.png").read_bytes().startswith(b"\x89PNG")

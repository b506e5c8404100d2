"""The code of docs/exchange.md runs, in order, and does what the page says."""

import re

import numpy as np
import pytest

from minidl import Tensor
from tests.exchange.architectures import torch
from tests.whole.test_links import ROOT

PAGE = (ROOT / "docs" / "exchange.md").read_text(encoding="utf-8")


def test_the_code_of_the_page_runs(tmp_path, monkeypatch):
    for package in ("onnx", "onnxruntime", "safetensors"):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL):
        exec(compile(block, "exchange.md", "exec"), names)
    x = np.random.default_rng(0).standard_normal((3, 32, 32, 3)).astype(np.float32)
    expected = names["theirs"].eval()(torch.from_numpy(x.transpose(0, 3, 1, 2).copy())).detach().numpy()
    np.testing.assert_allclose(names["model"](Tensor(x)).data, expected, atol=1e-5)
    np.testing.assert_allclose(names["session"].run(None, {"input": x})[0], expected, atol=1e-5)
    assert {path.name for path in tmp_path.iterdir()} == {"run.safetensors", "for_pytorch.safetensors", "model.onnx"}
    assert names["settings"] == {"step": 7}


def test_the_page_names_what_there_is():
    from minidl.exchange import onnx

    assert f"the version\nof the operators, {onnx.USUAL} if you do not say" in PAGE

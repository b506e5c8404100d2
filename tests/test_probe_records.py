"""What a Probe saw, taken elsewhere: plain records, JSON lines, and files that outlive a run."""

import json
import math
import os
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest

import minidl
from minidl import Tensor, nn, optim
from minidl import functional as F
from minidl.probe import Probe

ROOT = Path(minidl.__file__).parents[1]


def train(steps, first=0, **settings):
    rng = np.random.default_rng(0)
    model = nn.Sequential(nn.Linear(4, 3, generator=rng), nn.ReLU(), nn.Linear(3, 2, generator=rng))
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with Probe(model, ["0", "1"], **{"every": 1} | settings) as probe:
        probe.now = first
        for _ in range(steps):
            optimizer.zero_grad()
            x = rng.standard_normal((5, 4)).astype(np.float32)
            F.cross_entropy(model(Tensor(x)), np.arange(5) % 2).backward()
            optimizer.step()
            probe.step()
    return probe


def read(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_records_are_all_numbers_of_the_rows():
    probe = train(3, edges=[-1, 0, 1], per_unit=True)
    records = probe.records()
    assert all(list(record) == ["step", "layer", "name", "value"] for record in records)
    assert {(type(r["step"]), type(r["layer"]), type(r["name"])) for r in records} == {(int, str, str)}
    assert {type(r["value"]) for r in records} == {int, float}
    assert len(records) == sum(np.size(value) for row in probe.rows for value in row[3].values())
    found = {(r["step"], r["layer"], r["name"]): r["value"] for r in records}
    assert len(found) == len(records)
    for step, layer, what, stats in probe.rows:
        assert found[step, layer, f"{what}.mean"] == stats["mean"]
        assert found[step, layer, f"{what}.std"] == stats["std"]
        if "percentiles" in stats:
            assert [found[step, layer, f"{what}.p{p}"] for p in (15, 50, 85)] == list(stats["percentiles"])
        if "counts" in stats:
            assert [found[step, layer, f"{what}.counts.{i}"] for i in (0, 1)] == list(stats["counts"])
            units = [found[step, layer, f"{what}.{unit}.p50"] for unit in range(3)]
            assert units == list(stats["unit_percentiles"][:3, 1])
    assert (2, "0", "update.log10_ratio") in found
    assert (0, "1", "output.saturated") in found


def test_a_file_of_records_is_what_there_was_and_replaces_an_older_one(tmp_path):
    path = tmp_path / "probe.jsonl"
    path.write_text("older")
    probe = train(2)
    probe.to_jsonl(path)
    assert read(path) == probe.records()
    probe.to_jsonl(str(path))
    assert read(path) == probe.records()
    assert os.listdir(tmp_path) == ["probe.jsonl"]
    empty = Probe(nn.ReLU(), "")
    empty.to_jsonl(path)
    assert path.read_bytes() == b""


def test_a_probe_writes_while_it_records(tmp_path):
    path = tmp_path / "a" / "probe.jsonl"
    probe = train(5, every=2, jsonl=path)
    assert read(path) == probe.records()
    assert {r["step"] for r in read(path)} == {0, 2, 4}
    resumed = train(2, first=6, every=2, jsonl=path)
    assert read(path) == probe.records() + resumed.records()
    assert {r["step"] for r in resumed.records()} == {6}


def test_what_is_not_finite_is_null_in_the_file_and_a_float_in_records(tmp_path):
    model = nn.Sequential(nn.Linear(2, 2, generator=np.random.default_rng(0)))
    with Probe(model, "0", every=1, jsonl=tmp_path / "probe.jsonl") as probe, np.errstate(all="ignore"):
        model(Tensor(np.array([[np.nan, 1.0], [np.inf, 2.0]], np.float32)))
        probe.step()
    text = (tmp_path / "probe.jsonl").read_text()
    assert "NaN" not in text
    assert "Infinity" not in text
    values = {(r["name"]): r["value"] for r in probe.records()}
    assert math.isnan(values["input.mean"])
    assert values["update.log10_ratio"] == -math.inf  # no step was taken
    assert {r["name"]: r["value"] for r in read(tmp_path / "probe.jsonl")}["update.log10_ratio"] is None


DYING = """
import os, signal, sys
from tests.test_probe_records import *
import minidl.probe as module
rng = np.random.default_rng(0)
model = nn.Sequential(nn.Linear(4, 3))
optimizer = optim.SGD(model.parameters(), lr=0.1)
probe = Probe(model, "0", every=1, jsonl=sys.argv[1])
for step in range(10):
    if step == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    F.cross_entropy(model(Tensor(np.ones((5, 4), np.float32))), np.zeros(5, int)).backward()
    optimizer.step()
    probe.step()
"""


@pytest.mark.skipif(os.name != "posix", reason="what only Unix has")
def test_a_run_that_is_killed_keeps_what_it_wrote(tmp_path):
    path = tmp_path / "probe.jsonl"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", DYING, str(path)], cwd=ROOT, env=environment, capture_output=True)
    assert done.returncode == -9, done.stderr
    assert [r["step"] for r in read(path) if r["name"] == "output.std"] == list(range(7))


def test_where_nothing_can_be_written_it_is_said_at_once_or_in_the_step(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        Probe(nn.ReLU(), "", jsonl=tmp_path / "file" / "probe.jsonl")
    model = nn.ReLU()
    with pytest.raises(IsADirectoryError, match=r"Probe: .* is a folder; name a file in it"):
        Probe(model, "", jsonl=tmp_path)
    assert not model._forward_hooks
    probe = Probe(model, "", every=1, jsonl=tmp_path / "probe.jsonl")
    (tmp_path / "probe.jsonl").unlink()
    (tmp_path / "probe.jsonl").mkdir()
    model(Tensor([[1.0, 2.0]]))
    with pytest.raises(OSError, match=r"probe\.jsonl"):
        probe.step()
    assert (probe.now, len(probe.rows)) == (1, 2)  # the records are there, and the step is counted


def test_the_lines_of_the_recipe_feed_pandas_and_tensorboard(monkeypatch):
    """With the libraries, if they are here; else with what they would be given."""
    page = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    (code,) = [block for block in page.split("```python\n")[1:] if "add_scalar" in block]
    seen = []

    class Writer:
        def __init__(self, folder):
            assert folder == "runs/board"

        def add_scalar(self, tag, value, step):
            assert isinstance(tag, str)
            assert isinstance(value, float | int)
            seen.append((tag, step))

        def close(self):
            seen.append("closed")

    class DataFrame(list):
        def to_csv(self, path):
            seen.append(path)

    torch = types.ModuleType("torch.utils.tensorboard")
    torch.SummaryWriter = Writer
    pandas = types.ModuleType("pandas")
    pandas.DataFrame = DataFrame
    for name, module in {
        "torch": torch,
        "torch.utils": torch,
        "torch.utils.tensorboard": torch,
        "pandas": pandas,
    }.items():
        monkeypatch.setitem(sys.modules, name, module)
    probe = train(2)
    exec(compile(code.split("```")[0], "recipes.md", "exec"), {"probe": probe})
    assert len([item for item in seen if isinstance(item, tuple)]) == len(probe.records())
    assert ("0/output.std", 1) in seen

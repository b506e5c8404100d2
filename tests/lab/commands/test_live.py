"""`minidl live` as its user meets it; the runs are made up, as real ones take minutes."""

import json
import re

import pytest

from minidl.lab.commands import live
from minidl.lab.commands.main import main
from minidl.lab.live.record import RECORDING
from tests.lab.live.fakes import record

FILES = ["circle.html", "conv.png", "drag.html", "index.html", "sigmoid.png", "sliders.html"]


@pytest.fixture
def done(monkeypatch):
    """The configurations that were run."""
    seen = []

    def run(config, digits):
        assert digits.train.images.shape[1:] == (28, 28)
        seen.append(config)
        return record(config)

    monkeypatch.setattr(live, "RECORDING", RECORDING._replace(run=run))
    return seen


def call(folder, out, *flags):
    return main(["live", "--quick", "--data", str(folder), "--out", str(out), "--runs", str(out / "runs"), *flags])


def test_writes_what_it_says_and_runs_nothing_twice(folder, tmp_path, done, capsys, monkeypatch):
    assert call(folder, tmp_path) == 0
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == FILES
    assert len(done) == 2 * 5
    printed = capsys.readouterr().out
    assert all(f"wrote {tmp_path / name}" in printed for name in FILES)
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    found = json.loads(re.search(r'<script id="data"[^>]*>(.*?)</script>', text, re.S)[1])
    assert found["about"].startswith("Made by minidl ")
    assert folder.name in found["about"]
    assert "do not believe them" in found["about"]
    assert all(net["seeds"] == [0, 1] for net in found["nets"])
    again = []
    monkeypatch.setattr(live, "write", lambda out, packed: again.append(packed) or [])
    assert main(["live", "--again", "--out", str(tmp_path)]) == 0
    assert call(folder, tmp_path) == 0
    assert again[0] == again[1]
    assert len(done) == 2 * 5


def test_seeds(folder, tmp_path, done, monkeypatch):
    monkeypatch.setattr(live, "write", lambda out, packed: [])
    call(folder, tmp_path, "--seeds", "3")
    assert {config["seed"] for config in done} == {0, 1, 2}


def test_an_interrupt_keeps_what_is_finished(folder, tmp_path, monkeypatch, capsys):
    count = iter(range(100))

    def run(config, digits):
        if next(count) == 4:
            raise KeyboardInterrupt
        return record(config)

    monkeypatch.setattr(live, "RECORDING", RECORDING._replace(run=run))
    assert call(folder, tmp_path) == 130
    assert "the same command continues" in capsys.readouterr().err
    assert len(list((tmp_path / "runs").iterdir())) == 4
    assert not (tmp_path / "index.html").exists()


def test_a_run_that_fails_is_named(folder, tmp_path, monkeypatch, capsys):
    def run(config, digits):
        raise FloatingPointError("the loss is nan")

    monkeypatch.setattr(live, "RECORDING", RECORDING._replace(run=run))
    assert call(folder, tmp_path) == 1
    told = capsys.readouterr().err
    assert '"arm": "none"' in told
    assert "the loss is nan" in told
    assert "Traceback" not in told
    assert not (tmp_path / "index.html").exists()


def test_again_says_what_it_lacks(tmp_path, capsys):
    page = tmp_path / "index.html"
    for flags, told in (([], "it is not there"), (["--quick"], "have no place beside it")):
        assert main(["live", "--again", "--out", str(tmp_path), *flags]) == 2
        assert told in capsys.readouterr().err
    page.write_text("<html>", encoding="utf-8")
    assert main(["live", "--again", "--out", str(tmp_path)]) == 2
    assert "holds no recorded data" in capsys.readouterr().err
    assert page.read_text(encoding="utf-8") == "<html>"


@pytest.mark.parametrize("flags", [["--seeds", "1"], ["--jobs", "0"], ["--seeds", "many"], ["--seeds", "-3"]])
def test_wrong_flags(folder, tmp_path, capsys, flags):
    with pytest.raises(SystemExit) as stop:
        call(folder, tmp_path, *flags)
    assert stop.value.code == 2
    assert flags[0] in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_named_before_the_work(folder, tmp_path, done, capsys):
    (tmp_path / "file").touch()
    assert main(["live", "--data", str(folder), "--out", str(tmp_path / "file"), "--runs", str(tmp_path)]) == 2
    assert main(["live", "--data", str(folder), "--out", str(tmp_path), "--runs", str(tmp_path / "file" / "x")]) == 2
    told = capsys.readouterr().err
    assert "choose another with --out" in told
    assert "choose another with --runs" in told
    assert done == []

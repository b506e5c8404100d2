"""Every function and every command takes paths as people write them: ~ is the home folder."""

import re

import numpy as np
import pytest

from minidl import checkpoint, data
from minidl.lab import plot
from minidl.lab.commands.main import main
from minidl.lab.course.notebooks import read, sources
from minidl.lab.study.page import put_table
from minidl.lab.study.store import Store
from tests.helpers import JIT
from tests.lab.commands.conftest import folder  # noqa: F401  a fixture
from tests.lab.commands.test_predict import drawn


@pytest.fixture
def home(tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(home))
    monkeypatch.chdir(tmp_path)
    yield home
    assert list(tmp_path.iterdir()) == [home]  # and no folder named ~


def test_every_function_knows_the_home_folder(home):
    checkpoint.save("~/m.npz", {"w": np.ones(3)})
    assert checkpoint.load("~/m.npz")[0]["w"].tolist() == [1, 1, 1]
    checkpoint.Checkpoints("~/run").save(3, {"w": np.ones(3)})
    assert checkpoint.Checkpoints("~/run").latest()[0] == 3
    data.strokes(2, 2, cache="~/cache")
    (home / "x").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 2, 5, 6]))
    assert data.read_idx("~/x").tolist() == [5, 6]
    (home / "y").write_bytes(bytes([7]) + bytes(3072))
    assert data.read_cifar("~/y").labels.tolist() == [7]
    for load in (data.mnist, data.cifar10, data.cifar100, data.shakespeare):
        with pytest.raises(data.DataError, match=re.escape(f"the folder {home} lacks")):
            load("~")
    plot.save(plot.images(np.eye(3)[None]), "~/figure.png")
    assert sorted(path.name for path in home.iterdir()) == ["cache", "figure.png", "m.npz", "run", "x", "y"]


@pytest.mark.parametrize("name", ["MINIDL_DATA", "MINIDL_CACHE"])
def test_the_environment_may_name_it_too(home, monkeypatch, name):
    monkeypatch.delenv("MINIDL_DATA", raising=False)
    monkeypatch.setenv(name, "~/there")
    for load in (data.mnist, data.cifar10, data.cifar100, data.shakespeare):
        with pytest.raises(data.DataError, match=re.escape(str(home / "there"))):
            load(download=False)


def test_the_lab_knows_it_too(home):
    (home / "00_start.py").write_text("# %%\n1")
    assert sources("~") == [home / "00_start.py"]
    assert len(read("~/00_start.py").cells) == 1
    assert Store("~/runs", "code").folder == home / "runs"
    (home / "README.md").write_text("no marks")
    with pytest.raises(ValueError, match="has no place for the ledger"):
        put_table("~/README.md", [])


@pytest.mark.skipif(not JIT, reason="takes long as plain Python")
def test_the_commands_know_it(home, folder):  # noqa: F811
    (home / "bars").symlink_to(folder)
    drawn(home / "one.png")
    words = ["--steps", "3", "--batch-size", "10", "--norm", "batch", "--threads", "1"]
    assert main(["mnist", "--data", "~/bars", "--out", "~/out", *words]) == 0
    assert main(["predict", "~/one.png", "--weights", "~/out/weights-batch.npz", "--out", "~/answer.png"]) == 0
    assert (home / "answer.png").is_file()
    (home / "00_start.py").touch()
    (home / "00_start.ipynb").touch()
    assert main(["lessons", "--from", "~", "--to", "~/work", "--no-browser"]) == 0
    assert (home / "work" / "00_start.ipynb").is_file()

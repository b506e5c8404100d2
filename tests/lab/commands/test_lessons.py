"""`minidl lessons`: which notebooks it copies, and what it says where it cannot open them."""

import importlib.util
import os
import subprocess
import sys

import pytest

from minidl.lab.commands.main import main
from tests.lab.course.test_lessons import ROOT

LESSONS = str(ROOT / "lessons")


def copied(folder, *flags):
    assert main(["lessons", "--from", LESSONS, "--to", str(folder), "--no-browser", *flags]) == 0
    return sorted(path.name for path in folder.iterdir())


def refused(capsys, *flags):
    assert main(["lessons", *flags]) == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("names", "third"), [(["03", "1"], "03_signal"), (["3", "01_"], "03_signal"), (["03b", "01"], "03b_saturation")]
)
def test_copies_the_lessons_that_are_named(tmp_path, names, third):
    assert copied(tmp_path / "work", *names) == ["01_autograd.ipynb", f"{third}.ipynb"]


def test_copies_all_and_overwrites_none(tmp_path, capsys):
    (tmp_path / "00_start.ipynb").write_text("mine")
    assert len(copied(tmp_path)) > 9
    assert (tmp_path / "00_start.ipynb").read_text() == "mine"
    assert "00_start" not in capsys.readouterr().out
    copied(tmp_path)
    assert "nothing to copy" in capsys.readouterr().out


def test_names_the_lessons_when_one_is_not_there(tmp_path, capsys):
    told = refused(capsys, "--from", LESSONS, "--to", str(tmp_path / "work"), "--no-browser", "03", "99")
    assert "no lesson begins with 99; there are 00_start, 01_autograd" in told
    assert not (tmp_path / "work").exists()


def test_says_where_it_looked(tmp_path, capsys):
    assert f"there are no lessons in {tmp_path}; go to minidl's folder" in refused(capsys, "--from", str(tmp_path))


def test_a_file_is_no_folder(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    told = refused(capsys, "--from", LESSONS, "--to", str(tmp_path / "file"), "--no-browser")
    assert "it must be a folder" in told


def test_without_jupyterlab_it_says_how_to_get_it(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    told = refused(capsys, "--from", LESSONS, "--to", str(tmp_path / "work"))
    assert 'make lessons, or pip install -e ".[lessons]"' in told
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize(("user", "status", "told"), [(0, 1, True), (0, 0, False), (1000, 1, False)])
def test_as_root_it_says_how_to_insist(tmp_path, capsys, monkeypatch, user, status, told):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(os, "geteuid", lambda: user, raising=False)
    monkeypatch.setattr(subprocess, "run", lambda command: subprocess.CompletedProcess(command, status))
    assert main(["lessons", "--from", LESSONS, "--to", str(tmp_path), "3"]) == status
    insist = f"{sys.executable} -m jupyter lab --allow-root {tmp_path}"
    assert (insist in capsys.readouterr().err) == told

"""What a result was made on can be told, in a checkout and outside one."""

import re
import shutil
import subprocess
import sys

import pytest

from minidl import _machine


def test_the_machine_is_told_in_general_words():
    about = _machine.machine()
    assert about["cores"] >= 1
    assert about["processor"]
    assert set(about) == {"processor", "cores", "memory_gb", "system"}


def test_libraries_are_named():
    assert set(_machine.versions()) == {"python", "numpy", "numba", "scipy"}
    assert re.match(r"\d+\.\d+", _machine.versions()["numba"])
    assert _machine.instructions()["Numba"]


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_the_commit_is_that_of_the_code(tmp_path, monkeypatch):
    (tmp_path / "minidl").mkdir()
    monkeypatch.setattr(_machine, "__file__", str(tmp_path / "minidl" / "_machine.py"))
    assert _machine.commit() is None

    def git(*args):
        names = ["-c", "user.name=n", "-c", "user.email=e@x"]
        return subprocess.run(["git", *names, "-C", tmp_path, *args], check=True, capture_output=True, text=True).stdout

    git("init", "-q")
    assert _machine.commit() is None  # nothing is committed yet
    (tmp_path / "minidl" / "a.py").write_text("a = 1\n")
    git("add", ".")
    git("commit", "-qm", "first")
    head = git("rev-parse", "HEAD").strip()
    assert head.startswith(_machine.commit())
    (tmp_path / "results.txt").write_text("found")
    assert head.startswith(_machine.commit())  # what was found does not change the code
    (tmp_path / "minidl" / "a.py").write_text("a = 2\n")
    assert _machine.commit() == head[:12] + "-dirty"


def test_without_git_there_is_no_commit(monkeypatch):
    def missing(*args, **kwargs):
        raise FileNotFoundError("git")

    monkeypatch.setattr(subprocess, "run", missing)
    assert _machine.commit() is None


def test_a_machine_that_tells_little_has_a_name_all_the_same(monkeypatch):
    monkeypatch.setattr(sys, "platform", "other")
    monkeypatch.delattr("os.sysconf", raising=False)
    assert _machine.machine()["cores"] >= 1
    assert _machine.machine()["processor"]

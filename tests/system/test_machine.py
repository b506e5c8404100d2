"""What a result was made on can be told, in a checkout and outside one."""

import re
import shutil
import subprocess
import sys

import pytest

from minidl.system import machine


def test_the_machine_is_told_in_general_words():
    about = machine.machine()
    assert about["cores"] >= 1
    assert about["processor"]
    assert set(about) == {"processor", "cores", "memory_gb", "system"}


def test_libraries_are_named():
    assert set(machine.versions()) == {"python", "numpy", "numba", "scipy"}
    assert re.match(r"\d+\.\d+", machine.versions()["numba"])
    assert machine.instructions()["Numba"]


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_the_commit_is_that_of_the_code(tmp_path, monkeypatch):
    (tmp_path / "minidl").mkdir()
    monkeypatch.setattr(machine, "__file__", str(tmp_path / "minidl" / "system" / "machine.py"))
    assert machine.commit() is None

    def git(*args):
        names = ["-c", "user.name=n", "-c", "user.email=e@x"]
        return subprocess.run(["git", *names, "-C", tmp_path, *args], check=True, capture_output=True, text=True).stdout

    git("init", "-q")
    assert machine.commit() is None  # nothing is committed yet
    (tmp_path / "minidl" / "a.py").write_text("a = 1\n")
    git("add", ".")
    git("commit", "-qm", "first")
    head = git("rev-parse", "HEAD").strip()
    assert head.startswith(machine.commit())
    (tmp_path / "results.txt").write_text("found")
    assert head.startswith(machine.commit())  # what was found does not change the code
    (tmp_path / "minidl" / "a.py").write_text("a = 2\n")
    assert machine.commit() == head[:12] + "-dirty"


def test_without_git_there_is_no_commit(monkeypatch):
    def missing(*args, **kwargs):
        raise FileNotFoundError("git")

    monkeypatch.setattr(subprocess, "run", missing)
    assert machine.commit() is None


def test_a_machine_that_tells_little_has_a_name_all_the_same(monkeypatch):
    monkeypatch.setattr(sys, "platform", "other")
    monkeypatch.delattr("os.sysconf", raising=False)
    assert machine.machine()["cores"] >= 1
    assert machine.machine()["processor"]

"""docs/promises.md: each promise names tests, and they exist; and the promises that no other file keeps."""

import ast
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import minidl
from tests.oldest import lowest

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10, where pytest brings the same reader
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)


def functions_in(path):
    """Names of the test functions of a file, and which of them `make test-full` alone runs, wholly or in part."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    return {name: "mark.full" in "".join(map(ast.unparse, node.decorator_list)) for name, node in functions.items()}


def promises_of(page):
    """The items of the page that begin in bold, with the tests folded away under them."""
    return re.findall(r"^- \*\*.*?(?=^- |^Not promised|^## |\Z)", page, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_the_tests_that_are_named_exist(path, name):
    assert name in functions_in(path)


def test_every_promise_names_a_test():
    promises = promises_of(PAGE)
    assert len(promises) > 30
    assert [promise for promise in promises if not re.search(r"`tests/[\w/]+\.py::test_\w+`", promise)] == []
    counts = [
        (re.findall(r"<summary>(\d+) tests?<", promise), len(re.findall("`tests/", promise))) for promise in promises
    ]
    assert [pair for pair in counts if pair[0] != [str(pair[1])]] == []


def test_what_runs_in_full_only_is_said_to():
    said = {name for _, name, note in re.findall(r"`(\S+?)::(\w+)`(.*)", PAGE) if "full" in note}
    unsaid = [name for path, name in NAMED if functions_in(path)[name] and name not in said]
    assert set(unsaid) <= {"test_killed_inside_a_write"}  # of which only the rarest moments are left for the full tests


def test_the_readme_leads_here():
    assert "](docs/promises.md)" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_check_of_the_page_can_fail():
    assert "test_that_is_not_there" not in functions_in("tests/whole/test_promises.py")
    assert functions_in("tests/whole/test_soak.py")["test_an_hour_of_training_in_constant_memory"]
    assert not functions_in("tests/whole/test_promises.py")["test_every_promise_names_a_test"]
    page = "- **One** thing\n  - `tests/a.py::test_b`\n\n- **Two**\n\nNot promised:\n\n- **Three**\n\n## Next\n"
    assert [promise[:7] for promise in promises_of(page)] == ["- **One", "- **Two", "- **Thr"]


# ---- what surrounds minidl --------------------------------------------------------------------------------------------


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = PROJECT["project"]["optional-dependencies"]
NEEDED = {"to build": PROJECT["build-system"]["requires"], "always": PROJECT["project"]["dependencies"], **EXTRAS}


def unbounded(packages):
    return [package for package in packages if not re.fullmatch(r"[\w-]+>=[\d.]+,<[\d.]+(; .+)?", package)]


@pytest.mark.parametrize("packages", NEEDED.values(), ids=NEEDED)
def test_every_dependency_has_bounds(packages):
    assert packages
    assert unbounded(packages) == []


def test_packages_without_bounds_are_noticed():
    assert unbounded(["a>=1,<2", "b", "c>=1", "d<2", "e==1", "f>=1,<2; sys_platform == 'linux'", "g; x == 1"]) == [
        "b", "c>=1", "d<2", "e==1", "g; x == 1"
    ]  # fmt: skip


def test_the_tests_run_with_the_bounds_of_the_other_lists():
    """The lowest versions that `make test-oldest` installs are those that a user may get."""
    bounds = {re.split("[><]", package)[0]: package for packages in NEEDED.values() for package in packages}
    assert [package for packages in NEEDED.values() for package in packages if package not in bounds.values()] == []


def test_the_lowest_versions_are_those_of_the_project_and_its_tests():
    wanted = [re.match(r"([\w-]+)>=([\d.]+)", package).groups() for package in NEEDED["always"] + NEEDED["dev"]]
    assert lowest() == wanted


def test_everything_imports_without_a_warning():
    """Also the warnings of Python's development mode, such as files left open."""
    names = [
        m.name
        for m in pkgutil.walk_packages(minidl.__path__, "minidl.")
        if "peers_" not in m.name and "__main__" not in m.name
    ]
    assert len(names) > 40
    code = f"import importlib\nfor name in {names}: importlib.import_module(name)"
    command = [sys.executable, "-W", "error", "-X", "dev", "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


NOTHING_OF_YOURS = """
import os, random, signal, sys, threading, warnings
import numba, numpy as np, scipy.linalg, scipy.ndimage, threadpoolctl, tqdm

def yours():
    return [np.geterr(), np.get_printoptions(), str(np.random.get_state()), random.getstate(), list(warnings.filters),
            [signal.getsignal(s) for s in signal.valid_signals()], dict(os.environ), list(sys.path), sys.excepthook,
            sys.getrecursionlimit(), threading.active_count(), threadpoolctl.threadpool_info()]

before = yours()
import minidl, minidl.checkpoint, minidl.data, minidl.lab.plot, minidl.probe, minidl.train
print([mine for was, mine in zip(before, yours()) if was != mine])
"""


def test_importing_changes_nothing_of_yours():
    """NumPy's error handling, generators, warning filters, signals, threads …: as its own dependencies leave them."""
    command = [sys.executable, "-c", NOTHING_OF_YOURS]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")

"""The fingerprint notices what changes a run, and nothing else."""

import importlib
import sys

import pytest

from minidl.lab.study import fingerprint as module
from minidl.lab.study.fingerprint import fingerprint
from tests.helpers import in_a_process

HELPER = """
LIMIT = 3

class Layer:
    size = 5

    def grow(self):
        return scale(self.size)

def scale(x):
    return x * LIMIT

def unused():
    return 1

def listed(x):
    return x - 1

CHOICES = {"first": listed, "others": (Layer, frozenset({"a", "b", "c", "d"}))}

def choose(x):
    return CHOICES["first"](x)
"""
ENGINE = """
from fingerprinted import kernels as k

def forward(x):
    return k.kernel(x)

def neighbour(x):
    from fingerprinted.plots import draw
    return draw(x)
"""
KERNELS = '''
"""Loops."""

def kernel(x):
    return x * 7
'''
PLOTS = """
def draw(x):
    return x
"""
OTHER = """
def run(config, digits=None):
    return {"other": 1}
"""
CLAIM = '''
"""A claim."""
import functools
import numpy as np
from fingerprinted import functional as F
from fingerprinted.claims import helper
from fingerprinted.claims.helper import Layer

STEPS = (10, 20)
GRID = {"lr": 0.1}

@functools.lru_cache
def cached(x):
    return x + 1

def run(config, digits=None, steps=STEPS):
    """What it does."""
    # a comment
    first = helper.scale(cached(steps[0]))
    return {"a": first, "b": Layer().grow(), "c": np.mean(GRID["lr"]), "d": F.forward(1), "e": helper.choose(1)}

def verdict(result):
    return result
'''


@pytest.fixture
def mark(tmp_path, monkeypatch):
    """The fingerprint of `run` in a package of two files, after replacing text in them."""
    monkeypatch.syspath_prepend(str(tmp_path))
    library = tmp_path / "fingerprinted"
    (library / "claims").mkdir(parents=True)
    for folder in (library, library / "claims"):
        (folder / "__init__.py").touch()
    texts = {
        "functional": ENGINE, "kernels": KERNELS, "plots": PLOTS,
        "claims/helper": HELPER, "claims/other": OTHER, "claims/claim": CLAIM,
    }  # fmt: skip

    def mark(*change):
        for name, text in texts.items():
            (library / f"{name}.py").write_text(text.replace(*change) if change else text)
        for name in [name for name in sys.modules if name.startswith("fingerprinted")]:
            del sys.modules[name]
        importlib.invalidate_caches()
        sys.dont_write_bytecode = True
        import linecache

        linecache.clearcache()
        return fingerprint(importlib.import_module("fingerprinted.claims.claim").run)

    before = sys.dont_write_bytecode
    yield mark
    sys.dont_write_bytecode = before
    for name in [name for name in sys.modules if name.startswith("fingerprinted")]:
        del sys.modules[name]


@pytest.mark.parametrize(
    "change",
    [
        ("cached(steps[0])", "cached(steps[1])"),  # the function itself
        ("x + 1", "x + 2"),  # behind a decorator
        ("x * LIMIT", "x + LIMIT"),  # in another file
        ("LIMIT = 3", "LIMIT = 4"),  # a constant there
        ("size = 5", "size = 6"),  # a class
        ("(10, 20)", "(11, 20)"),  # in a default argument
        ('"lr": 0.1', '"lr": 0.2'),
        ("return k.kernel(x)", "return k.kernel(-x)"),  # in the rest of the library
        ("x * 7", "x * 8"),  # in what that imports
        ("x - 1", "x - 2"),  # in a function that a table holds
        ('"d"})', '"e"})'),  # in a set that it holds
    ],
)
def test_it_notices(mark, change):
    assert mark() != mark(*change)


@pytest.mark.parametrize(
    "change",
    [
        ("# a comment", "# another"),
        ("What it does.", "What it did."),
        ("return result", "return [result]"),  # the verdict is not the run
        ("return 1", "return 2"),  # unused
        ('"other": 1', '"other": 2'),  # a study beside it
        ("def draw(x):", "def draw(x, y=0):"),  # which a function imports for itself
        ('"""Loops."""', '"""More loops."""'),
        ("    return x * LIMIT", "\n    return x*LIMIT"),
    ],
)
def test_it_does_not_mind(mark, change):
    assert mark() == mark(*change)


def test_every_process_finds_the_same():
    """Runs that one process keeps are of use to the next; where functions lie, and how sets are ordered, differs."""
    code = (
        "from minidl.lab.registry import claims\n"
        "from minidl.lab.study.fingerprint import fingerprint\n"
        "print({name: fingerprint(claim.run) for name, claim in claims().items()})"
    )
    found = [in_a_process(code, PYTHONHASHSEED=seed) for seed in "12"]
    assert found[0] == found[1] != ""


def test_a_real_claim_depends_on_the_kernels(monkeypatch):
    from minidl.lab.paper import bias, conv
    from minidl.ops import norm

    before = fingerprint(conv.run)
    assert before == fingerprint(conv.run) != fingerprint(bias.run)
    text = module._text
    monkeypatch.setattr(module, "_text", lambda file: text(file) + ("x = 1\n" if file is norm else ""))
    assert fingerprint(conv.run) != before

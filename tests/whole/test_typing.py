"""The public API is typed: every parameter and result says what it is, a type checker agrees, and users' checkers see it."""

import inspect
import subprocess
import sys
import typing
from importlib import resources, util
from pathlib import Path

import numpy as np
import pytest

from minidl import Tensor
from tests.whole import typed_use
from tests.whole.test_errors import PUBLIC


def functions():
    """(name, function) of all public functions, and of the public methods and constructors of public classes."""
    for prefix, module in PUBLIC.items():
        for name in module.__all__:
            thing = getattr(module, name)
            if inspect.isclass(thing) and issubclass(thing, BaseException | tuple):
                continue
            if inspect.isclass(thing):
                yield from methods(f"{prefix}{name}", thing)
            elif callable(thing):
                yield prefix + name, thing
    yield from methods("Tensor", Tensor)


def methods(name, cls):
    for owner in cls.__mro__:
        if owner.__module__.startswith("minidl"):
            for key, value in vars(owner).items():
                if inspect.isfunction(value) and (
                    key[0] != "_" or key in ("__init__", "__call__", "__getitem__", "__add__")
                ):
                    yield f"{name}.{key}", value


def test_every_parameter_and_result_has_a_type():
    untyped = set()
    for name, function in functions():
        signature = inspect.signature(function)
        parameters = [p for p in signature.parameters.values() if p.name != "self"]
        untyped |= {f"{name}({p.name})" for p in parameters if p.annotation is p.empty}
        if signature.return_annotation is signature.empty and not name.endswith("__init__"):
            untyped.add(f"{name} →")
    assert not untyped


def test_the_types_can_be_evaluated():
    """Names in annotations exist at run time as well (tools that read them ask), but for one that imports late."""
    for name, function in functions():
        if name != "Tensor.graph" and not name.endswith(".graph"):
            typing.get_type_hints(inspect.unwrap(function))


def test_users_checkers_are_told():
    assert resources.files("minidl").joinpath("py.typed").is_file()


def test_the_typed_program_runs(tmp_path):
    loss, accuracy = typed_use.program(str(tmp_path))
    assert np.isfinite(loss)
    assert 0 <= accuracy <= 1
    assert typed_use.arithmetic().shape == (2, 3)


@pytest.mark.full
@pytest.mark.skipif(util.find_spec("mypy") is None, reason="mypy is not installed")
def test_mypy_agrees():
    """What `make lint` runs; also the mistakes in typed_use.py are found, as mypy warns of an ignore that is not needed."""
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-m", "mypy"], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout

"""The list of kernels that a training step needs, from which the second process knows what comes next.

`python -m tests.kernels.test_usual` writes it anew.
"""

from pathlib import Path

import numpy as np
import pytest

from minidl import Tensor, optim
from minidl import functional as F
from minidl.kernels import aside, jit
from minidl.lab import models
from tests.helpers import JIT

FILE = Path(aside.__file__).with_name("usual.txt")
NETWORKS = {"paper_mlp": (60, 784), "mnist_conv": (16, 28, 28, 1), "cifar_conv": (4, 32, 32, 3)}


def step_of(name):
    """Lines for the kernels that a step of a network calls, in the order of their first calls."""
    rng = np.random.default_rng(0)
    model = getattr(models, name)(generator=rng)
    x, labels = rng.random(NETWORKS[name], np.float32), rng.integers(0, 10, NETWORKS[name][0])
    optimizer, lines = optim.SGD(model.parameters(), 0.1, 0.9), {}

    def note(function, args):
        build = function._kernel.serial if isinstance(function, aside.Meanwhile) else function
        if isinstance(build, jit._Build):
            types = "; ".join(str(build.typeof_pyval(arg)) for arg in args)
            lines.setdefault(f"{build.py_func.__module__} {build.py_func.__qualname__} {types}")

    jit.on_call = note
    try:
        F.cross_entropy(model(Tensor(x)), labels).backward()
        optimizer.step()
    finally:
        jit.on_call = None
    return list(lines)


@pytest.mark.skipif(not JIT, reason="nothing is compiled")
def test_the_list_is_what_the_networks_call():
    """But for kernels that only large batches need: these are small."""
    for name, lines in zip(NETWORKS, blocks(), strict=True):
        assert lines[0] == name
        assert [line for line in lines[1:] if "large_product" not in line] == step_of(name)


def blocks():
    return [block.split("\n") for block in FILE.read_text(encoding="utf-8").strip().split("\n\n")]


def test_each_line_names_a_kernel_and_types_that_numba_writes_like_this():
    for step, (_, *lines) in zip(aside._usual(), blocks(), strict=True):
        for (module, name, types), line in zip(step, lines, strict=True):
            __import__(module)
            assert isinstance(aside._found(module, name), jit.Kernel)
            assert line == f"{module} {name} {'; '.join(map(str, types))}"


if __name__ == "__main__":
    aside.refused = True  # the second process reads the list
    FILE.write_text("\n\n".join("\n".join([name, *step_of(name)]) for name in NETWORKS) + "\n", encoding="utf-8")

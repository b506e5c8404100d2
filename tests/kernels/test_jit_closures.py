"""Helpers that are made by functions, such as a transform for each matrix: kernels of all processes tell them apart."""

import os
from pathlib import Path

import pytest

from minidl.kernels import jit
from tests.helpers import JIT, in_a_process

WAVES = """
import math
from minidl.kernels.jit import compiled_as, kernel

def wave(factor):
    def plain(x):
        return factor * x

    plain.__qualname__ = f"wave-{factor}"

    @compiled_as(plain)
    def choose(x):
        def code(x):  # too long to be copied into the kernel
            total = x * 0
            for i in range(3):
                for j in range(3):
                    total += math.sin(x + i) * math.exp(x - j) + math.log(abs(x) + i + j + 1)
                total = total * 1.5 if total < 10 else total - math.cos(total)
            return factor * x + 0 * total

        return code

    return plain

double, triple = wave(2.0), wave(3.0)

@kernel
def doubled(x, y):
    y[0] = double(x[0])

@kernel
def tripled(x, y):
    y[0] = triple(x[0])
"""
RUN = """
import numpy as np, waves
for name in {}:
    y = np.zeros(1)
    getattr(waves, name).serial(np.ones(1), y)
    print(y[0], end=" ")
"""


@pytest.mark.skipif(not JIT, reason="nothing is compiled")
def test_kernels_cached_by_different_processes_call_their_own_closures(tmp_path):
    Path(tmp_path, "waves.py").write_text(WAVES)
    paths = os.pathsep.join([str(tmp_path), str(Path(jit.__file__).parents[2])])
    results = [
        in_a_process(RUN.format(names), NUMBA_CACHE_DIR=str(tmp_path), PYTHONPATH=paths)
        for names in (["doubled"], ["tripled"], ["doubled", "tripled"], ["tripled", "doubled"])
    ]
    assert results == ["2.0", "3.0", "2.0 3.0", "3.0 2.0"]


def test_closures_that_share_a_name_are_refused():
    def closure(x):
        return x

    for register in (jit.device, lambda plain: jit.compiled_as(plain)(lambda x: plain)):
        with pytest.raises(
            ValueError, match=r"<locals>.closure: give each of these closures a __qualname__ of its own"
        ):
            register(closure)


def test_closures_that_kernels_call_have_names_of_their_own():
    from minidl.kernels import elementary, winograd

    helpers = [elementary.exp, elementary.tanh, elementary.normal]
    helpers += [winograd._transform_inputs, winograd._transform_outputs, winograd._transform_output_gradients]
    helpers += [winograd._transform_filters, winograd._transform_filters_back]
    names = {getattr(helper, "py_func", helper).__qualname__ for helper in helpers}
    assert len(names) == len(helpers)

"""Kernels as they are compiled for other processors than this one: vectors of other lengths, and no fused instruction.

    NUMBA_CPU_NAME=haswell NUMBA_CPU_FEATURES=+avx2,+fma    vectors of 32 bytes, 16 of them
    NUMBA_CPU_NAME=generic NUMBA_CPU_FEATURES=              vectors of 16 bytes, a product and a sum rounded one by one

Here another process computes a little of everything that knows about vectors; with the same settings all tests should pass.
"""

import os
import platform
import subprocess
import sys
from pathlib import Path

import llvmlite.binding as llvm
import numpy as np
import pytest

from minidl import Tensor
from minidl import functional as F
from minidl.kernels.matmul import matmul
from minidl.ops import conv
from tests import plain_ops
from tests.helpers import JIT

ROOT = Path(__file__).parents[2]
PROCESSORS = {  # name → its features, those that this processor must have too, bytes and rows as in _vector
    "haswell": ("+avx2,+fma", {"avx2", "fma"}, 32, 6),
    "generic": ("", set(), 16, 6),
}


def compute(forget=0):
    """Raise unless a product and a convolution in tiles are right; `forget` breaks them."""
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((45, 70), np.float32), rng.standard_normal((70, 41), np.float32)
    np.testing.assert_allclose(matmul(a, b), a.astype(np.float64) @ b, atol=1e-4 - forget)

    x, weight = (rng.standard_normal(s, np.float32) for s in ((2, 7, 6, 19), (3, 3, 19, 21)))
    exact = plain_ops.conv2d(Tensor(x.astype(np.float64)), Tensor(weight.astype(np.float64)), padding=1).data
    assert conv._suits_winograd(Tensor(x), Tensor(weight), (1, 1), (1, 1))
    np.testing.assert_allclose(F.conv2d(Tensor(x), Tensor(weight), padding=1).data, exact, atol=2e-4)


def test_here():
    compute()


def test_it_can_fail():
    with pytest.raises(AssertionError):
        compute(forget=1e-4)


def on(name):
    features, needed, size, rows = PROCESSORS[name]
    here = llvm.get_host_cpu_features()
    if not JIT or platform.machine() not in ("x86_64", "AMD64") or not all(here.get(feature) for feature in needed):
        pytest.skip("this processor cannot do as if")
    code = "from minidl.kernels.microkernel import TILE_ROWS, VECTOR_BYTES; print(VECTOR_BYTES, TILE_ROWS)"
    code += "; from tests.kernels.test_processors import compute; compute()"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{size} {rows}\n"


@pytest.mark.parametrize("name", PROCESSORS)
def test_in_a_process_that_compiles_for_another_processor(name):
    on(name)

"""Which instructions and how many threads: pins are lifted or set for all, and they take effect."""

import subprocess
import sys

import pytest

from minidl.lab.bench.environment import pinned, worker_environment

PINNED = {
    "OPENBLAS_CORETYPE": "Haswell", "ATEN_CPU_CAPABILITY": "default", "HOME": "/home/me",
    "XLA_FLAGS": "--xla_foo=1 --xla_cpu_max_isa=SSE4_2",
}  # fmt: skip


def test_native_lifts_every_pin_and_nothing_else():
    env = worker_environment("native", 3, PINNED)
    assert "OPENBLAS_CORETYPE" not in env
    assert "ATEN_CPU_CAPABILITY" not in env
    assert env["XLA_FLAGS"] == "--xla_foo=1"
    assert env["HOME"] == "/home/me"
    assert {env[name] for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NPROC")} == {"3"}


def test_avx2_limits_everyone():
    env = worker_environment("avx2", 1, PINNED)
    assert env["OPENBLAS_CORETYPE"] == "Haswell"
    assert env["ATEN_CPU_CAPABILITY"] == "avx2"
    assert env["ONEDNN_MAX_CPU_ISA"] == env["MKL_ENABLE_INSTRUCTIONS"] == "AVX2"
    assert env["NUMBA_CPU_NAME"] == "haswell"
    assert env["XLA_FLAGS"] == "--xla_foo=1 --xla_cpu_max_isa=AVX2"


def test_pins_that_were_found_are_told():
    assert pinned(PINNED) == {
        "OPENBLAS_CORETYPE": "Haswell", "ATEN_CPU_CAPABILITY": "default", "XLA_FLAGS": "--xla_cpu_max_isa=SSE4_2",
    }  # fmt: skip
    assert pinned({"XLA_FLAGS": "--xla_foo=1", "HOME": "/home/me"}) == {}


def test_the_environment_that_was_given_stays():
    given = dict(PINNED)
    worker_environment("avx2", 1, given)
    assert given == PINNED


def test_an_unknown_isa_is_refused():
    with pytest.raises(ValueError, match="native, avx2"):
        worker_environment("avx1024", 1)


CODE = """
import numba, numpy as np
from threadpoolctl import threadpool_info
@numba.njit
def f(x, y):
    for i in range(x.size):
        y[i] = x[i] * 2 + y[i]
f(np.ones(9, np.float32), np.ones(9, np.float32))
print(*f.inspect_asm().values(), "threads", numba.get_num_threads(), *(i.get("architecture") for i in threadpool_info()))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the code for one kind of processor")
def test_avx2_really_limits_numba_and_openblas():
    """Wide registers (zmm) are used by no loop; without the features named, Numba's name alone would leave them in."""
    env = worker_environment("avx2", 1) | {"PYTHONWARNINGS": "error"}
    told = subprocess.run([sys.executable, "-c", CODE], env=env, capture_output=True, text=True, check=True).stdout
    assert "zmm" not in told
    assert "threads 1" in told
    assert "SkylakeX" not in told

"""How kernels are linked: what they are made of is finished once, with the kernel; others' code is left alone."""

import threading

import numba
import numpy as np
import pytest
from numba.core.codegen import JITCodeLibrary

from minidl.kernels import linking
from minidl.kernels.jit import device, kernel, prange
from tests.helpers import JIT, in_a_process

pytestmark = pytest.mark.skipif(not JIT, reason="nothing is compiled")
KERNEL = "new_kernel.<locals>.quadruple"


@device
def _doubled(x):
    return 2 * x


@device
def _quadrupled(x):
    return _doubled(_doubled(x))


@device
def _checked(x):
    if x < 0:
        raise ValueError("a number below 0")
    return _quadrupled(x)


@pytest.fixture
def finished(monkeypatch):
    """The names of the libraries that are finished, in order, but for Numba's own runtime."""
    names, finalize = [], JITCodeLibrary.finalize

    def note(self):
        names.extend([self.name] if self.name != "nrt" else [])
        finalize(self)

    monkeypatch.setattr(JITCodeLibrary, "finalize", note)
    return names


def new_kernel():
    """A kernel that nothing has compiled yet, three helpers deep."""

    @kernel
    def quadruple(x, y):
        for i in prange(x.size):
            y[i] = _checked(x[i]) + np.empty(1, np.float64).size

    return quadruple


def dropped_cache(build):
    build._cache.flush()
    return build


@pytest.mark.parametrize("build", ["serial", "parallel"])
def test_only_the_kernel_is_finished_and_not_what_it_is_made_of(build, finished):
    code, x, y = dropped_cache(getattr(new_kernel(), build)), np.arange(5.0), np.empty(5)
    code(x, y)
    np.testing.assert_array_equal(y, 4 * x + 1)
    assert finished == [KERNEL]


def test_where_numba_is_not_one_of_those_tried_all_is_finished_as_usual(finished, monkeypatch):
    monkeypatch.setattr(linking, "_TRIED", ((0, 1), (0, 2)))
    code, y = dropped_cache(new_kernel().serial), np.empty(3)
    code(np.ones(3, np.float32), y)
    np.testing.assert_array_equal(y, 5)
    assert len(finished) > 1
    assert finished[-1] == KERNEL


def test_other_code_is_compiled_as_usual_and_can_call_the_same_helpers(finished):
    dropped_cache(new_kernel().serial)(np.ones(2, np.float16).astype(np.float32), np.empty(2, np.float32))
    del finished[:]

    @numba.njit
    def users_own(x):
        return _quadrupled(x) + 1

    assert users_own(np.float32(3)) == 13
    assert type(users_own.overloads[users_own.signatures[0]].library) is JITCodeLibrary
    assert finished[-1].endswith("users_own")


def test_an_error_in_a_helper_arrives():
    code = dropped_cache(new_kernel().serial)
    with pytest.raises(ValueError, match="a number below 0"):
        code(np.full(2, -1.0), np.empty(2))


def test_an_error_in_a_helper_arrives_from_the_cache_of_another_process():
    new_kernel().serial(np.ones(2), np.empty(2))
    said = in_a_process("""
import numpy as np
from tests.kernels.test_linking import new_kernel
code = new_kernel().serial
try:
    code(np.full(2, -1.0), np.empty(2))
except ValueError as error:
    print(error, sum(code.stats.cache_hits.values()))
""")
    assert said.strip() == "a number below 0 1"


def test_two_threads_compile_at_the_same_time_a_kernel_and_other_code():
    results = {}

    def compile_kernel():
        y = np.empty(4)
        dropped_cache(new_kernel().serial)(np.ones(4), y)
        results["kernel"] = y

    def compile_other():
        results["other"] = [numba.njit(lambda x, n=n: x + n)(1) for n in range(5)]

    both = [threading.Thread(target=work) for work in (compile_kernel, compile_other)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    np.testing.assert_array_equal(results["kernel"], 5)
    assert results["other"] == [1, 2, 3, 4, 5]

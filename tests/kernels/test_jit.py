"""How kernels are compiled, cached, chosen and threaded; most of it on small kernels in files of the tests' own."""

import importlib
import math
import sys
from pathlib import Path

import numpy as np
import pytest

from minidl import get_num_threads, set_num_threads
from minidl.kernels import jit
from minidl.kernels.jit import CHUNK, kernel, n_chunks, on_compile, prange
from minidl.kernels.reduce import _column_sums, add_bias
from minidl.kernels.threads import _PARALLEL_FROM
from tests.helpers import JIT, in_a_process

compiled_only = pytest.mark.skipif(not JIT, reason="nothing is compiled")
MOST = jit.numba.config.NUMBA_NUM_THREADS


@pytest.fixture(autouse=True)
def as_it_was():
    """The number of threads."""
    threads = get_num_threads()
    yield
    set_num_threads(threads)


@pytest.fixture
def load(tmp_path, monkeypatch):
    """load(name=source, …): write files that have changed (as if at another time), and import the last one anew."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # its check of the time of change is good to a second only

    def load(**sources):
        for name, source in sources.items():
            path = Path(tmp_path, f"{name}.py")
            if not path.exists() or path.read_text() != source:  # to older versions of Numba a new time is a change
                path.write_text(source)
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        modules = [importlib.import_module(name) for name in sources]
        for name in sources:
            del sys.modules[name]
        return modules[-1]

    return load


TOTAL = """
from minidl.kernels.jit import kernel, prange

@kernel
def total_in_rows(x, y):
    for i in prange(y.size):
        y[i] = 0
        for j in range(x.shape[1]):
            y[i] += x[i, j]
"""


def run_both_builds(total, dtype=np.float64):
    x = np.arange(12, dtype=dtype).reshape(3, 4)
    for build in (total.serial, total.parallel):
        y = np.full(3, -1, dtype)
        build(x, y)
        np.testing.assert_array_equal(y, x.sum(1))


# --- which build ------------------------------------------------------------------------------------------------------


@pytest.fixture
def chooser(monkeypatch):
    """A kernel of cost 4 that tells which build it used, with threads starting to pay at 1000."""
    calls = []

    @kernel(cost=4)
    def work(x, y):
        y[0] = x.size

    monkeypatch.setattr(jit, "_parallel_from", 1000)
    work.serial = lambda x, y: calls.append("serial")
    work.for_many = lambda x, y: calls.append("parallel")
    return work, calls


def test_the_build_is_chosen_by_size_times_cost(chooser):
    work, calls = chooser
    for size in (0, 1, 249, 250, 251, 10_000):
        work[size](np.empty(size), None)
    assert calls == ["serial"] * 3 + ["parallel"] * 3


def test_the_choice_does_not_depend_on_the_number_of_threads(chooser):
    work, calls = chooser
    for threads in (1, MOST):
        set_num_threads(threads)
        work[249](np.empty(249), None)
        work[250](np.empty(250), None)
    assert calls == ["serial", "parallel"] * 2


def test_the_first_call_finds_out_from_where_threads_pay(chooser, monkeypatch):
    work, calls = chooser
    monkeypatch.setattr(jit, "_parallel_from", None)
    work[1](np.empty(1), None)
    assert calls == ["serial"]
    assert jit._parallel_from in ([math.inf] if MOST == 1 else _PARALLEL_FROM.values())


def test_a_kernel_is_documented_as_its_function_and_computes_as_it(load):
    total = load(first=TOTAL).total_in_rows
    assert total.__name__ == "total_in_rows"
    run_both_builds(total)
    y = np.empty(3)
    assert total[6](np.ones((3, 2)), y) is None
    np.testing.assert_array_equal(y, [2, 2, 2])
    total.__wrapped__(np.ones((3, 5)), y)  # the plain function, for reading and stepping
    np.testing.assert_array_equal(y, [5, 5, 5])


# --- the same bits ----------------------------------------------------------------------------------------------------


@kernel
def chunk_sums(x, partial):
    for k in prange(partial.size):
        total = x.dtype.type(0)
        xs = x[k * CHUNK : (k + 1) * CHUNK]
        for i in range(xs.size):
            total += xs[i]
        partial[k] = total


def bits_of_all_ways(run):
    """run(build name) with the serial build, and with the parallel one on 1, 2 and all threads."""
    yield run("serial")
    for threads in {1, min(2, MOST), MOST}:
        set_num_threads(threads)
        yield run("parallel")


@compiled_only
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1, CHUNK - 1, CHUNK, CHUNK + 1, 5 * CHUNK + 7])
def test_sums_have_the_same_bits_in_both_builds_and_on_any_number_of_threads(size, dtype):
    x = np.random.default_rng(size).standard_normal(size).astype(dtype)

    def run(build):
        partial = np.full(n_chunks(size), np.nan, dtype)
        getattr(chunk_sums, build)(x, partial)
        return partial

    first, *others = bits_of_all_ways(run)
    np.testing.assert_allclose(first.sum(), x.sum(dtype=np.float64), atol=1e-5 * np.abs(x).sum())
    for other in others:
        np.testing.assert_array_equal(other, first)


@compiled_only
@pytest.mark.parametrize("shape", [(1, 1), (60, 100), (2731, 3), (1003, 37)], ids=str)
def test_column_sums_and_biases_have_the_same_bits_too(shape):
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)

    def run(build):
        sums, y = np.full(shape[1], np.nan, np.float32), x.copy()
        getattr(_column_sums, build)(x, sums)
        getattr(add_bias, build)(y, sums)
        return np.vstack([y, sums])

    first, *others = bits_of_all_ways(run)
    np.testing.assert_allclose(first[-1], x.sum(0, np.float64), atol=1e-3)
    np.testing.assert_array_equal(first[:-1], x + first[-1])
    for other in others:
        np.testing.assert_array_equal(other, first)


@compiled_only
def test_the_parallel_build_really_is_parallel_and_the_serial_one_is_not(load):
    total = load(first=TOTAL).total_in_rows  # just compiled: what comes from the cache cannot be inspected
    run_both_builds(total)
    for build, hands_out_chunks in [(total.serial, False), (total.parallel, True)]:
        (code,) = build.inspect_llvm().values()
        assert ("do_scheduling" in code) == hands_out_chunks


def test_number_of_chunks():
    assert [n_chunks(n) for n in (0, 1, CHUNK, CHUNK + 1)] == [0, 1, 1, 2]
    assert [n_chunks(n, 3) for n in (1, 3, 4, 9, 10)] == [1, 1, 2, 3, 4]


# --- cache and fingerprint ----------------------------------------------------------------------------------------------


@compiled_only
def test_both_builds_are_cached_under_names_of_their_own(load, tmp_path):
    run_both_builds(load(first=TOTAL).total_in_rows)
    names = {path.name for path in tmp_path.glob("__pycache__/*.nbi")}
    assert len(names) == 2
    for build in ("serial", "parallel"):
        assert sum(f"total_in_rows-{build}-" in name for name in names) == 1


@compiled_only
def test_on_compile_tells_of_real_compilations_only(load):
    for dtype, expected in [
        (np.float64, ["total_in_rows"] * 2),  # the two builds
        (np.float64, []),  # both are in the cache of the disk
        (np.float32, ["total_in_rows"] * 2),
    ]:
        heard, total = [], load(first=TOTAL).total_in_rows
        with on_compile(heard.append):
            run_both_builds(total, dtype)
            run_both_builds(total, dtype)
        assert heard == expected


@compiled_only
def test_on_compile_stops_at_the_end_of_its_context(load):
    heard, total = [], load(first=TOTAL).total_in_rows
    with pytest.raises(ZeroDivisionError), on_compile(heard.append):
        1 / 0  # noqa: B018
    run_both_builds(total)
    assert heard == []


@compiled_only
def test_on_compile_tells_of_kernels_and_not_of_their_helpers(load):
    heard, kernel = [], load(helper=HELPER.format("x + 1"), user=USER).change_all
    with on_compile(heard.append):
        kernel.serial(np.array([1.0, 2.0]), np.empty(2))
    assert heard == ["change_all"]


HELPER = """
from minidl.kernels.jit import device

@device
def change(x):
    return {}
"""
USER = """
import helper
from minidl.kernels.jit import kernel

change = helper.change

@kernel
def change_all(x, y):
    for i in range(x.size):
        y[i] = change(x[i])
"""


def test_a_change_in_a_helper_of_another_file_is_noticed(load):
    results = []
    for body in ("x + 1", "x * 10", "x + 1"):
        y = np.empty(2)
        load(helper=HELPER.format(body), user=USER).change_all.serial(np.array([1.0, 2.0]), y)
        results.append(y.tolist())
    assert results == [[2, 3], [10, 20], [2, 3]]


def test_the_fingerprint_depends_on_the_files_of_the_helpers_used(load):
    def fingerprint(helper, user=USER):
        return jit._fingerprint(load(helper=helper, user=user).change_all.__wrapped__)

    plain = HELPER.format("x")
    prints = [fingerprint(source) for source in (plain, plain, HELPER.format("-x"), plain + "\nCONSTANT = 1\n")]
    assert prints[0] == prints[1] != 0
    assert len(set(prints)) == 3
    without = USER.replace("change(x[i])", "x[i]")
    assert fingerprint(plain, without) == fingerprint(HELPER.format("-x"), without) != prints[0]


def test_the_fingerprint_sees_through_helpers_of_helpers_and_choices(load):
    inner = "from minidl.kernels.jit import device\n\n@device\ndef inner(x):\n    return {}\n"
    outer = (
        "import inside\nimport numpy as np\nfrom minidl.kernels.jit import by_precision, device\n\ninner = inside.inner\n\n"
        "@device\ndef single(x):\n    return inner(x)\n\nchange = by_precision(single, np.exp)\n"
    )
    prints = {
        jit._fingerprint(load(inside=inner.format(body), helper=outer, user=USER).change_all.__wrapped__)
        for body in ("x", "-x")
    }
    assert len(prints) == 2


@compiled_only
def test_the_fingerprint_of_every_kernel_with_products_counts_the_files_that_write_them():
    from minidl.kernels import matmul, winograd
    from minidl.ops import conv

    for one in (
        matmul.product, matmul.large_product,
        conv._conv_forward, conv._conv_backward_x, conv._conv_backward_weight, winograd._convolve,
        winograd._multiply_back, winograd._transform_filters, winograd._transform_filters_back,
    ):  # fmt: skip
        files = {Path(file).name for file in jit._files_of_helpers(one.__wrapped__)}
        own = {"vectors.py"} if "transform" in one.__name__ else {"vectors.py", "microkernel.py"}
        assert own <= files, one.__name__


# --- helpers of kernels -------------------------------------------------------------------------------------------------


EITHER = """
from minidl.kernels.jit import by_precision, device, kernel

@device
def single(x):
    return x + x

@device
def double(x):
    return x * x

either = by_precision(single, double)

@kernel
def through_either(x, y):
    for i in range(x.size):
        y[i] = either(x[i])
"""


def test_by_precision_chooses_by_type(load):
    module = load(either=EITHER)
    for dtype, expected in [(np.float32, 6), (np.float64, 9)]:
        y = np.empty(2, dtype)
        module.through_either.serial(np.full(2, 3, dtype), y)
        np.testing.assert_array_equal(y, [expected] * 2)
        assert module.either(dtype(3)) == expected  # called from Python as well


def test_overflow_in_a_kernel_is_silent_with_and_without_compilation():
    y = np.empty(1, np.float32)

    @kernel
    def square(x, y):
        y[0] = x[0] * x[0]

    square.serial(np.array([1e30], np.float32), y)
    assert y[0] == np.inf


# --- threads ----------------------------------------------------------------------------------------------------------


def test_set_num_threads():
    for n in range(1, MOST + 1):
        set_num_threads(n)
        assert get_num_threads() == n
    for bad in (0, -1, MOST + 1):
        with pytest.raises(ValueError, match=rf"set_num_threads: got {bad}; this process can use 1 to {MOST} threads"):
            set_num_threads(bad)
    assert get_num_threads() == MOST


@compiled_only
def test_no_blas_has_other_threads_afterwards():
    code = """
import numpy, scipy.linalg, minidl
from threadpoolctl import threadpool_info
before = threadpool_info()
minidl.Tensor([[1.0]]) @ [[1.0]]
print([library for library in before if library not in threadpool_info()])
"""
    assert in_a_process(code) == "[]"


@compiled_only
def test_a_cold_and_a_warm_cache_give_the_same_bits(tmp_path):
    """A loop of many kinds of arithmetic; with fast-math the two differed."""
    code = """
import numpy as np
from minidl import Tensor, functional as F
rng = np.random.default_rng(0)
x = Tensor(rng.standard_normal((1372, 64)).astype(np.float32), requires_grad=True)
y = F.batch_norm(F.sigmoid(x), None, None, training=True)
y.backward(rng.standard_normal(y.shape))
print(hash(x.grad.tobytes()), hash(y.data.tobytes()))
"""
    cold, warm = (in_a_process(code, NUMBA_CACHE_DIR=str(tmp_path), PYTHONHASHSEED="0") for _ in range(2))
    assert cold == warm


@compiled_only
def test_without_a_place_for_the_cache_kernels_still_run(monkeypatch):
    njit = jit.numba.njit

    def without_a_cache(**options):
        if options.pop("cache", False):
            raise RuntimeError("cannot cache function: no locator available")
        return njit(**options)

    monkeypatch.setattr(jit.numba, "njit", without_a_cache)

    @kernel
    def double(x, y):
        for i in range(x.size):
            y[i] = 2 * x[i]

    y = np.empty(2)
    double[2](np.ones(2), y)
    np.testing.assert_array_equal(y, 2)


@compiled_only
def test_a_helper_must_be_defined_above_its_kernel():
    """Below it would be left out of the fingerprint, and the cache would keep code that is out of date."""
    code = "from minidl.kernels.jit import kernel\n@kernel\ndef f(x):\n    later(x)\ndef later(x):\n    pass"
    with pytest.raises(NameError, match=r"f: define later above it"):
        exec(compile(code, "<test>", "exec"), {"__name__": "test"})

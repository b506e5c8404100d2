"""The threaded matrix product against NumPy's, at sizes around and between those of its blocks."""

import numpy as np
import pytest

from minidl import _jit, _matmul, get_num_threads, set_num_threads
from tests.helpers import DTYPES, JIT, assert_close

PRODUCTS = {  # name -> (function, kernel, from the factors (M, K) and (K, N) to its arguments)
    "matmul": (_matmul.matmul, _matmul._nn, lambda a, b: (a, b)),
    "matmul_nt": (_matmul.matmul_nt, _matmul._nt, lambda a, b: (a, b.T)),
    "matmul_tn": (_matmul.matmul_tn, _matmul._tn, lambda a, b: (a.T, b)),
}
# Blocks have 32 rows, or 128 of more than 512. None of the larger sizes is a multiple of either.
SIZES = [(1, 1, 1), (1, 7, 1), (31, 5, 3), (32, 1, 4), (33, 5, 7), (60, 100, 10), (65, 2, 129)]
SIZES += [(512, 3, 5), (513, 3, 5), (640, 4, 1), (1031, 17, 9)]


def factors(m, k, n, dtype):
    rng = np.random.default_rng(m + k + n)
    return rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", PRODUCTS)
def test_agrees_with_numpy(name, size, dtype):
    product, _, arrange = PRODUCTS[name]
    a, b = factors(*size, dtype)
    expected = a.astype(np.float64) @ b.astype(np.float64)
    arguments = arrange(a, b)
    before = [argument.copy() for argument in arguments]
    assert_close(product(*arguments), expected, dtype)  # .T makes strided arguments
    assert_close(product(*map(np.ascontiguousarray, arguments)), expected, dtype)
    assert_close(product(*[np.repeat(x, 2, axis=1)[::-1, ::2][::-1] for x in arguments]), expected, dtype)
    for argument, copy in zip(arguments, before, strict=True):
        np.testing.assert_array_equal(argument, copy)


@pytest.mark.parametrize("size", [(0, 3, 4), (3, 4, 0), (3, 0, 4), (0, 0, 0), (600, 0, 4)], ids=str)
@pytest.mark.parametrize("name", PRODUCTS)
def test_empty_matrices(name, size):
    _, kernel, arrange = PRODUCTS[name]
    a, b = factors(*size, np.float64)
    out = np.full((size[0], size[2]), np.nan)  # what memory may hold
    kernel(*map(np.ascontiguousarray, arrange(a, b)), out)
    np.testing.assert_array_equal(out, np.zeros((size[0], size[2])))


@pytest.mark.parametrize("name", PRODUCTS)
def test_nan_and_infinity_pass(name):
    product, _, arrange = PRODUCTS[name]
    a, b = factors(40, 6, 5, np.float32)
    a[3, 2], a[35, 1] = np.nan, np.inf
    with np.errstate(invalid="ignore"):
        y, expected = product(*arrange(a, b)), a @ b
    np.testing.assert_array_equal(np.isnan(y), np.isnan(expected))
    np.testing.assert_array_equal(np.isinf(y), np.isinf(expected))


@pytest.mark.skipif(not JIT, reason="there is one build, of plain Python")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [(60, 784, 100), (61, 33, 7), (1031, 65, 33)], ids=str)
@pytest.mark.parametrize("name", PRODUCTS)
def test_the_same_bits_from_both_builds_and_any_number_of_threads(name, size, dtype):
    _, kernel, arrange = PRODUCTS[name]
    arguments = [np.ascontiguousarray(x) for x in arrange(*factors(*size, dtype))]
    kernel(*arguments, np.empty((size[0], size[2]), dtype))  # starts the threads, with one BLAS thread in each
    threads, results = get_num_threads(), []
    try:
        for build, n in [
            (kernel.serial, 1),
            *((kernel.parallel, n) for n in (1, 2, _jit.numba.config.NUMBA_NUM_THREADS)),
        ]:
            set_num_threads(min(n, _jit.numba.config.NUMBA_NUM_THREADS))
            results.append(np.full((size[0], size[2]), np.nan, dtype))
            build(*arguments, results[-1])
    finally:
        set_num_threads(threads)
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])

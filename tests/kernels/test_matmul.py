"""The threaded matrix product against NumPy's, at sizes around and between those of its blocks."""

import numpy as np
import pytest

from minidl import get_num_threads, set_num_threads
from minidl.kernels import jit
from minidl.kernels.matmul import as_stored, large_product, matmul, product, product_for
from tests.helpers import DTYPES, JIT, assert_close, sizes

PRODUCTS = {  # name -> from the factors (M, K) and (K, N) to the same ones, as they lie in memory
    "by rows": lambda a, b: (a, b),
    "by rows, by columns": lambda a, b: (a, np.asfortranarray(b)),
    "by columns, by rows": lambda a, b: (np.asfortranarray(a), b),
}
# Blocks are some tiles of 12 rows (6 where vectors are shorter) high, and a tile's width or less than
# two of columns; parts of sums are up to 512 terms long, and tasks by themselves where there are fewer rows than that.
SIZES = [(1, 1, 1), (1, 7, 1), (31, 5, 3), (32, 1, 4), (33, 5, 7), (60, 100, 10), (65, 2, 129)]
SIZES += [(12, 3, 31), (13, 3, 32), (120, 4, 33), (121, 4, 63), (240, 5, 64), (241, 5, 65), (481, 3, 5), (1031, 17, 9)]
SIZES += [(7, 256, 33), (7, 257, 33)]
SIZES += [(7, 512, 33), (7, 513, 33), (5, 1027, 3), (3, 9000, 2)]
SIZES += sizes(
    (60, 784, 100), (33, 700, 130), (100, 1030, 40), (300, 40, 700), (150, 1250, 40), (600, 1250, 40), (200, 2000, 200),
    tiny=[(60, 40, 300), (20, 1030, 20)],
)  # fmt: skip


def factors(m, k, n, dtype):
    rng = np.random.default_rng(m + k + n)
    return rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", PRODUCTS)
def test_agrees_with_numpy(name, size, dtype):
    a, b = factors(*size, dtype)
    expected = a.astype(np.float64) @ b.astype(np.float64)
    arguments = PRODUCTS[name](a, b)
    before = [argument.copy() for argument in arguments]
    assert_close(matmul(*arguments), expected, dtype)
    assert_close(matmul(*[np.repeat(x, 2, axis=1)[::-1, ::2][::-1] for x in arguments]), expected, dtype)  # strided
    for argument, copy in zip(arguments, before, strict=True):
        np.testing.assert_array_equal(argument, copy)


def arguments(a, b, out):
    """Of the kernel `product`, for these matrices."""
    return *as_stored(a, b), out


@pytest.mark.parametrize("size", [(0, 3, 4), (3, 4, 0), (3, 0, 4), (0, 0, 0), (600, 0, 4)], ids=str)
@pytest.mark.parametrize("name", PRODUCTS)
def test_empty_matrices(name, size):
    out = np.full((size[0], size[2]), np.nan)  # what memory may hold
    product.serial(*arguments(*PRODUCTS[name](*factors(*size, np.float64)), out))
    np.testing.assert_array_equal(out, np.zeros((size[0], size[2])))


@pytest.mark.parametrize("name", PRODUCTS)
def test_nan_and_infinity_pass(name):
    a, b = factors(40, 6, 5, np.float32)
    a[3, 2], a[35, 1] = np.nan, np.inf
    with np.errstate(invalid="ignore"):
        y, expected = matmul(*PRODUCTS[name](a, b)), a @ b
    np.testing.assert_array_equal(np.isnan(y), np.isnan(expected))
    np.testing.assert_array_equal(np.isinf(y), np.isinf(expected))


@pytest.mark.skipif(not JIT, reason="there is one build, of plain Python")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [(60, 784, 100), (61, 33, 7), (1031, 65, 33), (5, 2100, 3), (600, 1250, 40)], ids=str)
@pytest.mark.parametrize("name", PRODUCTS)
def test_the_same_bits_from_both_builds_and_any_number_of_threads(name, size, dtype):
    matrices = PRODUCTS[name](*factors(*size, dtype))
    product.serial(*arguments(*matrices, np.empty((size[0], size[2]), dtype)))  # starts the threads
    threads, results = get_num_threads(), []
    try:
        for build, n in [
            (product.serial, 1),
            *((product.parallel, n) for n in (1, 2, jit.numba.config.NUMBA_NUM_THREADS)),
        ]:
            set_num_threads(min(n, jit.numba.config.NUMBA_NUM_THREADS))
            results.append(np.full((size[0], size[2]), np.nan, dtype))
            build(*arguments(*matrices, results[-1]))
    finally:
        set_num_threads(threads)
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])


@pytest.mark.skipif(not JIT, reason="NumPy's product makes no such promise")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "size", [(60, 784, 100), (61, 33, 7), (1031, 65, 97), (400, 784, 70), (128, 3136, 128)], ids=str
)
@pytest.mark.parametrize("name", PRODUCTS)
def test_rows_and_columns_have_the_same_bits_alone(name, size, dtype):
    a, b = factors(*size, dtype)
    whole = matmul(*PRODUCTS[name](a, b))
    for rows in (np.s_[:1], np.s_[3:17], np.s_[-41:]):
        np.testing.assert_array_equal(matmul(*PRODUCTS[name](a[rows], b)), whole[rows])
    for columns in (np.s_[:1], np.s_[2:7], np.s_[-50:]):
        np.testing.assert_array_equal(matmul(*PRODUCTS[name](a, b[:, columns].copy())), whole[:, columns])


# ---- both factors packed -----------------------------------------------------------------------------------------------

LARGE = [(1, 1, 1), (5, 3, 7), (13, 17, 35)]
LARGE += sizes((128, 128, 128), (37, 600, 66), (131, 1030, 129), (260, 257, 401), tiny=[(31, 520, 33)])
LAYOUTS = PRODUCTS | {"by columns": lambda a, b: (np.asfortranarray(a), np.asfortranarray(b))}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", LARGE, ids=str)
@pytest.mark.parametrize("name", LAYOUTS)
def test_the_large_product_has_the_bits_of_the_small_one(name, size, dtype):
    matrices = LAYOUTS[name](*factors(*size, dtype))
    small, large = (np.full((size[0], size[2]), np.nan, dtype) for _ in range(2))
    product.serial(*arguments(*matrices, small))
    for build in (large_product.serial, large_product.parallel):
        large[:] = np.nan
        build(*arguments(*matrices, large))
        np.testing.assert_array_equal(large, small)


def test_b_is_packed_strip_by_strip_where_it_is_large(monkeypatch):
    """The plain kernel: compiled ones have their constants inside."""
    monkeypatch.setattr("minidl.kernels.matmul._B_PACKED", 1)
    a, b = factors(9, 5, 70, np.float64)
    out = np.full((9, 70), np.nan)
    plain = large_product.__wrapped__
    plain(*arguments(a, b, out))
    assert_close(out, a @ b, np.float64)


def test_the_large_product_takes_what_is_long_on_every_side():
    def chosen(rows, depth, columns, by_columns=False):
        a, b = factors(rows, depth, columns, np.float32)
        return product_for(np.asfortranarray(a) if by_columns else a, b)

    assert {chosen(768, 768, 768), chosen(2048, 192, 192, True), chosen(128, 512, 128, True)} == {large_product}
    assert {chosen(767, 4096, 4096), chosen(256, 256, 256), chosen(127, 4096, 4096, True)} == {product}

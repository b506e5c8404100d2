"""The product inside kernels: whole and parts of matrices, by rows and by columns, new and added to what is there."""

import numpy as np
import pytest

from minidl._jit import kernel
from minidl._product import _DEPTH, _PACK_FROM, add_product
from tests.helpers import DTYPES, assert_close

SIZES = [(3, 5, 4), (1, 1, 1), (1, 9, 1), (7, 1, 1), (1, 1, 6), (60, 300, 100), (26, 17, 64), (130, 600, 40)]


@kernel
def inside(a, b, out, keep):
    add_product(a, b, out, keep)


def matrix(rng, rows, columns, layout, dtype):
    """Random numbers, lying in memory as `layout` says."""
    large = rng.standard_normal((rows + 3, columns + 4)).astype(dtype)
    part = large[1 : rows + 1, 2 : columns + 2]
    return {"rows": part.copy(), "columns": np.asfortranarray(part), "part": part, "part.T": part.T.copy().T}[layout]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("keep", [0, 1])
@pytest.mark.parametrize("layouts", [("rows", "rows"), ("columns", "rows"), ("part", "columns"), ("part.T", "part")])
@pytest.mark.parametrize("size", SIZES)
def test_agrees_with_numpy(size, layouts, keep, dtype):
    rng = np.random.default_rng(sum(size))
    m, k, n = size
    a, b = matrix(rng, m, k, layouts[0], dtype), matrix(rng, k, n, layouts[1], dtype)
    out = rng.standard_normal((m, n)).astype(dtype) if keep else np.full((m, n), np.nan, dtype)
    expected = a.astype(np.float64) @ b.astype(np.float64) + (out if keep else 0)
    inside(a, b, out, keep)
    assert_close(out, expected, dtype)


def test_the_sizes_cover_every_way():
    assert 26 < _PACK_FROM < 130  # without packing and with it
    assert 2 * _DEPTH < 600  # one part of the sums, and several


@pytest.mark.parametrize("keep", [0, 1])
def test_a_sum_of_nothing(keep):
    out = np.full((2, 3), 7.0)
    inside(np.empty((2, 0)), np.empty((0, 3)), out, keep)
    np.testing.assert_array_equal(out, 7.0 * keep)


def test_writes_only_what_it_is_given():
    whole = np.zeros((6, 4), np.float32)
    inside(np.ones((2, 3), np.float32), np.ones((3, 4), np.float32), whole[2:4], 0)
    np.testing.assert_array_equal(whole[[0, 1, 4, 5]], 0)
    np.testing.assert_array_equal(whole[2:4], 3)

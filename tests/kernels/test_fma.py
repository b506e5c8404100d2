"""a·b + c in one instruction: fused everywhere or nowhere, and the plain formula in Python."""

from fractions import Fraction

import numpy as np
import pytest

from minidl.kernels.elementary import fma
from minidl.kernels.jit import kernel, prange


@kernel
def squares_less_one(x, y):
    one = x.dtype.type(1)
    for i in prange(x.size):
        y[i] = fma(x[i], x[i], -one)


def numbers(dtype, size=1003):  # which no vector register divides
    """Squares near 1, where the rounding of the product is most of the result."""
    return np.linspace(0.999, 1.001, size, dtype=dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_rounding_or_two_but_the_same_in_vectors_and_remainders(dtype):
    x = numbers(dtype)
    y = np.empty_like(x)
    squares_less_one[x.size](x, y)
    two_roundings = x * x - dtype(1)
    one_rounding = np.array([Fraction(float(number)) ** 2 - 1 for number in x], dtype)
    assert not np.array_equal(one_rounding, two_roundings)
    assert np.array_equal(y, one_rounding) or np.array_equal(y, two_roundings)


def test_parallel_and_serial_give_the_same():
    x = numbers(np.float32, 4_001)
    y, z = np.empty_like(x), np.empty_like(x)
    squares_less_one.serial(x, y)
    squares_less_one.parallel(x, z)
    np.testing.assert_array_equal(y, z)


def test_plain_python():
    assert fma(np.float32(2), np.float32(3), np.float32(4)) == 10
    assert type(fma(np.float32(2), np.float32(3), np.float32(4))) is np.float32

"""The compiler keeps the order of operations and the rounding of each: with fast-math it would do neither."""

import numpy as np
import pytest

from minidl.kernels.jit import device, kernel, prange


@device
def there_and_back(a, b):
    """Loses what b does not let through; to algebra it is a."""
    return (a + b) - b


@kernel
def by_helper(x, b, y):
    for i in prange(x.size):
        y[i] = there_and_back(x[i], b[i])


@kernel
def by_itself(x, b, y):
    for i in prange(x.size):
        y[i] = (x[i] + b[i]) - b[i]


@kernel
def product_less_rounded(x, b, y):
    """What rounding took from x²; 0, unless the product is fused with the difference and never rounded."""
    for i in prange(x.size):
        y[i] = x[i] * x[i] - b[i]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("build", ["serial", "parallel"])
@pytest.mark.parametrize("work", [by_itself, by_helper])
def test_sums_are_not_rearranged(work, build, dtype):
    x = np.linspace(0.1, 1, 37).astype(dtype)
    y = np.full_like(x, -1)
    getattr(work, build)(x, np.full_like(x, 1 / np.finfo(dtype).eps ** 2), y)
    np.testing.assert_array_equal(y, 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("build", ["serial", "parallel"])
def test_products_are_rounded_before_they_are_added(build, dtype):
    x = np.linspace(0.1, 1, 37).astype(dtype)
    y = np.full_like(x, -1)
    getattr(product_less_rounded, build)(x, x * x, y)
    np.testing.assert_array_equal(y, 0)

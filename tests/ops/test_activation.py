"""Elementwise functions and softmax against formulas written out, PyTorch's numbers and composites."""

import warnings

import numpy as np
import pytest
from scipy import special

from minidl import Tensor
from minidl import functional as F
from tests import reference
from tests.helpers import (
    DTYPES,
    assert_close,
    assert_golden,
    assert_layout_does_not_matter,
    assert_same_gradients,
    golden,
    run,
    sizes,
)

ELEMENTWISE = ("relu", "sigmoid", "tanh", "gelu", "silu", "leaky_relu")
ROWWISE = ("softmax", "log_softmax")
ALL = ELEMENTWISE + ROWWISE


def normal_density(x):
    return np.exp(-x * x / 2) / np.sqrt(2 * np.pi)


# name -> (y of x, ∂y/∂x of x), in float64
FORMULAS = {
    "relu": (lambda x: np.maximum(x, 0), lambda x: (x > 0) * 1.0),
    "sigmoid": (special.expit, lambda x: special.expit(x) * special.expit(-x)),
    "tanh": (np.tanh, lambda x: 1 / np.cosh(x) ** 2),
    "gelu": (lambda x: x * special.ndtr(x), lambda x: special.ndtr(x) + x * normal_density(x)),
    "silu": (lambda x: x * special.expit(x), lambda x: special.expit(x) * (1 + x * special.expit(-x))),
    "leaky_relu": (lambda x: np.where(x > 0, x, 0.01 * x), lambda x: np.where(x > 0, 1, 0.01)),
}


def softmax_grad(x, grad_y):
    y = special.softmax(x, axis=-1)
    return y * (grad_y - np.sum(grad_y * y, axis=-1, keepdims=True))


def log_softmax_grad(x, grad_y):
    return grad_y - special.softmax(x, axis=-1) * grad_y.sum(axis=-1, keepdims=True)


# name -> (y of x, ∂x of x and ∂y), in float64
ROW_FORMULAS = {
    "softmax": (lambda x: special.softmax(x, axis=-1), softmax_grad),
    "log_softmax": (lambda x: special.log_softmax(x, axis=-1), log_softmax_grad),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1,), (7,), (1, 1), (5, 3), (2, 3, 4), (2, 1, 3, 5)], ids=str)
@pytest.mark.parametrize("name", ALL)
def test_agrees_with_loops(name, shape, dtype):
    x = (3 * np.random.default_rng(0).standard_normal(shape)).astype(dtype)
    assert_close(getattr(F, name)(Tensor(x)).data, getattr(reference, name)(x), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ALL)
def test_agrees_with_pytorch(name, dtype):
    family = "rectifiers" if name in ("silu", "leaky_relu") else "activation"
    for case in golden(family, f"{name}-").values():
        options = {"negative_slope": float(case["negative_slope"])} if "negative_slope" in case else {}
        assert_golden(lambda x, options=options: getattr(F, name)(x, **options), case, ("x",), dtype)


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "silu", "softmax"])
@pytest.mark.parametrize("shape", [(1, 1), (6, 7), (2, 3, 4)], ids=str)
def test_gradient_agrees_with_the_composite(name, shape):
    rng = np.random.default_rng(0)
    composite = getattr(reference, f"composite_{name}")
    assert_same_gradients(getattr(F, name), composite, 2 * rng.standard_normal(shape), rng=rng, slack=10)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", sizes(8191, 8192, 8193, 3 * 8192 + 5, 100_003, tiny=(1, 3, 83, 8200)))
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_sizes_that_no_chunk_divides(name, size, dtype):
    rng = np.random.default_rng(size)
    x, grad_y = (3 * rng.standard_normal((2, size))).astype(dtype)
    y, (grad_x,) = run(getattr(F, name), x, grad_y=grad_y)
    value, slope = FORMULAS[name]
    x = x.astype(np.float64)
    assert_close(y, value(x), dtype)
    assert_close(grad_x, grad_y * slope(x), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "shape",
    sizes((8193,), (8193, 1), (2731, 3), (821, 10), (83, 100), (3, 8193), (2459, 10), tiny=((7, 3), (2734, 3))),
    ids=str,
)
@pytest.mark.parametrize("name", ROWWISE)
def test_rows_that_no_chunk_divides(name, shape, dtype):
    rng = np.random.default_rng(0)
    x, grad_y = (3 * rng.standard_normal((2, *shape))).astype(dtype)
    y, (grad_x,) = run(getattr(F, name), x, grad_y=grad_y)
    value, gradient = ROW_FORMULAS[name]
    x, grad_y = x.astype(np.float64), grad_y.astype(np.float64)
    assert_close(y, value(x), dtype)
    assert_close(grad_x, gradient(x, grad_y), dtype, slack=np.sqrt(shape[-1]))


# name -> (from where on, units in the last place). Left of -2, 1 + erf(x / √2) cancels in the exact gelu.
ACCURACY = {"relu": (-30, 0), "sigmoid": (-87, 4), "tanh": (-30, 4), "gelu": (-2, 24), "silu": (-87, 4),
            "leaky_relu": (-30, 2)}  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ACCURACY)
def test_accurate_where_the_output_is_small_too(name, dtype):
    start, units = ACCURACY[name]
    x = np.linspace(start, 30, 6001).astype(dtype)
    value, _ = FORMULAS[name]
    expected = value(x.astype(np.float64))
    np.testing.assert_allclose(getattr(F, name)(Tensor(x)).data, expected, rtol=units * np.finfo(dtype).eps, atol=0)


def test_relu_has_no_gradient_at_zero():
    _, (grad_x,) = run(F.relu, np.array([-1.0, 0.0, 1.0]), grad_y=np.array([5.0, 6.0, 7.0]))
    np.testing.assert_array_equal(grad_x, [0, 0, 7])


def test_gelu_is_the_exact_one():
    # the usual approximation with tanh differs by 5e-4 near x = 2
    y = F.gelu(Tensor(np.array([-2.0, -1.0, 0.0, 1.0, 2.0]))).data
    np.testing.assert_allclose(y, [-0.0455002638963584, -0.158655253931457, 0, 0.841344746068543, 1.95449973610364])


EXTREMES = {
    "relu": ([0, 0, 0, 1000, 1e30], [0, 0, 0, 1, 1]),
    "sigmoid": ([0, 0, 0.5, 1, 1], [0, 0, 0.25, 0, 0]),
    "tanh": ([-1, -1, 0, 1, 1], [0, 0, 1, 0, 0]),
    "gelu": ([0, 0, 0, 1000, 1e30], [0, 0, 0.5, 1, 1]),
    "silu": ([0, 0, 0, 1000, 1e30], [0, 0, 0.5, 1, 1]),
    "leaky_relu": ([-1e28, -10, 0, 1000, 1e30], [0.01, 0.01, 0.01, 1, 1]),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_extreme_inputs_give_the_limits_and_no_warning(name, dtype):
    x = np.array([-1e30, -1000, 0, 1000, 1e30], dtype)
    expected, slopes = EXTREMES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        y, (grad_x,) = run(getattr(F, name), x, grad_y=np.ones(5, dtype))
    assert_close(y / np.maximum(1, np.abs(x)), np.array(expected) / np.maximum(1, np.abs(x)).astype(np.float64), dtype)
    assert_close(grad_x, slopes, dtype)


@pytest.mark.parametrize("name", ["sigmoid", "tanh"])
def test_infinities_give_the_limits(name):
    x = np.array([-np.inf, np.inf])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        y, (grad_x,) = run(getattr(F, name), x, grad_y=np.ones(2))
    np.testing.assert_array_equal(y, [0 if name == "sigmoid" else -1, 1])
    np.testing.assert_array_equal(grad_x, [0, 0])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ROWWISE)
def test_extreme_rows_give_the_limits_and_no_warning(name, dtype):
    x = np.array([[1000, 0, -1000], [-1000, -1000, -1000], [1000, 1000, -1000]], dtype)
    value, gradient = ROW_FORMULAS[name]
    grad_y = np.random.default_rng(0).standard_normal(x.shape).astype(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        y, (grad_x,) = run(getattr(F, name), x, grad_y=grad_y)
    assert_close(y, value(x.astype(np.float64)), dtype)
    assert_close(grad_x, gradient(x.astype(np.float64), grad_y.astype(np.float64)), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_softmax_is_accurate_where_it_is_small_too(dtype):
    x = np.stack([np.linspace(-87, 0, 501), np.zeros(501)], axis=1).astype(dtype)
    expected = special.softmax(x.astype(np.float64), axis=1)
    np.testing.assert_allclose(F.softmax(Tensor(x)).data, expected, rtol=8 * np.finfo(dtype).eps, atol=0)


def test_softmax_does_not_notice_a_shift():
    x = np.random.default_rng(0).standard_normal((5, 7))
    assert_close(F.softmax(Tensor(x + 500)).data, F.softmax(Tensor(x)).data, slack=1000)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_nan_is_not_hidden(name, dtype):
    x = np.zeros(37, dtype)
    x[[0, 5, 17, 36]] = np.nan  # within vector registers and in the remainder
    y, (grad_x,) = run(getattr(F, name), x, grad_y=np.ones(37, dtype))
    np.testing.assert_array_equal(np.isnan(y), np.isnan(x))
    if name not in ("relu", "leaky_relu"):  # their gradient depends on whether x > 0, and a NaN never is
        np.testing.assert_array_equal(np.isnan(grad_x), np.isnan(x))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("position", [0, 3, 10])
@pytest.mark.parametrize("name", ROWWISE)
def test_nan_spoils_its_row_and_no_other(name, position, dtype):
    x = np.random.default_rng(0).standard_normal((3, 11)).astype(dtype)
    x[1, position] = np.nan
    y, (grad_x,) = run(getattr(F, name), x, grad_y=np.ones((3, 11), dtype))
    for result in (y, grad_x):
        assert np.isnan(result[1]).all()
        assert np.isfinite(result[[0, 2]]).all()


@pytest.mark.parametrize("name", ALL)
def test_memory_layout_does_not_matter(name):
    rng = np.random.default_rng(0)
    assert_layout_does_not_matter(getattr(F, name), rng.standard_normal((5, 6, 7)), rng=rng)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_a_leaf_keeps_the_gradient_without_a_copy(name):
    y = getattr(F, name)(Tensor(np.ones((5, 3)), requires_grad=True))
    (grad_x,) = y._backward(np.ones((5, 3)))
    assert grad_x.base is None  # what autograd goes by


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_empty_and_scalar_inputs(name):
    op = getattr(F, name)
    assert op(Tensor(np.zeros((0, 3)))).shape == (0, 3)
    y, (grad_x,) = run(op, np.array(0.7), grad_y=np.array(2.0))
    value, slope = FORMULAS[name]
    assert_close(y, value(0.7))
    assert_close(grad_x, 2 * slope(0.7))

"""F.layer_norm against loops, PyTorch's numbers and its composite."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidl import Tensor
from minidl import functional as F
from tests import reference
from tests.helpers import (
    DTYPES,
    assert_close,
    assert_golden,
    assert_gradients_only_where_asked,
    assert_layout_does_not_matter,
    assert_same_gradients,
    golden,
    modest,
    run,
    sizes,
)


def arrays(rng, shape, dtype=np.float64):
    """x of rows with different means and spreads, weight, bias."""
    row_shape = (*shape[:-1], 1)
    x = rng.standard_normal(shape) * rng.uniform(0.5, 2, row_shape) + rng.standard_normal(row_shape)
    return [a.astype(dtype) for a in (x, rng.standard_normal(shape[-1]), rng.standard_normal(shape[-1]))]


LARGE = sizes((8193, 3), (821, 10), (83, 100), (3, 8193), (67, 257), (9, 14, 14, 5), tiny=((83, 3), (5470, 3)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 2), (5, 3), (4, 9), (2, 3, 4), (2, 3, 2, 5)], ids=str)
def test_agrees_with_loops(shape, dtype):
    x, weight, bias = arrays(np.random.default_rng(0), shape, dtype)
    y = F.layer_norm(Tensor(x), Tensor(weight), Tensor(bias), eps=1e-3).data
    assert_close(y, reference.layer_norm(x, weight, bias, 1e-3), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_agrees_with_pytorch(dtype):
    for case in golden("layer_norm").values():

        def norm(x, weight, bias, eps=float(case["eps"])):
            return F.layer_norm(x, weight, bias, eps=eps)

        assert_golden(norm, case, ("x", "weight", "bias"), dtype)


@pytest.mark.parametrize("shape", [(5, 3), (2, 3, 7)], ids=str)
def test_gradients_agree_with_the_composite(shape):
    rng = np.random.default_rng(0)
    assert_same_gradients(F.layer_norm, reference.composite_layer_norm, *arrays(rng, shape), rng=rng, slack=10)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", LARGE, ids=str)
def test_of_sizes_that_no_chunk_divides(shape, dtype):
    rng = np.random.default_rng(0)
    x, weight, bias = arrays(rng, shape, dtype)
    grad_y = rng.standard_normal(shape).astype(dtype)
    y, (grad_x, grad_weight, grad_bias) = run(F.layer_norm, x, weight, bias, grad_y=grad_y)

    axes = tuple(range(x.ndim - 1))
    x, grad_y = x.astype(np.float64), grad_y.astype(np.float64)
    inv_std = 1 / np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)
    x_hat = (x - x.mean(axis=-1, keepdims=True)) * inv_std
    grad_hat = grad_y * weight
    along_x_hat = x_hat * (grad_hat * x_hat).mean(axis=-1, keepdims=True)
    expected_x = inv_std * (grad_hat - grad_hat.mean(axis=-1, keepdims=True) - along_x_hat)
    root_n = np.sqrt(x.size / shape[-1])  # rounding of a sum of n float32 numbers
    assert_close(y, x_hat * weight + bias, dtype, slack=5)
    assert_close(grad_x, expected_x, dtype, slack=10)
    assert_close(grad_weight, (grad_y * x_hat).sum(axis=axes), dtype, slack=root_n)
    assert_close(grad_bias, grad_y.sum(axis=axes), dtype, slack=root_n)


@pytest.mark.parametrize("dtype", DTYPES)
def test_at_a_large_mean(dtype):
    x = (1e4 + np.random.default_rng(0).standard_normal((5, 1000))).astype(dtype)
    ones, zeros = np.ones(1000, dtype), np.zeros(1000, dtype)
    y = F.layer_norm(Tensor(x), Tensor(ones), Tensor(zeros)).data
    np.testing.assert_allclose(y.std(axis=1, dtype=np.float64), 1, rtol=0.01)


def test_of_a_constant_row_is_the_bias():
    rng = np.random.default_rng(0)
    weight, bias = rng.standard_normal((2, 7))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        y, grads = run(F.layer_norm, np.full((3, 7), 3.0), weight, bias, grad_y=rng.standard_normal((3, 7)))
    np.testing.assert_array_equal(y, np.broadcast_to(bias, (3, 7)))
    assert all(np.isfinite(grad).all() for grad in grads)


def test_treats_each_row_alone():
    x, weight, bias = arrays(np.random.default_rng(0), (5, 4))
    y = F.layer_norm(Tensor(x), Tensor(weight), Tensor(bias)).data
    x[3] = 1e3 * np.arange(4)
    changed = F.layer_norm(Tensor(x), Tensor(weight), Tensor(bias)).data
    np.testing.assert_array_equal(np.delete(changed, 3, axis=0), np.delete(y, 3, axis=0))
    assert np.any(changed[3] != y[3])


def test_memory_layout_does_not_matter():
    rng = np.random.default_rng(0)
    assert_layout_does_not_matter(F.layer_norm, *arrays(rng, (9, 5)), rng=rng)


def test_gradients_only_where_asked():
    rng = np.random.default_rng(0)
    assert_gradients_only_where_asked(F.layer_norm, *arrays(rng, (9, 5)), rng=rng)


def test_of_nan_spoils_its_row_and_no_other():
    x, weight, bias = arrays(np.random.default_rng(0), (5, 11))
    x[2, 7] = np.nan
    y = F.layer_norm(Tensor(x), Tensor(weight), Tensor(bias)).data
    np.testing.assert_array_equal(np.isnan(y).all(axis=1), [False, False, True, False, False])
    assert np.isfinite(np.delete(y, 2, axis=0)).all()


@pytest.mark.parametrize("shapes", [((5, 4), (3,), (4,)), ((5, 4), (4,), (5,))], ids=["weight", "bias"])
def test_shapes_that_do_not_fit_are_explained(shapes):
    with pytest.raises(ValueError, match="layer_norm"):
        F.layer_norm(*[Tensor(np.ones(shape)) for shape in shapes])


@modest
@given(
    leading=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    features=st.integers(2, 9),
    seed=st.integers(0, 2**32 - 1),
)
def test_of_any_shape(leading, features, seed):
    x, weight, bias = arrays(np.random.default_rng(seed), (*leading, features))
    y = F.layer_norm(Tensor(x), Tensor(weight), Tensor(bias)).data
    assert_close(y, reference.layer_norm(x, weight, bias), slack=1000)

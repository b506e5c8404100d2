"""F.linear against dot products written out, PyTorch's numbers and its own composite."""

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

CASES = golden("linear")


def arrays(rng, n, n_in, n_out, dtype=np.float64):
    shapes = [(n, n_in), (n_in, n_out), (n_out,)]
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 4, 3), (5, 1, 3), (5, 3, 1), (7, 6, 5), (13, 11, 10)])
def test_agrees_with_dot_products(shape, dtype):
    x, weight, bias = arrays(np.random.default_rng(0), *shape, dtype)
    y, _ = run(F.linear, x, weight, bias, grad_y=np.ones((shape[0], shape[2]), dtype))
    assert_close(y, reference.linear(x, weight, bias), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CASES)
def test_agrees_with_pytorch(name, dtype):
    assert_golden(F.linear, CASES[name], ("x", "weight", "bias"), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", sizes(60, 127, 8191, 8193, tiny=(1, 5, 83, 1000)))
def test_gradients_agree_with_the_composite(n, dtype):
    rng = np.random.default_rng(n)
    x, weight, bias = arrays(rng, n, 7, 10, dtype)
    # float32 adds up n products for a gradient of the weight: rounding grows with √n
    slack = np.sqrt(n) if dtype == np.float32 else 1
    assert_same_gradients(F.linear, reference.composite_linear, x, weight, bias, rng=rng, slack=slack)
    assert_same_gradients(F.linear, reference.composite_linear, x, weight, None, rng=rng, slack=slack)


@pytest.mark.parametrize(("n_in", "n_out"), sizes((784, 100), (3, 8193), (8193, 3), (257, 129), tiny=((1, 9), (9, 1))))
def test_wide_layers(n_in, n_out):
    rng = np.random.default_rng(0)
    assert_same_gradients(F.linear, reference.composite_linear, *arrays(rng, 67, n_in, n_out), rng=rng, slack=100)


@pytest.mark.parametrize("leading", [(), (1,), (2, 3), (2, 1, 4)])
def test_leading_axes_are_kept(leading):
    rng = np.random.default_rng(0)
    x, weight, bias = rng.standard_normal((*leading, 5)), rng.standard_normal((5, 4)), rng.standard_normal(4)
    grad_y = rng.standard_normal((*leading, 4))
    y, (grad_x, grad_weight, grad_bias) = run(F.linear, x, weight, bias, grad_y=grad_y)
    assert_close(y, reference.linear(x, weight, bias))
    flat_y, flat_grads = run(F.linear, x.reshape(-1, 5), weight, bias, grad_y=grad_y.reshape(-1, 4))
    assert_close(y, flat_y.reshape(*leading, 4))
    assert_close(grad_x, flat_grads[0].reshape(*leading, 5))
    assert_close(grad_weight, flat_grads[1])
    assert_close(grad_bias, flat_grads[2])


def test_memory_layout_does_not_matter():
    rng = np.random.default_rng(0)
    assert_layout_does_not_matter(F.linear, *arrays(rng, 9, 5, 4), rng=rng)


def test_gradients_only_where_asked():
    rng = np.random.default_rng(0)
    assert_gradients_only_where_asked(F.linear, *arrays(rng, 9, 5, 4), rng=rng)


def test_the_bias_is_optional():
    x, weight, _ = arrays(np.random.default_rng(0), 5, 4, 3)
    assert_close(F.linear(Tensor(x), Tensor(weight)).data, reference.linear(x, weight))


def test_nan_is_not_hidden():
    x, weight, bias = arrays(np.random.default_rng(0), 6, 5, 4)
    x[2, 3] = np.nan
    y = F.linear(Tensor(x), Tensor(weight), Tensor(bias)).data
    assert np.isnan(y[2]).all()
    assert np.isfinite(np.delete(y, 2, axis=0)).all()


@pytest.mark.parametrize(
    "shapes",
    [((4, 5), (6, 3), (3,)), ((4, 5), (3, 5), (3,)), ((4, 5), (5, 3), (5,)), ((4, 5), (5,), (3,))],
    ids=["in sizes differ", "weight is (out, in)", "bias of wrong size", "weight is a vector"],
)
def test_shapes_that_do_not_fit_are_explained(shapes):
    x, weight, bias = (Tensor(np.ones(shape)) for shape in shapes)
    with pytest.raises(ValueError, match="linear"):
        F.linear(x, weight, bias)


@modest
@given(
    leading=st.lists(st.integers(1, 4), max_size=3),
    n_in=st.integers(1, 9),
    n_out=st.integers(1, 9),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_shape(leading, n_in, n_out, seed):
    rng = np.random.default_rng(seed)
    x, weight = rng.standard_normal((*leading, n_in)), rng.standard_normal((n_in, n_out))
    bias = rng.standard_normal(n_out)
    assert_close(F.linear(Tensor(x), Tensor(weight), Tensor(bias)).data, reference.linear(x, weight, bias))
    if leading:  # the composite's `@` is for matrices
        assert_same_gradients(F.linear, reference.composite_linear, x.reshape(-1, n_in), weight, bias, rng=rng)

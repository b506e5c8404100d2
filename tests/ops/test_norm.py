"""F.batch_norm against loops, PyTorch's numbers and its composite; its traps are in test_norm_traps.py."""

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

GOLDEN = golden("batch_norm")
SHAPES = [(5, 3), (2, 1), (7, 4), (3, 2, 3, 4), (1, 2, 3, 2), (6, 1, 1, 3)]

# Neither a whole number of chunks (8192 elements) nor of row blocks; one row longer than a chunk; one channel alone.
LARGE = sizes(
    (8193, 1), (8191, 1), (3 * 8192 + 5, 1), (4097, 2), (2731, 3), (821, 10), (83, 100), (1171, 7), (67, 257),
    (5, 8193), (60, 100), (129, 64), (3, 29, 31, 5), (9, 14, 14, 17), (1, 128, 65, 3),
    tiny=((83, 3), (3, 5, 4, 7), (5470, 3)),
)  # fmt: skip


def arrays(rng, shape, dtype=np.float64):
    """x of channels with different means and spreads, weight, bias."""
    channels = shape[-1]
    x = rng.standard_normal(shape) * rng.uniform(0.5, 2, channels) + rng.standard_normal(channels)
    return [a.astype(dtype) for a in (x, rng.standard_normal(channels), rng.standard_normal(channels))]


def statistics(rng, channels, dtype=np.float64):
    return rng.standard_normal(channels).astype(dtype), rng.uniform(0.5, 2, channels).astype(dtype)


def train(eps=1e-5):
    return lambda x, weight=None, bias=None: F.batch_norm(x, None, None, weight, bias, training=True, eps=eps)


def evaluate(mean, var):
    return lambda x, weight=None, bias=None: F.batch_norm(x, mean, var, weight, bias)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("affine", [True, False], ids=["affine", "plain"])
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_agrees_with_loops(shape, training, affine, dtype):
    rng = np.random.default_rng(0)
    x, weight, bias = arrays(rng, shape, dtype) if affine else [arrays(rng, shape, dtype)[0], None, None]
    mean, var = statistics(rng, shape[-1], dtype)
    expected, new_mean, new_var = reference.batch_norm(x, mean, var, weight, bias, training, 0.3, 1e-3)
    tensors = [None if a is None else Tensor(a) for a in (weight, bias)]
    y = F.batch_norm(Tensor(x), mean, var, *tensors, training=training, momentum=0.3, eps=1e-3).data
    assert_close(y, expected, dtype)
    assert_close(mean, new_mean, dtype)
    assert_close(var, new_var, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", GOLDEN)
def test_agrees_with_pytorch(name, dtype):
    case = GOLDEN[name]
    mean, var = (case[n].astype(dtype) if n in case else None for n in ("running_mean", "running_var"))
    options = {"momentum": float(case["momentum"]), "eps": float(case["eps"])}

    def norm(x, weight, bias):
        return F.batch_norm(x, mean, var, weight, bias, training=bool(case["training"]), **options)

    assert_golden(norm, case, ("x", "weight", "bias"), dtype)
    if mean is not None:
        assert_close(mean, case["new_running_mean"], dtype)
        assert_close(var, case["new_running_var"], dtype)


@pytest.mark.parametrize("shape", [(5, 3), (11, 1), (3, 2, 3, 4)], ids=str)
def test_gradients_agree_with_the_composite(shape):
    rng = np.random.default_rng(0)
    x, weight, bias = arrays(rng, shape)
    assert_same_gradients(train(), reference.composite_batch_norm, x, weight, bias, rng=rng, slack=10)
    mean, var = statistics(rng, shape[-1])

    def composite(x, weight, bias):
        return reference.composite_batch_norm_eval(x, mean, var, weight, bias)

    assert_same_gradients(evaluate(mean, var), composite, x, weight, bias, rng=rng, slack=10)


def closed_form(x, weight, bias, grad_y, eps=1e-5):
    """Output, statistics and gradients in float64, with whole-array NumPy: for sizes at which loops would take long."""
    m = x.size // x.shape[-1]
    rows, grad_rows = (a.reshape(m, -1).astype(np.float64) for a in (x, grad_y))
    mean, var = rows.mean(axis=0), rows.var(axis=0)
    inv_std = 1 / np.sqrt(var + eps)
    x_hat = (rows - mean) * inv_std
    grad_weight, grad_bias = (grad_rows * x_hat).sum(axis=0), grad_rows.sum(axis=0)
    grad_x = weight * inv_std * (grad_rows - grad_bias / m - x_hat * grad_weight / m)
    y = x_hat * weight + bias
    return y.reshape(x.shape), mean, var * m / (m - 1), [grad_x.reshape(x.shape), grad_weight, grad_bias]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", LARGE, ids=str)
def test_sizes_that_no_chunk_divides(shape, dtype):
    rng = np.random.default_rng(0)
    x, weight, bias = arrays(rng, shape, dtype)
    grad_y = rng.standard_normal(shape).astype(dtype)
    mean, var = np.zeros(shape[-1], dtype), np.ones(shape[-1], dtype)

    def norm(x, weight, bias):
        return F.batch_norm(x, mean, var, weight, bias, training=True, momentum=1.0)

    y, (grad_x, grad_weight, grad_bias) = run(norm, x, weight, bias, grad_y=grad_y)
    expected, expected_mean, expected_var, expected_grads = closed_form(x, weight, bias, grad_y)
    root_m = np.sqrt(x.size / shape[-1])  # rounding of a sum of m float32 numbers
    assert_close(y, expected, dtype, slack=5)
    assert_close(mean, expected_mean, dtype, slack=5)
    assert_close(var, expected_var, dtype, slack=5)
    assert_close(grad_x, expected_grads[0], dtype, slack=10)
    assert_close(grad_weight, expected_grads[1], dtype, slack=root_m)
    assert_close(grad_bias, expected_grads[2], dtype, slack=root_m)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", LARGE, ids=str)
def test_evaluation_at_sizes_that_no_chunk_divides(shape, dtype):
    rng = np.random.default_rng(0)
    x, weight, bias = arrays(rng, shape, dtype)
    mean, var = statistics(rng, shape[-1], dtype)
    grad_y = rng.standard_normal(shape).astype(dtype)
    y, (grad_x, grad_weight, grad_bias) = run(evaluate(mean, var), x, weight, bias, grad_y=grad_y)
    inv_std = 1 / np.sqrt(var.astype(np.float64) + 1e-5)
    x_hat = (x - mean.astype(np.float64)) * inv_std
    rows = tuple(range(x.ndim - 1))
    root_m = np.sqrt(x.size / shape[-1])
    assert_close(y, x_hat * weight + bias, dtype, slack=5)
    assert_close(grad_x, grad_y * weight * inv_std, dtype, slack=5)
    assert_close(grad_weight, (grad_y * x_hat).sum(axis=rows), dtype, slack=root_m)
    assert_close(grad_bias, grad_y.sum(axis=rows, dtype=np.float64), dtype, slack=root_m)


@pytest.mark.parametrize("dtype", DTYPES)
def test_images_are_normalised_per_channel_bit_for_bit(dtype):
    """§3.2 of the paper: with features last, BN of (N, H, W, C) is BN of (N·H·W, C)."""
    rng = np.random.default_rng(0)
    x, weight, bias = arrays(rng, (4, 5, 6, 3), dtype)
    grad_y = rng.standard_normal(x.shape).astype(dtype)
    y, grads = run(train(), x, weight, bias, grad_y=grad_y)
    flat_y, flat_grads = run(train(), x.reshape(-1, 3), weight, bias, grad_y=grad_y.reshape(-1, 3))
    np.testing.assert_array_equal(y.reshape(-1, 3), flat_y)
    for grad, flat_grad in zip(grads, flat_grads, strict=True):
        np.testing.assert_array_equal(grad.reshape(flat_grad.shape), flat_grad)


def test_output_has_mean_bias_and_spread_weight():
    x, weight, bias = arrays(np.random.default_rng(0), (50, 4))
    y = train(eps=0.0)(Tensor(x), Tensor(weight), Tensor(bias)).data
    np.testing.assert_allclose(y.mean(axis=0), bias, rtol=1e-12)
    np.testing.assert_allclose(y.std(axis=0), np.abs(weight), rtol=1e-12)


def test_gradient_is_orthogonal_to_the_constants_and_to_x_hat():
    """Moving all of a channel, or stretching it, changes nothing: so the gradient has no part along those."""
    rng = np.random.default_rng(0)
    x, weight, bias = arrays(rng, (50, 4))
    y, (grad_x, _, _) = run(train(eps=0.0), x, weight, bias, grad_y=rng.standard_normal(x.shape))
    np.testing.assert_allclose(grad_x.sum(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose((grad_x * (y - bias)).sum(axis=0), 0, atol=1e-12)


@pytest.mark.parametrize("shape", [(9, 5), (3, 4, 2, 5)], ids=str)
def test_memory_layout_does_not_matter(shape):
    rng = np.random.default_rng(0)
    assert_layout_does_not_matter(train(), *arrays(rng, shape), rng=rng)
    assert_layout_does_not_matter(evaluate(*statistics(rng, 5)), *arrays(rng, shape), rng=rng)


def test_gradients_only_where_asked():
    rng = np.random.default_rng(0)
    assert_gradients_only_where_asked(train(), *arrays(rng, (9, 5)), rng=rng)
    assert_gradients_only_where_asked(evaluate(*statistics(rng, 5)), *arrays(rng, (9, 5)), rng=rng)


def test_running_arrays_are_updated_in_place():
    x = Tensor(np.random.default_rng(0).standard_normal((6, 3)))
    mean, var = np.zeros(3), np.ones(3)
    F.batch_norm(x, mean, var, training=True, momentum=1.0)
    np.testing.assert_allclose(mean, x.data.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(var, x.data.var(axis=0, ddof=1), rtol=1e-12)


def test_float32_statistics_stay_float32():
    x = np.random.default_rng(0).standard_normal((6, 3)).astype(np.float32)
    mean, var = np.zeros(3, np.float32), np.ones(3, np.float32)
    y, (grad_x,) = run(lambda x: F.batch_norm(x, mean, var, training=True), x, grad_y=np.ones_like(x))
    assert y.dtype == grad_x.dtype == mean.dtype == var.dtype == np.float32


def test_a_later_update_of_the_statistics_does_not_change_the_gradient():
    """The buffers change in place with the next batch; the backward pass of this one must not see that."""
    rng = np.random.default_rng(0)
    x, weight, bias = arrays(rng, (6, 3))
    mean, var = statistics(rng, 3)
    grad_y = rng.standard_normal(x.shape)
    _, expected = run(evaluate(mean.copy(), var.copy()), x, weight, bias, grad_y=grad_y)
    tensors = [Tensor(a, requires_grad=True) for a in (x, weight, bias)]
    y = evaluate(mean, var)(*tensors)
    mean += 10
    var *= 100
    y.backward(grad_y)
    for tensor, grad in zip(tensors, expected, strict=True):
        assert_close(tensor.grad, grad)


@pytest.mark.parametrize("dtype", DTYPES)
def test_nan_spoils_its_channel_and_no_other(dtype):
    x, _, _ = arrays(np.random.default_rng(0), (50, 3), dtype)
    x[17, 1] = np.nan
    mean, var = np.zeros(3, dtype), np.ones(3, dtype)
    y = F.batch_norm(Tensor(x), mean, var, training=True).data
    assert np.isnan(y[:, 1]).all()
    assert np.isnan([mean[1], var[1]]).all()
    for result in (y[:, [0, 2]], mean[[0, 2]], var[[0, 2]]):
        assert np.isfinite(result).all()


@pytest.mark.parametrize(
    ("x_shape", "sizes_of"),
    [
        ((6, 3), (4, 4, 3, 3)),
        ((6, 3), (3, 3, 4, 3)),
        ((6, 3), (3, 3, 3, 2)),
        ((3,), (3, 3, 3, 3)),
    ],
    ids=["running arrays", "weight", "bias", "x is 1-D"],
)
@pytest.mark.parametrize("training", [True, False])
def test_shapes_that_do_not_fit_are_explained(x_shape, sizes_of, training):
    mean, var, weight, bias = (np.ones(size) for size in sizes_of)
    with pytest.raises(ValueError, match="batch_norm"):
        F.batch_norm(Tensor(np.ones(x_shape)), mean, var, Tensor(weight), Tensor(bias), training=training)


def test_evaluation_needs_statistics():
    with pytest.raises(ValueError, match="batch_norm"):
        F.batch_norm(Tensor(np.ones((6, 3))), None, None)


@modest
@given(
    leading=st.one_of(
        st.tuples(st.integers(2, 20)), st.tuples(st.integers(1, 4), st.integers(2, 4), st.integers(1, 4))
    ),
    channels=st.integers(1, 7),
    momentum=st.floats(0, 1),
    eps=st.floats(1e-6, 1),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_shape(leading, channels, momentum, eps, seed):
    rng = np.random.default_rng(seed)
    x, weight, bias = arrays(rng, (*leading, channels))
    mean, var = statistics(rng, channels)
    expected, new_mean, new_var = reference.batch_norm(x, mean, var, weight, bias, True, momentum, eps)
    grad_y = rng.standard_normal(x.shape)

    def norm(x, weight, bias):
        return F.batch_norm(x, mean, var, weight, bias, training=True, momentum=momentum, eps=eps)

    y, grads = run(norm, x, weight, bias, grad_y=grad_y)
    assert_close(y, expected, slack=100)
    assert_close(mean, new_mean)
    assert_close(var, new_var)
    for grad, expected_grad in zip(grads, closed_form(x, weight, bias, grad_y, eps)[3], strict=True):
        assert_close(grad, expected_grad, slack=1000)

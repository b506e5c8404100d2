"""The mistakes that implementations of batch normalization make, one test each."""

import warnings

import numpy as np
import pytest

from minidl import Tensor
from minidl import functional as F
from tests.helpers import DTYPES, assert_close, run, sizes


def train(eps=1e-5):
    return lambda x, weight=None, bias=None: F.batch_norm(x, None, None, weight, bias, training=True, eps=eps)


def test_momentum_weights_the_new_value():
    """Ten batches of mean 1 take a running mean from 0 to 1 − 0.9¹⁰."""
    mean, var = np.zeros(1), np.ones(1)
    for _ in range(10):
        F.batch_norm(Tensor(np.array([[0.0], [2.0]])), mean, var, training=True, momentum=0.1)
    np.testing.assert_allclose(mean, 1 - 0.9**10, rtol=1e-12)
    np.testing.assert_allclose(mean, 0.651, atol=5e-4)


@pytest.mark.parametrize("shape", [(4, 1), (1, 2, 2, 1), (2, 1, 2, 1)], ids=str)
def test_biased_variance_normalises_and_unbiased_is_stored(shape):
    """x = 1, 2, 3, 4: variance 1.25 in this batch, 1.6667 as an estimate; n counts the positions too."""
    x = np.array([1.0, 2, 3, 4]).reshape(shape)
    mean, var = np.zeros(1), np.ones(1)
    y = F.batch_norm(Tensor(x), mean, var, training=True, momentum=0.1, eps=0.0).data
    np.testing.assert_allclose(var, 0.9 + 0.1 * 5 / 3, rtol=1e-12)
    np.testing.assert_allclose(var, 1.0667, atol=5e-5)
    np.testing.assert_allclose(y, (x - 2.5) / np.sqrt(1.25), rtol=1e-12)


def test_eps_stands_inside_the_root():
    """σ² = 1e-6 and ε = 1e-5: the gain is 1/√(1.1e-5) = 301.5, not 1/(1e-3 + 1e-5) = 990."""
    x = np.array([[-1e-3], [1e-3]])
    for y in (
        train()(Tensor(x)).data,
        F.batch_norm(Tensor(x), np.zeros(1), np.array([1e-6]), training=False, eps=1e-5).data,
    ):
        np.testing.assert_allclose(y / x, 301.5, atol=0.05)


@pytest.mark.parametrize("offset", [0.0, 1e4, -1e4])
@pytest.mark.parametrize(
    "shape", sizes((8193, 3), (50, 13, 17, 2), (200_003, 1), (3000, 100), tiny=((500, 3),)), ids=str
)
def test_float32_variance_survives_a_large_mean(shape, offset):
    """E[x²] − E[x]² cancels in float32 and gave −8 for a true 1 at mean 1e4."""
    rng = np.random.default_rng(0)
    x = (offset + rng.standard_normal(shape)).astype(np.float32)
    mean, var = np.zeros(shape[-1], np.float32), np.zeros(shape[-1], np.float32)
    y = F.batch_norm(Tensor(x), mean, var, training=True, momentum=1.0).data
    rows = x.reshape(-1, shape[-1]).astype(np.float64)
    np.testing.assert_allclose(var, rows.var(axis=0, ddof=1), rtol=0.01)
    np.testing.assert_allclose(mean, rows.mean(axis=0), rtol=1e-6, atol=1e-4)
    np.testing.assert_allclose(y.std(axis=tuple(range(y.ndim - 1)), dtype=np.float64), 1, rtol=0.01)


@pytest.mark.parametrize("shape", [(1, 3), (1, 1, 1, 3)], ids=str)
def test_one_value_per_channel_is_refused_in_training(shape):
    mean, var = np.zeros(3), np.ones(3)
    with pytest.raises(ValueError, match=r"batch_norm.*(one|1) value"):
        F.batch_norm(Tensor(np.ones(shape)), mean, var, training=True)
    np.testing.assert_array_equal(mean, 0)  # a refused batch leaves no trace
    np.testing.assert_array_equal(var, 1)
    assert F.batch_norm(Tensor(np.ones(shape)), mean, var).shape == shape  # evaluation has nothing to estimate


def test_one_image_of_several_positions_is_legal_in_training():
    x = np.arange(6.0).reshape(1, 2, 3, 1)
    y = train(eps=0.0)(Tensor(x)).data
    np.testing.assert_allclose(y, (x - 2.5) / np.sqrt(35 / 12), rtol=1e-12)


def test_two_examples_become_plus_and_minus_one_and_pass_no_gradient_on():
    """Whatever two numbers are, normalised they are ±1: so nothing depends on them. A check at m = 2 sees nothing."""
    rng = np.random.default_rng(0)
    x = np.array([[3.0, -1.0], [5.0, -8.0]])
    y, (grad_x,) = run(train(eps=0.0), x, grad_y=rng.standard_normal((2, 2)))
    np.testing.assert_allclose(y, [[-1, 1], [1, -1]], rtol=1e-12)
    np.testing.assert_allclose(grad_x, 0, atol=1e-12)


def test_evaluation_is_one_linear_map_with_its_gradient():
    """∂x = γ · ∂y / √(running_var + ε), without mean terms; the buffers keep every bit."""
    rng = np.random.default_rng(0)
    x, weight, bias, mean = rng.standard_normal((6, 3)), *rng.standard_normal((3, 3))
    var = rng.uniform(0.1, 3, 3)
    before = mean.tobytes(), var.tobytes()
    grad_y = rng.standard_normal(x.shape)
    y, (grad_x, grad_weight, grad_bias) = run(
        lambda *inputs: F.batch_norm(inputs[0], mean, var, *inputs[1:]), x, weight, bias, grad_y=grad_y
    )
    inv_std = 1 / np.sqrt(var + 1e-5)
    assert_close(y, weight * (x - mean) * inv_std + bias)
    assert_close(grad_x, weight * grad_y * inv_std)
    assert_close(grad_weight, (grad_y * (x - mean) * inv_std).sum(axis=0))
    assert_close(grad_bias, grad_y.sum(axis=0))
    assert (mean.tobytes(), var.tobytes()) == before


def test_the_statistics_change_once_a_forward_pass_and_never_backward():
    x = Tensor(np.array([[0.0], [2.0]]), requires_grad=True)
    mean, var = np.zeros(1), np.ones(1)
    y = F.batch_norm(x, mean, var, training=True, momentum=0.5)
    assert mean[0] == 0.5
    y.backward(np.array([[1.0], [2.0]]))
    assert mean[0] == 0.5


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("value", [0.0, 3.0, 0.1, -1e4])
@pytest.mark.parametrize("m", sizes(60, 8193, tiny=(5,)))
def test_a_channel_without_variance_gives_the_bias(m, value, dtype):
    rng = np.random.default_rng(0)
    x = np.stack([np.full(m, value), rng.standard_normal(m)], axis=1).astype(dtype)
    weight, bias = rng.standard_normal((2, 2)).astype(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        y, grads = run(train(), x, weight, bias, grad_y=rng.standard_normal(x.shape).astype(dtype))
    # the mean of equal numbers may be off by a rounding, which 1/√ε makes 316 times larger
    rounding = 316 * 4 * np.finfo(dtype).eps * abs(value)
    np.testing.assert_allclose(y[:, 0], bias[0], rtol=1e-6, atol=rounding)
    assert all(np.isfinite(grad).all() for grad in grads)


@pytest.mark.parametrize("training", [True, False])
def test_examples_influence_each_other_in_training_and_never_in_evaluation(training):
    rng = np.random.default_rng(0)
    x, mean, var = rng.standard_normal((6, 3)), np.zeros(3), np.ones(3)
    y = F.batch_norm(Tensor(x), mean.copy(), var.copy(), training=training).data
    x[4] += 1
    changed = F.batch_norm(Tensor(x), mean.copy(), var.copy(), training=training).data
    others = np.delete(changed != y, 4, axis=0)
    assert others.all() if training else not others.any()

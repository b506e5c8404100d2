"""F.group_norm against loops, PyTorch's numbers and its composite, layer norm and batch norm; and with ReLU behind it."""

import numpy as np
import pytest

import minidl
from minidl import Tensor
from minidl import functional as F
from tests import reference_layers as reference
from tests.helpers import (
    DTYPES,
    JIT,
    assert_close,
    assert_golden,
    assert_gradients_only_where_asked,
    assert_layout_does_not_matter,
    assert_same_gradients,
    golden,
    run,
    sizes,
)

GOLDEN = golden("group_norm")
SHAPES = [((3, 4), 2), ((1, 6), 6), ((2, 3, 2, 4), 2), ((2, 2, 2, 6), 1), ((3, 5, 4), 4), ((2, 1, 3, 2, 6), 3)]

# Images of several chunks (8192 elements), with a rest, and just one; many small ones in a task (2048), with a rest;
# groups of 1 to 9000 channels, odd and even; one channel.
LARGE = sizes(
    ((2, 70, 41, 6), 3), ((1, 8193, 1), 1), ((1000, 3, 1, 8), 2), ((3, 2731, 3), 3), ((2, 3, 9000), 2), ((9000, 2), 1),
    ((1, 31, 33, 32), 8), ((41, 100), 4), ((1200, 2), 2), ((300, 14), 2), ((700, 24), 6), ((300, 2, 2, 24), 12),
    ((90, 3, 12), 1), ((3, 1024, 8), 2), ((3, 1025, 8), 2),
    tiny=(((2, 47, 41, 6), 3), ((31, 3, 5, 20), 2)),
)  # fmt: skip


def arrays(rng, shape, dtype=np.float64):
    """x of channels with different means and spreads, weight, bias."""
    channels = shape[-1]
    x = rng.standard_normal(shape) * rng.uniform(0.5, 2, channels) + rng.standard_normal(channels)
    return [a.astype(dtype) for a in (x, rng.standard_normal(channels), rng.standard_normal(channels))]


def norm(groups, eps=1e-5):
    return lambda x, weight=None, bias=None: F.group_norm(x, groups, weight, bias, eps)


def relu_of(groups):
    return lambda x, weight=None, bias=None: F.relu(F.group_norm(x, groups, weight, bias))


def fused(groups):
    return lambda x, weight=None, bias=None: F.group_norm_relu(x, groups, weight, bias)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("affine", [True, False], ids=["affine", "plain"])
@pytest.mark.parametrize(("shape", "groups"), SHAPES, ids=str)
def test_agrees_with_loops(shape, groups, affine, dtype):
    x, weight, bias = arrays(np.random.default_rng(0), shape, dtype)
    weight, bias = (weight, bias) if affine else (None, None)
    y, _ = run(norm(groups, 1e-3), x, weight, bias, grad_y=np.ones_like(x))
    assert_close(y, reference.group_norm(x, groups, weight, bias, 1e-3), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", GOLDEN)
def test_agrees_with_pytorch(name, dtype):
    case = GOLDEN[name]
    assert_golden(norm(int(case["num_groups"]), float(case["eps"])), case, ("x", "weight", "bias"), dtype)


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_gradients_agree_with_the_composite(groups):
    rng = np.random.default_rng(0)

    def composite(x, weight, bias):
        return reference.composite_group_norm(x, groups, weight, bias)

    assert_same_gradients(norm(groups), composite, *arrays(rng, (3, 5, 6)), rng=rng, slack=10)


def closed_form(x, groups, weight, bias, grad_y, eps=1e-5):
    """Output and gradients in float64, with whole-array NumPy: for sizes at which loops would take long."""
    n, channels = x.shape[0], x.shape[-1]
    parts, grads = (a.astype(np.float64).reshape(n, -1, groups, channels // groups) for a in (x, grad_y))
    gamma = weight.astype(np.float64).reshape(groups, -1)
    inv_std = 1 / np.sqrt(parts.var((1, 3), keepdims=True) + eps)
    x_hat = (parts - parts.mean((1, 3), keepdims=True)) * inv_std
    g = grads * gamma
    grad_x = inv_std * (g - g.mean((1, 3), keepdims=True) - x_hat * (g * x_hat).mean((1, 3), keepdims=True))
    grad_weight = (grads * x_hat).sum((0, 1)).reshape(-1)
    y = (x_hat * gamma).reshape(x.shape) + bias
    return y, [grad_x.reshape(x.shape), grad_weight, grads.sum((0, 1)).reshape(-1)]


@pytest.mark.parametrize(("shape", "groups"), LARGE, ids=str)
def test_sizes_that_no_chunk_divides(shape, groups):
    rng, dtype = np.random.default_rng(0), np.float32
    x, weight, bias = arrays(rng, shape, dtype)
    grad_y = rng.standard_normal(shape).astype(dtype)
    y, (grad_x, grad_weight, grad_bias) = run(norm(groups, 0.1), x, weight, bias, grad_y=grad_y)
    expected, expected_grads = closed_form(x, groups, weight, bias, grad_y, 0.1)
    root_m = np.sqrt(x.size / shape[-1])  # rounding of a sum of m float32 numbers
    assert_close(y, expected, dtype, slack=5)
    assert_close(grad_x, expected_grads[0], dtype, slack=10)
    assert_close(grad_weight, expected_grads[1], dtype, slack=root_m)
    assert_close(grad_bias, expected_grads[2], dtype, slack=root_m)


def test_one_group_without_pixels_is_layer_norm():
    rng = np.random.default_rng(0)
    assert_same_gradients(norm(1), F.layer_norm, *arrays(rng, (7, 5)), rng=rng, slack=10)


def test_as_many_groups_as_channels_is_batch_norm_of_each_image():
    """Instance norm: `reshape` makes every image a batch of pixels."""
    x, weight, bias = arrays(np.random.default_rng(0), (3, 4, 5, 6))
    y = norm(6)(Tensor(x), Tensor(weight), Tensor(bias)).data
    for image, result in zip(x, y, strict=True):
        assert_close(result, F.batch_norm(Tensor(image), None, None, Tensor(weight), Tensor(bias), True).data)


def test_examples_never_influence_each_other():
    """Not by a bit: alone, in a batch, or beside a NaN."""
    x, weight, bias = arrays(np.random.default_rng(0), (5, 3, 4, 6), np.float32)
    parameters = Tensor(weight), Tensor(bias)
    together = norm(3)(Tensor(x), *parameters).data
    for i in range(5):
        np.testing.assert_array_equal(norm(3)(Tensor(x[i : i + 1]), *parameters).data[0], together[i])


@pytest.mark.parametrize("dtype", DTYPES)
def test_nan_spoils_its_group_and_no_other(dtype):
    x, _, _ = arrays(np.random.default_rng(0), (4, 3, 5, 6), dtype)
    x[2, 1, 3, 4] = np.nan
    y, (grad_x,) = run(norm(3), x, grad_y=np.random.default_rng(1).standard_normal(x.shape).astype(dtype))
    spoiled = np.zeros(x.shape, bool)
    spoiled[2, :, :, 4:6] = True
    for result in (y, grad_x):
        np.testing.assert_array_equal(np.isnan(result), spoiled)


@pytest.mark.parametrize("offset", [0.0, 1e4, -1e4])
def test_float32_variance_survives_a_large_mean(offset):
    x = (offset + np.random.default_rng(0).standard_normal((2, 40, 30, 8))).astype(np.float32)
    y = norm(2)(Tensor(x)).data.reshape(2, -1, 2, 4).astype(np.float64)
    np.testing.assert_allclose(y.std((1, 3)), 1, rtol=0.01)
    np.testing.assert_allclose(y.mean((1, 3)), 0, atol=0.01)


@pytest.mark.parametrize("offset", [1e3, 1e5])
def test_vectors_with_a_large_mean_are_exact_to_the_rounding_of_the_mean(offset):
    x = (offset + np.random.default_rng(0).standard_normal((50, 66))).astype(np.float32)
    expected = reference.group_norm(x.astype(np.float64), 2)
    np.testing.assert_allclose(norm(2)(Tensor(x)).data, expected, rtol=0, atol=2 * np.spacing(np.float32(offset)))


def test_channels_of_a_group_that_lie_far_apart():
    """Merged as Chan et al. do, not from Σx²: 1e4 and 0 in one group."""
    x = np.random.default_rng(0).standard_normal((2, 30, 4)).astype(np.float32)
    x[..., ::2] += 1e4
    y = norm(2)(Tensor(x)).data
    expected = reference.group_norm(x.astype(np.float64), 2)
    np.testing.assert_allclose(y, expected, atol=1e-5)


def test_gradient_is_orthogonal_to_the_constants_and_to_x_hat():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 10, 6))
    y, (grad_x,) = run(norm(2, 0.0), x, grad_y=rng.standard_normal(x.shape))
    for of in (np.ones_like(y), y):
        np.testing.assert_allclose((grad_x * of).reshape(3, 10, 2, 3).sum((1, 3)), 0, atol=1e-12)


@pytest.mark.parametrize("f", [norm(2), fused(2)], ids=["plain", "with relu"])
def test_memory_layout_and_what_is_asked_do_not_matter(f):
    rng = np.random.default_rng(0)
    assert_layout_does_not_matter(f, *arrays(rng, (3, 4, 2, 6)), rng=rng)
    assert_gradients_only_where_asked(f, *arrays(rng, (3, 4, 2, 6)), rng=rng)


@pytest.mark.parametrize("shape", [(0, 6), (0, 3, 4, 6), (3, 0, 4, 6), (3, 4, 0, 6)], ids=str)
def test_no_examples_and_no_pixels(shape):
    y, grads = run(norm(3), np.ones(shape), np.ones(6), np.ones(6), grad_y=np.ones(shape))
    assert y.shape == shape
    assert [grad.shape for grad in grads] == [shape, (6,), (6,)]
    assert not grads[1].any()
    assert not grads[2].any()


def test_a_group_of_one_number_is_its_shift():
    _, weight, bias = arrays(np.random.default_rng(0), (5, 4))
    y, (grad_x, grad_weight, _) = run(norm(4), np.full((5, 4), 3.0), weight, bias, grad_y=np.ones((5, 4)))
    np.testing.assert_array_equal(y, np.broadcast_to(bias, (5, 4)))
    assert not grad_x.any()
    assert not grad_weight.any()


# ---- with ReLU -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("shape", "groups"), [*SHAPES, *LARGE[:3]], ids=str)
def test_with_relu_the_bits_are_those_of_both(shape, groups):
    rng, dtype = np.random.default_rng(0), np.float32
    inputs = arrays(rng, shape, dtype)
    inputs[0].flat[3] = np.nan
    grad_y = rng.standard_normal(shape).astype(dtype)
    y, grads = run(fused(groups), *inputs, grad_y=grad_y)
    expected, expected_grads = run(relu_of(groups), *inputs, grad_y=grad_y)
    assert y.tobytes() == expected.tobytes()
    for grad, other in zip(grads, expected_grads, strict=True):
        np.testing.assert_array_equal(grad, other)


@pytest.mark.skipif(not JIT, reason="has no threads without")
def test_the_same_bits_on_any_number_of_threads():
    inputs, before = arrays(np.random.default_rng(0), (20, 40, 41, 32), np.float32), minidl.get_num_threads()
    grad_y = np.random.default_rng(1).standard_normal(inputs[0].shape).astype(np.float32)
    results = []
    try:
        for threads in {1, before}:
            minidl.set_num_threads(threads)
            y, grads = run(fused(8), *inputs, grad_y=grad_y)
            results.append([a.tobytes() for a in (y, *grads)])
    finally:
        minidl.set_num_threads(before)
    assert all(result == results[0] for result in results)

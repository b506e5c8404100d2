"""Layers: each is its operation with parameters or settings of its own, and refuses what makes no sense."""

import numpy as np
import pytest

import minidl
from minidl import Tensor, nn
from minidl import functional as F
from tests.helpers import DTYPES


def array(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def assert_is(module, operation, x):
    """Module and operation give the same bits, forward and backward, in x and in every parameter."""
    results = []
    for f in (module, operation):
        module.zero_grad()
        given = Tensor(x, requires_grad=True)
        y = f(given)
        y.backward(array(*y.shape, seed=9, dtype=y.dtype))
        results.append([y.data, given.grad, *(p.grad for p in module.parameters())])
    for from_module, from_operation in zip(*results, strict=True):
        assert from_module is not None
        assert from_module.dtype == x.dtype
        np.testing.assert_array_equal(from_module, from_operation)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(5, 4), (4,), (2, 3, 4)], ids=str)
def test_linear(shape, bias, dtype):
    layer = nn.Linear(4, 3, bias=bias).to(dtype)
    assert layer.weight.shape == (4, 3)
    assert (layer.bias is not None) == bias
    assert_is(layer, lambda x: F.linear(x, layer.weight, layer.bias), array(*shape, dtype=dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("kernel_size", "stride", "padding", "bias"),
    [(3, 1, 0, True), (3, 2, 1, False), ((1, 2), (2, 1), (0, 2), True), ([2, 3], 1, 0, True)],
)
def test_conv2d(kernel_size, stride, padding, bias, dtype):
    layer = nn.Conv2d(2, 3, kernel_size, stride, padding, bias=bias).to(dtype)
    size = (kernel_size, kernel_size) if isinstance(kernel_size, int) else tuple(kernel_size)
    assert layer.weight.shape == (*size, 2, 3)
    assert (layer.bias is not None) == bias
    x = array(2, 5, 4, 2, dtype=dtype)
    assert_is(layer, lambda x: F.conv2d(x, layer.weight, layer.bias, stride, padding), x)


@pytest.mark.parametrize("shape", [(7,), (5, 4), (2, 3, 4, 2)], ids=str)
@pytest.mark.parametrize(
    ("layer", "operation"),
    [(nn.ReLU(), F.relu), (nn.Sigmoid(), F.sigmoid), (nn.Tanh(), F.tanh), (nn.GELU(), F.gelu)],
    ids=lambda value: type(value).__name__,
)
def test_activations(layer, operation, shape):
    assert_is(layer, operation, array(*shape))
    assert not list(layer.parameters())


@pytest.mark.parametrize("dtype", DTYPES)
def test_layer_norm(dtype):
    layer = nn.LayerNorm(4, eps=0.1).to(dtype)
    np.testing.assert_array_equal(layer.weight.data, np.ones(4))
    np.testing.assert_array_equal(layer.bias.data, np.zeros(4))
    layer.weight.data, layer.bias.data = array(2, 4, seed=1, dtype=dtype)
    assert_is(layer, lambda x: F.layer_norm(x, layer.weight, layer.bias, 0.1), array(5, 4, dtype=dtype))


@pytest.mark.parametrize(("kernel_size", "stride"), [(2, None), (3, 1), ((2, 1), (1, 2))])
def test_pools(kernel_size, stride):
    x = array(2, 5, 6, 3)
    assert_is(nn.MaxPool2d(kernel_size, stride), lambda x: F.max_pool2d(x, kernel_size, stride), x)
    assert_is(nn.AvgPool2d(kernel_size, stride), lambda x: F.avg_pool2d(x, kernel_size, stride), x)
    assert_is(nn.GlobalAvgPool2d(), F.global_avg_pool2d, x)


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (4, 7), (3,), (0, 2, 2)], ids=str)
def test_flatten_keeps_the_first_axis(shape):
    x = array(*shape)
    y = nn.Flatten()(Tensor(x))
    assert y.shape == (shape[0], int(np.prod(shape[1:])))
    np.testing.assert_array_equal(y.data.ravel(), x.ravel())


def test_dropout_draws_from_its_generator_in_training_only():
    x = Tensor(np.ones((20, 10), np.float32))
    layer = nn.Dropout(0.3, generator=np.random.default_rng(5))
    expected = F.dropout(x, 0.3, True, generator=np.random.default_rng(5)).data
    np.testing.assert_array_equal(layer(x).data, expected)
    assert np.any(layer(x).data != expected)  # a new draw each time
    state = layer.generator.bit_generator.state
    np.testing.assert_array_equal(layer.eval()(x).data, x.data)
    assert layer.generator.bit_generator.state == state


def test_dropout_without_a_generator_follows_manual_seed():
    x, layer = Tensor(np.ones((20, 10), np.float32)), nn.Dropout()
    minidl.manual_seed(1)
    first = layer(x).data
    minidl.manual_seed(1)
    np.testing.assert_array_equal(layer(x).data, first)
    assert 0.3 < np.mean(first == 0) < 0.7


# ---- first weights ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "fan_in"),
    [(lambda g: nn.Linear(25, 400, generator=g), 25), (lambda g: nn.Conv2d(3, 400, (2, 4), generator=g), 24)],
)
def test_first_weights_and_biases_are_uniform_within_one_over_root_fan_in(make, fan_in):
    layer, bound = make(np.random.default_rng(0)), 1 / np.sqrt(fan_in)
    for parameter in (layer.weight, layer.bias):
        values = parameter.data
        assert values.dtype == np.float32
        assert np.abs(values).max() <= bound
        assert np.abs(values).max() > 0.97 * bound
        deviation = bound / np.sqrt(3)
        assert abs(values.mean()) < 5 * deviation / np.sqrt(values.size)
        assert abs(values.std() / deviation - 1) < 5 / np.sqrt(values.size)


def test_first_weights_come_from_the_passed_generator_alone():
    state = minidl.default_generator().bit_generator.state
    first, again = (nn.Linear(3, 4, generator=np.random.default_rng(2)) for _ in range(2))
    np.testing.assert_array_equal(first.weight.data, again.weight.data)
    np.testing.assert_array_equal(first.bias.data, again.bias.data)
    assert np.any(first.weight.data != nn.Linear(3, 4, generator=np.random.default_rng(3)).weight.data)
    nn.Conv2d(1, 2, 3, generator=np.random.default_rng(2))
    assert minidl.default_generator().bit_generator.state == state


def test_first_weights_follow_manual_seed():
    minidl.manual_seed(3)
    first = nn.Linear(3, 4), nn.Conv2d(1, 2, 3)
    minidl.manual_seed(3)
    again = nn.Linear(3, 4), nn.Conv2d(1, 2, 3)
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a.weight.data, b.weight.data)
        np.testing.assert_array_equal(a.bias.data, b.bias.data)


# ---- what it looks like, and errors ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (nn.Linear(3, 4, bias=False), "Linear(3, 4, bias=False)"),
        (nn.Conv2d(1, 2, 3, padding=1), "Conv2d(1, 2, kernel_size=(3, 3), stride=1, padding=1, bias=True)"),
        (nn.MaxPool2d(2), "MaxPool2d(kernel_size=2, stride=2)"),
        (nn.AvgPool2d((2, 1), 3), "AvgPool2d(kernel_size=(2, 1), stride=3)"),
        (nn.Dropout(0.2), "Dropout(p=0.2)"),
        (nn.LayerNorm(3), "LayerNorm(3, eps=1e-05)"),
        (nn.GlobalAvgPool2d(), "GlobalAvgPool2d()"),
        (nn.GELU(), "GELU()"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_repr(layer, text):
    assert repr(layer).startswith(text)


def test_sizes_may_be_numpy_integers():
    n = np.prod((2, 3))  # how one computes a size
    assert nn.Linear(n, n).weight.shape == (6, 6)
    assert nn.Conv2d(n, n, np.int64(3)).weight.shape == (3, 3, 6, 6)
    assert nn.BatchNorm(n).weight.shape == nn.LayerNorm(n).weight.shape == (6,)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: nn.Linear(0, 3), "Linear: in_features is 0"),
        (lambda: nn.Linear(3, -1), "Linear: out_features is -1"),
        (lambda: nn.Linear(2.5, 3), "Linear: in_features is 2.5"),
        (lambda: nn.Linear("3", 3), "Linear: in_features is '3'"),
        (lambda: nn.Conv2d(0, 1, 3), "Conv2d: in_channels is 0"),
        (lambda: nn.Conv2d(1, 0, 3), "Conv2d: out_channels is 0"),
        (lambda: nn.Conv2d(1, 1, 0), "Conv2d: kernel_size is 0"),
        (lambda: nn.Conv2d(1, 1, (3, -1)), r"Conv2d: kernel_size is \(3, -1\)"),
        (lambda: nn.Conv2d(1, 1, (3, 3, 3)), r"Conv2d: kernel_size is \(3, 3, 3\)"),
        (lambda: nn.Conv2d(1, 1, 2.0), "Conv2d: kernel_size is 2.0"),
        (lambda: nn.Conv2d(1, 1, 3, stride=0), "Conv2d: stride is 0"),
        (lambda: nn.Conv2d(1, 1, 3, padding=-1), "Conv2d: padding is -1"),
        (lambda: nn.MaxPool2d(0), "MaxPool2d: kernel_size is 0"),
        (lambda: nn.AvgPool2d(2, 0), "AvgPool2d: stride is 0"),
        (lambda: nn.LayerNorm(0), "LayerNorm: features is 0"),
        (lambda: nn.LayerNorm(3, eps=-1), "LayerNorm: eps is -1"),
        (lambda: nn.Dropout(1.5), "Dropout: p is 1.5"),
        (lambda: nn.Dropout(-0.1), "Dropout: p is -0.1"),
        (lambda: nn.Dropout(float("nan")), "Dropout: p is nan"),
    ],
)
def test_impossible_settings_are_refused_at_once(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_errors_of_the_operation_pass_through():
    with pytest.raises(ValueError, match="linear: x is"):
        nn.Linear(4, 3)(Tensor(array(2, 5)))
    with pytest.raises(TypeError, match="linear: x is a ndarray"):
        nn.Linear(4, 3)(array(2, 4))

"""Numbers at the edges of float32, against the same operation in float64: large means, tiny variances, huge logits,
denormals, empty batches and batches of one. A result is right up to rounding, or no number at all; never another number.
"""

import numpy as np
import pytest

from minidl import Tensor, nn, optim
from minidl import functional as F
from tests.helpers import JIT

N, C = 24, 5
ULP = np.finfo(np.float32).eps  # 1.2e-7
LARGEST, TINY = np.finfo(np.float32).max, np.finfo(np.float32).tiny


def numbers(seed=0, shape=(N, C)):
    return np.random.default_rng(seed).standard_normal(shape)


def with_parameters(operation):
    """Layer norm and batch norm with a scale and a shift that hide nothing."""
    scale, shift = np.linspace(0.5, 2, C), np.linspace(-1, 1, C)
    return lambda x: operation(x, Tensor(scale.astype(x.dtype)), Tensor(shift.astype(x.dtype)))


def batch_norm(x, weight, bias):
    return F.batch_norm(x, None, None, weight, bias, training=True)


def mean_of_cross_entropy(x):
    return F.cross_entropy(x, np.arange(len(x.data)) % C)


ELEMENTWISE = {"relu": F.relu, "sigmoid": F.sigmoid, "tanh": F.tanh, "gelu": F.gelu, "silu": F.silu,
               "leaky_relu": F.leaky_relu}  # fmt: skip
OF_ROWS = {"softmax": F.softmax, "log_softmax": F.log_softmax, "cross_entropy": mean_of_cross_entropy}
NORMS = {
    "batch_norm": with_parameters(batch_norm), "layer_norm": with_parameters(F.layer_norm),
    "group_norm": with_parameters(lambda x, weight, bias: F.group_norm(x, 1, weight, bias)),
}  # fmt: skip

INPUTS = {
    "ordinary": numbers(),
    "denormals": 1e-41 * numbers(),
    "around the smallest normal number": TINY * numbers(),
    "large": 1e4 * numbers(),
    "huge": 1e30 * numbers(),
    "the largest, whose sums still fit": np.where(numbers() > 0, LARGEST, -LARGEST) / 64,
    "zeros": np.zeros((N, C)),
    "large mean": 1e4 + numbers(),
    "large and constant": np.full((N, C), 1e8),
    "of every size": numbers() * 10.0 ** np.random.default_rng(1).uniform(-38, 38, (N, C)),
}


def both(operation, x, seed=2):
    """Outputs and gradients in float32, and in float64 from the same numbers."""
    x = x.astype(np.float32)
    results = []
    for dtype in (np.float32, np.float64):
        leaf = Tensor(x.astype(dtype), requires_grad=True)
        y = operation(leaf)
        y.backward(numbers(seed, y.shape).astype(np.float32).astype(dtype))
        results += [y.data, leaf.grad]
    assert results[0].dtype == results[1].dtype == np.float32
    return results


def close(got, expected, slack, least=TINY * 1e-5):
    """Equal up to `slack` roundings of each number, and to a denormal."""
    np.testing.assert_allclose(got, expected, rtol=slack * ULP, atol=least)


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("operation", ELEMENTWISE)
def test_elementwise(operation, name):
    y, grad, expected, expected_grad = both(ELEMENTWISE[operation], INPUTS[name])
    close(y, expected, 40, least=2 * TINY)
    close(grad, expected_grad, 40, least=8 * ULP)  # of slopes that are at most about 1


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("operation", OF_ROWS)
def test_rows(operation, name):
    """Also where all logits are huge: what counts is how far they are from each other."""
    y, grad, expected, expected_grad = both(OF_ROWS[operation], INPUTS[name])
    close(y, expected, 8, least=8 * ULP)
    close(grad, expected_grad, 40, least=40 * ULP)


def test_a_common_offset_of_the_logits_changes_nothing():
    """Added to the largest logit before it is taken away again, the logarithm would drown: at 1e8 a loss of 0."""
    logits, labels = numbers(shape=(4, 10)).round(1), np.array([0, 3, 5, 9])
    for offset in (0, 1e3, 2.0**20):
        shifted = (logits + offset).astype(np.float32)
        loss = F.cross_entropy(Tensor(shifted), labels).data
        exact = F.cross_entropy(Tensor(shifted.astype(np.float64)), labels).data
        np.testing.assert_allclose(loss, exact, rtol=8 * ULP)
    same = Tensor(np.full((4, 10), 1e30, np.float32))
    np.testing.assert_allclose(F.cross_entropy(same, labels).data, np.log(10), rtol=8 * ULP)


@pytest.mark.parametrize("mean", [0, 1, 1e2, 1e4, 1e6])
@pytest.mark.parametrize("std", [1e-20, 1e-6, 1e-3, 1, 1e3])
@pytest.mark.parametrize("operation", NORMS)
def test_norms_at_any_mean_and_width(operation, std, mean):
    """x̂ is right up to what one rounding of the mean is of the width: 1 % at mean 1e4 and width 1 is far above that."""
    x = (mean + std * numbers()).astype(np.float32)
    y, grad, expected, expected_grad = both(NORMS[operation], x)
    axis = 0 if operation == "batch_norm" else 1
    inv_std = (1 / np.sqrt(x.astype(np.float64).var(axis, keepdims=True) + 1e-5)).max()
    rounding = ULP * (1 + abs(mean) * inv_std)
    np.testing.assert_allclose(y, expected, atol=20 * rounding, rtol=0)
    np.testing.assert_allclose(grad, expected_grad, atol=20 * rounding * 8 * inv_std, rtol=0)


@pytest.mark.parametrize("size", [1e17, 1e18, 5e18, 1e19, 2e19, 1e20, 1e30, 3e38])
@pytest.mark.parametrize("operation", NORMS)
def test_a_variance_beyond_float32_gives_no_number_rather_than_a_wrong_one(operation, size):
    """(2e19)² is too large for float32; 1/∞ would make every x̂ a harmless-looking 0."""
    x = np.clip(size * numbers(), -LARGEST, LARGEST)
    with np.errstate(over="ignore", invalid="ignore"):
        y, _, expected, _ = both(NORMS[operation], x)
    whole = np.isfinite(y)
    np.testing.assert_allclose(y[whole], expected[whole], atol=1e-4)
    if size <= 1e18:
        assert whole.all()
    if size >= 1e30 and operation != "group_norm":  # which adds channels up in float64, and is right
        assert np.isnan(y).all()


def test_a_nan_in_a_batch_reaches_output_and_statistics():
    x, statistics = numbers().astype(np.float32), [np.zeros(C, np.float32), np.ones(C, np.float32)]
    x[3, 2] = np.nan
    y = F.batch_norm(Tensor(x), *statistics, training=True).data
    for array in (y[0], *statistics):
        assert np.isnan(array).tolist() == [False, False, True, False, False]


@pytest.mark.parametrize("constant", [0, 1e-30, -3, 1e8, 1e30])
@pytest.mark.parametrize("operation", NORMS)
def test_norms_of_what_does_not_vary_are_the_shift(operation, constant):
    y = NORMS[operation](Tensor(np.full((N, C), constant, np.float32))).data
    np.testing.assert_allclose(y, np.broadcast_to(np.linspace(-1, 1, C), y.shape), atol=1e-6)


# ---- sums of many terms ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ordinary", "denormals", "large", "huge", "zeros", "large mean"])
def test_products(name):
    weight = numbers(3, (C, 7)).astype(np.float32)
    x = INPUTS[name]
    y, grad, expected, expected_grad = both(lambda x: x @ Tensor(weight.astype(x.dtype)), x)
    scale = np.abs(x).max() * 10
    np.testing.assert_allclose(y, expected, atol=10 * ULP * scale + TINY, rtol=0)
    np.testing.assert_allclose(grad, expected_grad, atol=100 * ULP, rtol=0)


@pytest.mark.parametrize("scale", [1e-41, 1e-30, 1, 1e30])
def test_convolution_and_pooling(scale):
    images = scale * numbers(4, (2, 6, 6, 3))
    weight = numbers(5, (3, 3, 3, 4)).astype(np.float32)
    for operation in (
        lambda x: F.conv2d(x, Tensor(weight.astype(x.dtype)), padding=1),
        lambda x: F.max_pool2d(x, 2),
        lambda x: F.avg_pool2d(x, 2),
        F.global_avg_pool2d,
    ):
        y, grad, expected, expected_grad = both(operation, images)
        np.testing.assert_allclose(y, expected, atol=500 * ULP * scale + 10 * TINY, rtol=0)
        np.testing.assert_allclose(grad, expected_grad, atol=500 * ULP, rtol=0)


# ---- no examples, and one --------------------------------------------------------------------------------------------


def weight(x, *shape):
    return Tensor(numbers(6, shape).astype(np.float32).astype(x.dtype))


IMAGE_OPERATIONS = {
    "conv_transpose2d": (lambda x: F.conv_transpose2d(x, weight(x, 2, 3, 2, 4), stride=2), (12, 13, 4)),
    "interpolate": (lambda x: F.interpolate(x, 2, "bilinear"), (12, 12, 2)),
    "group_norm": (lambda x: F.group_norm(x, 2), (6, 6, 2)),
    "batch_renorm, evaluation": (
        lambda x: F.batch_renorm(x, np.full(2, 0.5, x.dtype), np.full(2, 3.0, x.dtype)),
        (6, 6, 2),
    ),
    "conv2d": (lambda x: F.conv2d(x, weight(x, 3, 3, 2, 4), padding=1), (6, 6, 4)),
    "conv2d, strided": (lambda x: F.conv2d(x, weight(x, 2, 2, 2, 4), stride=2), (3, 3, 4)),
    "max_pool2d": (lambda x: F.max_pool2d(x, 2), (3, 3, 2)),
    "avg_pool2d": (lambda x: F.avg_pool2d(x, 2), (3, 3, 2)),
    "global_avg_pool2d": (F.global_avg_pool2d, (2,)),
    "flatten": (nn.Flatten(), (72,)),
    "batch_norm, evaluation": (
        lambda x: F.batch_norm(x, np.full(2, 0.5, x.dtype), np.full(2, 3.0, x.dtype)),
        (6, 6, 2),
    ),
}
ROW_OPERATIONS = {
    **{name: (operation, (C,)) for name, operation in (ELEMENTWISE | {"softmax": F.softmax}).items()},
    "log_softmax": (F.log_softmax, (C,)),
    "linear": (lambda x: F.linear(x, weight(x, C, 3)), (3,)),
    "layer_norm": (NORMS["layer_norm"], (C,)),
    "matmul": (lambda x: x @ weight(x, C, 3), (3,)),
}
CASES = [(*case, (6, 6, 2)) for case in IMAGE_OPERATIONS.values()] + [(*case, (C,)) for case in ROW_OPERATIONS.values()]


@pytest.mark.parametrize("n", [0, 1])
@pytest.mark.parametrize(("operation", "after", "before"), CASES, ids=[*IMAGE_OPERATIONS, *ROW_OPERATIONS])
def test_empty_batches_and_batches_of_one(operation, after, before, n):
    y, grad, expected, expected_grad = both(operation, numbers(shape=(n, *before)))
    assert y.shape == (n, *after)
    assert grad.shape == (n, *before)
    np.testing.assert_allclose(y, expected, rtol=100 * ULP, atol=100 * ULP)
    np.testing.assert_allclose(grad, expected_grad, rtol=100 * ULP, atol=100 * ULP)


NO_FEATURES = {
    "linear": (lambda x: F.linear(x, weight(x, 0, 3)), (2, 4, 0), (2, 4, 3)),
    "linear, no outputs": (lambda x: F.linear(x, weight(x, 3, 0)), (2, 4, 3), (2, 4, 0)),
    "batch_norm": (lambda x: F.batch_norm(x, np.ones(0, x.dtype), np.ones(0, x.dtype)), (2, 3, 3, 0), (2, 3, 3, 0)),
    "avg_pool2d": (lambda x: F.avg_pool2d(x, 2), (2, 4, 4, 0), (2, 2, 2, 0)),
    "max_pool2d": (lambda x: F.max_pool2d(x, 2), (2, 4, 4, 0), (2, 2, 2, 0)),
    "global_avg_pool2d": (F.global_avg_pool2d, (2, 4, 4, 0), (2, 0)),
    "relu": (F.relu, (3, 0), (3, 0)),
}


@pytest.mark.parametrize("name", NO_FEATURES)
def test_no_features(name):
    operation, before, after = NO_FEATURES[name]
    y, grad, *_ = both(operation, numbers(shape=before))
    assert y.shape == after
    assert grad.shape == before
    assert not grad.any()


@pytest.mark.parametrize("n", [0, 1])
def test_dropout_of_no_and_of_one_example(n):
    x = Tensor(numbers(shape=(n, C)).astype(np.float32), requires_grad=True)
    y = F.dropout(x, 0.5, True, np.random.default_rng(0))
    y.backward(np.ones((n, C)))
    np.testing.assert_array_equal(y.data, x.data * x.grad)
    assert y.shape == (n, C)
    assert set(x.grad.flat) == ({0, 2} if n else set())


@pytest.mark.parametrize("bias", [False, True])
def test_gradients_of_parameters_from_an_empty_batch_are_zero(bias):
    layers = nn.Linear(C, 3, bias=bias), nn.Conv2d(2, 3, 3, bias=bias), nn.Conv2d(2, 3, 2, stride=2, bias=bias)
    for layer, shape in zip(layers, [(C,), (6, 6, 2), (6, 6, 2)], strict=True):
        layer(Tensor(np.zeros((0, *shape), np.float32))).sum().backward()
        for parameter in layer.parameters():
            assert parameter.grad.shape == parameter.shape
            assert not parameter.grad.any()


@pytest.mark.parametrize("shape", [(0, C), (0, 4, 4, C), (1, C), (1, 1, 1, C)])
def test_batch_norm_does_not_train_on_less_than_two_values(shape):
    layer = nn.BatchNorm(C)
    before = layer.state_dict()
    with pytest.raises(ValueError, match="training needs at least two"):
        layer(Tensor(np.zeros(shape, np.float32)))
    assert all(np.array_equal(before[name], array) for name, array in layer.state_dict().items())
    assert layer.eval()(Tensor(np.zeros(shape, np.float32))).shape == shape


@pytest.mark.skipif(not JIT, reason="plain NumPy numbers warn, as they should")
@pytest.mark.parametrize("momentum", [0, 0.9])
def test_a_step_of_denormals_is_not_lost_and_of_infinities_is_not_hidden(momentum):
    parameter = nn.Parameter(np.zeros(4, np.float32))
    parameter.grad = np.array([1e-42, -TINY, 1e38, np.inf], np.float32)
    optim.SGD([parameter], lr=1.0, momentum=momentum).step()
    np.testing.assert_array_equal(parameter.data, -np.array([1e-42, -TINY, 1e38, np.inf], np.float32))

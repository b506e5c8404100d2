"""Initial weights: their distribution, what they promise, and where their randomness comes from."""

import numpy as np
import pytest

import minidl
from minidl import Tensor, nn
from minidl import functional as F
from minidl.nn import Parameter, init

SHAPES = [(300, 200), (3, 5, 40, 60)]  # a linear and a convolutional weight
FANS = {(300, 200): (300, 200), (3, 5, 40, 60): (600, 900)}


def weight(*shape, dtype=np.float32):
    return Parameter(np.full(shape, np.nan, dtype))


def rng(seed=0):
    return np.random.default_rng(seed)


def assert_distributed(values, mean, std, kurtosis):
    """Mean and standard deviation within five standard errors of what they should be.

    The standard error of a standard deviation is std · √((kurtosis − 1) / 4n).
    """
    n = values.size
    assert abs(values.mean(dtype=np.float64) - mean) < 5 * std / np.sqrt(n)
    assert abs(values.std(dtype=np.float64) - std) < 5 * std * np.sqrt((kurtosis - 1) / 4 / n)


def assert_normal(values, mean, std):
    assert_distributed(values, mean, std, kurtosis=3)
    outside = np.mean(np.abs(values - mean) > 2 * std)  # 4.55 % of a normal distribution, none of a uniform one
    assert abs(outside - 0.0455) < 5 * np.sqrt(0.0455 / values.size)


def assert_uniform(values, low, high):
    assert_distributed(values, (low + high) / 2, (high - low) / np.sqrt(12), kurtosis=1.8)
    margin = (high - low) * 20 / values.size
    assert low <= values.min() < low + margin
    assert high - margin < values.max() <= high


def test_constant():
    parameter = weight(3, 4)
    assert init.constant_(parameter, 0.5) is parameter
    np.testing.assert_array_equal(parameter.data, np.full((3, 4), 0.5))


def test_uniform():
    assert_uniform(init.uniform_(weight(200, 100), -3, 1, rng()).data, -3, 1)
    assert_uniform(init.uniform_(weight(200, 100), generator=rng()).data, 0, 1)


def test_normal():
    assert_normal(init.normal_(weight(200, 100), 2, 0.5, rng()).data, 2, 0.5)
    assert_normal(init.normal_(weight(200, 100), generator=rng()).data, 0, 1)
    np.testing.assert_array_equal(init.normal_(weight(3, 2), 1, 0).data, 1)
    with pytest.raises(ValueError, match="normal_: std is -1"):
        init.normal_(weight(3, 2), 0, -1)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_xavier(shape):
    std = np.sqrt(2 / sum(FANS[shape]))
    assert_normal(init.xavier_normal_(weight(*shape), generator=rng()).data, 0, std)
    assert_normal(init.xavier_normal_(weight(*shape), gain=3, generator=rng()).data, 0, 3 * std)
    bound = np.sqrt(3) * std
    assert_uniform(init.xavier_uniform_(weight(*shape), generator=rng()).data, -bound, bound)
    assert_uniform(init.xavier_uniform_(weight(*shape), gain=3, generator=rng()).data, -3 * bound, 3 * bound)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_kaiming(shape):
    std = np.sqrt(2 / FANS[shape][0])
    assert_normal(init.kaiming_normal_(weight(*shape), rng()).data, 0, std)
    bound = np.sqrt(3) * std
    assert_uniform(init.kaiming_uniform_(weight(*shape), rng()).data, -bound, bound)


def test_kaiming_keeps_the_scale_through_relu_layers():
    x = Tensor(rng(1).standard_normal((200, 100)).astype(np.float32))
    before = np.mean(np.square(x.data))
    for seed in range(5):
        x = F.relu(F.linear(x, init.kaiming_normal_(weight(100, 100), rng(seed))))
    assert 0.5 < np.mean(np.square(x.data)) / before < 2  # a std of 1/√in would leave 1/32


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(20, 20), (30, 7), (7, 30), (3, 2, 4, 5), (1, 2, 3, 11)], ids=str)
def test_orthogonal_columns_or_rows(shape, dtype):
    parameter = init.orthogonal_(weight(*shape, dtype=dtype), gain=2, generator=rng())
    matrix = parameter.data.reshape(-1, shape[-1])
    assert matrix.dtype == dtype
    rows, columns = matrix.shape
    gram = matrix.T @ matrix if rows >= columns else matrix @ matrix.T
    np.testing.assert_allclose(gram, 4 * np.eye(min(rows, columns)), atol=1e-12 if dtype == np.float64 else 1e-5)


def test_orthogonal_is_uniform_over_all_rotations():
    """Without fixing the signs of QR, the first diagonal element would always be of one sign."""
    corners = [init.orthogonal_(weight(3, 3), generator=rng(seed)).data[0, 0] for seed in range(400)]
    assert abs(np.mean(np.sign(corners))) < 5 / np.sqrt(400)
    assert abs(np.mean(np.square(corners)) - 1 / 3) < 0.08


@pytest.mark.parametrize("kernel_size", [(1, 1), (3, 3), (3, 5)])
@pytest.mark.parametrize(("channels", "out"), [(3, 3), (2, 4), (4, 2)])
def test_dirac_hands_channels_on(kernel_size, channels, out):
    padding = (kernel_size[0] // 2, kernel_size[1] // 2)
    layer = nn.Conv2d(channels, out, kernel_size, padding=padding, bias=False)
    assert init.dirac_(layer.weight) is layer.weight
    x = rng().standard_normal((2, 6, 5, channels)).astype(np.float32)
    y = layer(Tensor(x)).data
    common = min(channels, out)
    np.testing.assert_array_equal(y[..., :common], x[..., :common])
    np.testing.assert_array_equal(y[..., common:], 0)


DRAWING = [init.uniform_, init.normal_, init.xavier_uniform_, init.xavier_normal_, init.kaiming_uniform_,
           init.kaiming_normal_, init.orthogonal_]  # fmt: skip


@pytest.mark.parametrize("draw", DRAWING)
def test_randomness_is_the_generators(draw):
    state = minidl.default_generator().bit_generator.state
    first = draw(weight(5, 4), generator=rng(3)).data
    assert minidl.default_generator().bit_generator.state == state
    np.testing.assert_array_equal(draw(weight(5, 4), generator=rng(3)).data, first)
    assert np.any(draw(weight(5, 4), generator=rng(4)).data != first)
    minidl.manual_seed(3)
    np.testing.assert_array_equal(draw(weight(5, 4)).data, first)


@pytest.mark.parametrize("draw", DRAWING)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_written_in_place_in_the_parameters_type(draw, dtype):
    parameter = weight(5, 4, dtype=dtype)
    data = parameter.data
    assert draw(parameter, generator=rng()) is parameter
    assert parameter.data is data
    assert data.dtype == dtype
    assert np.isfinite(data).all()


@pytest.mark.parametrize("draw", DRAWING[2:])
def test_a_vector_has_no_fans(draw):
    with pytest.raises(ValueError, match=rf"{draw.__name__}: the tensor is \(4,\)"):
        draw(weight(4))


def test_dirac_is_for_convolutions():
    with pytest.raises(ValueError, match=r"dirac_: the tensor is \(4, 4\)"):
        init.dirac_(weight(4, 4))


def test_everything_public_is_tested_here():
    in_test_whitening = {"whitening_"}
    assert set(init.__all__) == {f.__name__ for f in DRAWING} | {"constant_", "dirac_"} | in_test_whitening

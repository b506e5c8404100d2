"""init.whitening_: a first convolution whose outputs on its images are uncorrelated and equally large."""

import numpy as np
import pytest

from minidl import Tensor, nn, optim
from minidl.nn import init


def photographs(n=60, size=9, channels=3, seed=0, dtype=np.float32):
    """Images whose neighbouring pixels and channels are correlated, as in photographs."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((n, size + 2, size + 2, channels))
    smooth = sum(noise[:, i : i + size, j : j + size] for i in range(3) for j in range(3))
    return (smooth @ rng.standard_normal((channels, channels)) + 0.7).astype(dtype)


def convolution(kernel_size=2, channels=3, signs=2, bias=False):
    height, width = kernel_size if isinstance(kernel_size, tuple) else (kernel_size, kernel_size)
    return nn.Conv2d(channels, signs * height * width * channels, kernel_size, bias=bias).to(np.float64)


def naive_covariance(images, height, width):
    patches = [
        image[i : i + height, j : j + width].ravel()
        for image in images.astype(np.float64)
        for i in range(images.shape[1] - height + 1)
        for j in range(images.shape[2] - width + 1)
    ]
    return np.cov(np.array(patches).T, bias=True)


@pytest.mark.parametrize("kernel_size", [2, (1, 3), (3, 2)], ids=str)
@pytest.mark.parametrize("n", [60, 203])  # one and several blocks
def test_the_outputs_have_a_covariance_of_one(kernel_size, n):
    images = photographs(n)
    layer = convolution(kernel_size, signs=1)
    assert init.whitening_(layer.weight, images, eps=0) is layer.weight
    y = layer(Tensor(images.astype(np.float64))).data.reshape(-1, layer.weight.shape[-1])
    np.testing.assert_allclose(np.cov(y.T, bias=True), np.eye(y.shape[1]), atol=1e-8)


def test_eps_makes_small_directions_small():
    images, eps = photographs(), 0.5
    layer = convolution(signs=1)
    init.whitening_(layer.weight, images, eps)
    y = layer(Tensor(images.astype(np.float64))).data.reshape(-1, 12)
    values = np.linalg.eigvalsh(naive_covariance(images, 2, 2))[::-1]
    np.testing.assert_allclose(np.cov(y.T, bias=True), np.diag(values / (values + eps)), atol=1e-9)


def test_filters_are_the_scaled_eigenvectors_and_then_the_same_negated():
    images = photographs()
    weight = init.whitening_(convolution().weight, images).data.reshape(12, 24)
    np.testing.assert_array_equal(weight[:, 12:], -weight[:, :12])
    covariance = naive_covariance(images, 2, 2)
    values = np.linalg.eigvalsh(covariance)[::-1]
    vectors = weight[:, :12] * np.sqrt(values + 5e-4)
    np.testing.assert_allclose(covariance @ vectors, vectors * values, atol=1e-9)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(12), atol=1e-9)


def test_the_sign_is_that_of_the_largest_number():
    weight = init.whitening_(convolution(signs=1).weight, photographs()).data.reshape(12, 12)
    assert np.all(weight[np.abs(weight).argmax(0), np.arange(12)] > 0)


def test_the_same_images_give_the_same_bits_in_any_type_and_order_of_memory():
    images = np.round(photographs() * 20).clip(-100, 100)
    expected = init.whitening_(convolution().weight, images).data
    for other in (images.astype(np.float64), images.astype(np.int16), np.asfortranarray(images), Tensor(images)):
        np.testing.assert_array_equal(init.whitening_(convolution().weight, other).data, expected)


def test_a_constant_added_to_a_channel_changes_nothing():
    images = photographs(dtype=np.float64)
    expected = init.whitening_(convolution().weight, images).data
    found = init.whitening_(convolution().weight, images + np.array([1e3, -50, 0])).data
    np.testing.assert_allclose(found, expected, atol=1e-7)


def test_written_in_place_in_the_parameters_type():
    layer = nn.Conv2d(3, 24, 2)
    data = layer.weight.data
    init.whitening_(layer.weight, photographs())
    assert layer.weight.data is data
    assert data.dtype == np.float32


def test_images_without_variance_are_no_trouble_with_eps():
    weight = init.whitening_(convolution().weight, np.ones((2, 5, 5, 3))).data
    assert np.isfinite(weight).all()


def test_frozen_with_a_bias_that_is_trained():
    layer = nn.Conv2d(3, 24, 2)
    init.whitening_(layer.weight, photographs())
    layer.weight.requires_grad = False
    before, bias = layer.weight.data.copy(), layer.bias.data.copy()
    optimizer = optim.SGD(layer.parameters(), lr=0.1, weight_decay=0.1)
    (layer(Tensor(photographs())) ** 2).mean().backward()
    optimizer.step()
    np.testing.assert_array_equal(layer.weight.data, before)
    assert np.any(layer.bias.data != bias)


def test_what_is_refused_changes_nothing():
    layer = convolution()
    before = layer.weight.data.copy()
    for images, eps in ((photographs(channels=1), 0.1), (photographs(size=1), 0.1), (np.ones((2, 5, 5, 3)), 0)):
        with pytest.raises(ValueError, match=r"whitening_: .*must be"):
            init.whitening_(layer.weight, images, eps)
    np.testing.assert_array_equal(layer.weight.data, before)

"""Norms that are wrong or noisy on purpose do what they are there for."""

import numpy as np
import pytest

from minidl import Tensor, nn
from minidl.lab.models import paper_mlp
from minidl.lab.paper._norms import NoisyNorm, PathNorm, add_biases, normalise

RNG = np.random.default_rng(0)
X, G = RNG.normal(3, 2, (9, 4)), RNG.standard_normal((9, 4))
X_HAT = (X - X.mean(0)) / np.sqrt(X.var(0) + 1e-5)


def gradient(f):
    x = Tensor(X.copy(), requires_grad=True)
    f(x).backward(G)
    return x.grad


def expected(mean, variance):
    """Return the closed form, with or without the part of each path."""
    parts = G - mean * G.mean(0) - variance * X_HAT * (G * X_HAT).mean(0)
    return parts / np.sqrt(X.var(0) + 1e-5)


@pytest.mark.parametrize("mean", [True, False])
@pytest.mark.parametrize("variance", [True, False])
def test_a_path_that_is_off_is_missing_from_the_gradient(mean, variance):
    def f(x):
        return normalise(x, mean, variance)

    np.testing.assert_allclose(f(Tensor(X)).data, X_HAT, rtol=1e-12)
    np.testing.assert_allclose(gradient(f), expected(mean, variance), rtol=1e-4, atol=1e-9)
    np.testing.assert_array_equal(PathNorm(4, mean, variance)(Tensor(X)).data, f(Tensor(X)).data)


def test_noise_is_new_each_step_unless_it_is_held():
    layer = NoisyNorm(3, np.random.default_rng(0))
    x = Tensor(np.random.default_rng(1).standard_normal((50, 3)).astype(np.float32))
    first, second = layer(x).data, layer(x).data
    assert np.abs(first - second).max() > 0.1
    layer.hold = True
    np.testing.assert_array_equal(layer(x).data, second)
    factor, shift = layer.noise
    np.testing.assert_allclose(second.mean(0), shift, atol=1e-5)
    np.testing.assert_allclose(second.std(0), factor, rtol=1e-4)
    layer.eval()
    np.testing.assert_array_equal(layer(x).data, layer.norm(x).data)


def test_noise_has_the_stated_range():
    layer = NoisyNorm(1000, np.random.default_rng(0))
    layer(Tensor(np.random.default_rng(1).standard_normal((2, 1000)).astype(np.float32)))
    factor, shift = layer.noise
    assert 0.5 <= factor.min() < 0.52
    assert 1.98 < factor.max() <= 2
    assert -1 <= shift.min() < -0.98
    assert 0.98 < shift.max() <= 1
    assert factor.dtype == shift.dtype == np.float32


def test_biases_are_added_where_there_are_none():
    model = add_biases(paper_mlp("batch"))
    layers = [layer for layer in model if isinstance(layer, nn.Linear)]
    assert all(layer.bias is not None for layer in layers)
    assert all(not layer.bias.data.any() for layer in layers)
    assert model[0].bias.shape == (100,)

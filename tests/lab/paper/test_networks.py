"""Norms that are wrong or noisy on purpose do what they are there for."""

import numpy as np

from minidl import Tensor, nn
from minidl import functional as F
from minidl.lab.models import paper_mlp
from minidl.lab.paper._networks import NoisyNorm, StoppedNorm, add_biases


def test_stopped_norm_normalises_but_its_gradient_does_not_know():
    rng = np.random.default_rng(0)
    x, grad_y = Tensor(3 * rng.standard_normal((20, 4)) + 1, requires_grad=True), rng.standard_normal((20, 4))
    y = StoppedNorm(4)(x)
    expected = F.batch_norm(Tensor(x.data), None, None, training=True)
    np.testing.assert_allclose(y.data, expected.data, atol=1e-12)
    y.backward(grad_y)
    np.testing.assert_allclose(x.grad, grad_y / np.sqrt(x.data.var(0) + 1e-5), atol=1e-12)


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

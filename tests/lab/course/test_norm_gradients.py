"""What lesson 06 reads off a network is what arrives there."""

import numpy as np

from minidl import Tensor, nn
from minidl import functional as F
from minidl.lab.course.broken_norms import PathNorm
from minidl.lab.course.norm_gradients import at_batch_norms, removed

GENERATOR = np.random.default_rng(0)


def network():
    layers = [nn.Linear(5, 4, generator=GENERATOR), nn.BatchNorm(4), nn.Sigmoid(), nn.BatchNorm(4)]
    return nn.Sequential(*layers).to(np.float64)


def test_x_hat_and_gradient_of_each():
    model, x, labels = network(), GENERATOR.standard_normal((12, 5)), GENERATOR.integers(0, 4, 12)
    (low_hat, low), (_, high) = at_batch_norms(model, x, labels)
    y = model[0](Tensor(x))
    hidden = Tensor(model[1](y).data, requires_grad=True)
    logits = model[3](F.sigmoid(hidden))
    logits.retain_grad()
    F.cross_entropy(logits, labels).backward()
    np.testing.assert_allclose(low, hidden.grad, atol=1e-14)
    np.testing.assert_allclose(high, logits.grad, atol=1e-14)
    np.testing.assert_allclose(low_hat, hidden.data, atol=1e-12)  # γ is 1, β is 0


def test_it_leaves_no_trace():
    model, x, labels = network(), GENERATOR.standard_normal((12, 5)), GENERATOR.integers(0, 4, 12)
    at_batch_norms(model, x, labels)
    assert all(p.grad is None for p in model.parameters())
    calls = []
    model[1].register_forward_hook(lambda *_: calls.append(1))
    model(Tensor(x))
    assert calls == [1]


def test_removed_shares():
    x_hat = np.array([[1.0], [-1.0], [1.0], [-1.0]])
    across = np.array([[1.0], [1.0], [-1.0], [-1.0]])  # at right angles to 1 and to x̂
    one = np.ones((4, 1))
    np.testing.assert_allclose(removed(x_hat, one), (1, 0))
    np.testing.assert_allclose(removed(x_hat, 3 * x_hat), (0, 1))
    np.testing.assert_allclose(removed(x_hat, across), (0, 0))
    np.testing.assert_allclose(removed(x_hat, one + x_hat + 2**0.5 * across), (0.25, 0.25))


def test_a_norm_of_constant_statistics_is_seen_too():
    generator = np.random.default_rng(1)
    x, labels = generator.standard_normal((12, 5)), generator.integers(0, 4, 12)
    model = nn.Sequential(nn.Linear(5, 4, generator=generator), PathNorm(4, mean=False, variance=False)).to(np.float64)
    other = nn.Sequential(model[0], nn.BatchNorm(4).to(np.float64))
    ((x_hat, grad),), ((true_x_hat, true_grad),) = (at_batch_norms(m, x, labels) for m in (model, other))
    np.testing.assert_allclose(x_hat, true_x_hat, atol=1e-12)
    np.testing.assert_allclose(grad, true_grad, atol=1e-12)  # what arrives; only what it hands on is another

"""The deep stacks of lesson 12, and its formulas against what such stacks do."""

import math

import numpy as np
import pytest

from minidl import Tensor, nn
from minidl import functional as F
from minidl.lab.course import depth

GENERATOR = np.random.default_rng(0)
X = GENERATOR.standard_normal((200, 784)).astype(np.float32)


@pytest.mark.parametrize("norm", [False, True])
def test_stacks_have_the_layers_and_scales_they_say(norm):
    model = depth.stack(3, 2.0, "tanh", norm, width=80, seed=1)
    linear = [layer for layer in model if isinstance(layer, nn.Linear)]
    assert [layer.weight.shape for layer in linear] == [(784, 80), (80, 80), (80, 80), (80, 10)]
    gains = [layer.weight.data.std() * math.sqrt(len(layer.weight)) for layer in linear]
    np.testing.assert_allclose(gains, [1, 2, 2, 1], rtol=0.1)
    assert sum(isinstance(layer, nn.BatchNorm) for layer in model) == 3 * norm
    assert [layer.bias is None for layer in linear] == [norm] * 3 + [False]
    same = depth.stack(3, 2.0, "tanh", norm, width=80, seed=1)
    assert all(np.array_equal(a.data, b.data) for a, b in zip(model.parameters(), same.parameters(), strict=True))


def test_scaled_branches_reach_the_growth_they_were_made_for():
    alpha = depth.branch_scale(12, 3.0)
    model = depth.residual_stack(12, scale=alpha, width=400)
    h = first = model[0](Tensor(X))
    for layer in model[1:13]:
        h = layer(h)
    assert (h.data**2).mean() / (first.data**2).mean() == pytest.approx(3, rel=0.15)


@pytest.mark.parametrize(("gain", "ratio"), [(2.0, 1000.0), (1.1, 50.0)])
def test_deepest_is_the_last_layer_in_the_range(gain, ratio):
    layers = depth.deepest(gain, ratio)
    change = abs(math.log(gain / math.sqrt(2)))
    assert layers * change <= math.log(ratio) < (layers + 1) * change
    assert depth.deepest(math.sqrt(2), 10.0) == math.inf


def test_explosion_of_known_functions():
    relu = depth.explosion(lambda x: np.maximum(x, 0), lambda x: (x > 0) * 1.0)
    assert relu == pytest.approx(math.pi / (math.pi - 1), rel=1e-3)
    assert depth.explosion(lambda x: 3 * x - 1, lambda x: np.full_like(x, 3)) == pytest.approx(1)


def test_explosion_is_what_a_stack_does():
    model = depth.stack(12, norm=True, width=300)
    h, sums = Tensor(X), []
    for layer in model:
        h = layer(h)
        if isinstance(layer, nn.Linear):
            h.retain_grad()
            sums.append(h)
    F.cross_entropy(h, GENERATOR.integers(0, 10, 200)).backward()
    second, last = ((sums[i].grad.astype(np.float64) ** 2).mean() for i in (1, 11))
    assert (second / last) ** (1 / 10) == pytest.approx(math.pi / (math.pi - 1), rel=0.08)

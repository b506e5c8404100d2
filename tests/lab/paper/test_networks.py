"""The networks of the claim `steps`: their structure, shared starts, and their own layers against naive versions."""

import numpy as np
import pytest

from minidl import Tensor, nn
from minidl import functional as F
from minidl.gradcheck import gradcheck
from minidl.lab.paper._networks import Border, Branches, LocalResponse, plain_stack, small_inception, standardise

NETWORKS = {"Inception": small_inception, "stack": plain_stack}


def rng(seed=0):
    return np.random.default_rng(seed)


def images(n=3, seed=1):
    return rng(seed).standard_normal((n, 32, 32, 3)).astype(np.float32)


def weighted(model):
    return [layer for layer in model.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]


def multiplications(model):
    """Of one image, counted from the shapes that go through."""
    total = []
    for layer in weighted(model):
        layer.register_forward_hook(
            lambda layer, inputs, y: total.append(layer.weight.data.size * int(np.prod(y.shape[1:-1], dtype=int)))
        )
    model(Tensor(images(1)))
    return sum(total)


def depth(model):
    """Layers of weights along the longest path."""
    if isinstance(model, Branches):
        return max(depth(branch) for branch in model.children())
    if isinstance(model, nn.Sequential):
        return sum(depth(layer) for layer in model)
    return int(isinstance(model, nn.Conv2d | nn.Linear))


def test_inception_is_as_large_as_it_says():
    model = small_inception()
    assert (depth(model), len(weighted(model))) == (12, 24)
    assert 5e6 < multiplications(model) < 10e6
    assert 115_000 < sum(p.data.size for p in model.parameters()) < 125_000


def test_the_stack_is_eight_convolutions_in_a_row():
    model = plain_stack()
    convolutions = [layer for layer in weighted(model) if isinstance(layer, nn.Conv2d)]
    assert len(convolutions) == 8
    assert all(layer.weight.shape[:2] == (3, 3) for layer in convolutions)
    assert not [layer for layer in model.modules() if isinstance(layer, Branches)]
    assert 10e6 < multiplications(model) < 12e6


@pytest.mark.parametrize("name", NETWORKS)
def test_options_change_what_they_name_and_no_weights(name):
    def build(**options):
        return NETWORKS[name](width=4, generator=rng(), **options)

    def count(model, kind):
        return sum(isinstance(layer, kind) for layer in model.modules())

    base, others = build(), {
        "norm": build(norm="batch"), "activation": build(activation=nn.Sigmoid), "response": build(response=False),
        "dropout": build(dropout=0),
    }  # fmt: skip
    weights = [layer.weight.data for layer in weighted(base)]
    for model in others.values():
        for one, other in zip(weights, (layer.weight.data for layer in weighted(model)), strict=True):
            np.testing.assert_array_equal(one, other)
    norms = len(weights) - 1
    assert [count(base, kind) for kind in (nn.BatchNorm, nn.Sigmoid, LocalResponse, nn.Dropout)] == [0, 0, 1, 1]
    assert count(others["norm"], nn.BatchNorm) == norms
    assert [layer.bias is None for layer in weighted(others["norm"])] == [True] * norms + [False]
    assert (count(others["activation"], nn.Sigmoid), count(others["activation"], nn.ReLU)) == (norms, 0)
    assert count(others["response"], LocalResponse) == count(others["dropout"], nn.Dropout) == 0
    assert any(
        not np.array_equal(a, b.weight.data)
        for a, b in zip(weights, weighted(NETWORKS[name](width=4, generator=rng(1))), strict=True)
    )


@pytest.mark.parametrize("norm", ["none", "batch"])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_batch_goes_through_and_back(name, norm):
    model = NETWORKS[name](norm, width=4, generator=rng(), drops=rng(2))
    logits = model(Tensor(images()))
    assert logits.shape == (3, 10)
    F.cross_entropy(logits, np.arange(3)).backward()
    assert all(np.any(parameter.grad != 0) for parameter in model.parameters())


def test_a_norm_that_is_not_known():
    with pytest.raises(ValueError, match='"batch" or "none"'):
        small_inception("layer")


def test_branches_see_the_same_and_are_joined():
    one, two = nn.Conv2d(3, 2, 1, generator=rng(0)), nn.Conv2d(3, 4, 1, generator=rng(1))
    x = Tensor(images())
    np.testing.assert_array_equal(Branches(one, two)(x).data, np.concatenate([one(x).data, two(x).data], -1))


def test_a_border_is_one_of_zeros():
    x = rng().standard_normal((2, 3, 4, 5))
    np.testing.assert_array_equal(Border()(Tensor(x)).data, np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))))
    assert gradcheck(Border(), x)


def test_local_response_is_that_of_a_loop():
    x = rng().standard_normal((2, 3, 7)).astype(np.float32)
    expected = np.empty_like(x)
    for c in range(7):
        squares = sum(x[..., k] ** 2 for k in range(max(0, c - 2), min(7, c + 3)))
        expected[..., c] = x[..., c] / (1 + 0.1 * squares) ** 0.75
    np.testing.assert_allclose(LocalResponse(7)(Tensor(x)).data, expected, rtol=1e-5)


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Sigmoid])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_standardised_start_has_mean_0_and_variance_1_before_each_activation(name, activation):
    model, x = NETWORKS[name](activation=activation, width=4, generator=rng()), images(60)
    last = weighted(model)[-1].weight.data.copy()
    before = NETWORKS[name](activation=activation, width=4, generator=rng())
    assert standardise(model, x) is model
    seen = []
    for layer in weighted(model)[:-1]:
        layer.register_forward_hook(lambda layer, inputs, y: seen.append(y.data.reshape(-1, y.shape[-1])))
    model.eval()(Tensor(x))
    assert len(seen) == len(weighted(model)) - 1
    for units in seen:
        np.testing.assert_allclose(units.mean(0), 0, atol=1e-3)
        np.testing.assert_allclose(units.std(0), 1, atol=1e-3)
    np.testing.assert_array_equal(last, weighted(model)[-1].weight.data)
    for old, new in zip(weighted(before)[:-1], weighted(model)[:-1], strict=True):  # only scaled, unit by unit
        factor = new.weight.data / old.weight.data
        np.testing.assert_allclose(factor, np.broadcast_to(factor[:1, :1, :1], factor.shape), rtol=1e-3)


def test_standardising_leaves_the_network_as_it_trains():
    model = small_inception("batch", width=4, generator=rng())
    state = [buffer.copy() for buffer in model.buffers()]
    standardise(model, images(20))
    assert all(module.training for module in model.modules())
    assert not any(module._forward_hooks for module in model.modules())
    assert all(np.array_equal(a, b) for a, b in zip(state, model.buffers(), strict=True))
    dead = plain_stack(width=4, generator=rng())
    weighted(dead)[0].weight.data[..., 0] = 0
    standardise(dead, images(5))
    assert all(np.isfinite(p.data).all() for p in dead.parameters())

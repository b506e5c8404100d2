"""Gradient change and loss range: against a network small enough to do by hand, and leaving no trace."""

import numpy as np
import pytest

from minidl import nn
from minidl.lab.models import paper_mlp
from minidl.lab.paper._landscape import along_gradient, gradient_change, loss_range
from minidl.lab.paper._norms import NoisyNorm
from minidl.lab.paper._training import draws, loss_of, split
from tests.lab.paper.synthetic import bars


def fresh(norm="batch"):
    return paper_mlp(norm, generator=np.random.default_rng(0))


def batch():
    return next(draws(split(bars()), 20, 0))


def gradients(model):
    model.zero_grad()
    loss_of(model, *batch()).backward()
    return {name: p.grad.copy() for name, p in model.named_parameters()}


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_gradient_change_is_that_of_moving_all_layers_before(norm):
    lr, model = 0.7, fresh(norm)
    before = gradients(model)
    linear = [name for name, layer in model.named_modules() if isinstance(layer, nn.Linear)]
    expected = []
    for name in linear[1:]:
        moved = fresh(norm)
        for key, p in moved.named_parameters():
            if int(key.split(".")[0]) < int(name):
                p.data = p.data - np.float32(lr) * before[key]
        ours, theirs = before[f"{name}.weight"], gradients(moved)[f"{name}.weight"]
        expected.append(np.linalg.norm(ours - theirs) / np.linalg.norm(ours))
    assert gradient_change(fresh(norm), batch(), lr) == pytest.approx(np.mean(expected), rel=1e-5)
    assert gradient_change(model, batch(), 1e-9) < 1e-4 < expected[0]


def test_loss_range_is_along_the_gradient():
    model, lr = fresh(), 0.1
    before, losses = gradients(model), []
    for step in (0.5, 1, 2, 4):
        moved = fresh()
        for key, p in moved.named_parameters():
            p.data = p.data - np.float32(step * lr) * before[key]
        losses.append(loss_of(moved, *batch()).item())
    assert loss_range(fresh(), batch(), lr) == pytest.approx(max(losses) - min(losses), rel=1e-4)


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_the_way_along_the_gradient(norm):
    lr, steps = 0.3, (0.5, 2.0)
    before = gradients(fresh(norm))
    length = np.sqrt(sum((g.astype(float) ** 2).sum() for g in before.values()))
    losses, changes = [loss_of(fresh(norm), *batch()).item()], []
    for step in steps:
        moved = fresh(norm)
        for key, p in moved.named_parameters():
            p.data = p.data - np.float32(step * lr) * before[key]
        losses.append(loss_of(moved, *batch()).item())
        changes.append(np.sqrt(sum(((g - before[key]) ** 2).sum() for key, g in gradients(moved).items())))
    path = along_gradient(fresh(norm), batch(), lr, steps)
    np.testing.assert_allclose(path.losses, losses, rtol=1e-5)
    np.testing.assert_allclose(path.changes, changes, rtol=1e-4)
    np.testing.assert_allclose(path.distances, [0.5 * lr * length, 2 * lr * length], rtol=1e-5)
    assert path.gradient_change == max(path.changes)
    assert path.smoothness == pytest.approx(max(c / d for c, d in zip(path.changes, path.distances, strict=True)))


def test_the_loss_range_is_the_same_along_the_way():
    assert along_gradient(fresh(), batch(), 0.1).loss_range == pytest.approx(loss_range(fresh(), batch(), 0.1))


@pytest.mark.parametrize("measure", [gradient_change, loss_range, along_gradient])
def test_the_model_is_left_as_it_was(measure):
    noisy = fresh(lambda features: NoisyNorm(features, np.random.default_rng(1)))
    before = noisy.state_dict()
    measure(noisy, batch(), 0.5)
    after = noisy.state_dict()
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert all(p.grad is None for p in noisy.parameters())
    assert not any(layer.hold for layer in noisy.modules() if isinstance(layer, NoisyNorm))

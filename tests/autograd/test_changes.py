"""Changes that minidl makes in place between forward and backward are noticed at once; see autograd/changes.py."""

import copy

import numpy as np
import pytest

from minidl import Tensor, nn, optim
from minidl import functional as F


def network():
    rng = np.random.default_rng(0)
    return nn.Sequential(nn.Linear(4, 5, generator=rng), nn.BatchNorm(5), nn.ReLU(), nn.Linear(5, 3, generator=rng))


def loss_of(model, seed=0):
    rng = np.random.default_rng(seed)
    return F.cross_entropy(model(Tensor(rng.standard_normal((6, 4), np.float32))), rng.integers(0, 3, 6))


def step(model):
    for parameter in model.parameters():
        parameter.grad = np.ones_like(parameter.data)
    optim.SGD(model.parameters(), lr=0.1).step()


CHANGES = {
    "step": step,
    "load_state_dict": lambda model: model.load_state_dict(model.state_dict()),
    "to": lambda model: model.to(np.float64),
    "normal_": lambda model: nn.init.normal_(model[0].weight, generator=np.random.default_rng(1)),
    "constant_": lambda model: nn.init.constant_(model[3].weight, 0.5),
}


@pytest.mark.parametrize("change", CHANGES)
def test_backward_refuses_and_moves_nothing(change):
    model = network()
    loss = loss_of(model)
    model.zero_grad()
    CHANGES[change](model)
    model.zero_grad()
    with pytest.raises(RuntimeError, match=r"backward: linear needs a tensor of shape .* compute the loss again"):
        loss.backward()
    assert all(parameter.grad is None for parameter in model.parameters())
    loss_of(model.to(np.float32)).backward()  # after a new forward all is well


@pytest.mark.parametrize("training", [True, False])
def test_a_scale_that_changes_alone(training):
    model = network().train(training)
    loss = loss_of(model)
    nn.init.constant_(model[1].weight, 2.0)
    with pytest.raises(RuntimeError, match=r"backward: batch_norm needs a tensor of shape \(5,\)"):
        loss.backward()


def test_two_losses_and_one_step_between_them():
    """The mistake that this is for: the second gradient would mix old activations with new weights."""
    model = network()
    first, second = loss_of(model), loss_of(model, 1)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    first.backward()
    optimizer.step()
    with pytest.raises(RuntimeError, match="changed since"):
        second.backward()


def test_a_change_between_two_parts_of_the_forward():
    model = network()
    hidden = model[:3](Tensor(np.ones((6, 4), np.float32)))
    step(model[:1])
    with pytest.raises(RuntimeError, match="changed since"):
        model[3](hidden).mean().backward()


USES = {
    "transposed": lambda x, w: F.linear(x, w.T),
    "a view of a view": lambda x, w: x @ w.reshape(4, 3).T.T,
    "a row": lambda x, w: x * w[0],
}


@pytest.mark.parametrize("use", USES)
def test_a_parameter_that_is_used_through_a_view(use):
    """The operation holds the view, which was not what was changed; but their array is one."""
    x, w = Tensor(np.ones((5, 4), np.float32), requires_grad=True), nn.Parameter(np.ones((3, 4), np.float32))
    loss = USES[use](x, w).sum()
    nn.init.constant_(w, 2.0)
    with pytest.raises(RuntimeError, match=r"backward: (linear|matmul|mul) needs a tensor of shape"):
        loss.backward()
    assert x.grad is w.grad is None
    USES[use](x, w).sum().backward()


def test_a_view_that_is_used_after_the_change():
    x, w = Tensor(np.ones((5, 4), np.float32), requires_grad=True), nn.Parameter(np.ones((3, 4), np.float32))
    view = w.T
    nn.init.constant_(w, 2.0)
    (x @ view).sum().backward()
    np.testing.assert_array_equal(x.grad, np.full((5, 4), 6))


def test_what_is_not_needed_may_change():
    x, w = nn.Parameter(np.ones(3, np.float32)), nn.Parameter(np.ones(3, np.float32))
    for y in (x + w, x - w, (x + w).sum(), (x + w).reshape(3, 1)):
        nn.init.constant_(x, 2.0)
        y.backward(np.ones(y.shape))
    optimizer = optim.SGD([w], lr=0.1)
    y = (x * x).sum() + 0.0
    w.grad = np.ones(3)
    optimizer.step()  # of another parameter
    y.backward()


def test_other_networks_may_change():
    model, other = network(), network()
    loss = loss_of(model)
    step(other)
    loss.backward()


def test_a_copy_goes_its_own_way():
    model = network()
    loss = loss_of(model)
    step(copy.deepcopy(model))
    loss.backward()


def test_accumulating_gradients_over_batches_is_no_change():
    model = network()
    for seed in range(3):
        loss_of(model, seed).backward()
    optim.SGD(model.parameters(), lr=0.1).step()
    loss_of(model).backward()

"""Weights from and to PyTorch: the same answers, gradients and statistics, or an error that names all that does not fit."""

import copy

import numpy as np
import pytest

from minidl import Tensor, exchange, nn, optim
from minidl import functional as F
from tests.exchange.architectures import as_tensors, channels_first, pair, torch


def assert_near(found, expected):
    """To 1e-5 of the largest number."""
    found = {name: np.asarray(array) for name, array in found.items()}
    assert list(found) == list(expected)
    for name, array in expected.items():
        array = np.asarray(array.detach() if hasattr(array, "detach") else array)
        assert found[name].shape == array.shape, name
        np.testing.assert_allclose(found[name], array, rtol=0, atol=1e-5 * (1 + np.abs(array).max()), err_msg=name)


def outputs(theirs, ours, x):
    return ours(Tensor(x)).data, theirs(torch.from_numpy(channels_first(x))).detach().numpy()


def step(theirs, ours, optimizers, x, labels):
    """A step of both, with equal losses; returns their gradients, in PyTorch's layout."""
    for optimizer in optimizers:
        optimizer.zero_grad()
    loss = F.cross_entropy(ours(Tensor(x)), labels)
    expected = torch.nn.functional.cross_entropy(theirs(torch.from_numpy(channels_first(x))), torch.from_numpy(labels))
    assert loss.item() == pytest.approx(expected.item(), abs=1e-5)
    loss.backward()
    expected.backward()
    for optimizer in optimizers:
        optimizer.step()


def momentum(ours, optimizer, **options):
    """The momentum buffers, which after one step are the gradients, in PyTorch's layout and by its names."""
    state = exchange.torch.optimizer_state_dict(optimizer, ours, **options)["state"]
    return {i: entry["momentum_buffer"] for i, entry in state.items()}


def assert_agree(theirs, ours, x, **options):
    """From PyTorch, in evaluation; a step of training; and back to PyTorch."""
    optimizers = (
        torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.9), optim.SGD(ours.parameters(), lr=0.1, momentum=0.9)
    )  # fmt: skip
    labels = np.random.default_rng(1).integers(0, 3, len(x))
    fresh = copy.deepcopy(theirs)
    assert exchange.torch.load_state_dict(ours, theirs.state_dict(), **options) == ([], [])
    assert_near(exchange.torch.state_dict(ours, **options), theirs.state_dict())
    theirs.eval(), ours.eval()
    np.testing.assert_allclose(*outputs(theirs, ours, x), rtol=0, atol=1e-5)
    theirs.train(), ours.train()
    step(theirs, ours, optimizers, x, labels)
    assert_near(momentum(ours, optimizers[1], **options), dict(enumerate(p.grad for p in theirs.parameters())))
    assert_near(exchange.torch.state_dict(ours, **options), theirs.state_dict())
    step(theirs, ours, optimizers, x, labels)
    assert_near(exchange.torch.state_dict(ours, **options), theirs.state_dict())
    fresh.load_state_dict(as_tensors(exchange.torch.state_dict(ours, **options)))
    fresh.eval(), ours.eval()
    found, expected = outputs(fresh, ours, x)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * (1 + np.abs(expected).max()))


@pytest.mark.parametrize("seed", range(20))
def test_twenty_random_architectures(seed):
    theirs, ours, x = pair(seed)
    assert_agree(theirs, ours, x)

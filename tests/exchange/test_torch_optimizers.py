"""Optimizers' states from and to PyTorch: a step later both networks are the same; or an error says what does not fit."""

import copy

import numpy as np
import pytest

from minidl import exchange, optim
from tests.exchange.architectures import as_tensors, pair, torch
from tests.exchange.test_torch import assert_near, step

KINDS = {
    "sgd": ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}, {"lr": 0.05, "weight_decay": 0.01}),
    "plain sgd": ("SGD", {"lr": 0.1}, {"weight_decay": 0.01}),
    "adam": ("Adam", {"lr": 0.01, "betas": (0.8, 0.95), "weight_decay": 0.1}, {"lr": 0.02, "eps": 1e-4}),
    "amsgrad": ("Adam", {"lr": 0.01, "amsgrad": True}, {"amsgrad": False}),
    "adamw": ("AdamW", {"lr": 0.01}, {"weight_decay": 0.3}),
    "adamw up": ("AdamW", {"lr": 0.01, "amsgrad": True, "maximize": True}, {"lr": 0.001}),
}


def both(kind="sgd", seed=0):
    """A network in both frameworks, with equal numbers, and an optimizer in two groups for each."""
    theirs, ours, x = pair(seed)
    exchange.torch.load_state_dict(ours, theirs.state_dict())
    name, options, of_the_first = KINDS[kind]

    def groups(model):
        first, *others = model.parameters()
        return [{"params": [first], **of_the_first}, {"params": others}]

    optimizers = getattr(torch.optim, name)(groups(theirs), **options), getattr(optim, name)(groups(ours), **options)
    return theirs, ours, optimizers, x, np.random.default_rng(1).integers(0, 3, len(x))


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_of_pytorch_goes_on_here(kind):
    theirs, ours, optimizers, x, labels = both(kind)
    for _ in range(2):
        step(theirs, ours, optimizers, x, labels)
    fresh = both(kind)
    exchange.torch.load_state_dict(fresh[1], theirs.state_dict())
    exchange.torch.load_optimizer_state_dict(fresh[2][1], fresh[1], optimizers[0].state_dict())
    step(theirs, fresh[1], (optimizers[0], fresh[2][1]), x, labels)
    assert_near(exchange.torch.state_dict(fresh[1]), theirs.state_dict())


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_goes_on_in_pytorch(kind):
    theirs, ours, optimizers, x, labels = both(kind)
    for _ in range(2):
        step(theirs, ours, optimizers, x, labels)
    fresh = both(kind)
    fresh[0].load_state_dict(as_tensors(exchange.torch.state_dict(ours)))
    state = exchange.torch.optimizer_state_dict(optimizers[1], ours)
    state["state"] = {i: as_tensors(entry) for i, entry in state["state"].items()}
    fresh[2][0].load_state_dict(state)
    step(fresh[0], ours, (fresh[2][0], optimizers[1]), x, labels)
    assert_near(exchange.torch.state_dict(ours), fresh[0].state_dict())


def test_a_run_that_a_tensor_of_rates_or_a_parameter_without_a_gradient_does_not_stop():
    """PyTorch takes lr as a tensor; a parameter that never had a gradient has no state."""
    theirs, ours, (_, optimizer), x, labels = both("adam")
    its = torch.optim.Adam(theirs.parameters(), lr=torch.tensor(0.01))
    next(theirs.parameters()).requires_grad_(False)
    next(iter(ours.parameters())).requires_grad = False
    optimizer = optim.Adam(ours.parameters(), lr=0.5)
    step(theirs, ours, (its, optim.Adam(ours.parameters(), lr=0.01)), x, labels)
    exchange.torch.load_optimizer_state_dict(optimizer, ours, its.state_dict())
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.01)
    assert 0 not in optimizer.state_dict()["buffers"]
    step(theirs, ours, (its, optimizer), x, labels)
    assert_near(exchange.torch.state_dict(ours), theirs.state_dict())


def test_states_of_an_sgd_that_do_not_fit():
    _, ours, (theirs, optimizer), *_ = both()
    other = torch.optim.Adam([torch.nn.Parameter(torch.ones(2))])
    before, groups = optimizer.state_dict(), theirs.state_dict()["param_groups"]
    cases = [
        ({"state": {0: {"momentum_buffer": torch.ones(2)}}, "param_groups": groups}, "momentum_buffer of"),
        ({"state": {}, "param_groups": groups[:1]}, "other parameters"),
        (other.state_dict(), "no state of"), ({}, "no state of PyTorch's SGD"), (None, "no state of PyTorch's SGD"),
        ({"state": {}, "param_groups": [group | {"maximize": True} for group in groups]}, "maximize"),
        ({"state": {99: {"momentum_buffer": torch.ones(2)}}, "param_groups": []}, "no such parameter"),
        ({"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": groups}, "has no momentum_buffer"),
        ({"state": {0: 3}, "param_groups": groups}, "no state of PyTorch's SGD"),
        ({"state": {}, "param_groups": [3]}, "no state of PyTorch's SGD"),
    ]  # fmt: skip
    for state, why in cases:
        with pytest.raises(ValueError, match=why):
            exchange.torch.load_optimizer_state_dict(optimizer, ours, state)
    assert optimizer.state_dict() == before


def changed(state, **entry):
    """A state whose parameter 1 keeps something else; None leaves it out."""
    state = copy.deepcopy(state)
    state["state"][1] = {name: value for name, value in (state["state"][1] | entry).items() if value is not None}
    return state


def test_states_of_an_adam_that_do_not_fit():
    theirs, ours, optimizers, x, labels = both("amsgrad")
    step(theirs, ours, optimizers, x, labels)
    optimizer, state = optimizers[1], optimizers[0].state_dict()
    before = {i: entry["exp_avg"].copy() for i, entry in optimizer.state_dict()["buffers"].items()}
    weight = torch.nn.Parameter(torch.ones(2))
    others = torch.optim.SGD([weight], 0.1), torch.optim.NAdam([weight]), torch.optim.RMSprop([weight])
    cases = [
        (changed(state, step=None), "parameter 1 has no step"),
        (changed(state, exp_avg=None, step=None), "no exp_avg and no step"),
        (changed(state, max_exp_avg_sq=None), "no max_exp_avg_sq"),
        (changed(state, exp_avg_sq=torch.ones(99)), r"exp_avg_sq of parameter 1 is \(99,\), expected"),
        (changed(state, step=torch.tensor(0.0)), "whole number of at least 1"),
        (changed(state, step=torch.tensor(1.5)), "whole number of at least 1"),
        (changed(state, step=torch.tensor(float("nan"))), "whole number of at least 1"),
        (changed(state, step=torch.ones(2)), "whole number of at least 1"),
        (changed(state, step="one"), "whole number of at least 1"),
        (torch.optim.AdamW(theirs.parameters()).state_dict(), r"AdamW.*make an optim\.AdamW"),
        *((other.state_dict(), "no state of PyTorch's Adam") for other in others),
    ]
    for wrong, why in cases:
        with pytest.raises(ValueError, match=why):
            exchange.torch.load_optimizer_state_dict(optimizer, ours, wrong)
    for i, entry in optimizer.state_dict()["buffers"].items():
        np.testing.assert_array_equal(entry["exp_avg"], before[i])
        assert entry["step"] == 1
    with pytest.raises(ValueError, match=r"make an optim\.Adam$"):
        exchange.torch.load_optimizer_state_dict(optim.AdamW(ours.parameters()), ours, state)

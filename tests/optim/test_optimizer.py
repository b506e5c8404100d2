"""What all optimisers share: groups that are added later, `zero_grad`, and optimisers of one's own."""

import numpy as np
import pytest

from minidl import Tensor, optim
from minidl.nn import Parameter
from tests.optim.test_optim import gradients, walk

KINDS = {"SGD": lambda p: optim.SGD(p, lr=0.1, momentum=0.9), "Adam": optim.Adam, "AdamW": optim.AdamW}


@pytest.mark.parametrize("kind", KINDS)
def test_a_group_that_is_added_is_moved_by_its_own_settings(kind):
    first, second, third = (Parameter(np.ones(2)) for _ in range(3))
    optimizer = KINDS[kind]([first])
    walk(optimizer, first, gradients((2,), 2))
    groups = optimizer.param_groups
    optimizer.add_param_group({"params": (p for p in [second]), "lr": 0.5})
    optimizer.add_param_group({"params": third})
    assert optimizer.param_groups is groups  # as in PyTorch, the list grows
    assert [group["lr"] for group in groups[1:]] == [0.5, groups[0]["lr"]]
    grads = gradients((2,), 3, seed=1)
    alone = Parameter(np.ones(2))
    other = KINDS[kind]([alone])
    other.param_groups[0]["lr"] = 0.5
    np.testing.assert_array_equal(walk(optimizer, second, grads), walk(other, alone, grads))


@pytest.mark.parametrize("kind", KINDS)
def test_a_group_that_does_not_fit_is_not_added(kind):
    parameter = Parameter(np.ones(2))
    optimizer = KINDS[kind]([parameter])
    before = list(optimizer.param_groups)
    new = Parameter(np.ones(3))
    for group, error in (
        ({"params": [new, parameter]}, ValueError), ({"params": [new, new]}, ValueError), ({"params": []}, ValueError),
        ({"params": [np.ones(2)]}, TypeError), ({"params": new, "lr": -1}, ValueError), (new, ValueError),
        ({"params": new, "rate": 1}, ValueError), ({"params": new * 2}, ValueError), ({"lr": 1}, ValueError),
        ({"params": 3}, TypeError), ({"params": Tensor(np.ones(2, int))}, TypeError), ({3: 4}, ValueError),
    ):  # fmt: skip
        with pytest.raises(error, match=kind):
            optimizer.add_param_group(group)
        assert optimizer.param_groups == before


@pytest.mark.parametrize("kind", KINDS)
def test_the_state_of_groups_that_were_added(kind):
    pairs = []
    for _ in range(2):
        first, second = Parameter(np.ones(2)), Parameter(np.ones(3))
        optimizer = KINDS[kind]([first])
        optimizer.add_param_group({"params": second, "lr": 0.5})
        pairs.append((optimizer, second))
    (optimizer, second), (other, twin) = pairs
    walk(optimizer, second, gradients((3,), 2))
    twin.data[:] = second.data
    other.load_state_dict(optimizer.state_dict())
    grads = gradients((3,), 2, seed=1)
    np.testing.assert_array_equal(walk(optimizer, second, grads), walk(other, twin, grads))


def test_zero_grad_may_leave_zeros():
    first, second = Parameter(np.ones(2)), Parameter(np.ones(2))
    optimizer = optim.SGD([first, second], lr=0.1)
    first.grad = kept = np.ones(2)
    optimizer.zero_grad(set_to_none=False)
    assert first.grad.tolist() == [0, 0]
    assert second.grad is None
    assert kept.tolist() == [1, 1]  # somebody may hold it
    optimizer.zero_grad()
    assert first.grad is None


def test_an_optimizer_of_ones_own():
    class SignSGD(optim.Optimizer):
        def __init__(self, params, lr=0.1):
            super().__init__(params, {"lr": lr})

        def step(self):
            for group in self.param_groups:
                for p in group["params"]:
                    p.data -= group["lr"] * np.sign(p.grad)

    parameter = Parameter(np.ones(2))
    optimizer = SignSGD([parameter])
    schedule = optim.StepLR(optimizer, 1, 0.5)
    for _ in range(2):
        parameter.grad = np.array([3.0, -2.0])
        optimizer.step()
        schedule.step()
    np.testing.assert_allclose(parameter.data, [0.85, 1.15])
    state = optimizer.state_dict()
    assert state == {"groups": [{"lr": 0.025, "params": [0], "initial_lr": 0.1}], "buffers": {}}
    optimizer.load_state_dict(state)

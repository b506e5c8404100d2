"""The states of optimizers and schedules: whole, copied, of the right type, and refused when they do not fit."""

import copy
import pickle

import numpy as np
import pytest

from minidl import checkpoint, optim
from minidl.nn import Parameter
from tests.optim.test_optim import FLAVOURS, gradients, walk


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_goes_on_to_the_same_bits(flavour):
    """A stop, a state_dict into fresh objects, and on: as if there had been no stop."""
    grads, start = gradients((40,), 10, np.float32), np.ones(40, np.float32)

    def fresh(data):
        parameter = Parameter(data.copy())
        optimizer = optim.SGD([{"params": [parameter]}], lr=0.1, **FLAVOURS[flavour])
        return parameter, optimizer, optim.CosineAnnealingLR(optimizer, 10)

    def run(parameter, optimizer, schedule, grads):
        for grad in grads:
            walk(optimizer, parameter, [grad])
            schedule.step()

    through = fresh(start)
    run(*through, grads)
    first = fresh(start)
    run(*first, grads[:6])
    states = [part.state_dict() for part in first[1:]]
    second = fresh(first[0].data)
    run(*first, grads[6:])  # the saved state is a copy: going on does not change it
    for part, state in zip(second[1:], states, strict=True):
        part.load_state_dict(state)
    run(*second, grads[6:])
    np.testing.assert_array_equal(second[0].data, through[0].data)
    np.testing.assert_array_equal(first[0].data, through[0].data)
    assert second[1].param_groups[0]["lr"] == through[1].param_groups[0]["lr"]


def test_a_state_brings_its_settings():
    """Into an optimizer that was built with others, and on to the same bits."""
    grads, (first, second) = gradients((4,), 6, np.float32), (Parameter(np.ones(4, np.float32)) for _ in range(2))
    settings = {"lr": 0.3, "momentum": 0.8, "weight_decay": 0.1, "nesterov": True}
    through = optim.SGD([first], **settings)
    walk(through, first, grads[:3])
    second.data[:] = first.data
    other = optim.SGD([second], lr=0.01, dampening=0.5)
    other.load_state_dict(through.state_dict())
    assert other.param_groups == [{"params": [second], "dampening": 0.0} | settings]
    np.testing.assert_array_equal(walk(other, second, grads[3:]), walk(through, first, grads[3:]))


def test_buffers_take_the_type_of_their_parameters():
    first, second = Parameter(np.ones(2)), Parameter(np.ones(2, np.float32))
    optimizer, other = (optim.SGD([p], lr=0.1, momentum=0.9) for p in (first, second))
    walk(optimizer, first, gradients((2,), 1))
    other.load_state_dict(optimizer.state_dict())
    assert other.state_dict()["buffers"][0].dtype == np.float32


def test_buffers_may_be_stored_by_columns():
    parameters, grads = [Parameter(np.ones((2, 3))) for _ in range(2)], gradients((2, 3), 3)
    through, other = (optim.SGD([p], lr=0.1, momentum=0.9) for p in parameters)
    walk(through, parameters[0], grads[:1])
    state = through.state_dict()
    other.load_state_dict(state | {"buffers": {0: np.asfortranarray(state["buffers"][0])}})
    parameters[1].data[:] = parameters[0].data
    np.testing.assert_array_equal(walk(other, parameters[1], grads[1:]), walk(through, parameters[0], grads[1:]))


GOOD = {"lr": 0.2, "momentum": 0.5, "dampening": 0, "weight_decay": 0, "nesterov": False, "params": [0]}


@pytest.mark.parametrize(
    ("groups", "buffers", "words"),
    [
        ([{}], {}, "no state of an SGD"),
        ([{"lr": 0.2}], {}, "no state of an SGD"),
        ([{k: v for k, v in GOOD.items() if k != "params"}], {}, "no state of an SGD"),
        ([GOOD | {"learning_rate": 1}], {}, "no state of an SGD"),
        ([GOOD], {False: np.ones(2)}, "no state of an SGD"),
        ([GOOD | {"params": []}], {}, "belongs to other parameters"),
        ([GOOD | {"params": [0, 1]}], {}, "belongs to other parameters"),
        ([GOOD | {"params": None}], {}, "no state of an SGD"),
        ([GOOD | {"params": np.array([0, 1])}], {}, "no state of an SGD"),
        ([GOOD], {0: np.ones(1)}, "belongs to other parameters"),
        ([GOOD], {1: np.ones(2)}, "belongs to other parameters"),
        ([GOOD | {"initial_lr": -1}], {}, "initial_lr is -1"),
        ([GOOD | {"dampening": "a"}], {}, "dampening is 'a'"),
        ([3], {}, "no state of an SGD"),
        (None, {}, "no state of an SGD"),
        ([GOOD], [np.ones(2)], "no state of an SGD"),
        ([GOOD], {"0": np.ones(2)}, "no state of an SGD"),
        ([GOOD], {0: [1, 2]}, "no state of an SGD"),
        ([GOOD], {0: np.array(["a", "b"])}, "no state of an SGD"),
        ([GOOD | {"lr": -1}], {}, "lr is -1"),
        ([GOOD | {"momentum": np.nan}], {}, "momentum is nan"),
        ([GOOD | {"dampening": 0.1, "nesterov": True}], {}, "nesterov needs"),
    ],
)
def test_what_is_no_state_is_refused_and_changes_nothing(groups, buffers, words):
    parameter = Parameter(np.ones(2))
    optimizer = optim.SGD([parameter], lr=0.1, momentum=0.9)
    walk(optimizer, parameter, gradients((2,), 1))
    before = optimizer.state_dict()
    with pytest.raises(ValueError, match=words):
        optimizer.load_state_dict({"groups": groups, "buffers": buffers})
    assert optimizer.param_groups == [before["groups"][0] | {"params": [parameter]}]
    np.testing.assert_array_equal(optimizer.state_dict()["buffers"][0], before["buffers"][0])


def test_a_state_of_other_parameters_is_refused():
    parameter = Parameter(np.ones(2))
    optimizer = optim.SGD([parameter], lr=0.1, momentum=0.9)
    walk(optimizer, parameter, gradients((2,), 1))
    state = optimizer.state_dict()
    others = [
        optim.SGD([Parameter(np.ones(3))], lr=0.5),
        optim.SGD([{"params": Parameter(np.ones(2))}, {"params": Parameter(np.ones(2))}], lr=0.5),
        optim.SGD([Parameter(np.ones(2)) for _ in range(5)], lr=0.5),
    ]
    for other in others:
        with pytest.raises(ValueError, match="belongs to other parameters"):
            other.load_state_dict(state)
        assert other.param_groups[0]["lr"] == 0.5
        assert other.state_dict()["buffers"] == {}


def test_a_state_may_come_from_a_file(tmp_path):
    parameter, other = Parameter(np.ones(2)), Parameter(np.ones(2))
    optimizer, twin = (optim.SGD([p], lr=0.1, momentum=0.9) for p in (parameter, other))
    walk(optimizer, parameter, gradients((2,), 1))
    checkpoint.save(tmp_path / "sgd.npz", optimizer.state_dict())
    twin.load_state_dict(checkpoint.load(tmp_path / "sgd.npz")[0])
    assert twin.state_dict()["groups"] == optimizer.state_dict()["groups"]
    np.testing.assert_array_equal(twin.state_dict()["buffers"][0], optimizer.state_dict()["buffers"][0])


# ---- copies ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))])
def test_a_copy_keeps_its_momentum(copied):
    """Also when the optimizer alone is copied: it brings its parameters."""
    parameter = Parameter(np.ones(2))
    optimizer = optim.SGD([parameter], lr=0.1, momentum=0.9)
    walk(optimizer, parameter, [np.ones(2)])
    twin, its_optimizer = copied((parameter, optimizer))
    alone = copied(optimizer)
    (brought,) = alone.param_groups[0]["params"]
    assert its_optimizer.param_groups[0]["params"] == [twin]
    assert brought not in (parameter, twin)
    for p, o in ((parameter, optimizer), (twin, its_optimizer), (brought, alone)):
        np.testing.assert_allclose(walk(o, p, [np.zeros(2)]), [[0.81, 0.81]])
    alone.load_state_dict(its_optimizer.state_dict())
    np.testing.assert_array_equal(walk(alone, brought, [np.zeros(2)]), walk(its_optimizer, twin, [np.zeros(2)]))
    assert parameter.data.tolist() == pytest.approx([0.81, 0.81])


@pytest.mark.parametrize(
    "state", [{}, None, 3, [], {"last_epoch": 1, "base_lrs": [0.1]}, {"base_lrs": [0.1], "_last_lr": [0.1]}]
)
def test_a_schedule_refuses_what_is_no_state_of_its_own_and_stays(state):
    schedule = optim.StepLR(optim.SGD([Parameter(np.ones(2))], lr=0.5), 1)
    with pytest.raises(ValueError, match=r"^StepLR.load_state_dict: got no state of a schedule"):
        schedule.load_state_dict(state)
    assert schedule.state_dict() == {"last_epoch": 0, "base_lrs": [0.5], "_last_lr": [0.5]}
    assert schedule.get_last_lr() == [0.5]


def test_a_step_to_an_impossible_rate_is_not_taken():
    schedule = optim.LambdaLR(optim.SGD([Parameter(np.ones(2))], lr=0.5), lambda t: 1 - t)
    schedule.step()
    with pytest.raises(ValueError, match="learning rate at 2 is"):
        schedule.step()
    assert schedule.state_dict()["last_epoch"] == 1
    assert schedule.get_last_lr() == [0]

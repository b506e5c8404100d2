"""SGD against PyTorch's trajectories, its groups, and the schedules of its learning rate. States: test_optim_state.py."""

import numpy as np
import pytest

from minidl import Tensor, nn, optim
from minidl import functional as F
from minidl.nn import Parameter
from tests.helpers import DTYPES, assert_close, golden, sizes

FLAVOURS = {
    "plain": {},
    "momentum": {"momentum": 0.9},
    "dampening": {"momentum": 0.9, "dampening": 0.5, "weight_decay": 0.01},
    "nesterov": {"momentum": 0.8, "nesterov": True, "weight_decay": 0.1},
}


def options(case):
    return {
        name: case[name].item() for name in ("lr", "momentum", "dampening", "weight_decay", "nesterov") if name in case
    }


def gradients(shape, steps, dtype=np.float64, seed=0):
    return np.random.default_rng(seed).standard_normal((steps, *shape)).astype(dtype)


def walk(optimizer, parameter, grads):
    """Parameter after each step."""
    path = []
    for grad in grads:
        parameter.grad = grad
        optimizer.step()
        path.append(parameter.data.copy())
    return np.array(path)


def reference(start, grads, lr, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False):
    """The formulas of the docstring, in NumPy."""
    p, b, path = np.array(start, np.float64), None, []
    for grad in grads:
        g = grad + weight_decay * p
        b = g if b is None else momentum * b + (1 - dampening) * g
        d = g if momentum == 0 else g + momentum * b if nesterov else b
        p = p - lr * d
        path.append(p)
    return np.array(path)


# ---- against PyTorch -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", golden("sgd"))
def test_walks_as_pytorch_does(name, dtype):
    case = golden("sgd")[name]
    parameter = Parameter(case["start"].astype(dtype))
    path = walk(optim.SGD([parameter], **options(case)), parameter, case["grads"].astype(dtype))
    assert_close(path, case["path"], dtype)


@pytest.mark.parametrize("name", golden("training"))
def test_a_small_network_learns_as_in_pytorch(name):
    case = golden("training")[name]
    model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm(8), nn.Sigmoid(), nn.Linear(8, 3)).to(np.float64)
    model.load_state_dict({key.removeprefix("start_"): a for key, a in case.items() if key.startswith("start_")})
    optimizer = optim.SGD(model.parameters(), **options(case))
    losses = []
    for images, labels in zip(case["images"], case["labels"], strict=True):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(Tensor(images)), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert_close(np.array(losses), case["losses"])
    for key, array in model.state_dict().items():
        if key == "1.num_batches_tracked":
            assert array == case[f"end_{key}"] == 20
        else:
            assert_close(array, case[f"end_{key}"])
    assert_close(model.eval()(Tensor(case["images"][-1])).data, case["eval_logits"])


@pytest.mark.parametrize("name", golden("schedules"))
def test_schedules_as_pytorchs(name):
    case = golden("schedules")[name]
    settings = {key: value.item() for key, value in case.items() if key not in ("base_lr", "lrs")}
    optimizer = optim.SGD([Parameter(np.zeros(1))], lr=case["base_lr"].item())
    schedule = getattr(optim, name.split("-")[0])(optimizer, **settings)
    lrs = []
    for _ in case["lrs"]:
        lrs.append(optimizer.param_groups[0]["lr"])
        assert schedule.get_last_lr() == lrs[-1:]
        schedule.step()
    np.testing.assert_allclose(lrs, case["lrs"], rtol=1e-12, atol=1e-15)


# ---- the step --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("shape", sizes((8191,), (3 * 8192 + 5,), (200, 300), tiny=((), (1,), (3, 2))), ids=str)
def test_every_size(shape, flavour):
    start, grads = gradients(shape, 1, seed=1)[0], gradients(shape, 3)
    parameter = Parameter(np.array(start))
    path = walk(optim.SGD([parameter], lr=0.1, **FLAVOURS[flavour]), parameter, grads)
    assert_close(path, reference(start, grads, 0.1, **FLAVOURS[flavour]))


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_strided_parameters_and_gradients(flavour):
    start, grads = gradients((4, 6), 1, seed=1)[0], gradients((4, 6), 3)
    parameter = Parameter(np.asfortranarray(start))
    strided = [np.repeat(grad, 2, axis=1)[:, ::2] for grad in grads]
    path = walk(optim.SGD([parameter], lr=0.1, **FLAVOURS[flavour]), parameter, strided)
    assert_close(path, reference(start, grads, 0.1, **FLAVOURS[flavour]))


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_moves_in_place_and_leaves_the_gradient_alone(flavour):
    parameter, grads = Parameter(np.ones((3, 2), np.float32)), gradients((3, 2), 3, np.float32)
    data, copies = parameter.data, grads.copy()
    walk(optim.SGD([parameter], lr=0.1, **FLAVOURS[flavour]), parameter, grads)
    assert parameter.data is data
    assert parameter.data.dtype == np.float32
    np.testing.assert_array_equal(grads, copies)


def test_parameters_without_a_gradient_stay():
    first, second = Parameter(np.ones(2)), Parameter(np.ones(2))
    optimizer = optim.SGD([first, second], lr=0.1, momentum=0.9, weight_decay=0.1)
    walk(optimizer, first, gradients((2,), 2))
    np.testing.assert_array_equal(second.data, np.ones(2))
    assert list(optimizer.state_dict()["buffers"]) == [0]
    path = walk(optimizer, second, gradients((2,), 3))  # its first step is a first step
    assert_close(path, reference(np.ones(2), gradients((2,), 3), 0.1, momentum=0.9, weight_decay=0.1))


def test_zero_grad():
    parameter = Parameter(np.ones(2))
    optimizer = optim.SGD([parameter], lr=0.1)
    walk(optimizer, parameter, gradients((2,), 1))
    before = parameter.data.copy()
    optimizer.zero_grad()
    assert parameter.grad is None
    optimizer.step()
    np.testing.assert_array_equal(parameter.data, before)


@pytest.mark.parametrize("bad", [np.float64(1), np.ones(1), np.ones(6), np.ones((2, 3)), np.ones((3, 2, 1))])
def test_a_gradient_of_another_shape_moves_nothing(bad):
    first, second = Parameter(np.ones(2)), Parameter(np.ones((3, 2)))
    first.grad, second.grad = np.ones(2), bad
    with pytest.raises(ValueError, match=r"SGD: a parameter is \(3, 2\) but its gradient is"):
        optim.SGD([first, second], lr=0.1).step()
    np.testing.assert_array_equal(first.data, np.ones(2))
    np.testing.assert_array_equal(second.data, np.ones((3, 2)))


@pytest.mark.parametrize("bad", [np.array(["a", "b"]), np.array([1j, 0]), np.array([None, 1])])
def test_a_gradient_of_no_real_numbers_moves_nothing(bad):
    first, second = Parameter(np.ones(2)), Parameter(np.ones(2))
    first.grad, second.grad = np.ones(2), bad
    with pytest.raises(TypeError, match=r"SGD: a parameter's gradient is of .*; it must be of real numbers"):
        optim.SGD([first, second], lr=0.1).step()
    np.testing.assert_array_equal(first.data, np.ones(2))


def test_a_parameter_that_changed_its_shape():
    parameter = Parameter(np.ones(2))
    optimizer = optim.SGD([parameter], lr=0.1, momentum=0.9)
    walk(optimizer, parameter, gradients((2,), 1))
    parameter.data, parameter.grad = np.ones(3), np.ones(3)
    with pytest.raises(ValueError, match=r"is \(3,\) but its momentum buffer is \(2,\)"):
        optimizer.step()


# ---- groups ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["list", "generator", "groups", "generator of groups", "group of one", "one"])
def test_what_parameters_may_come_as(kind):
    parameter = Parameter(np.ones(2))
    optimizer = optim.SGD({
        "list": [parameter], "generator": (p for p in [parameter]), "groups": [{"params": [parameter]}],
        "generator of groups": ({"params": p} for p in [(parameter,)]), "group of one": [{"params": parameter}],
        "one": parameter,
    }[kind], lr=0.5)  # fmt: skip
    assert [group["params"] for group in optimizer.param_groups] == [[parameter]]
    np.testing.assert_array_equal(walk(optimizer, parameter, [np.ones(2)]), [[0.5, 0.5]])


def test_each_group_has_its_own_settings():
    settings = [{}, {"lr": 0.3}, {"momentum": 0.0, "weight_decay": 0.2}, {"nesterov": True}]
    parameters, grads = [Parameter(np.ones(3)) for _ in settings], gradients((3,), 4)
    groups = [{"params": (q for q in [p]), **own} for p, own in zip(parameters, settings, strict=True)]
    optimizer = optim.SGD(groups, lr=0.1, momentum=0.9)
    for grad in grads:
        for parameter in parameters:
            parameter.grad = grad
        optimizer.step()
    for parameter, own in zip(parameters, settings, strict=True):
        assert_close(parameter.data, reference(np.ones(3), grads, **{"lr": 0.1, "momentum": 0.9} | own)[-1])
    assert groups[1]["lr"] == 0.3  # what was passed is not changed
    assert "momentum" not in groups[1]


def test_settings_can_change_between_steps():
    parameter = Parameter(np.ones(2))
    optimizer = optim.SGD([parameter], lr=0.1)
    walk(optimizer, parameter, [np.ones(2)])
    optimizer.param_groups[0]["lr"] = 0.5
    np.testing.assert_allclose(walk(optimizer, parameter, [np.ones(2)]), [[0.4, 0.4]])


def test_impossible_parameters():
    p = Parameter(np.ones(2))
    with pytest.raises(ValueError, match="no parameters"):
        optim.SGD(nn.ReLU().parameters(), lr=0.1)
    with pytest.raises(ValueError, match="no parameters"):
        optim.SGD([{"params": []}], lr=0.1)
    with pytest.raises(ValueError, match="appears twice"):
        optim.SGD([p, p], lr=0.1)
    with pytest.raises(ValueError, match="appears twice"):
        optim.SGD([{"params": [p]}, {"params": [p]}], lr=0.1)
    with pytest.raises(TypeError, match="got a tuple"):
        optim.SGD(nn.Linear(2, 2).named_parameters(), lr=0.1)
    with pytest.raises(TypeError, match="got a ndarray"):
        optim.SGD([np.ones(2)], lr=0.1)
    with pytest.raises(TypeError, match="got int64 among the parameters"):
        optim.SGD([Tensor(np.ones(2, np.int64))], lr=0.1)
    with pytest.raises(ValueError, match="result of mul"):
        optim.SGD([p * 2], lr=0.1)


@pytest.mark.parametrize("where", ["for all", "in a group"])
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"lr": -0.1}, "lr is -0.1"),
        ({"lr": float("nan")}, "lr is nan"),
        ({"lr": float("inf")}, "lr is inf"),
        ({"lr": 10**400}, "lr is 10000"),
        ({"momentum": -0.5}, "momentum is -0.5"),
        ({"weight_decay": -1}, "weight_decay is -1"),
        ({"nesterov": True}, "nesterov needs a momentum"),
        (
            {"nesterov": True, "momentum": 0.9, "dampening": 0.1},
            "nesterov needs a momentum above 0 and a dampening of 0",
        ),
    ],
)
def test_impossible_settings(settings, words, where):
    parameters, settings = [Parameter(np.ones(2))], {"lr": 0.1} | settings
    group, for_all = ({}, settings) if where == "for all" else (settings, {"lr": 0.1})
    with pytest.raises(ValueError, match=f"SGD: {words}"):
        optim.SGD([{"params": parameters, **group}], **for_all)


# ---- schedules -------------------------------------------------------------------------------------------------------


def sgd(*lrs):
    return optim.SGD([{"params": Parameter(np.zeros(1)), "lr": lr} for lr in lrs], lr=1.0)


def rates(schedule, steps):
    seen = []
    for _ in range(steps):
        seen.append(schedule.get_last_lr())
        schedule.step()
    return np.array(seen)


def test_every_group_follows_from_its_own_rate():
    np.testing.assert_allclose(rates(optim.StepLR(sgd(1.0, 0.5), 2), 4), [[1, 0.5], [1, 0.5], [0.1, 0.05], [0.1, 0.05]])


def test_lambda():
    np.testing.assert_allclose(rates(optim.LambdaLR(sgd(2.0), lambda t: 1 / (1 + t)), 3)[:, 0], [2, 1, 2 / 3])


def test_one_schedule_after_another():
    optimizer = sgd(1.0)
    parts = [
        optim.LinearLR(optimizer, 0.5, 1.0, 2),
        optim.StepLR(optimizer, 2, 0.1),
        optim.LinearLR(optimizer, 1, 0, 4),
    ]
    schedule = optim.SequentialLR(optimizer, parts, milestones=[2, 5])
    expected = [0.5, 0.75, 1, 1, 0.1, 1, 0.75, 0.5, 0.25, 0, 0]
    np.testing.assert_allclose(rates(schedule, len(expected))[:, 0], expected)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: optim.StepLR(sgd(1.0), 0), "StepLR: step_size is 0"),
        (lambda: optim.CosineAnnealingLR(sgd(1.0), 0), "CosineAnnealingLR: T_max is 0"),
        (lambda: optim.LinearLR(sgd(1.0), total_iters=0), "LinearLR: total_iters is 0"),
        (lambda: optim.SequentialLR(sgd(1.0), [optim.StepLR(sgd(1.0), 1)], [1]), "SequentialLR: 1 schedules need 0"),
        (lambda: optim.SequentialLR(sgd(1.0), [optim.StepLR(sgd(1.0), 1)] * 3, [5, 2]), "SequentialLR: 3 .* rising"),
    ],
)
def test_impossible_schedules(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_a_schedule_of_ones_own():
    class Constant(optim.LambdaLR):
        def lr_at(self, base, t):
            return 0.25

    assert Constant(sgd(1.0), float).get_last_lr() == [0.25]


@pytest.mark.parametrize("nesterov", [False, True])
def test_the_learning_rate_stands_outside_the_momentum_buffer(nesterov):
    """PyTorch's form, p ← p − lr·b: it differs from b ← momentum·b + lr·g only when lr changes on the way."""
    p = nn.Parameter(np.zeros(1))
    sgd = optim.SGD([p], lr=1.0, momentum=0.5, nesterov=nesterov)
    for lr in (1.0, 0.1):
        sgd.param_groups[0]["lr"] = lr
        p.grad = np.ones(1)
        sgd.step()
    buffers = 1.0, 1.5
    moves = [1 + 0.5 * b for b in buffers] if nesterov else buffers
    np.testing.assert_allclose(p.data, -(1.0 * moves[0] + 0.1 * moves[1]), rtol=1e-15)

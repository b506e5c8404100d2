"""Adam and AdamW against PyTorch's trajectories; sizes and layouts, states, and steps that are refused."""

import copy
import itertools
import pickle

import numpy as np
import pytest

import minidl
from minidl import Tensor, checkpoint, nn, optim
from minidl import functional as F
from minidl.nn import Parameter
from minidl.replay import Replay
from tests.helpers import DTYPES, JIT, assert_close, golden, sizes
from tests.optim.test_optim import gradients, walk

SETTINGS = {"lr", "betas", "eps", "weight_decay", "amsgrad", "maximize"}
FLAVOURS = {
    "plain": {},
    "decay": {"lr": 0.1, "weight_decay": 0.1, "betas": (0.8, 0.9)},
    "amsgrad": {"lr": 0.1, "amsgrad": True, "betas": (0.5, 0.6)},
    "maximize": {"lr": 0.1, "maximize": True, "weight_decay": 0.2, "amsgrad": True},
}
KINDS = (optim.Adam, optim.AdamW)


def options(case):
    return {name: tuple(value) if value.ndim else value.item() for name, value in case.items() if name in SETTINGS}


def reference(
    kind, start, grads, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=None, amsgrad=False, maximize=False
):
    """The formulas of the docstrings, in NumPy."""
    decoupled = kind is optim.AdamW
    decay = (0.01 if decoupled else 0.0) if weight_decay is None else weight_decay
    p, path = np.array(start, np.float64), []
    m, v, most = np.zeros_like(p), np.zeros_like(p), np.zeros_like(p)
    for t, grad in enumerate(grads, 1):
        g = (-grad if maximize else grad) + (0 if decoupled else decay * p)
        p = p - lr * decay * p if decoupled else p
        m, v = betas[0] * m + (1 - betas[0]) * g, betas[1] * v + (1 - betas[1]) * g**2
        most = np.maximum(most, v)
        used = most if amsgrad else v
        p = p - lr * (m / (1 - betas[0] ** t)) / (np.sqrt(used / (1 - betas[1] ** t)) + eps)
        path.append(p)
    return np.array(path)


# ---- against PyTorch -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", golden("adam"))
def test_walks_as_pytorch_does(name, dtype):
    case = golden("adam")[name]
    parameter = Parameter(case["start"].astype(dtype))
    optimizer = getattr(optim, name.split("-")[0])([parameter], **options(case))
    path = []
    for step, grad in enumerate(case["grads"].astype(dtype)):
        if step == 6:
            optimizer.param_groups[0]["lr"] *= 0.5
        path += [walk(optimizer, parameter, [grad])[0]]
    assert_close(np.array(path), case["path"], dtype, slack=3)
    kept = optimizer.state_dict()["buffers"][0]
    assert set(kept) == {"step", "exp_avg", "exp_avg_sq"} | ({"max_exp_avg_sq"} & set(case))
    assert kept.pop("step") == case["step"] == 12
    for key, array in kept.items():
        assert_close(array, case[key], dtype)


def test_the_defaults_are_pytorchs():
    torch = pytest.importorskip("torch")
    for kind in KINDS:
        theirs = getattr(torch.optim, kind.__name__)([torch.zeros(1, requires_grad=True)]).defaults
        ours = kind([Parameter(np.zeros(1))]).defaults
        assert ours == {name: theirs[name] for name in SETTINGS}


# ---- the step --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("shape", sizes((8191,), (3 * 8192 + 5,), (200, 300), tiny=((), (1,), (3, 2), (0, 3))), ids=str)
def test_every_size(shape, flavour, kind):
    start, grads = gradients(shape, 1, seed=1)[0], gradients(shape, 3)
    parameter = Parameter(np.array(start))
    path = walk(kind([parameter], **FLAVOURS[flavour]), parameter, grads)
    assert_close(path, reference(kind, start, grads, **FLAVOURS[flavour]))


WRONG = {
    "eps inside of the root": lambda m, v, t: m / (1 - 0.8**t) / np.sqrt(v / (1 - 0.95**t) + 1e-3),
    "no correction": lambda m, v, t: m / (np.sqrt(v) + 1e-3),
    "that of the first step": lambda m, v, t: m / 0.2 / (np.sqrt(v / 0.05) + 1e-3),
    "none": lambda m, v, t: m / (1 - 0.8**t) / (np.sqrt(v / (1 - 0.95**t)) + 1e-3),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_pytorchs_path_rejects_other_formulas(mistake):
    case = golden("adam")["Adam-lr0.1-betas(0.8, 0.95)-eps0.001"]
    p, m, v, path = case["start"], 0, 0, []
    for t, grad in enumerate(case["grads"], 1):
        m, v = 0.8 * m + 0.2 * grad, 0.95 * v + 0.05 * grad**2
        p = p - (0.1 if t <= 6 else 0.05) * WRONG[mistake](m, v, t)
        path.append(p)
    assert np.allclose(path, case["path"], rtol=1e-9) is (mistake == "none")


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_strided_parameters_and_gradients(flavour):
    start, grads = gradients((4, 6), 1, seed=1)[0], gradients((4, 6), 3)
    parameter = Parameter(start)
    parameter.data = array = np.asfortranarray(start)
    strided = [np.repeat(grad, 2, axis=1)[:, ::2] for grad in grads]
    path = walk(optim.Adam([parameter], **FLAVOURS[flavour]), parameter, strided)
    assert_close(path, reference(optim.Adam, start, grads, **FLAVOURS[flavour]))
    assert parameter.data is array


@pytest.mark.parametrize("kind", KINDS)
def test_moves_in_place_and_leaves_the_gradient_alone(kind):
    parameter, grads = Parameter(np.ones((3, 2), np.float32)), gradients((3, 2), 3, np.float32)
    data, copies = parameter.data, grads.copy()
    walk(kind([parameter], weight_decay=0.1), parameter, grads)
    assert parameter.data is data
    np.testing.assert_array_equal(grads, copies)


@pytest.mark.skipif(not JIT, reason="has no threads without")
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_same_bits_on_any_number_of_threads(dtype):
    start, grads, found = gradients((400, 300), 1, dtype)[0], gradients((400, 300), 3, dtype), []
    before = minidl.get_num_threads()
    for threads in (1, before):
        minidl.set_num_threads(threads)
        parameter = Parameter(start)
        found.append(walk(optim.AdamW([parameter], lr=0.1, amsgrad=True), parameter, grads).tobytes())
    minidl.set_num_threads(before)
    assert found[0] == found[1]


def test_each_parameter_counts_its_own_steps():
    """One that gets its first gradient late takes a first step then, with the correction of a first step."""
    early, late = Parameter(np.ones(2)), Parameter(np.ones(2))
    optimizer, grads = optim.Adam([early, late], lr=0.1), gradients((2,), 3)
    walk(optimizer, early, grads)
    early.grad = None
    assert_close(walk(optimizer, late, grads), reference(optim.Adam, np.ones(2), grads, lr=0.1))
    steps = [kept["step"] for kept in optimizer.state_dict()["buffers"].values()]
    assert steps == [3, 3]
    assert_close(early.data, reference(optim.Adam, np.ones(2), grads, lr=0.1)[-1])


def test_a_gradient_that_two_parameters_share():
    first, second = Parameter(np.ones(2)), Parameter(np.ones(2))
    first.grad = second.grad = np.array([1.0, -2.0])
    optim.Adam([first, second], lr=0.1).step()
    np.testing.assert_array_equal(first.data, second.data)
    np.testing.assert_array_equal(first.grad, [1, -2])


def test_amsgrad_may_be_switched_on_later():
    parameter, grads = Parameter(np.ones(2)), gradients((2,), 4)
    optimizer = optim.Adam([parameter], lr=0.1)
    walk(optimizer, parameter, grads[:2])
    assert "max_exp_avg_sq" not in optimizer.state_dict()["buffers"][0]
    optimizer.param_groups[0]["amsgrad"] = True
    walk(optimizer, parameter, grads[2:])
    kept = optimizer.state_dict()["buffers"][0]
    assert (kept["max_exp_avg_sq"] >= kept["exp_avg_sq"]).all()


def test_a_nan_in_a_gradient_stays_where_it_is():
    for amsgrad in (False, True):
        parameter = Parameter(np.ones(3))
        walk(optim.Adam([parameter], amsgrad=amsgrad), parameter, [np.array([1.0, np.nan, 1.0]), np.ones(3)])
        assert np.isnan(parameter.data).tolist() == [False, True, False]


def test_moments_go_on_in_another_type():
    parameter = Parameter(np.ones((2, 3), np.float32))
    optimizer = optim.Adam([parameter], lr=0.1)
    walk(optimizer, parameter, [np.ones((2, 3), np.float32)])
    parameter.data = parameter.data.astype(np.float64)
    walk(optimizer, parameter, [np.ones((2, 3))])
    np.testing.assert_allclose(parameter.data, 0.8, rtol=1e-5)
    assert optimizer.state_dict()["buffers"][0]["exp_avg"].dtype == np.float64


# ---- refused, and nothing moved ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (lambda p, group: setattr(p, "grad", np.ones(3)), ValueError),
        (lambda p, group: setattr(p, "grad", np.array([1j, 0])), TypeError),
        (lambda p, group: setattr(p, "grad", [1, 2]), TypeError),
        (lambda p, group: p.data.setflags(write=False), ValueError),
        (lambda p, group: group.update(betas=(0.9, 1.0)), ValueError),
        (lambda p, group: group.update(betas=None), ValueError),
        (lambda p, group: group.update(lr=np.nan), ValueError),
        (lambda p, group: group.update(eps=-1), ValueError),
        (lambda p, group: group.update(amsgrad="yes"), ValueError),
    ],
)
def test_a_step_that_is_refused_moves_nothing_and_counts_none(spoil, error):
    first, second = Parameter(np.ones(2)), Parameter(np.ones(2))
    optimizer = optim.Adam([{"params": first}, {"params": second}], lr=0.1)
    first.grad = second.grad = np.ones(2)
    optimizer.step()
    before, data = optimizer.state_dict()["buffers"], first.data.copy()
    spoil(second, optimizer.param_groups[1])
    with pytest.raises(error, match=r"^Adam: .*must be"):
        optimizer.step()
    np.testing.assert_array_equal(first.data, data)
    for i, kept in optimizer.state_dict()["buffers"].items():
        assert kept["step"] == before[i]["step"] == 1
        np.testing.assert_array_equal(kept["exp_avg"], before[i]["exp_avg"])


def test_a_parameter_that_changed_its_shape():
    parameter = Parameter(np.ones(2))
    optimizer = optim.Adam([parameter])
    walk(optimizer, parameter, gradients((2,), 1))
    parameter.data, parameter.grad = np.ones(3), np.ones(3)
    with pytest.raises(ValueError, match=r"Adam: a parameter is \(3,\) but its momentum buffer is \(2,\)"):
        optimizer.step()


# ---- states ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("through", ["dict", "file", "copy", "pickle"])
def test_goes_on_to_the_same_bits(through, flavour, kind, tmp_path):
    grads, start = gradients((40,), 10, np.float32), np.ones(40, np.float32)
    parameter, plain = Parameter(start), Parameter(start)
    optimizer, undisturbed = (kind([{"params": [p]}], **FLAVOURS[flavour]) for p in (parameter, plain))
    expected = walk(undisturbed, plain, grads)[-1]
    walk(optimizer, parameter, grads[:6])
    if through in ("copy", "pickle"):
        pair = optimizer, parameter
        optimizer, parameter = copy.deepcopy(pair) if through == "copy" else pickle.loads(pickle.dumps(pair))
    else:
        state = optimizer.state_dict()
        if through == "file":
            checkpoint.save(tmp_path / "adam.npz", state)
            state = checkpoint.load(tmp_path / "adam.npz")[0]
        parameter = Parameter(parameter.data.copy())
        optimizer = kind([parameter], lr=3.0, eps=1.0)
        optimizer.load_state_dict(state)
        assert optimizer.param_groups == [undisturbed.param_groups[0] | {"params": [parameter]}]
    np.testing.assert_array_equal(walk(optimizer, parameter, grads[6:])[-1], expected)


def test_a_state_is_a_copy():
    parameter = Parameter(np.ones(2))
    optimizer = optim.Adam([parameter])
    walk(optimizer, parameter, gradients((2,), 1))
    state = optimizer.state_dict()
    before = copy.deepcopy(state)
    walk(optimizer, parameter, gradients((2,), 2))
    np.testing.assert_equal(state, before)
    other = optim.Adam([Parameter(np.ones(2))])
    other.load_state_dict(state)
    walk(other, other.param_groups[0]["params"][0], gradients((2,), 2))
    np.testing.assert_equal(state, before)


def test_what_is_no_state_changes_nothing():
    parameter = Parameter(np.ones(2))
    optimizer = optim.Adam([parameter])
    walk(optimizer, parameter, gradients((2,), 1))
    good = optimizer.state_dict()
    kept, array = good["buffers"][0], np.ones(2)
    wrong = [None, 3, array, [array], {}, {"step": 1}, kept | {"step": True}, kept | {"step": -1}, kept | {"step": "1"},
             kept | {"step": np.nan}, kept | {"exp_avg": np.ones(2, int)}, kept | {"exp_avg": np.ones(3)},
             kept | {"max_exp_avg_sq": None}, kept | {"more": array}]  # fmt: skip
    states = [good | {"buffers": {0: saved}} for saved in wrong]
    groups = [{"betas": (0.9, 2)}, {"betas": "ab"}, {"lr": -1}, {"eps": np.inf}, {"amsgrad": 2}, {"momentum": 1}]
    states += [good | {"groups": [good["groups"][0] | change]} for change in groups]
    states += [good | {"buffers": {1: kept}}, good | {"buffers": {"0": kept}}, {"groups": good["groups"]}]
    for state in states:
        with pytest.raises(ValueError, match="Adam"):
            optimizer.load_state_dict(state)
        np.testing.assert_equal(optimizer.state_dict(), good)


# ---- with the rest -----------------------------------------------------------------------------------------------------


def test_schedules_move_its_rate():
    optimizer = optim.Adam([Parameter(np.zeros(1))], lr=1.0)
    schedule = optim.SequentialLR(optimizer, [optim.LinearLR(optimizer, 0.5, 1, 2), optim.StepLR(optimizer, 1)], [2])
    seen = []
    for _ in range(5):
        seen += schedule.get_last_lr()
        schedule.step()
    np.testing.assert_allclose(seen, [0.5, 0.75, 1, 0.1, 0.01])


@pytest.mark.parametrize("kind", KINDS)
def test_training_with_a_replay_gives_the_same_bits(kind):
    """The correction of the first steps changes each time, and is no part of what is recorded."""
    rng = np.random.default_rng(0)
    batches = [(rng.random((8, 6), np.float32), rng.integers(0, 3, 8)) for _ in range(7)]
    found = []
    for replayed in (False, True):
        generator = np.random.default_rng(1)
        model = nn.Sequential(
            nn.Linear(6, 5, generator=generator), nn.BatchNorm(5), nn.Linear(5, 3, generator=generator)
        )
        optimizer, step, losses = kind(model.parameters(), lr=0.01, amsgrad=True), Replay(model), []
        schedule = optim.OneCycleLR(optimizer, 0.1, total_steps=7)
        for i, (x, y) in enumerate(batches):
            optimizer.zero_grad()
            if replayed:
                losses.append(step(x, y))
                assert i == 0 or step.why_not is None
            else:
                loss = F.cross_entropy(model(Tensor(x)), y)
                loss.backward()
                losses.append(loss.item())
            optimizer.step()
            schedule.step()
        found.append((losses, [array.tobytes() for array in model.state_dict().values()]))
    assert found[0] == found[1]


def test_states_of_adam_and_adamw_are_the_same():
    for one, other in itertools.permutations(KINDS):
        parameter = Parameter(np.ones(2))
        optimizer = one([parameter])
        walk(optimizer, parameter, gradients((2,), 1))
        other([Parameter(np.ones(2))]).load_state_dict(optimizer.state_dict())

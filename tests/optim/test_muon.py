"""Muon against PyTorch's path and against singular values, and steps that are refused."""

import numpy as np
import pytest

import minidl
from minidl import Tensor, nn, optim
from minidl import functional as F
from minidl.nn import Parameter
from minidl.optim import Muon, muon
from minidl.optim.muon import COEFFICIENTS, orthogonalised
from tests.helpers import DTYPES, JIT, assert_close, golden, sizes
from tests.optim.test_optim import gradients, walk

SETTINGS = {
    "lr", "weight_decay", "momentum", "nesterov", "ns_coefficients", "eps", "ns_steps", "adjust_lr_fn",
}  # fmt: skip
SHAPES = [(1, 1), (5, 1), (1, 5), (7, 7), (40, 9), (9, 40), *sizes((70, 130))]


def by_singular_values(matrix, steps, coefficients=COEFFICIENTS):
    """The docstring's polynomial on each singular value, by NumPy's decomposition."""
    u, s, v = np.linalg.svd(matrix.astype(np.float64), full_matrices=False)
    a, b, c = coefficients
    s = s / np.sqrt((s * s).sum())
    for _ in range(steps):
        s = a * s + b * s**3 + c * s**5
    return (u * s) @ v


def options(case):
    found = {name: case[name].tolist() for name in SETTINGS & set(case)}
    return found | ({"ns_coefficients": tuple(found["ns_coefficients"])} if "ns_coefficients" in found else {})


# ---- against PyTorch ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", golden("muon"))
def test_walks_as_pytorch_does(name, dtype):
    case = golden("muon")[name]
    parameter = Parameter(case["start"].astype(dtype))
    optimizer = Muon([parameter], **options(case))
    path = []
    for step, grad in enumerate(case["grads"].astype(dtype)):
        if step == 6:
            optimizer.param_groups[0]["lr"] *= 0.5
        path += [walk(optimizer, parameter, [grad])[0]]
    assert parameter.data.dtype == dtype
    slack = 3 if dtype == np.float64 else 30  # small singular values grow by 3.4 a step, and so do errors
    assert_close(np.array(path), case["path"], dtype, slack=slack)
    assert_close(optimizer.state_dict()["buffers"][0], case["buffer"], dtype)


def test_the_defaults_are_pytorchs():
    torch = pytest.importorskip("torch")
    theirs = torch.optim.Muon([torch.zeros(1, 1, requires_grad=True)]).defaults
    ours = Muon([Parameter(np.zeros((1, 1)))]).defaults
    assert ours == {name: theirs[name] for name in SETTINGS}


def follow(case, decayed="before", size=max):
    """The path of Muon without momentum, or of a step that differs in when weights decay, or in which size counts."""
    lr, decay, p, path = float(case["lr"]), float(case["weight_decay"]), case["start"], []
    for t, grad in enumerate(case["grads"]):
        rate, o = lr * (1 if t < 6 else 0.5), by_singular_values(grad, 5)
        moved = p - rate * 0.2 * np.sqrt(size(grad.shape)) * o
        p = moved - rate * decay * (p if decayed == "before" else moved)
        path.append(p)
    return np.array(path)


@pytest.mark.parametrize(("change", "same"), [({}, True), ({"decayed": "after"}, False), ({"size": min}, False)])
def test_pytorchs_path_rejects_another_step(change, same):
    (name,) = (name for name in golden("muon") if name.startswith("6x2"))
    case = golden("muon")[name]
    assert np.allclose(follow(case, **change), case["path"], rtol=1e-6) is same


@pytest.mark.parametrize("wrong", ["in/out", "no nesterov", "no ratio"])
def test_pytorchs_path_rejects_a_wrong_optimizer(wrong, monkeypatch):
    (name,) = (name for name in golden("muon") if name.startswith("3x5"))
    case = golden("muon")[name]
    if wrong != "no nesterov":
        factor = (lambda _, shape: np.sqrt(max(1, shape[0] / shape[1]))) if wrong == "in/out" else lambda *_: 1.0
        monkeypatch.setattr(muon, "_ratio", factor)
    parameter = Parameter(case["start"].copy())
    optimizer = Muon([parameter], **options(case) | ({"nesterov": False} if wrong == "no nesterov" else {}))
    path = walk(optimizer, parameter, case["grads"][:6])
    assert not np.allclose(path, case["path"][:6], rtol=1e-6)


# ---- singular values ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("steps", [0, 1, 3, 5])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_it_is_the_polynomial_of_the_singular_values(shape, steps, dtype):
    matrix = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    found = orthogonalised(matrix, steps)
    assert found.dtype == dtype
    assert found.shape == shape
    assert_close(found, by_singular_values(matrix, steps), dtype, slack=100)


def test_five_steps_bring_singular_values_of_any_size_near_1():
    rng = np.random.default_rng(1)
    u, v = (np.linalg.qr(rng.standard_normal((60, 60)))[0] for _ in range(2))
    sizes = np.geomspace(1, 1 / 500, 60)
    s = np.linalg.svd(orthogonalised((u * sizes) @ v), compute_uv=False)
    share = sizes / np.sqrt((sizes * sizes).sum())
    assert s[share >= 1 / 660].min() > 0.68
    assert s.max() < 1.21


def test_the_transpose_gives_the_transpose():
    matrix = np.random.default_rng(2).standard_normal((30, 12))
    assert_close(orthogonalised(matrix.T), orthogonalised(matrix).T, np.float64)


def test_scale_does_not_matter_and_zeros_stay():
    matrix = np.random.default_rng(3).standard_normal((6, 4)).astype(np.float32)
    assert_close(orthogonalised(1024 * matrix), orthogonalised(matrix), np.float32)
    assert not orthogonalised(np.zeros((6, 4))).any()
    assert not orthogonalised(np.zeros((6, 4), np.float32), eps=0.0).any()
    assert np.isnan(orthogonalised(np.full((6, 4), np.nan))).all()


# ---- the optimizer -----------------------------------------------------------------------------------------------------


def test_a_convolution_is_a_matrix_with_a_column_for_each_filter():
    start, grads = gradients((3, 2, 4, 5), 1, seed=1)[0], gradients((3, 2, 4, 5), 3)
    filters, matrix = Parameter(start.copy()), Parameter(start.reshape(24, 5).copy())
    path = walk(Muon([filters], lr=0.1), filters, grads)
    same = walk(Muon([matrix], lr=0.1), matrix, grads.reshape(3, 24, 5))
    np.testing.assert_array_equal(path.reshape(3, 24, 5), same)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 2, 3)])
def test_an_empty_parameter(shape):
    parameter = Parameter(np.zeros(shape))
    walk(Muon([parameter]), parameter, np.zeros((2, *shape)))
    assert parameter.shape == shape


def test_strided_parameters_and_gradients():
    start, grads = gradients((4, 6), 1, seed=1)[0], gradients((4, 6), 3)
    parameter, usual = Parameter(start), Parameter(start.copy())
    parameter.data = array = np.asfortranarray(start)
    path = walk(Muon([parameter], lr=0.1), parameter, [np.repeat(g, 2, axis=1)[:, ::2] for g in grads])
    np.testing.assert_array_equal(path, walk(Muon([usual], lr=0.1), usual, grads))
    assert parameter.data is array


def test_it_continues_to_the_same_bits():
    start, grads = gradients((4, 6), 1, seed=1)[0], gradients((4, 6), 6)
    one, other = Parameter(start.copy()), Parameter(start.copy())
    whole = walk(Muon([one], lr=0.1), one, grads)
    first = Muon([other], lr=0.1)
    walk(first, other, grads[:3])
    second = Muon([other])
    second.load_state_dict(first.state_dict())
    np.testing.assert_array_equal(walk(second, other, grads[3:]), whole[3:])


@pytest.mark.skipif(not JIT, reason="has no threads without")
def test_it_does_not_depend_on_threads():
    grads, paths = gradients((300, 200), 2, np.float32), []
    before = minidl.get_num_threads()
    try:
        for threads in (1, before):
            minidl.set_num_threads(threads)
            parameter = Parameter(np.zeros((300, 200), np.float32))
            paths.append(walk(Muon([parameter], lr=0.1), parameter, grads))
    finally:
        minidl.set_num_threads(before)
    np.testing.assert_array_equal(*paths)


def test_it_trains_beside_sgd():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((64, 8)).astype(np.float32)
    labels = np.abs(x[:, :3]).argmax(1)  # which no linear map tells
    model = nn.Sequential(nn.Linear(8, 16, generator=rng), nn.ReLU(), nn.Linear(16, 3, generator=rng))
    hidden = [model[0].weight]
    others = [p for p in model.parameters() if p is not hidden[0]]
    optimizers = Muon(hidden, lr=0.05, weight_decay=0), optim.SGD(others, lr=0.1)
    losses = []
    for _ in range(40):
        loss = F.cross_entropy(model(Tensor(x)), labels)
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


REFUSED = {
    "a bias": (lambda: Muon([Parameter(np.zeros(3))]), "a parameter is (3,); it must have two axes or more"),
    "a bias that is added": (
        lambda: Muon([Parameter(np.zeros((3, 3)))]).add_param_group({"params": [Parameter(np.zeros(3))]}),
        "give biases to SGD or AdamW",
    ),
    "momentum": (lambda: Muon([Parameter(np.zeros((3, 3)))], momentum=1.5), "momentum is 1.5"),
    "nesterov": (lambda: Muon([Parameter(np.zeros((3, 3)))], nesterov="no"), "nesterov is 'no'"),
    "coefficients": (lambda: Muon([Parameter(np.zeros((3, 3)))], ns_coefficients=(1, 2)), "three numbers"),
    "a coefficient": (
        lambda: Muon([Parameter(np.zeros((3, 3)))], ns_coefficients=(1, 2, np.nan)),
        "ns_coefficients is nan",
    ),
    "steps": (lambda: Muon([Parameter(np.zeros((3, 3)))], ns_steps=100), "ns_steps is 100; it must be at most 99"),
    "half a step": (lambda: Muon([Parameter(np.zeros((3, 3)))], ns_steps=2.5), "ns_steps is 2.5"),
    "eps": (lambda: Muon([Parameter(np.zeros((3, 3)))], eps=-1), "eps is -1"),
    "a ratio": (lambda: Muon([Parameter(np.zeros((3, 3)))], adjust_lr_fn="mean"), "adjust_lr_fn is 'mean'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_it_refuses(case):
    make, words = REFUSED[case]
    with pytest.raises(ValueError, match="Muon") as caught:
        make()
    assert words in str(caught.value)


def test_a_refused_step_moves_nothing():
    good, bad = Parameter(np.ones((3, 3))), Parameter(np.ones((3, 3)))
    optimizer = Muon([good, bad])
    good.grad, bad.grad = np.ones((3, 3)), np.ones((2, 3))
    with pytest.raises(ValueError, match="gradient is"):
        optimizer.step()
    np.testing.assert_array_equal(good.data, np.ones((3, 3)))

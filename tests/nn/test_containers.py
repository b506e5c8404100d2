"""Residual blocks, fused and drawn; ModuleList and ModuleDict: PyTorch's names, and what lists and dicts can do."""

import copy

import numpy as np
import pytest

from minidl import Tensor, checkpoint, nn, optim
from minidl import functional as F
from minidl.gradcheck import gradcheck
from minidl.replay import Replay
from tests.helpers import DTYPES, assert_same_gradients, sizes
from tests.nn.test_fuse import ops_in


def rng(seed=0):
    return np.random.default_rng(seed)


def block(channels=2, shortcut=None, seed=0):
    body = nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1, bias=False, generator=rng(seed)), nn.BatchNorm(channels), nn.ReLU(),
        nn.Conv2d(channels, channels, 3, padding=1, bias=False, generator=rng(seed + 1)), nn.BatchNorm(channels),
    )  # fmt: skip
    return nn.Residual(body, shortcut)


def network():
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, bias=False, generator=rng(5)), nn.BatchNorm(4), nn.ReLU(), nn.MaxPool2d(2),
        block(4), nn.ReLU(), block(4, nn.Conv2d(4, 4, 1, generator=rng(7)), 3), nn.ReLU(), nn.GlobalAvgPool2d(),
        nn.Linear(4, 3, generator=rng(6)),
    )  # fmt: skip


X = rng(7).standard_normal((6, 4, 4, 2)).astype(np.float32)
LABELS = np.arange(6) % 3


def steps(model, gradients, count=5):
    optimizer, losses = optim.AdamW(model.parameters(), lr=0.01), []
    for _ in range(count):
        optimizer.zero_grad()
        losses.append(gradients(X, LABELS))
        optimizer.step()
    return losses, [array.tobytes() for array in model.state_dict().values()]


def eager(model):
    def gradients(x, labels):
        loss = F.cross_entropy(model(Tensor(x)), labels)
        loss.backward()
        return loss.item()

    return gradients


# ---- Residual ----------------------------------------------------------------------------------------------------------


def test_adds_its_input_or_the_shortcut():
    body, shortcut, x = (
        nn.Linear(3, 3, generator=rng()),
        nn.Linear(3, 3, generator=rng(1)),
        Tensor(np.ones((2, 3), np.float32)),
    )
    np.testing.assert_array_equal(nn.Residual(body)(x).data, x.data + body(x).data)
    np.testing.assert_array_equal(nn.Residual(body, shortcut)(x).data, shortcut(x).data + body(x).data)
    assert list(nn.Residual(body, shortcut).state_dict()) == [
        "body.weight", "body.bias", "shortcut.weight", "shortcut.bias",
    ]  # fmt: skip
    assert list(nn.Residual(body).state_dict()) == ["body.weight", "body.bias"]


def test_its_gradient():
    weight = rng(1).standard_normal((3, 3))

    def residual(x, weight):
        model = nn.Residual(nn.Sequential(nn.Linear(3, 3, bias=False), nn.Tanh())).to(np.float64)
        model.body[0].forward = lambda x: F.linear(x, weight)
        return model(x)

    gradcheck(residual, rng().standard_normal((5, 3)), weight, generator=rng(2))


def test_nothing_is_broadcast():
    for body in (nn.Linear(3, 1), nn.Sequential(nn.Linear(3, 3), nn.Flatten(), nn.Linear(3, 1))):
        with pytest.raises(ValueError, match=r"Residual: the body's output is \(2, 1\) but x is \(2, 3\)"):
            nn.Residual(body)(Tensor(np.ones((2, 3), np.float32)))


def test_is_fused_with_the_relu_behind_it():
    model = network()
    fused = nn.fuse(model)
    assert [type(layer).__name__ for layer in fused] == [
        "Conv2d", "BatchNormReLUMaxPool2d", "Identity", "Identity", "ResidualReLU", "Identity", "ResidualReLU", "Identity",
        "GlobalAvgPool2d", "Linear",
    ]  # fmt: skip
    assert "add_relu" in ops_in(fused(Tensor(X)))
    assert "add" not in ops_in(fused(Tensor(X)))
    assert list(fused.state_dict()) == list(model.state_dict())
    assert [id(p) for p in fused.parameters()] == [id(p) for p in model.parameters()]


def test_is_fused_inside_of_a_block():
    inner = nn.Sequential(nn.BatchNorm(2), nn.ReLU(), nn.MaxPool2d(2), nn.Residual(nn.Linear(2, 2)), nn.ReLU())
    fused = nn.fuse(nn.Residual(inner, nn.AvgPool2d(2)))
    assert [type(layer).__name__ for layer in fused.body] == [
        "BatchNormReLUMaxPool2d", "Identity", "Identity", "ResidualReLU", "Identity",
    ]  # fmt: skip


def test_is_not_fused_where_somebody_looks_or_uses_it_twice():
    looked_at, relu = nn.Sequential(block(), nn.ReLU()), nn.ReLU()
    looked_at[0].register_forward_hook(lambda module, inputs, output: None)
    shared = nn.Sequential(block(), relu, block(), relu)

    class Own(nn.Residual):
        def forward(self, x):
            return super().forward(x) * 2

    for model in (looked_at, shared, nn.Sequential(Own(nn.ReLU()), nn.ReLU()), nn.Sequential(block(), nn.Tanh())):
        assert "ResidualReLU" not in {type(layer).__name__ for layer in nn.fuse(model)}


@pytest.mark.parametrize("replayed", [False, True])
def test_fused_and_replayed_to_the_same_bits(replayed):
    plain, fused = network(), nn.fuse(network())
    step, why = Replay(fused), []

    def gradients(x, labels):
        loss = step(x, labels)
        why.append(step.why_not)
        return loss

    assert steps(plain, eager(plain)) == steps(fused, gradients if replayed else eager(fused))
    assert why[1:] == [None] * (4 * replayed)
    np.testing.assert_array_equal(plain.eval()(Tensor(X)).data, fused.eval()(Tensor(X)).data)


def test_is_replayed_as_written():
    plain, model = network(), network()
    step = Replay(model)
    assert steps(plain, eager(plain)) == steps(model, step)
    assert step.why_not is None


def test_is_drawn_as_a_sum():
    x = Tensor(np.ones((2, 3), np.float32))
    y = nn.Residual(nn.Sequential(nn.Linear(3, 3), nn.Tanh()))(x)
    text = [" ".join(line.split()) for line in str(y.graph(x=x, y=y)).splitlines()]
    assert text[0] == "x constant (2, 3)"
    assert text[-1] == "y x + #5 (2, 3)"
    assert ">+<" in y.graph(x=x)._repr_svg_()


def test_its_batch_norms_are_not_folded_in_silence():
    with pytest.raises(ValueError, match="fold_batch_norm: "):
        nn.fold_batch_norm(nn.Residual(nn.BatchNorm(2)))


# ---- the fused operation -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", sizes((3, 8192), (5, 1700), tiny=((), (1,), (4, 5), (0, 3), (2, 3, 4, 5))), ids=str)
def test_add_relu_is_relu_of_the_sum(shape, dtype):
    x, y = (np.asarray(rng(seed).standard_normal(shape), dtype) for seed in (1, 2))
    assert_same_gradients(F.add_relu, lambda x, y: F.relu(x + y), x, y, rng=rng(3))
    np.testing.assert_array_equal(F.add_relu(Tensor(x), Tensor(y)).data, F.relu(Tensor(x) + Tensor(y)).data)


def test_add_relu_keeps_nan_and_takes_any_layout():
    x, y = np.array([[np.nan, -np.inf, 1.0], [np.inf, -0.0, 0.0]]), np.array([[1.0, 2.0, -3.0], [-np.inf, 0.0, 2.0]])
    with np.errstate(invalid="ignore"):
        plain = F.relu(Tensor(x) + Tensor(y)).data
    np.testing.assert_array_equal(F.add_relu(Tensor(x), Tensor(y)).data, plain)
    np.testing.assert_array_equal(F.add_relu(Tensor(x.T), Tensor(np.asfortranarray(y).T)).data, plain.T)


def test_add_relu_of_a_tensor_with_itself():
    x = Tensor(np.array([1.0, -1.0]), requires_grad=True)
    F.add_relu(x, x).backward(np.ones(2))
    assert x.grad.tolist() == [2, 0]


# ---- ModuleList --------------------------------------------------------------------------------------------------------


def linears(n, first=0):
    return [nn.Linear(2, 2, generator=rng(first + i)) for i in range(n)]


class Deep(nn.Module):
    def __init__(self, layers):
        self.layers = layers

    def forward(self, x):
        for layer in self.layers:
            x = F.relu(layer(x))
        return x


def test_a_list_does_what_lists_do():
    a, b, c, d = linears(4)
    held = nn.ModuleList([a, b])
    assert held.append(c) is held
    assert list(held) == [a, b, c]
    assert (held[0], held[-1], len(held), b in held, d in held) == (a, c, 3, True, False)
    assert list(held[1:]) == [b, c]
    assert isinstance(held[::2], nn.ModuleList)
    held.insert(1, d)
    assert list(held) == [a, d, b, c]
    assert held.pop() is c
    assert held.pop(0) is a
    held[0] = c
    assert list(held.extend(iter([a]))) == [c, b, a]
    held += [d]
    del held[1]
    assert list(held) == [c, a, d]
    held[1:] = [b, a]
    assert list(reversed(held)) == [a, b, c]
    assert list(held + nn.ModuleList([d])) == [c, b, a, d]
    del held[:2]
    assert list(held) == [a]
    assert [name for name, _ in held.named_children()] == ["0"]
    assert list(nn.ModuleList()) == []


def test_names_in_the_state_are_pytorchs():
    torch = pytest.importorskip("torch")
    theirs = torch.nn.Module()
    theirs.layers = torch.nn.ModuleList([torch.nn.Linear(2, 2), torch.nn.ReLU()])
    theirs.layers.insert(0, torch.nn.Linear(2, 2))
    theirs.parts = torch.nn.ModuleDict(
        {"norm": torch.nn.BatchNorm1d(2), "inner": torch.nn.ModuleList([torch.nn.Linear(2, 2)])}
    )
    ours = Deep(nn.ModuleList([nn.Linear(2, 2), nn.ReLU()]))
    ours.layers.insert(0, nn.Linear(2, 2))
    ours.parts = nn.ModuleDict({"norm": nn.BatchNorm(2), "inner": nn.ModuleList(linears(1))})
    assert set(ours.state_dict()) == set(theirs.state_dict())


def test_a_list_is_trained_saved_copied_and_replayed(tmp_path):
    model = nn.Sequential(Deep(nn.ModuleList(linears(3))), nn.Linear(2, 3, generator=rng(9)))
    x, labels = rng(3).standard_normal((6, 2)).astype(np.float32), LABELS
    plain, step = copy.deepcopy(model), Replay(model)
    optimizers = [optim.SGD(m.parameters(), lr=0.1) for m in (model, plain)]
    for i in range(4):
        for optimizer in optimizers:
            optimizer.zero_grad()
        assert step(x, labels) == eager(plain)(x, labels)
        assert i == 0 or step.why_not is None
        for optimizer in optimizers:
            optimizer.step()
    checkpoint.save(tmp_path / "model.npz", model.state_dict())
    model[0].layers.append(nn.Linear(2, 2, generator=rng(8)))
    plain[0].layers.append(nn.Linear(2, 2, generator=rng(8)))
    assert step(x, labels) == eager(plain)(x, labels)  # the change is noticed
    with pytest.raises(ValueError, match=r"missing: 0.layers.3.weight"):
        model.load_state_dict(checkpoint.load(tmp_path / "model.npz")[0])
    model[0].layers.pop()
    model.load_state_dict(checkpoint.load(tmp_path / "model.npz")[0])
    model.eval()
    assert not model[0].layers[1].training


def test_what_is_no_module_changes_no_list():
    a, b = linears(2)
    held = nn.ModuleList([a, b])
    for change in (
        lambda: held.append(3), lambda: held.extend([a, None]), lambda: held.insert(0, "a"), lambda: held.extend(5),
        lambda: held.__setitem__(0, F.relu), lambda: held.__setitem__(slice(None), [None]), lambda: held.__setitem__(7, a),
        lambda: held.pop(5), lambda: held.__delitem__(-3), lambda: held.extend("ab"), lambda: held.__iadd__(a),
    ):  # fmt: skip
        with pytest.raises((TypeError, IndexError), match=r"^ModuleList: .*must be"):
            change()
        assert list(held) == [a, b]


# ---- ModuleDict --------------------------------------------------------------------------------------------------------


def test_a_dict_does_what_dicts_do():
    a, b, c = linears(3)
    held = nn.ModuleDict({"a": a, "b": b})
    assert (list(held), list(held.keys()), list(held.values())) == (["a", "b"], ["a", "b"], [a, b])
    assert list(held.items()) == [("a", a), ("b", b)]
    assert (held["a"], held.a, held.get("c"), held.get("c", 3), len(held), "b" in held, "c" in held) == (
        a, a, None, 3, 2, True, False,
    )  # fmt: skip
    held["c"] = c
    held["a"] = b  # stays where it was
    assert list(held.items()) == [("a", b), ("b", b), ("c", c)]
    assert held.pop("b") is b
    del held["a"]
    held.update(nn.ModuleDict([("d", a)]))
    assert list(held) == ["c", "d"]
    held.clear()
    assert len(held) == 0
    assert list(held.parameters()) == []


def test_what_does_not_fit_changes_no_dict():
    a, b = linears(2)
    held = nn.ModuleDict({"a": a})
    for change in (
        {"b": b, "c": 3}, {"b": b, "x.y": a}, {"b": b, "": a}, {"b": b, 3: a}, {"pop": b}, {"training": b}, {"__len__": b},
        5, [b], "ab",
    ):  # fmt: skip
        with pytest.raises((TypeError, ValueError), match=r"^ModuleDict: .*must be"):
            held.update(change)
        assert list(held.items()) == [("a", a)]
    for change in (lambda: held["b"], lambda: held.pop("b"), lambda: held.__delitem__("training")):
        with pytest.raises(KeyError, match="must be one of a"):
            change()
    assert list(held.items()) == [("a", a)]

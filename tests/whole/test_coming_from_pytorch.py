"""docs/coming-from-pytorch.md: each script in both languages, with the same weights and losses; each row of the table."""

import copy
import inspect
import re

import numpy as np
import pytest

import minidl
from minidl import Tensor, nn, optim
from minidl import functional as F
from tests.helpers import JIT
from tests.whole import mnist_script
from tests.whole.test_links import ROOT
from tests.whole.test_promises import functions_in

PAGE = (ROOT / "docs" / "coming-from-pytorch.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
SCRIPTS = {
    "mlp": 0,
    "residual": 2,
    "resumed": 4,
    "adam": 6,
}  # the place of PyTorch's version; minidl's is the next block
AGREE = 1e-4  # as the page says, of losses near 2.3

RNG = np.random.default_rng(0)
COMPILED = pytest.mark.skipif(not JIT, reason="takes minutes without compiled kernels")


@pytest.fixture
def torch():
    """PyTorch, on one thread, with a seed."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield torch
    torch.set_num_threads(threads)


def data(name):
    """What the scripts begin with; the residual network gets fewer and smaller images."""
    n, side = (64, 16) if name == "residual" else (256, 28)
    labels = RNG.integers(0, 10, n)
    images = RNG.integers(0, 256, (n, side, side) if name != "residual" else (n, side, side, 3))
    images //= 1 + labels.reshape(-1, *[1] * (images.ndim - 1)) // 3  # so that there is something to learn
    return {"images": images.astype(np.uint8), "photos": images.astype(np.uint8), "labels": labels}


def parts(script):
    """The parts of a script by their comments, such as "model"."""
    pieces = re.split(
        r"^# (?:PyTorch: |minidl: )?(data|model|training|evaluation|resumed)\n", script, flags=re.MULTILINE
    )
    return dict(zip(pieces[1::2], pieces[2::2], strict=True))


def carry(theirs, ours):
    """The same weights in both, by the page's own rule."""
    names = {}
    exec(next(block for block in BLOCKS if "def from_torch" in block).split("\ntheirs = ")[0], names)
    state = {name: names["from_torch"](name, w.numpy()) for name, w in theirs.state_dict().items()}
    ours.load_state_dict(state)


def run_both(name, folder):
    """Run both versions of a script, part by part; returns their names."""
    first = SCRIPTS[name]
    theirs, ours = BLOCKS[first], BLOCKS[first + 1]
    assert theirs.startswith("# PyTorch: data\n")
    assert ours.startswith("# minidl: data\n")
    a, b = parts(theirs), parts(ours)
    assert list(a) == list(b)
    given = data(name)
    their_names, our_names = given | {"folder": folder}, copy.deepcopy(given) | {"folder": folder}
    for part in a:
        exec(compile(a[part], f"PyTorch: {name}, {part}", "exec"), their_names)
        exec(compile(b[part], f"minidl: {name}, {part}", "exec"), our_names)
        if part == "model":
            carry(their_names["model"], our_names["model"])
    return their_names, our_names


@COMPILED
@pytest.mark.parametrize("name", SCRIPTS)
def test_losses_agree(name, torch, tmp_path):
    theirs, ours = run_both(name, tmp_path)
    steps = {"mlp": 16, "residual": 2 * len(theirs["labels"]) // 16, "resumed": 16, "adam": 16}[name]
    assert len(theirs["losses"]) == len(ours["losses"]) == steps
    np.testing.assert_allclose(ours["losses"], theirs["losses"], rtol=0, atol=AGREE)
    assert len(set(ours["losses"])) == steps
    for key, w in theirs["model"].state_dict().items():
        if "num_batches" in key:
            assert int(w) == int(ours["model"].state_dict()[key]) == steps
    if name == "mlp":
        assert ours["losses"][-1] < ours["losses"][0] - 0.3
    if "right" in ours:
        assert abs(theirs["right"] - ours["right"]) < 0.01
    if name == "adam":
        assert ours["right"] == ours["accuracy"]  # of the network that came from the file


@COMPILED
def test_a_usual_script_runs_after_the_changes_on_the_page(torch, tmp_path):
    """Both learn, and what was saved gives the same answers; line by line little has changed."""
    script, found = mnist_script.moved(), []
    assert "torch" not in script
    lines = mnist_script.PYTORCH.splitlines()
    assert sum(line in script.splitlines() for line in lines) > 0.6 * len(lines)
    for code, file in ((mnist_script.PYTORCH, "net.pt"), (script, "net.npz")):
        names = data("usual") | {"path": tmp_path / file}
        exec(compile(code, file, "exec"), names)
        assert names["again"] == names["result"]
        assert names["losses"][-1] < names["losses"][0] - 0.2
        found.append(np.mean(names["losses"][-4:]))
    assert found[1] == pytest.approx(found[0], abs=0.4)


@COMPILED
def test_the_comparison_of_losses_would_notice_another_momentum(torch, tmp_path, monkeypatch):
    block = SCRIPTS["mlp"] + 1
    monkeypatch.setitem(
        globals(), "BLOCKS", [b if i != block else b.replace("0.9", "0.8") for i, b in enumerate(BLOCKS)]
    )
    theirs, ours = run_both("mlp", tmp_path)
    assert np.max(np.abs(np.subtract(ours["losses"], theirs["losses"]))) > 10 * AGREE


@COMPILED
def test_a_resumed_training_is_the_same_as_one_in_one_go(tmp_path):
    script = parts(BLOCKS[SCRIPTS["resumed"] + 1])
    given, losses = data("resumed") | {"folder": tmp_path}, []
    for resumed in (True, False):
        names = dict(given)
        minidl.manual_seed(0)
        exec(script["data"] + script["model"] + script["training"], names)
        exec(script["resumed"] if resumed else "train(8, 16)", names)
        losses.append(names["losses"])
    assert losses[0] == losses[1]  # to the bit
    assert (tmp_path / "half.npz").exists()


def test_lines_that_differ_are_few():
    """What the page promises: a script is moved line by line."""
    for first in SCRIPTS.values():
        theirs, ours = ([line for line in BLOCKS[first + i].splitlines() if line] for i in (0, 1))
        same = sum(line in ours for line in theirs)
        assert same > 0.5 * len(theirs)


# ---- weights ------------------------------------------------------------------------------------------------------------


def twins(torch):
    theirs = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, (3, 2), 2, 1), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(), torch.nn.Linear(4, 5),
    )  # fmt: skip
    ours = nn.Sequential(
        nn.Conv2d(3, 4, (3, 2), 2, 1), nn.BatchNorm(4), nn.ReLU(), nn.GlobalAvgPool2d(), nn.Identity(), nn.Linear(4, 5)
    )
    return theirs, ours


def test_weights_go_both_ways_by_hand(torch):
    theirs, ours = twins(torch)
    x = torch.randn(6, 3, 7, 8)
    theirs(x)  # so that statistics are not those of the start
    names = {"torch_model": theirs, "model": ours, "torch": torch}
    code = next(block for block in BLOCKS if "def from_torch" in block)
    exec(code, names)
    before = {name: w.clone() for name, w in theirs.state_dict().items()}
    for mode in (True, False):
        theirs.train(mode)
        ours.train(mode)
        y = ours(Tensor(x.permute(0, 2, 3, 1).numpy()))
        np.testing.assert_allclose(y.data, theirs(x).detach().numpy(), rtol=1e-4, atol=1e-5)
    fresh = twins(torch)[0]
    exec(code.split("\n\n")[-1], names | {"torch_model": fresh, "model": before_model(ours, before, names)})
    assert all(torch.equal(w, before[name]) for name, w in fresh.state_dict().items())


def before_model(ours, before, names):
    """Our network with what theirs held at first."""
    ours.load_state_dict({name: names["from_torch"](name, w.numpy()) for name, w in before.items()})
    return ours


def test_a_linear_layer_after_flatten(torch):
    C, H, W = 3, 4, 5
    theirs = torch.nn.Linear(C * H * W, 7)
    (line,) = [block for block in BLOCKS if block.startswith("weight = w.T")]
    names = {"w": theirs.weight.detach().numpy(), "C": C, "H": H, "W": W}
    exec(line, names)
    ours = nn.Sequential(nn.Flatten(), nn.Linear(C * H * W, 7))
    ours.load_state_dict({"1.weight": names["weight"], "1.bias": theirs.bias.detach().numpy()})
    x = torch.randn(2, C, H, W)
    expected = theirs(torch.flatten(x, 1)).detach().numpy()
    np.testing.assert_allclose(ours(Tensor(x.permute(0, 2, 3, 1).numpy())).data, expected, rtol=1e-4, atol=1e-6)


def test_weights_go_both_ways_by_exchange(torch):
    pytest.importorskip("minidl.exchange")
    theirs, ours = twins(torch)
    x = torch.randn(6, 3, 7, 8)
    theirs(x)
    code = next(block for block in BLOCKS if "import exchange" in block)
    before = {name: w.clone() for name, w in theirs.state_dict().items()}
    exec(code, {"torch_model": theirs, "model": ours, "torch": torch})
    assert all(torch.equal(w, before[name]) for name, w in theirs.state_dict().items())
    y = ours.eval()(Tensor(x.permute(0, 2, 3, 1).numpy())).data
    np.testing.assert_allclose(y, theirs.eval()(x).detach().numpy(), rtol=1e-4, atol=1e-5)


# ---- the table ----------------------------------------------------------------------------------------------------------

ROWS = [re.split(r" \| ", line[2:])[0] for line in PAGE.splitlines() if re.match(r"\| [^|]", line)]
TESTS = dict(re.findall(r"^- (.+): `(tests/[\w/]+\.py::\w+)`$", PAGE, re.MULTILINE))


def test_each_row_names_a_test_that_exists():
    assert len(ROWS) > 25
    assert list(TESTS) == ROWS
    for test in TESTS.values():
        path, name = test.split("::")
        assert name in functions_in(path), test


def test_batch_norm_is_one_layer_with_the_same_momentum(torch):
    for theirs, shape, back in (
        (torch.nn.BatchNorm1d(3), (8, 3), (0, 1)), (torch.nn.BatchNorm2d(3), (4, 3, 5, 2), (0, 2, 3, 1))
    ):  # fmt: skip
        ours = nn.BatchNorm(3)
        assert (ours.momentum, ours.eps) == (theirs.momentum, theirs.eps) == (0.1, 1e-5)
        for _ in range(2):
            x = 3 + 2 * torch.randn(shape)
            y = ours(Tensor(x.permute(back).numpy()))
            np.testing.assert_allclose(y.data, theirs(x).permute(back).detach().numpy(), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(ours.running_mean, theirs.running_mean, rtol=1e-5)
        np.testing.assert_allclose(ours.running_var, theirs.running_var, rtol=1e-5)
        assert int(ours.num_batches_tracked) == int(theirs.num_batches_tracked) == 2


def test_defaults_are_pytorchs(torch):
    for theirs, ours, fan_in in (
        (torch.nn.Linear(50, 400), nn.Linear(50, 400), 50), (torch.nn.Conv2d(6, 300, 3), nn.Conv2d(6, 300, 3), 54)
    ):  # fmt: skip
        for w in (theirs.weight.detach().numpy(), theirs.bias.detach().numpy(), ours.weight.data, ours.bias.data):
            assert 0.98 / np.sqrt(fan_in) < np.abs(w).max() <= 1 / np.sqrt(fan_in) + 1e-7
            np.testing.assert_allclose(w.std(), 1 / np.sqrt(3 * fan_in), rtol=0.1)
    here, there = inspect.signature(optim.SGD).parameters, inspect.signature(torch.optim.SGD).parameters
    for name in ("momentum", "dampening", "weight_decay", "nesterov"):
        assert here[name].default == there[name].default
    for ours, theirs in ((nn.Dropout(), torch.nn.Dropout()), (nn.LayerNorm(3), torch.nn.LayerNorm(3))):
        assert getattr(ours, "p", None) == getattr(theirs, "p", None)
        assert getattr(ours, "eps", None) == getattr(theirs, "eps", None)


def test_what_layers_do_not_take():
    assert not {"dilation", "groups"} & set(inspect.signature(nn.Conv2d).parameters)
    assert not {"padding", "dilation"} & set(inspect.signature(nn.MaxPool2d).parameters)


def test_what_has_no_gradient_is_numpys():
    x = Tensor([[1.0, 3.0, 2.0]])
    assert not any(hasattr(x, name) for name in ("argmax", "sort", "relu_", "add_"))
    assert x.data.argmax(1) == 1
    before = x
    x += 1
    assert x is not before
    assert before.data[0, 0] == 1
    with pytest.raises(TypeError, match="do not change in place"):
        x[0] = 1


def test_numbers_and_their_types(torch):
    assert torch.tensor([1, 2]).dtype == torch.int64
    assert Tensor([1, 2]).dtype == np.float32
    one, two = np.ones(2, np.float32), np.ones(2)
    assert (torch.from_numpy(one) + torch.from_numpy(two)).dtype == torch.float64
    with pytest.raises(TypeError, match="do not mix"):
        Tensor(one) + Tensor(two)
    assert (Tensor(one) + Tensor(np.float64(1))).dtype == np.float32
    assert torch.ones(0).mean().isnan()
    with pytest.raises(ValueError, match="at least one number"):
        Tensor(np.ones(0)).mean()


def test_the_maximum_and_its_gradient(torch):
    x = np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]])
    theirs, ours = torch.tensor(x, requires_grad=True), Tensor(x, requires_grad=True)
    values, _ = theirs.max(1)
    assert ours.max(1).data.tolist() == values.tolist()
    theirs.amax(1).sum().backward()
    ours.max(1).sum().backward()
    np.testing.assert_allclose(ours.grad, theirs.grad.numpy())


def test_random_numbers_are_passed():
    np.random.seed(0)  # noqa: NPY002
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    a, b = (nn.Linear(3, 3, generator=np.random.default_rng(7)).weight.data for _ in range(2))
    np.testing.assert_array_equal(a, b)
    minidl.manual_seed(3)
    c = nn.Linear(3, 3).weight.data
    minidl.manual_seed(3)
    np.testing.assert_array_equal(c, nn.Linear(3, 3).weight.data)
    assert np.array_equal(np.random.get_state()[1], state)  # noqa: NPY002


def test_one_backward_of_first_derivatives():
    x = Tensor([2.0], requires_grad=True)
    y = F.sigmoid(x).sum()
    y.backward()
    assert type(x.grad) is np.ndarray
    with pytest.raises(RuntimeError, match="walked before, and freed"):
        y.backward()
    assert not {"retain_graph", "create_graph"} & set(inspect.signature(Tensor.backward).parameters)

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


def assert_same_outputs(theirs, ours, x):
    found, expected = outputs(theirs, ours, x)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * (1 + np.abs(expected).max()))


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
    assert_same_outputs(theirs, ours, x)
    theirs.train(), ours.train()
    step(theirs, ours, optimizers, x, labels)
    assert_near(momentum(ours, optimizers[1], **options), dict(enumerate(p.grad for p in theirs.parameters())))
    assert_near(exchange.torch.state_dict(ours, **options), theirs.state_dict())
    step(theirs, ours, optimizers, x, labels)
    assert_near(exchange.torch.state_dict(ours, **options), theirs.state_dict())
    fresh.load_state_dict(as_tensors(exchange.torch.state_dict(ours, **options)))
    fresh.eval(), ours.eval()
    assert_same_outputs(fresh, ours, x)


@pytest.mark.parametrize("seed", range(20))
def test_twenty_random_architectures(seed):
    theirs, ours, x = pair(seed)
    assert_agree(theirs, ours, x)


def test_a_network_to_pytorch_without_having_come_from_there():
    theirs, ours, x = pair(1)
    theirs.load_state_dict(as_tensors(exchange.torch.state_dict(ours)))
    theirs.eval(), ours.eval()
    assert_same_outputs(theirs, ours, x)


def test_it_is_a_copy():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm(2))
    for array in exchange.torch.state_dict(model).values():
        assert array.flags.c_contiguous
        array[...] = 7
    assert not any((array == 7).any() for array in model.state_dict().values())


# ---- names -------------------------------------------------------------------------------------------------------------


class Tied(nn.Module):
    """A linear layer in two places, a parameter of its own, layers in a list and in a dict."""

    def __init__(self):
        self.first = nn.Linear(3, 3, bias=False)
        self.again, self.own = self.first, nn.Parameter(np.arange(6, dtype=np.float32).reshape(2, 3))
        self.blocks, self.heads = [nn.Linear(3, 2)], {"a": nn.Linear(3, 1)}


class TheirTied(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(3, 3, bias=False)
        self.again, self.own = self.first, torch.nn.Parameter(torch.arange(6.0).view(2, 3))
        self.blocks = torch.nn.ModuleList([torch.nn.Linear(3, 2)])
        self.heads = torch.nn.ModuleDict({"a": torch.nn.Linear(3, 1)})


def test_tied_parameters_lists_dicts_and_parameters_of_ones_own():
    ours, theirs = Tied(), TheirTied()
    state = theirs.state_dict()
    exchange.torch.load_state_dict(ours, state)
    assert_near(exchange.torch.state_dict(ours), {name: state[name] for name in exchange.torch.state_dict(ours)})
    assert exchange.torch.state_dict(ours).keys() == state.keys()
    del state["again.weight"]  # as files that keep each tensor once have it
    exchange.torch.load_state_dict(ours, state)
    state["again.weight"] = state.pop("first.weight")
    exchange.torch.load_state_dict(ours, state)
    with pytest.raises(ValueError, match=r"tied here, but not the same: first.weight and again.weight"):
        exchange.torch.load_state_dict(ours, state | {"first.weight": torch.ones(3, 3)})
    del state["again.weight"]
    with pytest.raises(ValueError, match=r"missing: first.weight$"):
        exchange.torch.load_state_dict(ours, state)


def test_a_batch_norm_without_gamma_is_one_with_ones():
    ours, theirs = nn.Sequential(nn.BatchNorm(3, weight=False)), torch.nn.Sequential(torch.nn.BatchNorm1d(3))
    theirs.load_state_dict(as_tensors(exchange.torch.state_dict(ours)))
    assert theirs[0].weight.tolist() == [1, 1, 1]
    state = theirs.state_dict()
    exchange.torch.load_state_dict(ours, state)
    exchange.torch.load_state_dict(ours, {name: array for name, array in state.items() if name != "0.weight"})
    with pytest.raises(ValueError, match=r"not 1: 0.weight, and the batch norm here has no γ"):
        exchange.torch.load_state_dict(ours, state | {"0.weight": torch.tensor([1, 1, 2.0])})


# ---- what does not fit ------------------------------------------------------------------------------------------------


def test_all_that_does_not_fit_is_named_and_nothing_changes():
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm(3), nn.Conv2d(1, 2, 3))
    before = model.state_dict()
    state = {
        "0.weight": torch.zeros(4, 3), "0.bias": np.array(["a", "b", "c"]), "1.weight": torch.zeros(3, device="meta"),
        "1.bias": torch.ones(3), "1.running_mean": np.zeros(3), "1.num_batches_tracked": torch.tensor(1.5),
        "2.weight": np.zeros((3, 3, 1, 2)), "2.bias": np.zeros(2, complex), "head.weight": np.zeros(2),
    }  # fmt: skip
    with pytest.raises(
        ValueError, match=r"exchange.torch.load_state_dict: this state does not fit Sequential"
    ) as caught:
        exchange.torch.load_state_dict(model, state)
    told = str(caught.value)
    for line in (
        "missing: 1.running_var", "unexpected: head.weight",
        "misshaped: 0.weight: (4, 3), expected (3, 4); 2.weight: (3, 3, 1, 2), expected (2, 1, 3, 3)",
        "not real numbers: 0.bias: <U1; 2.bias: complex128", "not whole numbers: 1.num_batches_tracked",
        "no arrays: 1.weight: a Tensor (",
    ):  # fmt: skip
        assert line in told
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_not_strict():
    model = nn.Sequential(nn.Linear(4, 3))
    mismatch = exchange.torch.load_state_dict(model, {"0.weight": torch.ones(3, 4), "x": torch.ones(1)}, strict=False)
    assert mismatch == (["0.bias"], ["x"])
    assert (model[0].weight.data == 1).all()
    with pytest.raises(ValueError, match="misshaped"):
        exchange.torch.load_state_dict(model, {"0.weight": torch.ones(4, 3)}, strict=False)


def test_read_only_arrays():
    model = nn.Sequential(nn.Linear(4, 3))
    model[0].weight.data.flags.writeable = False
    with pytest.raises(ValueError, match=r"read-only: 0.weight"):
        exchange.torch.load_state_dict(model, torch.nn.Sequential(torch.nn.Linear(4, 3)).state_dict())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_types_of_numbers(dtype):
    layer = torch.nn.Linear(4, 3).to(dtype)
    model = nn.Sequential(nn.Linear(4, 3)).to(np.float64)
    exchange.torch.load_state_dict(model, torch.nn.Sequential(layer).state_dict())
    np.testing.assert_array_equal(model[0].weight.data, layer.weight.detach().double().numpy().T)
    assert model[0].weight.dtype == np.float64


def test_a_graph_that_was_computed_before_is_refused():
    model = nn.Sequential(nn.Linear(4, 3))
    loss = (model(Tensor(np.ones((2, 4), np.float32))) ** 2).sum() * (model[0].weight * model[0].weight).sum()
    exchange.torch.load_state_dict(model, exchange.torch.state_dict(model))
    with pytest.raises(RuntimeError, match="changed since"):
        loss.backward()


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "net.encoder."])
def test_a_prefix_before_all_names_is_pointed_out_with_what_removes_it(prefix):
    theirs, ours, _ = pair(0)
    state = {prefix + name: w for name, w in theirs.state_dict().items()}
    with pytest.raises(ValueError, match="all names begin with") as refused:
        exchange.torch.load_state_dict(ours, state)
    code = str(refused.value).split(": pass ")[-1]
    exchange.torch.load_state_dict(ours, eval(code, {"state": state}))
    assert_near(exchange.torch.state_dict(ours), theirs.state_dict())


def test_weights_inside_a_checkpoint_are_pointed_out():
    theirs, ours, _ = pair(0)
    with pytest.raises(ValueError, match=r"in its entry 'state_dict': pass state\['state_dict'\]"):
        exchange.torch.load_state_dict(ours, {"epoch": 3, "state_dict": theirs.state_dict()})


@pytest.mark.parametrize("state", [{}, {1: 2}, {"module.strange": 1}, {"module.strange": 1, "other": 2}], ids=str)
def test_nothing_is_pointed_out_where_nothing_would_help(state):
    with pytest.raises(ValueError, match="missing") as refused:
        exchange.torch.load_state_dict(pair(0)[1], state)
    assert "pass" not in str(refused.value)

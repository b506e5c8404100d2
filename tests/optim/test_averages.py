"""Averages of a network's state over steps: the formula, what is averaged, lookahead, and resuming to the same bits."""

import copy

import numpy as np
import pytest

from minidl import Tensor, checkpoint, nn, optim
from minidl import functional as F
from minidl.replay import Replay
from tests.helpers import DTYPES

KINDS = [optim.MovingAverage, optim.Lookahead]


def network(seed=0, dtype=np.float32):
    rng = np.random.default_rng(seed)
    return nn.Sequential(nn.Linear(4, 5, generator=rng), nn.BatchNorm(5), nn.ReLU(), nn.Linear(5, 3, generator=rng)).to(
        dtype
    )


def batch(seed, dtype=np.float32):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((8, 4)).astype(dtype), rng.integers(0, 3, 8)


def train(model, optimizer, seed, dtype=np.float32):
    images, labels = batch(seed, dtype)
    optimizer.zero_grad()
    F.cross_entropy(model(Tensor(images)), labels).backward()
    optimizer.step()


def sgd(model):
    return optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True)


def assert_same(first, second):
    assert list(first) == list(second)
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name], err_msg=name)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("decay", [0.9, 0.3])
def test_a_moving_average_is_its_formula(decay, dtype):
    model = network(dtype=dtype)
    optimizer, average, expected = sgd(model), optim.MovingAverage(model), model.state_dict()
    for seed in range(5):
        train(model, optimizer, seed, dtype)
        before = model.state_dict()
        average.update(decay)
        assert_same(model.state_dict(), before)  # the network itself is left alone
        for name, array in before.items():
            share = array if name.endswith("num_batches_tracked") else decay * expected[name] + (1 - decay) * array
            expected[name] = share
    for name, array in average.state_dict().items():
        assert array.dtype == expected[name].dtype
        np.testing.assert_allclose(array, expected[name], rtol=1e-12 if dtype == np.float64 else 1e-5, atol=1e-6)


def test_buffers_are_averaged_and_counts_are_the_newest():
    model = network()
    average = optim.MovingAverage(model)
    first = model[1].running_mean.copy()
    model(Tensor(batch(0)[0]))
    average.update(0.5)
    state = average.state_dict()
    np.testing.assert_allclose(state["1.running_mean"], (first + model[1].running_mean) / 2, rtol=1e-6)
    assert state["1.num_batches_tracked"] == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_decay_of_one_keeps_and_of_zero_forgets_to_the_bit(kind):
    model = network()
    average, first = kind(model), model.state_dict()
    train(model, sgd(model), 0)
    trained = model.state_dict()
    average.update(0)
    assert_same(average.state_dict(), trained)
    average.load_state_dict(first)
    average.update(1)
    kept = average.state_dict()
    assert kept.pop("1.num_batches_tracked") == 1
    assert_same(kept, {name: array for name, array in first.items() if name in kept})


@pytest.mark.parametrize("decay", [0.1, 0.37, 0.5, 0.77, 0.999])
def test_what_does_not_change_keeps_its_bits(decay):
    model = network()
    average, first = optim.MovingAverage(model), model.state_dict()
    for _ in range(10):
        average.update(decay)
    assert_same(average.state_dict(), first)


def test_lookahead_sets_the_network_to_the_average():
    model, twin = network(), network()
    lookahead, average = optim.Lookahead(model), optim.MovingAverage(twin)
    optimizer = sgd(model)
    for seed in range(3):
        train(model, optimizer, seed)
        twin.load_state_dict(model.state_dict())
        lookahead.update(0.4)
        average.update(0.4)
        assert_same(model.state_dict(), average.state_dict())
        assert_same(lookahead.state_dict(), average.state_dict())


def test_lookahead_writes_into_the_networks_own_arrays_and_keeps_momentum():
    model = network()
    optimizer = sgd(model)
    lookahead, arrays = optim.Lookahead(model), [p.data for p in model.parameters()] + list(model.buffers())
    train(model, optimizer, 0)
    buffers = optimizer.state_dict()["buffers"]
    lookahead.update(0.5)
    assert all(
        a is b for a, b in zip(arrays, [p.data for p in model.parameters()] + list(model.buffers()), strict=True)
    )
    for i, buffer in optimizer.state_dict()["buffers"].items():
        np.testing.assert_array_equal(buffer, buffers[i])


def test_a_graph_from_before_lookahead_is_not_walked():
    model = network()
    lookahead = optim.Lookahead(model)
    loss = F.cross_entropy(model(Tensor(batch(0)[0])), batch(0)[1])
    lookahead.update(0.5)
    with pytest.raises(RuntimeError, match="was changed since"):
        loss.backward()


def test_replayed_steps_with_lookahead_are_the_same_bits():
    states = []
    for replayed in (False, True):
        model = network()
        optimizer, lookahead = sgd(model), optim.Lookahead(model)
        step = Replay(model)
        for i in range(8):
            if replayed:
                optimizer.zero_grad()
                step(*batch(i))
                optimizer.step()
            else:
                train(model, optimizer, i)
            if i % 3 == 2:
                lookahead.update(0.6)
        states.append(model.state_dict())
    assert step.why_not is None
    assert_same(*states)


@pytest.mark.parametrize("kind", KINDS)
def test_goes_on_to_the_same_bits(kind, tmp_path):
    """A stop, states through a file into fresh objects, and on: as if there had been no stop."""

    def fresh():
        model = network()
        return model, sgd(model), kind(model)

    def run(parts, steps):
        model, optimizer, average = parts
        for i in steps:
            train(model, optimizer, i)
            if i % 2:
                average.update(0.95**5 * (i / 10) ** 3)

    through, first, second = fresh(), fresh(), fresh()
    run(through, range(10))
    run(first, range(6))
    checkpoint.save(tmp_path / "run.npz", [part.state_dict() for part in first])
    run(first, range(6, 10))
    for part, state in zip(second, checkpoint.load(tmp_path / "run.npz")[0], strict=True):
        part.load_state_dict(state)
    run(second, range(6, 10))
    for parts in (first, second):
        assert_same(parts[0].state_dict(), through[0].state_dict())
        assert_same(parts[2].state_dict(), through[2].state_dict())


@pytest.mark.parametrize("kind", KINDS)
def test_states_are_copies(kind):
    model = network()
    average = kind(model)
    expected = average.state_dict()
    for array in (*average.state_dict().values(), *model.state_dict().values()):
        array[...] = 7
    other = {name: array.copy() for name, array in expected.items()}
    average.load_state_dict(other)
    for array in other.values():
        array[...] = 7
    assert_same(average.state_dict(), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_belongs_to_the_copy_of_its_network(kind):
    model = network()
    copied = copy.deepcopy((model, kind(model)))
    copied[0][0].weight.data[:] = 1
    copied[1].update(0)
    assert np.all(copied[1].state_dict()["0.weight"] == 1)
    assert np.any(model[0].weight.data != 1)


def test_copy_to_a_network_to_evaluate():
    model = network()
    average = optim.MovingAverage(model)
    train(model, sgd(model), 0)
    average.update(0.9)
    best = copy.deepcopy(model)
    average.copy_to(best)
    assert_same(best.state_dict(), average.state_dict())
    best[0].weight.data[:] = 7
    assert not np.any(average.state_dict()["0.weight"] == 7)


def test_a_parameter_of_one_number():
    class Scale(nn.Module):
        def __init__(self):
            self.scale = nn.Parameter(np.float32(1))

    model = Scale()
    average = optim.MovingAverage(model)
    model.scale.data[...] = 2
    average.update(0.5)
    state = average.state_dict()["scale"]
    assert type(state) is np.ndarray
    assert (state.shape, state.item()) == ((), 1.5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "change",
    [
        lambda model: model.to(np.float64),
        lambda model: setattr(model, "3", nn.Linear(5, 4)),
        lambda model: setattr(model, "4", nn.Linear(3, 3)),
        lambda model: setattr(model[0], "bias", None),
    ],
)
def test_a_network_that_is_another_since_is_refused_and_nothing_changes(kind, change):
    model = network()
    average = kind(model)
    before = average.state_dict()
    change(model)
    now = model.state_dict()
    with pytest.raises(ValueError, match=rf"{kind.__name__}: the network has other .*; make a new {kind.__name__}"):
        average.update(0.5)
    assert_same(average.state_dict(), before)
    assert_same(model.state_dict(), now)


def test_lookahead_with_an_array_that_is_read_only_changes_nothing():
    model = network()
    lookahead = optim.Lookahead(model)
    train(model, sgd(model), 0)
    before, now = lookahead.state_dict(), model.state_dict()
    model[3].bias.data.flags.writeable = False
    with pytest.raises(ValueError, match=r"read-only: 3\.bias"):
        lookahead.update(0.5)
    assert_same(lookahead.state_dict(), before)
    assert_same(model.state_dict(), now)


@pytest.mark.parametrize("decay", [-0.1, 1.1, np.nan, "a", None])
@pytest.mark.parametrize("kind", KINDS)
def test_a_decay_out_of_range_changes_nothing(kind, decay):
    model = network()
    average = kind(model)
    train(model, sgd(model), 0)
    before, now = average.state_dict(), model.state_dict()
    with pytest.raises(ValueError, match=f"{kind.__name__}: decay is .*; it must be a number from 0 to 1"):
        average.update(decay)
    assert_same(average.state_dict(), before)
    assert_same(model.state_dict(), now)


@pytest.mark.parametrize(
    "wrong",
    [None, {}, [], {"0.weight": np.ones(3)}, network(1).state_dict() | {"more": 1},
     network().state_dict() | {"0.weight": np.ones((5, 4))}, network().state_dict() | {"0.bias": np.ones(5, int)},
     network().state_dict() | {"0.bias": ["a"] * 5}, network().state_dict() | {"1.num_batches_tracked": np.array(0.5)}],
)  # fmt: skip
@pytest.mark.parametrize("kind", KINDS)
def test_a_state_that_does_not_fit_is_refused_and_changes_nothing(kind, wrong):
    average = kind(network())
    before = average.state_dict()
    with pytest.raises(ValueError, match=rf"{kind.__name__}.load_state_dict: .*; (it|they) must be"):
        average.load_state_dict(wrong)
    assert_same(average.state_dict(), before)


# ---- plain averages, and batch norm's statistics for them -----------------------------------------------------------------


def test_a_plain_average_is_stochastic_weight_averaging():
    """As PyTorch's `AveragedModel` has it by default, from the first state that it is given."""
    torch = pytest.importorskip("torch")
    theirs = torch.nn.Linear(3, 2).double()
    ours = nn.Linear(3, 2).to(np.float64)
    average, swa = optim.MovingAverage(ours), torch.optim.swa_utils.AveragedModel(theirs)
    for k in range(5):
        weight, bias = (
            np.random.default_rng(k).standard_normal((3, 2)),
            np.random.default_rng(-k % 9).standard_normal(2),
        )
        ours.load_state_dict({"weight": weight, "bias": bias})
        theirs.load_state_dict({"weight": torch.tensor(weight.T.copy()), "bias": torch.tensor(bias)})
        average.update(k / (k + 1))
        swa.update_parameters(theirs)
    np.testing.assert_allclose(average.state_dict()["weight"], swa.module.weight.detach().numpy().T, rtol=1e-12)
    np.testing.assert_allclose(average.state_dict()["bias"], swa.module.bias.detach().numpy(), rtol=1e-12)


def test_update_bn_as_pytorchs():
    torch = pytest.importorskip("torch")
    ours = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm(3), nn.Dropout(0.5)).to(np.float64)
    theirs = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3)).double()
    theirs[0].load_state_dict(
        {"weight": torch.tensor(ours[0].weight.data.T.copy()), "bias": torch.tensor(ours[0].bias.data)}
    )
    given = [np.random.default_rng(i).standard_normal((n, 4)) for i, n in enumerate((8, 5, 8))]
    ours.eval()
    optim.update_bn([(x, None) for x in given], ours)
    torch.optim.swa_utils.update_bn([torch.tensor(x) for x in given], theirs)
    np.testing.assert_allclose(ours[1].running_mean, theirs[1].running_mean.numpy(), rtol=1e-12)
    np.testing.assert_allclose(ours[1].running_var, theirs[1].running_var.numpy(), rtol=1e-12)
    assert ours[1].num_batches_tracked == theirs[1].num_batches_tracked == 3
    assert not any(module.training for module in ours.modules())
    assert ours[1].momentum == 0.1


def test_update_bn_averages_the_parts_of_ghost_batches():
    model, given = (
        nn.Sequential(nn.GhostBatchNorm(3, 4, momentum=0.9)),
        np.random.default_rng(0).standard_normal((6, 20, 3)),
    )
    optim.update_bn(given.astype(np.float32), model)
    parts = given.reshape(30, 4, 3)
    np.testing.assert_allclose(model[0].running_mean, parts.mean((0, 1)), atol=1e-6)
    np.testing.assert_allclose(model[0].running_var, parts.var(1, ddof=1).mean(0), rtol=1e-5)
    assert model[0].momentum == 0.9


def test_update_bn_restores_everything_when_the_loader_fails():
    model = network()
    model[2].training = False
    before, modes = model.state_dict(), [m.training for m in model.modules()]

    def loader():
        yield batch(0)
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        optim.update_bn(loader(), model)
    assert_same(model.state_dict(), before)
    assert [m.training for m in model.modules()] == modes
    assert model[1].momentum == 0.1


def test_an_averaged_network_gets_statistics_of_its_own():
    model = network()
    optimizer, average = sgd(model), optim.MovingAverage(model)
    for k in range(6):
        train(model, optimizer, k)
        average.update(k / (k + 1))
    averaged = copy.deepcopy(model)
    average.copy_to(averaged)
    optim.update_bn([batch(k) for k in range(6)], averaged)
    x = np.concatenate([batch(k)[0] for k in range(6)])
    rows = averaged[0](Tensor(x)).data
    np.testing.assert_allclose(averaged[1].running_mean, rows.mean(0), rtol=1e-4, atol=1e-6)
    assert averaged[1].num_batches_tracked == 6

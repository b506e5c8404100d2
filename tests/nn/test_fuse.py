"""Fusing layers: the same bits and names, parameters and buffers that are shared, and only what computes the same."""

import copy

import numpy as np
import pytest

from minidl import Tensor, checkpoint, nn, optim
from minidl import functional as F
from minidl.lab.models import cifar_conv, mnist_conv, paper_mlp
from minidl.nn import BatchNormReLUMaxPool2d
from minidl.probe import Probe
from minidl.replay import Replay

X = np.random.default_rng(7).standard_normal((6, 4, 4, 2)).astype(np.float32)
LABELS = np.arange(6) % 2


def network(seed=0):
    generator = np.random.default_rng(seed)
    return nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1, bias=False, generator=generator), nn.BatchNorm(3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(12, 2, generator=generator),
    )  # fmt: skip


def ops_in(tensor):
    ops, todo = set(), [tensor]
    while todo:
        node = todo.pop()
        ops.add(node.op)
        todo += node._parents
    return ops


def train(model, steps=5):
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(model(Tensor(X)), LABELS).backward()
        optimizer.step()


def assert_same_state(a, b):
    a, b = a.state_dict(), b.state_dict()
    assert list(a) == list(b)
    assert all(a[name].tobytes() == b[name].tobytes() for name in a)


def test_a_sequential_calls_its_layers():
    assert ops_in(network()(Tensor(X))) >= {"batch_norm", "relu", "max_pool2d"}


def test_a_fused_network_runs_them_in_one():
    ops = ops_in(nn.fuse(network())(Tensor(X)))
    assert "batch_norm_relu_max_pool2d" in ops
    assert not {"batch_norm", "relu", "max_pool2d"} & ops


def test_training_gives_the_same_bits():
    plain, fused = network(), nn.fuse(network())
    train(plain)
    train(fused)
    assert_same_state(plain, fused)
    assert plain.eval()(Tensor(X)).data.tobytes() == fused.eval()(Tensor(X)).data.tobytes()


def test_parameters_and_buffers_are_shared():
    model = network()
    fused = nn.fuse(model)
    assert [id(p) for p in fused.parameters()] == [id(p) for p in model.parameters()]
    assert [id(b) for b in fused.buffers()] == [id(b) for b in model.buffers()]
    train(fused)
    assert_same_state(model, fused)
    assert model[1].num_batches_tracked == 5


def test_the_model_itself_is_left_alone():
    model = network()
    before = repr(model)
    fused = nn.fuse(model).eval()
    assert repr(model) == before
    assert model.training
    assert not fused.training


def test_the_repr_shows_what_was_fused():
    lines = repr(nn.fuse(network())).splitlines()
    assert "(1): BatchNormReLUMaxPool2d(3, eps=1e-05, momentum=0.1)" in lines[2]
    assert "(2): Identity()" in lines[3]
    assert "(3): Identity()" in lines[4]


def test_states_fit_both(tmp_path):
    model, fused = network(1), nn.fuse(network(2))
    checkpoint.save(tmp_path / "model.npz", model.state_dict())
    fused.load_state_dict(checkpoint.load(tmp_path / "model.npz")[0])
    assert_same_state(model, fused)


def test_networks_in_networks_and_in_lists():
    class Net(nn.Module):
        def __init__(self):
            self.blocks = [network(1)[:4], network(2)[1:4]]
            self.head = nn.Sequential(nn.Sequential(*network(3)))

        def forward(self, x):
            return self.head(x)

    fused = nn.fuse(Net())
    assert [name for name, m in fused.named_modules() if isinstance(m, BatchNormReLUMaxPool2d)] == [
        "blocks.0.1", "blocks.1.0", "head.0.1"
    ]  # fmt: skip


@pytest.mark.parametrize("layer", [1, 2, 3])
def test_not_when_somebody_looks_between(layer):
    model, seen = network(), []
    with model[layer].register_forward_hook(lambda module, inputs, output: seen.append(output)):
        fused = nn.fuse(model)
        assert "relu" in ops_in(fused(Tensor(X)))
    assert len(seen) == 1


@pytest.mark.parametrize("pool", [nn.MaxPool2d(3), nn.MaxPool2d(2, 1), nn.MaxPool2d((2, 1)), nn.AvgPool2d(2)], ids=repr)
def test_not_with_other_windows(pool):
    model = nn.fuse(nn.Sequential(nn.BatchNorm(2), nn.ReLU(), pool))
    assert "relu" in ops_in(model(Tensor(X, requires_grad=True)))


def test_not_layers_of_ones_own_nor_other_orders():
    class Mine(nn.BatchNorm):
        def forward(self, x):
            return super().forward(x) * 2

    for layers in (Mine(2), nn.ReLU(), nn.MaxPool2d(2)), (nn.ReLU(), nn.BatchNorm(2), nn.MaxPool2d(2)):
        fused = nn.fuse(nn.Sequential(*layers))
        assert not [m for m in fused.modules() if isinstance(m, BatchNormReLUMaxPool2d)]


def test_not_a_layer_that_stands_in_two_places():
    norm = nn.BatchNorm(2)
    model = nn.Sequential(norm, nn.ReLU(), nn.MaxPool2d(2), norm, nn.ReLU(), nn.MaxPool2d(2))
    fused, plain = nn.fuse(copy.deepcopy(model)), copy.deepcopy(model)
    assert fused(Tensor(X)).data.tobytes() == plain(Tensor(X)).data.tobytes()
    assert fused[0] is fused[3]
    assert fused[0].num_batches_tracked == 2


def test_without_running_statistics_and_without_affine():
    settings = {"track_running_stats": False}, {"affine": False}, {"weight": False}, {"momentum": None}
    for norm in (nn.BatchNorm(2, **setting) for setting in settings):
        model = nn.Sequential(norm, nn.ReLU(), nn.MaxPool2d(2))
        fused = nn.fuse(copy.deepcopy(model))
        for _ in range(2):
            assert fused(Tensor(X)).data.tobytes() == model(Tensor(X)).data.tobytes()
        assert_same_state(model, fused)
        assert fused.eval()(Tensor(X)).data.tobytes() == model.eval()(Tensor(X)).data.tobytes()


@pytest.mark.parametrize("make", [paper_mlp, mnist_conv, cifar_conv])
def test_the_networks_of_the_benchmark(make):
    model = make()
    assert nn.fuse(model).state_dict().keys() == model.state_dict().keys()


def test_a_replay_of_a_fused_network():
    plain, fused = network(), nn.fuse(network())
    step = Replay(fused)
    for _ in range(3):
        plain.zero_grad()
        fused.zero_grad()
        loss = F.cross_entropy(plain(Tensor(X)), LABELS)
        loss.backward()
        assert step(X, LABELS) == loss.item()
        for a, b in zip(plain.parameters(), fused.parameters(), strict=True):
            assert a.grad.tobytes() == b.grad.tobytes()
    assert step.why_not is None


def test_a_probe_sees_the_fused_layer():
    fused = nn.fuse(network())
    with Probe(fused, ["1"], every=1) as probe:
        F.cross_entropy(fused(Tensor(X)), LABELS).backward()
        probe.step()


def test_folding_a_fused_network_is_refused():
    with pytest.raises(ValueError, match="1 is a BatchNormReLUMaxPool2d with a forward of its own"):
        nn.fold_batch_norm(nn.fuse(network()))


def test_only_networks():
    with pytest.raises(TypeError, match="fuse: got a list; it must be a Module"):
        nn.fuse([nn.ReLU()])

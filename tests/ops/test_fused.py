"""Batch norm, ReLU and max-pooling in one: the same bits as one after the other, and never when somebody looks between."""

import numpy as np
import pytest

from minidl import Tensor, nn
from minidl import functional as F
from minidl.probe import Probe
from tests.helpers import sizes

SHAPES = sizes((2, 2, 2, 1), (3, 7, 9, 5), (2, 9, 4, 33), (70, 28, 28, 32), (40, 15, 14, 64), tiny=((3, 5, 4, 2),))


def one_after_the_other(*args):
    return F.max_pool2d(F.relu(F.batch_norm(*args)), 2)


def outcome(op, shape, training, dtype, spoil=lambda x: None):
    rng = np.random.default_rng(0)
    x, weight, bias = rng.standard_normal(shape), rng.standard_normal(shape[-1]), rng.standard_normal(shape[-1])
    spoil(x)
    tensors = [Tensor(a.astype(dtype), requires_grad=True) for a in (x, weight, bias)]
    mean, var = np.full(shape[-1], 0.3, dtype), np.full(shape[-1], 1.7, dtype)
    y = op(tensors[0], mean, var, *tensors[1:], training, 0.1, 1e-5)
    y.backward(rng.standard_normal(y.shape).astype(dtype))
    return [y.data, *(t.grad for t in tensors), mean, var]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_same_bits_as_one_after_the_other(shape, training, dtype):
    for a, b in zip(
        outcome(F.batch_norm_relu_max_pool2d, shape, training, dtype),
        outcome(one_after_the_other, shape, training, dtype),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


def test_equal_numbers_infinities_and_nan():
    def spoil(x):
        x[0] = 1.0
        x[1, 0, 0], x[1, 2, 2], x[1, 3, 3], x[2, 1, 1] = np.inf, np.inf, -np.inf, np.nan

    args = ((3, 6, 6, 4), False, np.float32, spoil)
    for a, b in zip(outcome(F.batch_norm_relu_max_pool2d, *args), outcome(one_after_the_other, *args), strict=True):
        np.testing.assert_array_equal(a, b)


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


X = np.random.default_rng(7).standard_normal((6, 4, 4, 2)).astype(np.float32)


def test_sequential_fuses():
    assert "batch_norm_relu_max_pool2d" in ops_in(network()(Tensor(X)))


@pytest.mark.parametrize("layer", [1, 2, 3])
def test_not_when_somebody_looks_between(layer):
    model = network()
    seen = []
    with model[layer].register_forward_hook(lambda module, inputs, output: seen.append(output)):
        assert "relu" in ops_in(model(Tensor(X)))
    assert len(seen) == 1


@pytest.mark.parametrize("pool", [nn.MaxPool2d(3), nn.MaxPool2d(2, 1), nn.MaxPool2d((2, 1)), nn.AvgPool2d(2)], ids=repr)
def test_not_with_other_windows(pool):
    model = nn.Sequential(nn.BatchNorm(2), nn.ReLU(), pool)
    assert "relu" in ops_in(model(Tensor(X, requires_grad=True)))


def test_looking_with_a_probe_changes_no_bit():
    def train(probed):
        model = network()
        probe = Probe(model, ["1", "2"], every=1) if probed else None
        for _ in range(3):
            loss = F.cross_entropy(model(Tensor(X)), np.arange(6) % 2)
            loss.backward()
            if probe:
                probe.step()
        return [p.grad for p in model.parameters()] + list(model.buffers())

    for a, b in zip(train(True), train(False), strict=True):
        np.testing.assert_array_equal(a, b)


def test_running_statistics_count_once():
    model = network()
    model(Tensor(X))
    assert model[1].num_batches_tracked == 1
    model.eval()(Tensor(X))
    assert model[1].num_batches_tracked == 1

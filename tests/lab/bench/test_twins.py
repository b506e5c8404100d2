"""The contenders compute the same as minidl: loss, every gradient and the running statistics, in float64."""

import os

import numpy as np
import pytest

from minidl.lab.bench.cases import NETWORKS, network, operations
from minidl.lab.bench.contest import Budget, Team
from minidl.lab.bench.environment import worker_environment
from minidl.lab.bench.remote import PEERS, Worker, fused_and_replayed, minidl_at

SLOW = {(peer, name) for peer in ("compile", "xla") for name in NETWORKS}
SLOW |= {(peer, "cifar_conv") for peer in ("jax", "channels-last", "tensorflow")}


def needs(peer):
    return pytest.mark.skipif(not PEERS[peer].installed(), reason=f"{PEERS[peer].package} is not installed")


PAIRS = [
    pytest.param(peer, name, marks=[needs(peer), *([pytest.mark.full] if (peer, name) in SLOW else [])])
    for peer in PEERS
    for name in NETWORKS
    if not (PEERS[peer].images and name == "mlp")
]


@pytest.fixture(scope="module")
def gradients(tmp_path_factory):
    """contender, name of a network → its arrays, by name; minidl's are computed once."""
    folder, kept = tmp_path_factory.mktemp("gradients"), {}

    def compute(contender, name):
        if (contender.name, name) not in kept:
            path = folder / f"{len(kept)}.npz"
            with Worker(contender, worker_environment("native", 1)) as worker:
                worker.start(1)
                worker.ask("gradients", case=network(name, 8, "float64").message(), path=str(path))
            kept[contender.name, name] = dict(np.load(path))
        return kept[contender.name, name]

    return compute


def differences(found, expected, most=1e-10):
    """Names of the arrays that differ by more than rounding, relative to the largest number."""
    assert set(expected) - set(found) <= {key for key in expected if key.endswith("num_batches_tracked")}  # JAX: none
    assert all(array.shape == expected[name].shape for name, array in found.items())
    return [
        name
        for name, array in found.items()
        if not np.abs(array - expected[name]).max() <= most * np.abs(expected[name]).max()
    ]


@pytest.mark.parametrize(("peer", "name"), PAIRS)
def test_a_network_has_the_same_loss_gradients_and_statistics(gradients, peer, name):
    most = 1e-7 if peer in ("tensorflow", "xla") else 1e-10  # its GELU has √2 in float32, whatever the type
    assert differences(gradients(PEERS[peer], name), gradients(minidl_at(), name), most) == []


@pytest.mark.parametrize("name", ["mlp", "mnist_conv"])
def test_a_replay_has_them_too(gradients, name):
    found, expected = gradients(fused_and_replayed(minidl_at()), name), gradients(minidl_at(), name)
    assert {key: array.tobytes() for key, array in found.items()} == {k: a.tobytes() for k, a in expected.items()}


def test_the_comparison_can_fail(gradients):
    right = gradients(minidl_at(), "mlp")
    assert right["0.weight"].shape == (784, 100)
    for name in ("loss", "0.weight", "4.bias", "7.running_var"):
        assert differences(right | {name: right[name] * (1 + 1e-8)}, right) == [name]
    with pytest.raises(AssertionError):
        differences({"loss": right["loss"]}, right)


@needs("eager")
def test_operations_are_the_same():
    """What all agree on are the mean sizes of the result and of every gradient."""
    contenders = (minidl_at(), PEERS["eager"])
    with Team(contenders, lambda c: worker_environment("native", 1, os.environ), 1) as team:
        for case in operations(quick=True):
            assert len(team.compare(case, Budget(1, 0, 1))) == 2, team.left_out
    assert team.left_out == []

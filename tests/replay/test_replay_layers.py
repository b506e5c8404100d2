"""Layers that came after the paper are replayed with the bits of the step itself, from the second one on."""

import copy

import numpy as np
import pytest

from minidl import CSR, Tensor, nn
from minidl import functional as F
from minidl.replay import Replay
from tests.helpers import sizes
from tests.replay.test_replay import RECORDED, batches, both_ways, images, rng, vectors

REPLAYED = {
    "silu, leaky relu": vectors(nn.SiLU(), nn.Linear(6, 6, generator=rng(2)), nn.LeakyReLU(0.1)),
    "group norm of vectors": vectors(nn.GroupNorm(2, 6), nn.ReLU()),
    "group norm": images(nn.GroupNorm(2, 4), nn.SiLU(), nn.GroupNorm(4, 4, affine=False)),
    "group norm, fused": nn.fuse(images(nn.GroupNorm(2, 4), nn.ReLU())),
    "batch renorm": vectors(nn.BatchRenorm(6, warmup=1, r_steps=4, d_steps=3), nn.ReLU()),
    "ghost batch norm": vectors(nn.GhostBatchNorm(6, 3), nn.ReLU()),
    "transposed convolution": images(nn.ConvTranspose2d(4, 4, 3, 2, 1, 1, generator=rng(3)), nn.ReLU()),
    "upsampling": images(nn.Upsample(2, "bilinear"), nn.GELU(), nn.Upsample((0.5, 2))),
}


@pytest.mark.parametrize("name", sizes(*REPLAYED, tiny=["silu, leaky relu", "batch renorm", "ghost batch norm"]))
def test_the_same_bits_from_the_second_step_on(name):
    model = copy.deepcopy(REPLAYED[name])
    assert both_ways(model, batches(model)) == [RECORDED] + 5 * [None]


class Words(nn.Module):
    def __init__(self):
        self.table = nn.Embedding(9, 4, padding_idx=0, generator=rng())
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(12, 3, generator=rng(1)))

    def forward(self, x):
        return self.head(self.table(x))


def sentences(count=6):
    generator = rng(7)
    return [(generator.integers(0, 9, (5, 3)), generator.integers(0, 3, 5)) for _ in range(count)]


def test_an_embedding():
    """Not by `both_ways`, whose inputs are floats."""
    model = Words()
    plain, step = copy.deepcopy(model), Replay(model)
    for i, (numbers, labels) in enumerate(sentences()):
        for net in (model, plain):
            net.zero_grad()
        expected = F.cross_entropy(plain(Tensor(numbers)), labels)
        expected.backward()
        assert step(numbers, labels) == expected.item()
        assert step.why_not == (RECORDED if i == 0 else None)
        for mine, other in zip(model.parameters(), plain.parameters(), strict=True):
            assert mine.grad.tobytes() == other.grad.tobytes()


def test_numbers_outside_of_the_table_are_refused_in_a_replay_too():
    model = Words()
    step, given = Replay(model), sentences(3)
    for numbers, labels in given[:2]:
        step(numbers, labels)
    assert step.why_not is None
    before = [p.grad.copy() for p in model.parameters()]
    wrong, labels = given[2]
    wrong[3, 1] = 9
    with pytest.raises(ValueError, match=r"embedding: input runs from .* to 9 but weight has 9 rows"):
        step(wrong, labels)
    assert all(np.array_equal(p.grad, old) for p, old in zip(model.parameters(), before, strict=True))


class Attention(nn.Module):
    """A layer of a graph attention network, written out."""

    def __init__(self):
        generator = rng(5)
        self.edges = CSR.from_coo(generator.integers(0, 6, 15), generator.integers(0, 6, 15), (6, 6))[0]
        self.norm, self.weight = nn.BatchNorm(4), nn.Linear(6, 4, bias=False, generator=rng(1))
        self.both = nn.Linear(4, 2, bias=False, generator=rng(2))
        self.drop = nn.Dropout(0.3, rng(4))

    def forward(self, x):
        x = self.norm(self.weight(x))
        ends = self.both(x)
        shares = F.edge_softmax(self.edges, F.leaky_relu(F.edge_add(self.edges, ends[:, 0], ends[:, 1]), 0.2))
        return F.sparse_matmul(self.edges, self.drop(shares), x) + F.edge_sum(self.edges, shares).reshape(6, 1)


def test_what_is_computed_on_a_graph():
    given = [(rng(i).standard_normal((6, 6)).astype(np.float32), rng(i).integers(0, 4, 6)) for i in range(6)]
    assert both_ways(Attention(), given) == [RECORDED] + 5 * [None]

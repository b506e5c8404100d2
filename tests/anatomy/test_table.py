"""minidl.summary: counts by hand for every layer, memory from the graph, and what a table shows."""

import html.parser

import numpy as np
import pytest

import minidl
from minidl import Tensor, nn
from minidl import functional as F
from minidl.anatomy.costs import COUNTED, NOT_COUNTED
from minidl.lab.models import cifar_conv, mnist_conv, paper_mlp, resnet8
from tests.anatomy.networks import Block, ResNet8
from tests.helpers import JIT, in_a_process

RNG = np.random.default_rng(0)


def rows(model, *example):
    return {row["name"]: row for row in minidl.summary(model, *example).rows}


def layer(module, *example):
    """The row of a layer, in a network of its own."""
    return rows(nn.Sequential(module), *example)["0"]


# ---- multiply–adds, parameters, by hand ----------------------------------------------------------------------------

BY_HAND = {  # layer, input → output, parameters, multiply–adds
    "Linear": (lambda: nn.Linear(5, 3), (2, 5), (2, 3), 5 * 3 + 3, 2 * 5 * 3),
    "Linear without bias": (lambda: nn.Linear(5, 3, bias=False), (2, 5), (2, 3), 15, 30),
    "Linear on a stack": (lambda: nn.Linear(5, 3), (2, 4, 5), (2, 4, 3), 18, 2 * 4 * 5 * 3),
    "Conv2d": (lambda: nn.Conv2d(2, 4, 3), (2, 7, 6, 2), (2, 5, 4, 4), 3 * 3 * 2 * 4 + 4, 2 * 5 * 4 * 4 * 3 * 3 * 2),
    "Conv2d with stride": (
        lambda: nn.Conv2d(2, 4, (3, 2), (2, 1), (1, 0), bias=False), (1, 7, 6, 2), (1, 4, 5, 4), 3 * 2 * 2 * 4,
        4 * 5 * 4 * 3 * 2 * 2,
    ),
    "Conv2d by Winograd": (
        lambda: nn.Conv2d(16, 16, 3, padding=1, bias=False), (1, 6, 6, 16), (1, 6, 6, 16), 9 * 16 * 16, 36 * 16 * 9 * 16
    ),
    "BatchNorm": (lambda: nn.BatchNorm(3), (4, 3), (4, 3), 6, 0),
    "BatchNorm without γ": (lambda: nn.BatchNorm(3, weight=False), (4, 2, 2, 3), (4, 2, 2, 3), 3, 0),
    "BatchNorm without both": (lambda: nn.BatchNorm(3, affine=False), (4, 3), (4, 3), 0, 0),
    "LayerNorm": (lambda: nn.LayerNorm(3), (4, 3), (4, 3), 6, 0),
    "BatchNormReLUMaxPool2d": (lambda: fused(), (2, 4, 4, 3), (2, 2, 2, 3), 6, 0),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4), (2, 3, 3, 4), (2, 3, 3, 4), 8, 0),
    "GroupNormReLU": (lambda: nn.GroupNormReLU(2, 4), (2, 4), (2, 4), 8, 0),
    "BatchRenorm": (lambda: nn.BatchRenorm(3), (4, 3), (4, 3), 6, 0),
    "GhostBatchNorm": (lambda: nn.GhostBatchNorm(3, 2), (4, 3), (4, 3), 6, 0),
    "ConvTranspose2d": (
        lambda: nn.ConvTranspose2d(2, 4, 3, stride=2), (1, 3, 2, 2), (1, 7, 5, 4), 3 * 3 * 2 * 4 + 4, 3 * 2 * 2 * 3 * 3 * 4
    ),
    "Upsample": (lambda: nn.Upsample(2), (1, 3, 2, 4), (1, 6, 4, 4), 0, 0),
    "SiLU": (nn.SiLU, (4, 3), (4, 3), 0, 0),
    "LeakyReLU": (nn.LeakyReLU, (4, 3), (4, 3), 0, 0),
    "ReLU": (nn.ReLU, (4, 3), (4, 3), 0, 0),
    "Sigmoid": (nn.Sigmoid, (4, 3), (4, 3), 0, 0),
    "Tanh": (nn.Tanh, (4, 3), (4, 3), 0, 0),
    "GELU": (nn.GELU, (4, 3), (4, 3), 0, 0),
    "Dropout": (nn.Dropout, (4, 3), (4, 3), 0, 0),
    "Flatten": (nn.Flatten, (4, 3, 2, 5), (4, 30), 0, 0),
    "Identity": (nn.Identity, (4, 3), (4, 3), 0, 0),
    "MaxPool2d": (lambda: nn.MaxPool2d(2), (1, 5, 4, 3), (1, 2, 2, 3), 0, 0),
    "AvgPool2d": (lambda: nn.AvgPool2d(2), (1, 5, 4, 3), (1, 2, 2, 3), 0, 0),
    "GlobalAvgPool2d": (nn.GlobalAvgPool2d, (2, 5, 4, 3), (2, 3), 0, 0),
}  # fmt: skip
CONTAINERS = {
    "Sequential",
    "Module",
    "Parameter",
    "AveragedViews",
    "Residual",
    "ResidualReLU",
    "ModuleList",
    "ModuleDict",
}


def fused():
    return nn.fuse(nn.Sequential(nn.BatchNorm(3), nn.ReLU(), nn.MaxPool2d(2)))[0]


@pytest.mark.parametrize("name", BY_HAND)
def test_every_layer_as_counted_by_hand(name):
    make, given, made, parameters, products = BY_HAND[name]
    row = layer(make(), given)
    assert (row["input"], row["output"]) == (given, made)
    assert (row["trainable"], row["frozen"], row["shared"]) == (parameters, 0, 0)
    assert row["multiply_adds"] == products
    assert row["parameter_bytes"] == 4 * parameters
    assert row["type"] == name.split()[0]
    assert all(type(row[key]) is int for key in ("trainable", "multiply_adds", "parameter_bytes", "kept_bytes"))


def test_every_layer_of_nn_is_counted_here():
    layers = {name for name in nn.__all__ if isinstance(getattr(nn, name), type)}
    assert layers - CONTAINERS - {"Embedding"} == {name.split()[0] for name in BY_HAND}


def test_an_embedding_looks_up_and_multiplies_nothing():
    row = layer(nn.Embedding(5, 3), np.array([[1, 2], [3, 4]]))
    assert (row["input"], row["output"], row["trainable"], row["multiply_adds"]) == ((2, 2), (2, 2, 3), 15, 0)


def test_a_residual_block_counts_its_body_and_its_shortcut():
    block = nn.Residual(nn.Sequential(nn.Linear(4, 6), nn.ReLU()), nn.Linear(4, 6, bias=False))
    for network in (nn.Sequential(block, nn.ReLU()), nn.fuse(nn.Sequential(block, nn.ReLU()))):
        total = minidl.summary(network, (2, 4)).total
        assert (total["trainable"], total["multiply_adds"]) == (4 * 6 + 6 + 4 * 6, 2 * 2 * 4 * 6)


def test_every_operation_is_either_counted_or_said_not_to_be():
    assert not COUNTED.keys() & NOT_COUNTED
    assert set(F.__all__) <= COUNTED.keys() | NOT_COUNTED
    assert {
        "add",
        "sub",
        "mul",
        "truediv",
        "pow",
        "matmul",
        "matmul_nd",
        "getitem",
        "cat",
    } <= COUNTED.keys() | NOT_COUNTED


class Products(nn.Module):
    """Products outside of layers."""

    def __init__(self):
        self.w = nn.Parameter(RNG.standard_normal((4, 5)))

    def forward(self, x):  # (2, 3, 4) → (2, 3, 3)
        y = x @ self.w
        return F.softmax(y @ y.transpose(1, 2)) + (x[0] @ self.w).sum() + (x[0, 0] @ self.w).sum() * 0.5


def test_products_outside_of_layers_belong_to_the_module_around_them():
    (row,) = minidl.summary(Products(), (2, 3, 4)).rows
    assert row["multiply_adds"] == 2 * 3 * 4 * 5 + 2 * 3 * 5 * 3 + 3 * 4 * 5 + 4 * 5
    assert row["trainable"] == 20
    whitened = nn.Sequential(Whitened())
    assert rows(whitened, (6, 3))["0"]["multiply_adds"] == 2 * 6 * 3 * 3  # cᵀ·c, then c·W


class Whitened(nn.Module):
    def forward(self, x):
        return F.zca_whiten(x)


def test_an_operation_of_ones_own_is_named_and_not_counted():
    class Linear(nn.Module):
        def forward(self, x):
            return linear(x)

    def linear(x):  # not minidl's
        def backward(grad):
            return (grad,)

        return Tensor._from_op(x.data * 2, (x,), backward)

    table = minidl.summary(nn.Sequential(Linear()), (1, 2))
    assert table.total["multiply_adds"] == 0
    assert "operations that minidl does not know are missing: " in str(table).splitlines()[-1]


def resnet_by_hand(size=8, width=4, batch=2):
    """Products of the network of `networks.py`, layer by layer, for images of size × size."""
    full, half, quarter = size * size, (size // 2) ** 2, (size // 4) ** 2
    stem = full * 9 * 3 * width
    first = 2 * full * 9 * width * width
    second = half * (9 * width * 2 * width + 9 * 2 * width * 2 * width + width * 2 * width)
    third = quarter * (9 * 2 * width * 4 * width + 9 * 4 * width * 4 * width + 2 * width * 4 * width)
    return batch * (stem + first + second + third + 4 * width * 10)


@pytest.mark.parametrize("training", [True, False])
def test_a_residual_network_as_counted_by_hand(training):
    table = minidl.summary(ResNet8().train(training), (2, 8, 8, 3))
    w = 4
    convolutions = 27 * w + 18 * w * w + (18 + 36 + 2) * w * w + (72 + 144 + 8) * w * w
    norms = 2 * (3 * w + 3 * 2 * w + 3 * 4 * w)
    assert table.total["multiply_adds"] == resnet_by_hand()
    assert table.total["trainable"] == convolutions + norms + 4 * w * 10 + 10
    assert table.total["parameter_bytes"] == 4 * table.total["trainable"]
    assert table.total["buffer_bytes"] == 4 * norms + 9 * 8  # of nine batch norms, with their counters
    calls = [row["name"] for row in table.rows if row["type"] == "ReLU"]
    assert calls == ["stem.2"] + [f"blocks.{i}.relu" for i in (0, 0, 1, 1, 2, 2)]


REFERENCE = {
    "paper_mlp": (paper_mlp, (1, 784), 784 * 100 + 2 * 100 * 100 + 100 * 10, 99_400 + 600 + 10),
    "mnist_conv": (
        mnist_conv, (1, 28, 28, 1), 784 * 9 * 32 + 196 * 9 * 32 * 64 + 3136 * 128 + 1280,
        288 + 18_432 + 401_408 + 1280 + 10 + 2 * (32 + 64 + 128),
    ),
    "cifar_conv": (
        cifar_conv, (1, 32, 32, 3),
        961 * 12 * 24 + 9 * (961 * 24 * 64 + 225 * (64 * 64 + 64 * 256) + 49 * 2 * 256 * 256 + 9 * 256 * 256) + 2560,
        288 + 24 + 9 * (24 * 64 + 64 * 64 + 64 * 256 + 3 * 256 * 256) + 2560 + 2 * 2 * (64 + 256 + 256),
    ),
    "resnet8": (
        resnet8, (1, 32, 32, 3),
        1024 * 9 * (3 * 16 + 2 * 16 * 16) + 256 * (9 * (16 * 32 + 32 * 32) + 16 * 32)
        + 64 * (9 * (32 * 64 + 64 * 64) + 32 * 64) + 640,
        9 * (3 * 16 + 2 * 16 * 16 + 16 * 32 + 32 * 32 + 32 * 64 + 64 * 64) + 16 * 32 + 32 * 64
        + 2 * (3 * 16 + 3 * 32 + 3 * 64) + 650,
    ),
}  # fmt: skip


@pytest.mark.skipif(not JIT, reason="takes minutes without compiled kernels")
@pytest.mark.parametrize("name", REFERENCE)
def test_the_reference_networks_as_counted_by_hand(name):
    make, shape, products, parameters = REFERENCE[name]
    model = make(generator=np.random.default_rng(0))
    table = minidl.summary(model, shape)  # in training, where batch norm refuses a batch of one vector
    assert (table.total["multiply_adds"], table.total["trainable"]) == (products, parameters)
    assert ("batch norm needs more than one example to train on" in str(table)) == (name in ("paper_mlp", "mnist_conv"))
    twice = minidl.summary(model, (2, *shape[1:]))
    assert twice.total["multiply_adds"] == 2 * products
    assert not twice.remarks


def test_counts_are_those_of_pytorch():
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode

    theirs = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, 2, 1), torch.nn.BatchNorm2d(8), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
        torch.nn.Flatten(), torch.nn.Linear(8 * 4 * 4, 10),
    )  # fmt: skip
    ours = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm(8), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * 4 * 4, 10)
    )
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        theirs(torch.zeros(5, 3, 16, 16))
    table = minidl.summary(ours, (5, 16, 16, 3))
    assert 2 * table.total["multiply_adds"] == counter.get_total_flops()
    assert table.total["trainable"] == sum(p.numel() for p in theirs.parameters())


# ---- parameters: frozen, shared, uncalled --------------------------------------------------------------------------------


def test_frozen_parameters_have_their_own_column():
    model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    model[0].weight.requires_grad = False
    table = minidl.summary(model, (1, 4))
    assert [(row["trainable"], row["frozen"]) for row in table.rows] == [(0, 0), (3, 12), (8, 0)]
    assert "11 trainable, 12 frozen" in str(table)
    assert "frozen" in str(table).splitlines()[0]
    assert "frozen" not in str(minidl.summary(nn.Linear(4, 3), (1, 4))).splitlines()[0]


class Tied(nn.Module):
    """One weight in two layers, one layer in two places, a parameter in a holder that is never called, a spare layer."""

    def __init__(self):
        self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)
        self.b.weight = self.a.weight
        self.holder = nn.Module()
        self.holder.scale = nn.Parameter(np.ones(3, np.float32))
        self.holder.inner = nn.ReLU()
        self.spare = nn.Linear(3, 7)

    def forward(self, x):
        return self.holder.inner(self.b(self.a(self.a(x)))) * self.holder.scale


def test_shared_parameters_are_counted_once_and_marked():
    model = Tied()
    table = minidl.summary(model, (2, 3))
    found = [(row["name"], row["trainable"], row["shared"], row["called"]) for row in table.rows]
    assert found == [
        ("", 0, 0, True), ("a", 12, 0, True), ("a", 0, 12, True), ("b", 3, 9, True), ("holder.inner", 0, 0, True),
        ("holder", 3, 0, False), ("spare", 28, 0, False),
    ]  # fmt: skip
    assert table.total["trainable"] == sum(p.data.size for p in model.parameters())
    assert [row["multiply_adds"] for row in table.rows] == [0, 18, 18, 18, 0, 0, 0]
    lines = str(table).splitlines()
    assert lines[4].split()[-2:] != ["shared"]
    assert "  shared  " in lines[4]
    assert "3 + shared" in lines[5]
    assert "not called" in lines[8]


def test_names_are_those_of_state_dict():
    model = ResNet8()
    owners = {name.rpartition(".")[0] for name in model.state_dict()}
    assert owners <= {row["name"] for row in minidl.summary(model, (2, 8, 8, 3)).rows}


# ---- what it looks like ------------------------------------------------------------------------------------------------


def test_the_text_of_a_small_network():
    model = nn.Sequential(nn.Linear(4, 1000), nn.Sequential(nn.ReLU(), nn.Linear(1000, 2)))
    assert str(minidl.summary(model, (3, 4))) == "\n".join(
        [
            "layer      type        input      output     parameters  multiply–adds      kept",
            "────────────────────────────────────────────────────────────────────────────────",
            "(network)  Sequential  (3, 4)     (3, 2)",
            "  0        Linear      (3, 4)     (3, 1000)       5,000         12,000  11.7 KiB",
            "  1        Sequential  (3, 1000)  (3, 2)",
            "    1.0    ReLU        (3, 1000)  (3, 1000)                             11.7 KiB",
            "    1.1    Linear      (3, 1000)  (3, 2)          2,002          6,000      24 B",
            "────────────────────────────────────────────────────────────────────────────────",
            "7,002 parameters (7,002 trainable, 0 frozen), 18,000 multiply–adds for this batch",
            "memory: parameters 27.4 KiB; for the backward pass 23.5 KiB, and 48 B of inputs",
        ]
    )
    assert repr(minidl.summary(model, (3, 4))) == str(minidl.summary(model, (3, 4)))


def test_html_is_whole_and_escapes_names():
    class Strict(html.parser.HTMLParser):
        def __init__(self):
            super().__init__()
            self.open, self.cells = [], []

        def handle_starttag(self, tag, attrs):
            self.open.append(tag)

        def handle_endtag(self, tag):
            assert self.open.pop() == tag

        def handle_data(self, data):
            self.cells.append(data)

    model = nn.Sequential(nn.Linear(2, 2))
    setattr(model, "<b>&", nn.Linear(2, 3))
    parser = Strict()
    parser.feed(minidl.summary(model, (1, 2))._repr_html_())
    assert parser.open == []
    assert "\u2003<b>&" in parser.cells
    assert {"Linear", "(1, 3)", "9", "6"} <= set(parser.cells)


def test_rows_are_plain_and_columns_add_up():
    table = minidl.summary(ResNet8(), (2, 8, 8, 3))
    for row in table.rows:
        assert list(row) == list(table.rows[0])
        for value in row.values():
            assert type(value) in (str, int, bool, tuple, list)
    for key in ("trainable", "frozen", "multiply_adds", "parameter_bytes", "buffer_bytes", "kept_bytes"):
        assert table.total[key] == sum(row[key] for row in table.rows)
    assert [row["depth"] for row in table.rows[:4]] == [0, 1, 2, 2]


def test_inputs_and_outputs_of_any_number():
    class Net(nn.Module):
        def __init__(self):
            self.two = Two()

        def forward(self, x, y):
            return self.two(x, [y], 3)

    class Two(nn.Module):
        def forward(self, x, others, n):
            return {"sum": x.sum() * n, "other": (others[0], None)}

    table = minidl.summary(Net(), (1, 3), np.ones((2, 2)))
    assert table.rows[1]["input"] == [(1, 3), (2, 2)]
    assert table.rows[1]["output"] == [(), (2, 2)]
    assert "(1, 3), (2, 2)" in str(table)


def test_block_alone():
    assert minidl.summary(Block(3, 3), (1, 4, 4, 3)).total["multiply_adds"] == 2 * 16 * 9 * 9


def test_the_package_offers_it_before_it_is_imported():
    printed = in_a_process(
        "import sys, minidl; print('summary' in dir(minidl), 'minidl.anatomy' in sys.modules, minidl.summary.__module__)"
    )
    assert printed == "True False minidl.anatomy.table"
    with pytest.raises(AttributeError, match="module 'minidl' has no attribute 'sumary'"):
        _ = minidl.sumary

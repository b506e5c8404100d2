"""Layers of networks on graphs: against dense matrices and loops, against formulas in PyTorch; what norms on nodes do."""

import numpy as np
import pytest

from minidl import CSR, Tensor, nn
from minidl import functional as F
from minidl.data import Graph
from minidl.gradcheck import gradcheck
from minidl.lab.graphs import (
    GATConv,
    GCNConv,
    GraphNet,
    NodeNorm,
    SparseRows,
    gcn_weights,
    neighbourhoods,
    word_shares,
)
from tests.helpers import assert_close

NODES, WORDS, CLASSES = 8, 6, 3


def rng(seed=0):
    return np.random.default_rng(seed)


def papers():
    """A small graph: a ring with two chords; the last node has no words."""
    first = np.arange(NODES)
    links = {tuple(sorted((int(i), int((i + step) % NODES)))) for i in first for step in (1,)} | {(0, 4), (2, 5)}
    features = (rng(1).random((NODES, WORDS)) < 0.5).astype(np.float32)
    features[:, 0], features[-1] = 1, 0
    labels = rng(2).integers(0, CLASSES, NODES)
    return Graph(features, labels, np.array(sorted(links)), first[:3], first[3:5], first[5:], CLASSES, "ring")


def adjacency(graph):
    """Dense, with a 1 for each node itself."""
    matrix = np.eye(NODES)
    for i, j in graph.edges:
        matrix[i, j] = matrix[j, i] = 1
    return matrix


def double(module):
    """The same module in float64."""
    for tensor in module.parameters():
        tensor.data = tensor.data.astype(np.float64)
    return module


def test_a_neighbourhood_has_the_node_itself_and_its_neighbours():
    graph = papers()
    csr, dense = neighbourhoods(graph), np.zeros((NODES, NODES))
    dense[csr.row_indices, csr.col_indices] += 1
    np.testing.assert_array_equal(dense, adjacency(graph))


def test_shares_of_words_sum_to_one_where_there_are_words():
    graph = papers()
    x = word_shares(graph)
    sums = F.edge_sum(x.csr, x.values).data
    np.testing.assert_allclose(sums, [1] * (NODES - 1) + [0], rtol=1e-6)
    assert x.shape == (NODES, WORDS)
    hidden = word_shares(graph, graph.train)
    np.testing.assert_allclose(F.edge_sum(hidden.csr, hidden.values).data, [1] * 3 + [0] * 5, rtol=1e-6)


def dense_gcn(a, x, weight, bias):
    scale = 1 / np.sqrt(a.sum(1))
    return (scale[:, None] * a * scale) @ x @ weight + bias


def dense_gat(a, x, weight, to_row, to_column, bias):
    """Node by node and neighbour by neighbour."""
    heads, width = to_row.shape
    h = (x @ weight).reshape(len(x), heads, width)
    y = np.zeros_like(h)
    for head in range(heads):
        for i in range(len(x)):
            near = np.flatnonzero(a[i])
            scores = np.array([to_row[head] @ h[i, head] + to_column[head] @ h[j, head] for j in near])
            shares = np.exp(np.where(scores > 0, scores, 0.2 * scores))
            y[i, head] = (shares / shares.sum()) @ h[near, head]
    return y.reshape(len(x), -1) + bias


def random_biases(module):
    for name, tensor in module.named_parameters():
        if name.endswith("bias"):
            tensor.data = rng(9).standard_normal(tensor.shape).astype(tensor.dtype)
    return module


def test_the_graph_convolution_agrees_with_a_dense_one():
    graph, x = papers(), rng(3).standard_normal((NODES, WORDS))
    layer = random_biases(double(GCNConv(WORDS, 4, generator=rng())))
    csr = neighbourhoods(graph)
    y = layer(Tensor(x), csr, gcn_weights(csr).to(np.float64)).data
    expected = dense_gcn(adjacency(graph), x, layer.weight.data, layer.bias.data)
    np.testing.assert_allclose(y, expected, rtol=1e-6, atol=1e-6)  # the weights of the graph are float32


@pytest.mark.parametrize("heads", [1, 3])
def test_the_attention_agrees_with_loops(heads):
    graph, x = papers(), rng(3).standard_normal((NODES, WORDS))
    layer = random_biases(double(GATConv(WORDS, 4, heads, generator=rng())))
    layer.own = layer.own.astype(np.float64)
    y = layer(Tensor(x), neighbourhoods(graph)).data
    weights = (tensor.data for tensor in (layer.weight, layer.to_row, layer.to_column, layer.bias))
    assert_close(y, dense_gat(adjacency(graph), x, *weights))


def test_the_attention_has_the_right_gradients():
    layer, csr = GATConv(WORDS, 2, 2, generator=rng()), neighbourhoods(papers())
    layer.own = layer.own.astype(np.float64)

    def f(x, weight, to_row, to_column):
        vars(layer).update(weight=weight, to_row=to_row, to_column=to_column, bias=None)
        return layer(x, csr)

    given = [(NODES, WORDS), (WORDS, 4), (2, 2), (2, 2)]
    gradcheck(f, *[rng(i).standard_normal(shape) for i, shape in enumerate(given)], generator=rng())


@pytest.mark.parametrize("kind", ["gcn", "gat"])
def test_a_network_agrees_with_formulas_in_pytorch(kind):
    """Two layers with batch norm after each: what is computed, and the gradients of all weights."""
    torch = pytest.importorskip("torch")
    graph = papers()
    csr, x = neighbourhoods(graph), word_shares(graph)
    net = GraphNet(kind, csr, (WORDS, 4, CLASSES), lambda n: nn.BatchNorm(n, momentum=0.3), generator=rng())
    loss = F.cross_entropy(net(x)[graph.train], graph.labels[graph.train])
    loss.backward()

    a = torch.tensor(adjacency(graph))
    theirs = {n: torch.tensor(p.data, dtype=torch.float64, requires_grad=True) for n, p in net.named_parameters()}
    h = torch.tensor(graph.features / graph.features.sum(1, keepdims=True).clip(1), dtype=torch.float64)
    for i in range(2):
        h = h @ theirs[f"layers.{i}.weight"]
        if kind == "gcn":
            scale = a.sum(1) ** -0.5
            h = (scale[:, None] * a * scale) @ h
        else:
            scores = h @ theirs[f"layers.{i}.to_row"].T + (h @ theirs[f"layers.{i}.to_column"].T).T
            scores = torch.nn.functional.leaky_relu(scores, 0.2).masked_fill(a == 0, -torch.inf)
            h = scores.softmax(1) @ h
        affine = theirs[f"norms.{i}.weight"], theirs[f"norms.{i}.bias"]
        h = torch.nn.functional.batch_norm(h, None, None, *affine, training=True)
        h = h.relu() if i == 0 else h
    expected = torch.nn.functional.cross_entropy(h[graph.train], torch.tensor(graph.labels[graph.train]))
    expected.backward()
    np.testing.assert_allclose(loss.item(), expected.item(), rtol=1e-5)
    for name, parameter in net.named_parameters():
        np.testing.assert_allclose(parameter.grad, theirs[name].grad.numpy(), rtol=1e-3, atol=1e-5, err_msg=name)


def test_a_network_is_built_as_it_is_asked():
    csr = neighbourhoods(papers())
    sizes = (WORDS, 4, 4, CLASSES)
    with_norm = GraphNet("gcn", csr, sizes, nn.BatchNorm, generator=rng())
    without = GraphNet("gcn", csr, sizes, None, bias=True, generator=rng())
    not_last = GraphNet("gat", csr, sizes, nn.LayerNorm, norm_last=False)
    assert (len(with_norm.norms), len(without.norms), len(not_last.norms)) == (3, 0, 2)
    assert [layer.bias is None for layer in (*with_norm.layers, *without.layers)] == [True] * 3 + [False] * 3
    for one, other in zip(with_norm.layers, without.layers, strict=True):  # equal generators, equal weights
        np.testing.assert_array_equal(one.weight.data, other.weight.data)


def test_dropout_is_where_it_was_asked_for():
    csr, x = neighbourhoods(papers()), word_shares(papers())
    drawn = []

    class Counts(np.random.Generator):
        def random(self, *args, out=None, **options):
            drawn.append(out.shape)
            return super().random(*args, out=out, **options)

    for everywhere, attention, expected in (
        (False, 0.0, [x.values.shape, (NODES, 4)]),
        (True, 0.0, [x.values.shape, (NODES, 4), (NODES, 4)]),
        (False, 0.5, [x.values.shape, (csr.nnz, 1), (csr.nnz, 1), (NODES, 4), (csr.nnz, 1)]),
    ):
        drops = Counts(np.random.PCG64(0))
        net = GraphNet("gat", csr, (WORDS, 4, 4, 2), None, True, 0.5, everywhere, attention, drops=drops)
        drawn.clear()
        net(x)
        assert drawn == expected
        net.eval()
        drawn.clear()
        assert net(x).data.tobytes() == net(x).data.tobytes()
        assert not drawn


# ---- parts of batch norm


def test_all_parts_together_are_batch_norm():
    x, mine, whole = (
        rng().standard_normal((9, 4)).astype(np.float32),
        NodeNorm(4, momentum=0.3),
        nn.BatchNorm(4, momentum=0.3),
    )
    for _ in range(3):
        np.testing.assert_allclose(mine(Tensor(x)).data, whole(Tensor(x)).data, atol=1e-6)
    np.testing.assert_allclose(mine.running_mean, whole.running_mean, rtol=1e-5)
    np.testing.assert_allclose(mine.running_var, whole.running_var, rtol=1e-5)
    mine.eval(), whole.eval()
    np.testing.assert_allclose(mine(Tensor(x)).data, whole(Tensor(x)).data, atol=1e-6)


@pytest.mark.parametrize(("centre", "scale"), [(True, False), (False, True)])
def test_a_part_of_batch_norm_does_its_part_alone(centre, scale):
    x = 3 * rng().standard_normal((500, 2)).astype(np.float32) + 5
    y = NodeNorm(2, centre, scale)(Tensor(x)).data
    np.testing.assert_allclose(y.std(0), [1, 1] if scale else x.std(0), rtol=1e-3)
    np.testing.assert_allclose(y.mean(0), [0, 0] if centre else x.mean(0) / x.std(0), rtol=1e-3, atol=1e-5)


def test_statistics_can_be_those_of_some_nodes():
    x, rows = rng().standard_normal((20, 3)).astype(np.float32), np.arange(6)
    y = NodeNorm(3, rows=rows)(Tensor(x)).data
    np.testing.assert_allclose(y[rows].mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(y[rows].std(0), 1, rtol=1e-4)
    assert abs(y.mean(0)).max() > 0.1


@pytest.mark.parametrize("settings", [{}, {"centre": False}, {"scale": False}, {"rows": np.arange(5)}], ids=str)
def test_parts_of_batch_norm_have_the_right_gradients(settings):
    norm = double(NodeNorm(3, **settings))

    def f(x, weight, bias):
        vars(norm).update(weight=weight, bias=bias)
        return norm(x)

    gradcheck(f, *[rng(i).standard_normal(s) for i, s in enumerate([(9, 3), (3,), (3,)])], generator=rng())


# ---- what is refused


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: GCNConv(0, 2), "GCNConv: in_features is 0; it must be a whole number of at least 1"),
        (lambda: GCNConv(2, 2.0), "GCNConv: out_features is 2.0; it must be"),
        (lambda: GATConv(2, 2, 0), "GATConv: heads is 0; it must be"),
        (lambda: GATConv(2, 2, dropout=1.5), "GATConv: dropout is 1.5; it must be a number from 0 to 1"),
        (lambda: GraphNet("mlp", CSR([0], [], (0, 0)), (2, 2)), "GraphNet: kind is 'mlp'; it must be"),
        (
            lambda: GraphNet("gcn", CSR([0], [], (0, 0)), (2,)),
            r"GraphNet: sizes are \(2,\); there must be at least two",
        ),
        (lambda: GraphNet("gcn", CSR([0], [], (0, 0)), (2, 2), dropout=-1), "GraphNet: dropout is -1; it must be"),
        (lambda: NodeNorm(0), "NodeNorm: features is 0; it must be a whole number"),
        (lambda: NodeNorm(2, momentum=2), "NodeNorm: momentum is 2; it must be a number from 0 to 1"),
        (lambda: NodeNorm(2, centre="no"), "NodeNorm: centre is 'no'; it must be True or False"),
        (lambda: NodeNorm(2)(Tensor(np.ones((1, 2), np.float32))), "NodeNorm: .* one node"),
    ],
)
def test_what_is_refused(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_sparse_rows_can_be_the_input_of_a_layer():
    graph = papers()
    csr, x = neighbourhoods(graph), word_shares(graph)
    dense = np.zeros(x.shape, np.float32)
    dense[x.csr.row_indices, x.csr.col_indices] = x.values.data
    for layer, more in (
        (GCNConv(WORDS, 4, generator=rng()), (gcn_weights(csr),)),
        (GATConv(WORDS, 4, generator=rng()), ()),
    ):
        np.testing.assert_allclose(layer(x, csr, *more).data, layer(Tensor(dense), csr, *more).data, atol=1e-6)
    assert isinstance(x, SparseRows)

"""Networks on graphs: the layers of Kipf and Welling (GCN) and of Veličković et al. (GAT), and stacks of them with a norm.

Nodes are rows. The neighbours of node i, and i itself, are the entries in row i of a `CSR`. A layer maps the features of
each node linearly, then mixes them with those of its neighbours: with fixed weights in a GCN, with learned ones in a GAT.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from minidl import CSR, Tensor, nn
from minidl import functional as F
from minidl._numbers import check_between, check_bool, check_whole
from minidl.data import Graph

__all__ = ["GATConv", "GCNConv", "GraphNet", "NodeNorm", "SparseRows", "gcn_weights", "neighbourhoods", "word_shares"]

SLOPE = 0.2  # of the leaky ReLU on scores of attention


class SparseRows(NamedTuple):
    """A matrix most of whose numbers are 0, such as words of papers: where the others are, and what they are."""

    csr: CSR
    values: Tensor

    @property
    def shape(self) -> tuple[int, int]:
        """Its size, with the zeros."""
        return self.csr.shape


def neighbourhoods(graph: Graph) -> CSR:
    """Return a row for each node: itself and all nodes that it is linked with, in either direction."""
    first, second = graph.edges.T
    nodes = np.arange(len(graph.labels))
    rows, columns = np.concatenate((first, second, nodes)), np.concatenate((second, first, nodes))
    return CSR.from_coo(rows, columns, (len(nodes), len(nodes)))[0]


def word_shares(graph: Graph, known: np.ndarray | None = None) -> SparseRows:
    """Return the features with rows that sum to 1; those of all nodes but the `known` ones, if these are given, are 0."""
    features = graph.features
    if known is not None:
        features = np.zeros_like(features)
        features[known] = graph.features[known]
    rows, columns = np.nonzero(features)
    values = features[rows, columns] / features.sum(1)[rows]
    csr, order = CSR.from_coo(rows, columns, features.shape)
    return SparseRows(csr, Tensor(values[order]))


def gcn_weights(csr: CSR) -> Tensor:
    """Return the weights of a GCN, 1/√(dᵢ·dⱼ) for the entry (i, j), where d counts the entries of a row (E,)."""
    degree = np.diff(csr.crow_indices).astype(np.float32)
    return Tensor(1 / np.sqrt(degree[csr.row_indices] * degree[csr.col_indices]))


class GCNConv(nn.Module):
    """Graph convolution: y = Â·(x·W) + b, with Â from `gcn_weights`.

    Parameters  weight (in, out), Glorot's; bias (out,), 0 at first, if there is one
    Source      Kipf and Welling 2017, equation 2
    """

    _optional = ("bias",)

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, generator: np.random.Generator | None = None
    ):
        self.weight = _weight("GCNConv", in_features, out_features, generator)
        self.bias = nn.Parameter(np.zeros(out_features, np.float32)) if bias else None

    def forward(self, x: Tensor | SparseRows, csr: CSR, weights: Tensor) -> Tensor:
        """Map x (N, in) to (N, out); csr and weights (E,) say with what neighbours are mixed."""
        y = F.sparse_matmul(csr, weights, _times(x, self.weight))
        return y if self.bias is None else y + self.bias


class GATConv(nn.Module):
    """Graph attention: h = x·W; score s = leaky_relu(a·hᵢ + b·hⱼ); y_i = Σ_j softmax_j(s)·hⱼ, for each head; then + bias.

    dropout     probability that a neighbour is left out, in training
    Parameters  weight (in, heads·out), to_row and to_column (heads, out), all Glorot's; bias (heads·out,), 0 at first, if
                there is one
    Source      Veličković et al. 2018, equations 1 to 5
    """

    _optional = ("bias",)

    def __init__(
        self, in_features: int, out_features: int, heads: int = 1, dropout: float = 0.0, bias: bool = True,
        generator: np.random.Generator | None = None, drops: np.random.Generator | None = None,
    ):  # fmt: skip
        check_whole("GATConv", "heads", heads)
        check_between("GATConv", "dropout", dropout, 0, 1)
        self.weight = _weight("GATConv", in_features, heads * out_features, generator)
        self.to_row, self.to_column = (
            nn.init.xavier_uniform_(nn.Parameter(np.zeros((heads, out_features), np.float32)), generator=generator)
            for _ in range(2)
        )
        # each head looks at its own part of h alone
        self.own = np.eye(heads, dtype=np.float32).reshape(heads, 1, heads)
        self.bias = nn.Parameter(np.zeros(heads * out_features, np.float32)) if bias else None
        self.drop = nn.Dropout(dropout, drops)

    def forward(self, x: Tensor | SparseRows, csr: CSR) -> Tensor:
        """Map x (N, in) to (N, heads·out); a row of csr holds the neighbours of a node."""
        heads, width = self.to_row.shape
        h = _times(x, self.weight)
        row, column = (
            F.linear(h, (end.reshape(heads, width, 1) * self.own).reshape(heads * width, heads))
            for end in (self.to_row, self.to_column)
        )
        scores = F.edge_add(csr, row, column)
        shares = self.drop(F.edge_softmax(csr, F.leaky_relu(scores, SLOPE)))
        y = F.sparse_matmul(csr, shares, h.reshape(-1, heads, width)).reshape(-1, heads * width)
        return y if self.bias is None else y + self.bias


def _weight(op, in_features, out_features, generator):
    check_whole(op, "in_features", in_features)
    check_whole(op, "out_features", out_features)
    weight = nn.Parameter(np.empty((in_features, out_features), np.float32))
    return nn.init.xavier_uniform_(weight, generator=generator)


def _times(x, weight):
    return F.sparse_matmul(x.csr, x.values, weight) if isinstance(x, SparseRows) else F.linear(x, weight)


class NodeNorm(nn.Module):
    """Parts of batch norm, over the nodes of a graph: y = γ·(x − mean)/std + β, where each of mean and std can be left out.

    centre, scale   whether the mean is subtracted, whether there is a division by the standard deviation around the mean
    rows            the nodes whose mean and deviation are taken; None: all
    momentum        what new statistics weigh in those for evaluation
    Errors          ValueError for settings that are none, and in training for fewer than two nodes
    Source          batch norm with a part removed: Ioffe and Szegedy 2015, Algorithm 1
    """

    def __init__(
        self, features: int, centre: bool = True, scale: bool = True, rows: np.ndarray | None = None, eps: float = 1e-5,
        momentum: float = 0.1,
    ):  # fmt: skip
        check_whole("NodeNorm", "features", features)
        check_bool("NodeNorm", "centre", centre)
        check_bool("NodeNorm", "scale", scale)
        check_between("NodeNorm", "eps", eps, 0)
        check_between("NodeNorm", "momentum", momentum, 0, 1)
        self.centre, self.scale, self.rows, self.eps, self.momentum = centre, scale, rows, eps, momentum
        self.weight = nn.Parameter(np.ones(features, np.float32))
        self.bias = nn.Parameter(np.zeros(features, np.float32))
        self.register_buffer("running_mean", np.zeros(features, np.float32))
        self.register_buffer("running_var", np.ones(features, np.float32))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x (N, features)."""
        if self.training:
            seen = x if self.rows is None else x[self.rows]
            if len(seen.data) < 2:
                raise ValueError("NodeNorm: there is one node or none, and so no deviation; there must be at least two")
            mean = seen.mean(0)
            var = ((seen - mean) ** 2).mean(0)
            self.running_mean += self.momentum * (mean.data - self.running_mean)
            unbiased = var.data * (len(seen.data) / (len(seen.data) - 1))
            self.running_var += self.momentum * (unbiased - self.running_var)
        else:
            mean, var = Tensor(self.running_mean), Tensor(self.running_var)
        if self.centre:
            x = x - mean
        if self.scale:
            x = x * (var + self.eps) ** -0.5
        return x * self.weight + self.bias


class GraphNet(nn.Module):
    """A stack of layers on one graph: dropout, layer, norm, ReLU; the last layer has no ReLU.

    kind        "gcn" or "gat" (one head)
    csr         the neighbourhoods of the nodes
    sizes       of the features, from the input to the classes: one more than there are layers
    norm        norm(features) makes the norm after a layer; None: no norms
    norm_last   whether the last layer has a norm, too
    dropout     before the first layer and before the last one; `everywhere` before the others, too
    attention_dropout  of GAT's shares
    bias        whether layers have biases
    generator, drops   of the weights, which do not depend on the norm; of all dropout
    Shape       x (N, sizes[0]), a tensor or `SparseRows` → (N, sizes[-1])
    """

    def __init__(
        self, kind: str, csr: CSR, sizes: tuple[int, ...], norm: Callable[[int], nn.Module] | None = None,
        norm_last: bool = True, dropout: float = 0.0, everywhere: bool = False, attention_dropout: float = 0.0,
        bias: bool = False, generator: np.random.Generator | None = None, drops: np.random.Generator | None = None,
    ):  # fmt: skip
        if kind not in ("gcn", "gat"):
            raise ValueError(f'GraphNet: kind is {kind!r}; it must be "gcn" or "gat"')
        if len(sizes) < 2:
            raise ValueError(f"GraphNet: sizes are {sizes}; there must be at least two, of the input and of the output")
        check_between("GraphNet", "dropout", dropout, 0, 1)
        self.csr, self.dropout, self.everywhere, self.drops = csr, dropout, everywhere, drops
        self.fixed = (gcn_weights(csr),) if kind == "gcn" else ()
        pairs, layers = list(pairwise(sizes)), list[nn.Module]()
        for n_in, n_out in pairs:
            if kind == "gcn":
                layers.append(GCNConv(n_in, n_out, bias, generator))
            else:
                layers.append(GATConv(n_in, n_out, 1, attention_dropout, bias, generator, drops))
        with_norm = len(pairs) - (not norm_last) if norm else 0
        self.layers = nn.ModuleList(layers)
        self.norms = nn.ModuleList([norm(n_out) for _, n_out in pairs[:with_norm]] if norm else [])

    def forward(self, x: Tensor | SparseRows) -> Tensor:
        """Return what each node is taken to be: a number for each class."""
        h: Any = x
        last = len(self.layers) - 1
        for i, layer in enumerate(self.layers):
            if i in (0, last) or self.everywhere:
                h = self._drop(h)
            h = layer(h, self.csr, *self.fixed)
            if i < len(self.norms):
                h = self.norms[i](h)
            if i < last:
                h = F.relu(h)
        return h

    def _drop(self, x):
        if isinstance(x, SparseRows):  # a zero stays one, dropped or not
            return SparseRows(x.csr, F.dropout(x.values, self.dropout, self.training, self.drops))
        return F.dropout(x, self.dropout, self.training, self.drops)

"""What the claims about graphs share: training on all nodes at once, and the epoch that validation chooses."""

import copy
import functools

import numpy as np

from minidl import functional as F
from minidl import nn
from minidl.autograd import no_grad
from minidl.lab.graphs import GraphNet, SparseRows, neighbourhoods, word_shares
from minidl.optim import Adam
from minidl.replay import Replay

__all__ = ["GRAPHS", "fit", "inputs", "percent"]

GRAPHS = ("cora", "citeseer")
HIDDEN = 16


@functools.lru_cache(maxsize=4)
def inputs(graph, missing):
    """Return neighbourhoods and features of a graph; `missing`: only the nodes for training have their words."""
    return neighbourhoods(graph), word_shares(graph, graph.train if missing else None)


class _Labelled(nn.Module):
    """A network and its features: what it says about some nodes."""

    def __init__(self, net, x):
        self.net, self.csr, self.values = net, x.csr, x.values

    def forward(self, nodes):
        return F.embedding(nodes, self.net(SparseRows(self.csr, self.values)))


def fit(graph, config, norm, *, missing=False, **settings):
    """Train a network by Adam; returns the accuracies at the first epoch with the best validation accuracy, and more.

    config    "kind", "depth", "lr", "decay", "epochs", "seed"
    norm      makes the norm after a layer, or None
    settings  those of `GraphNet`
    Record    "validation", "test", "epoch" (from 0), "last test" (after all epochs), "loss"
    """
    csr, x = inputs(graph, missing)
    seed, sizes = config["seed"], (x.shape[1], *[HIDDEN] * (config["depth"] - 1), graph.classes)
    weights, drops = np.random.default_rng(seed), np.random.default_rng([seed, 1])
    net = GraphNet(config["kind"], csr, sizes, norm, generator=weights, drops=drops, **settings)
    twin = _evaluated(net)
    optimizer = Adam(net.parameters(), config["lr"], weight_decay=config["decay"])
    step, labels = Replay(_Labelled(net, x)), graph.labels[graph.train]
    best = {"validation": -1.0}
    with np.errstate(all="ignore"):
        for epoch in range(config["epochs"]):
            optimizer.zero_grad()
            loss = step(graph.train, labels)
            optimizer.step()
            right = _right(twin, x, graph)
            validation = right[graph.validation].mean()
            if validation > best["validation"]:
                best = {"validation": validation, "test": right[graph.test].mean(), "epoch": epoch}
    return {**best, "last test": right[graph.test].mean(), "loss": loss}


def _evaluated(net):
    """The same network in evaluation mode: it shares weights and statistics, and nothing has to be switched each epoch."""
    shared = [*net.parameters(), *net.buffers(), net.csr, *net.fixed]
    return copy.deepcopy(net, {id(part): part for part in shared}).eval()


@no_grad()
def _right(net, x, graph):
    return net(x).data.argmax(1) == graph.labels


def percent(interval, sign=False):
    """Write an interval of accuracies in %."""
    return interval.text(1, 100, sign=sign)

"""Cora and Citeseer: papers as the nodes of a graph, their words as features, citations as edges. Both are part of minidl.

The files are text, gzipped or not, a line for each thing:

    # <title>: 2708 papers, 1433 words, 5278 citation links, …     the first line: how many there are
    # …: ids 0..139 train, next 500 validation, …                  the second line: how the nodes are split
    n <id> <class> <word> …     a paper: ids count up from 0, class −1 stands for none, the words it has count up
    e <id> <id>                 a link between two papers, the smaller id first, each link once
    t <id> …                    the papers of the test set

Every defect is a `DataError`, and no count in the first line is believed before as many lines have arrived.
"""

import hashlib
import io
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from minidl.data._files import GET_AGAIN, DataError, opened, read_at_most, unzipped

__all__ = ["Graph", "citeseer", "cora", "read_graph"]

_FOLDER = Path(__file__).parent / "built_in"
_SHA256 = {
    "cora": "03691975a1a72be69b7796a529c546a0cd4c96f0cebf83cb4bb0bb723e8f7cb1",
    "citeseer": "bbf6a08887c0b7074de80d5cda6a9fe379669eb5d698534bba309494c6bb1916",
}
_MOST_BYTES = 2**26  # of text; Citeseer has 0.7 MB
_MOST_NUMBERS = 2**29  # of features, 2 GiB of float32
_LINE = re.compile(r"[net](?: -?[0-9]{1,9})* *")
_COUNTS = re.compile(r"# .*?\b([0-9]{1,9}) papers, ([0-9]{1,9}) words, ([0-9]{1,9}) citation links\b")
_SPLIT = re.compile(r"# .*\bids 0\.\.([0-9]{1,9}) train, next ([0-9]{1,9}) validation\b")


@dataclass(frozen=True, eq=False, repr=False)
class Graph:
    """A graph of papers, for the classification of nodes of which few are labelled.

    features    float32 (N, D): 1 where a paper has a word, else 0
    labels      int64 (N,): the class of each node, −1 where it has none
    edges       int64 (E, 2): pairs of nodes that are linked, the smaller number first, each pair once, none with itself
    train, validation, test    int64: the numbers of the nodes in each part of the standard split; no node is in two
    classes     how many classes there are
    source      "cora", "citeseer", or the name of the file
    """

    features: np.ndarray
    labels: np.ndarray
    edges: np.ndarray
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    classes: int
    source: str

    def __repr__(self) -> str:
        parts = f"{len(self.train)} / {len(self.validation)} / {len(self.test)}"
        return (
            f"Graph({self.source}: features {self.features.shape}, {len(self.edges)} edges, {self.classes} classes, "
            f"train / validation / test {parts})"
        )


def cora() -> Graph:
    """Load Cora: 2,708 papers on machine learning in 7 classes, 1,433 words, 5,278 links; it is part of minidl.

    Returns a `Graph` with the standard split: 140 nodes for training, 20 of each class, 500 for validation, 1,000 for test.
    Errors  DataError if the file is missing or damaged
    Source  Sen et al. 2008; split and features as in Yang, Cohen and Salakhutdinov 2016 (Planetoid), MIT licence
    """
    return _built_in("cora")


def citeseer() -> Graph:
    """Load Citeseer: 3,327 papers on computer science in 6 classes, 3,703 words, 4,552 links; it is part of minidl.

    Returns a `Graph` with the standard split: 120 nodes for training, 20 of each class, 500 for validation, 1,000 for the
    test. 15 nodes have no class, no words and no place in the split; 48 have no link.
    Errors  DataError if the file is missing or damaged
    Source  Sen et al. 2008; split and features as in Yang, Cohen and Salakhutdinov 2016 (Planetoid), MIT licence
    """
    return _built_in("citeseer")


def read_graph(path: str | os.PathLike) -> Graph:
    """Read a graph of papers from a file in the format of the built-in ones, gzipped or not.

    Errors  DataError for a file that cannot be read, is cut, is damaged, or holds something else
    Source  the format is minidl's own: `minidl/data/graphs.py` describes it
    """
    with opened("read_graph", path, "a file of a graph") as file:
        return _parse("read_graph", file, file.name, Path(file.name).name)


def _built_in(name: str) -> Graph:
    path = _FOLDER / f"{name}.txt.gz"
    with opened(name, path, "the file of the graph") as file:
        content = file.read(_MOST_BYTES)
    if hashlib.sha256(content).hexdigest() != _SHA256[name]:
        raise DataError(
            f"{name}: {path} is damaged: its checksum is not that of minidl's own file; install minidl again"
        )
    return _parse(name, io.BytesIO(content), path, name)


def _parse(op: str, file: BinaryIO, name: object, source: str) -> Graph:
    with unzipped(op, file, name) as unpacked:
        body = read_at_most(unpacked, _MOST_BYTES + 1)
    if len(body) > _MOST_BYTES:
        raise DataError(
            f"{op}: {name} has more than {_MOST_BYTES:,} bytes of text; it must be the file of a small graph"
        )
    lines = body.decode("latin-1").splitlines()
    counts, split = (pattern.match(line) for pattern, line in zip((_COUNTS, _SPLIT), [*lines, "", ""][:2], strict=True))
    if not counts or not split:
        raise DataError(
            f"{op}: {name} is no file of a graph: its first two lines must say how many papers, words and links there are, "
            f"and how they are split; {GET_AGAIN}"
        )
    try:
        return _assemble(lines[2:], [int(n) for n in counts.groups()], int(split[1]) + 1, int(split[2]), source)
    except _Wrong as error:
        raise DataError(f"{op}: {name} is cut or damaged: {error}; {GET_AGAIN}") from None


class _Wrong(Exception):
    """What is wrong with the lines of a file."""


def _assemble(lines, counts, for_training, for_validation, source):
    nodes, words, links = counts
    rows = {kind: [line for line in lines if line.startswith(kind)] for kind in ("n ", "e ", "t ")}
    if sum(map(len, rows.values())) != len(lines):
        strange = next(line for line in lines if line[:2] not in rows)
        raise _Wrong(f"a line is {strange[:40]!r}; it must begin with n, e or t")
    if (len(rows["n "]), len(rows["e "]), len(rows["t "])) != (nodes, links, 1) or not nodes:
        raise _Wrong(
            f"it promises {nodes:,} papers and {links:,} links and has {len(rows['n ']):,} and {len(rows['e ']):,}, and "
            f"{len(rows['t '])} lines of test nodes; there must be as many, and one such line"
        )
    if nodes * words > _MOST_NUMBERS:
        raise _Wrong(f"{nodes:,} papers by {words:,} words are too many")
    numbers = [_numbers(line) for line in rows["n "]]
    if [row[0] if row else -1 for row in numbers] != list(range(nodes)):
        raise _Wrong("the papers must be numbered 0, 1, 2, …")
    if any(len(row) < 2 or row[1] < -1 for row in numbers):
        raise _Wrong("a paper has no class; it must have one from 0, or −1 for none")
    if for_training + for_validation > nodes:
        raise _Wrong(
            f"{for_training:,} nodes for training and {for_validation:,} for validation are more than there are"
        )
    labels = np.array([row[1] for row in numbers], np.int64)
    sizes = np.array([len(row) - 2 for row in numbers], np.int64)
    present = np.array([word for row in numbers for word in row[2:]], np.int64)
    owners = np.repeat(np.arange(nodes), sizes)
    rising = (np.diff(present) > 0) | (np.diff(owners) > 0)
    if present.size and not (rising.all() and present.min() >= 0 and present.max() < words):
        raise _Wrong(f"the words of a paper must count up, and be from 0 to {words - 1}")
    edges = _edges(rows["e "], nodes)
    train = np.arange(for_training)
    validation = np.arange(for_training, for_training + for_validation)
    test = np.array(_numbers(rows["t "][0]), np.int64)
    _check_split(labels, train, validation, test)
    features = np.zeros((nodes, words), np.float32)
    features[owners, present] = 1
    return Graph(features, labels, edges, train, validation, test, int(labels.max()) + 1, source)


def _numbers(line):
    """The whole numbers of a line, after its first word."""
    if not _LINE.fullmatch(line):
        raise _Wrong(f"the line {line[:40]!r} must have whole numbers after its first letter")
    return [int(part) for part in line.split()[1:]]


def _edges(lines, nodes):
    pairs = [_numbers(line) for line in lines]
    if any(len(pair) != 2 or not 0 <= pair[0] < pair[1] < nodes for pair in pairs):
        raise _Wrong(f"a link must be two numbers from 0 to {nodes - 1}, the smaller one first")
    if len(set(map(tuple, pairs))) != len(pairs):
        raise _Wrong("a link is there twice")
    return np.array(pairs, np.int64).reshape(-1, 2)


def _check_split(labels, train, validation, test):
    """Check that the parts are of labelled nodes, and that none is in two of them."""
    ids = np.concatenate((train, validation, test))
    if not min(train.size, validation.size, test.size) or ids.min() < 0 or ids.max() >= len(labels):
        raise _Wrong(f"each part of the split must have nodes, with numbers from 0 to {len(labels) - 1}")
    if len(np.unique(ids)) != len(ids):
        raise _Wrong("a node is in the split twice")
    if labels[ids].min() < 0:
        raise _Wrong("a node of the split has no class")

"""Cora and Citeseer: what is in them, where they are, and what is refused."""

import gzip
import hashlib
import io
import re
from pathlib import Path

import numpy as np
import pytest

from minidl.data import DataError, citeseer, cora, graphs, read_graph
from tests.fuzz import attempt, damaged

README = Path(__file__).parents[2] / "datasets" / "README.md"
SMALL = """# small: 5 papers, 4 words, 3 citation links, undirected
# split: ids 0..1 train, next 1 validation, t lines test
n 0 1 0 3
n 1 0 2
n 2 0
n 3 1 1 2 3
n 4 -1
e 0 1
e 1 3
e 0 4
t 3
"""


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / "small.txt"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.mark.parametrize("packed", [False, True])
def test_what_a_file_says(write, packed):
    graph = read_graph(write(gzip.compress(SMALL.encode()) if packed else SMALL))
    np.testing.assert_array_equal(
        graph.features, [[1, 0, 0, 1], [0, 0, 1, 0], [0, 0, 0, 0], [0, 1, 1, 1], [0, 0, 0, 0]]
    )
    np.testing.assert_array_equal(graph.labels, [1, 0, 0, 1, -1])
    np.testing.assert_array_equal(graph.edges, [[0, 1], [1, 3], [0, 4]])
    assert (graph.train.tolist(), graph.validation.tolist(), graph.test.tolist()) == ([0, 1], [2], [3])
    assert (graph.classes, graph.source) == (2, "small.txt")
    assert graph.features.dtype == np.float32
    assert {a.dtype for a in (graph.labels, graph.edges, graph.train, graph.validation, graph.test)} == {
        np.dtype(np.int64)
    }


@pytest.mark.parametrize(
    ("load", "nodes", "words", "links", "classes", "ones", "alone"),
    [(cora, 2708, 1433, 5278, 7, 49_216, 0), (citeseer, 3327, 3703, 4552, 6, 105_165, 48)],
)
def test_the_built_in_graphs(load, nodes, words, links, classes, ones, alone):
    """The counts are those of the literature; without direction, Cora has 5,278 links and Citeseer 4,552."""
    graph = load()
    assert graph.features.shape == (nodes, words)
    assert set(np.unique(graph.features)) == {0, 1}
    assert (graph.features.sum(), len(graph.edges), graph.classes) == (ones, links, classes)
    assert (graph.edges[:, 0] < graph.edges[:, 1]).all()
    assert len(np.unique(graph.edges, axis=0)) == links
    assert nodes - len(np.unique(graph.edges)) == alone
    assert np.bincount(graph.labels[graph.train]).tolist() == [20] * classes
    assert (len(graph.validation), len(graph.test)) == (500, 1000)
    parts = np.concatenate((graph.train, graph.validation, graph.test))
    assert len(np.unique(parts)) == len(parts)
    assert graph.labels[parts].min() == 0
    assert repr(graph).startswith(
        f"Graph({load.__name__}: features ({nodes}, {words}), {links} edges, {classes} classes"
    )


def test_neighbours_often_share_a_class():
    """Rows and edges belong together: 81 % of Cora's links are within a class, of random pairs 18 %."""
    graph = cora()
    first, second = graph.labels[graph.edges.T]
    assert (first == second).mean() > 0.8
    assert (first == np.random.default_rng(0).permutation(second)).mean() < 0.25


def test_each_call_gives_arrays_of_its_own():
    graph = cora()
    graph.features[:] = 7
    graph.labels[:] = 7
    assert cora().features.max() == 1
    assert cora().labels.max() == 6


@pytest.mark.parametrize("name", ["cora", "citeseer"])
def test_the_readme_has_the_checksums_of_the_files(name):
    content = (graphs._FOLDER / f"{name}.txt.gz").read_bytes()
    assert f"| {name}.txt.gz | `{hashlib.sha256(content).hexdigest()}` |" in README.read_text(encoding="utf-8")


def test_the_licence_is_beside_the_files():
    assert "Copyright (c) 2016 Zhilin Yang" in (graphs._FOLDER / "LICENSE-planetoid.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("content", [None, b"", b"damaged", SMALL.encode(), gzip.compress(SMALL.encode())])
def test_a_built_in_file_that_is_missing_or_damaged(content, tmp_path, monkeypatch):
    monkeypatch.setattr(graphs, "_FOLDER", tmp_path)
    if content is not None:
        (tmp_path / "cora.txt.gz").write_bytes(content)
    what = (
        "there is no file" if content is None else r".*cora\.txt\.gz is damaged: its checksum is not that of .* install"
    )
    with pytest.raises(DataError, match=f"cora: {what}"):
        cora()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("# small", "small", "is no file of a graph: its first two lines must say"),
        ("# split: ids", "split: ids", "is no file of a graph"),
        ("0..1 train", "0-1 train", "is no file of a graph"),
        ("5 papers", "6 papers", "promises 6 papers and 3 links and has 5 and 3"),
        ("3 citation", "4 citation", "promises 5 papers and 4 links and has 5 and 3"),
        ("4 words", "3 words", "the words of a paper must count up, and be from 0 to 2"),
        ("4 words", "999999999 words", "5 papers by 999,999,999 words are too many"),
        ("n 3 1 1 2 3", "n 3 1 2 1 3", "the words of a paper must count up"),
        ("n 3 1 1 2 3", "n 3 1 2 2 3", "the words of a paper must count up"),
        ("n 3 1 1 2 3", "n 3 1 -1 2 3", "the words of a paper must count up, and be from 0 to 3"),
        ("n 3 1", "n 2 1", "must be numbered 0, 1, 2"),
        ("n 2 0", "n 2", "a paper has no class"),
        ("n 4 -1", "n 4 -2", "a paper has no class"),
        ("n 2 0", "n 2 0.0", "the line 'n 2 0.0' must have whole numbers"),
        ("n 2 0", "n 2 0_0", "must have whole numbers"),
        ("n 2 0", "n 2 ٣", "must have whole numbers"),
        ("n 2 0", "n 2 " + 5000 * "1", "must have whole numbers"),
        ("n 2 0", "n 2 -", "must have whole numbers"),
        ("e 0 1", "e 1 1", "a link must be two numbers from 0 to 4, the smaller one first"),
        ("e 0 1", "e 1 0", "a link must be two numbers"),
        ("e 0 1", "e 0 5", "a link must be two numbers"),
        ("e 0 1", "e 0 1 2", "a link must be two numbers"),
        ("e 0 1", "e 1 3", "a link is there twice"),
        ("e 0 1", "f 0 1", "a line is 'f 0 1'; it must begin with n, e or t"),
        ("t 3\n", "", "0 lines of test nodes"),
        ("t 3", "t 3\nt 3", "2 lines of test nodes"),
        ("t 3", "t ", "each part of the split must have nodes"),
        ("t 3", "t 5", "each part of the split must have nodes, with numbers from 0 to 4"),
        ("t 3", "t -1", "each part of the split must have nodes"),
        ("t 3", "t 2", "a node is in the split twice"),
        ("t 3", "t 3 3", "a node is in the split twice"),
        ("t 3", "t 4", "a node of the split has no class"),
        ("next 1", "next 0", "each part of the split must have nodes"),
        ("next 1", "next 999999999", "2 nodes for training and 999,999,999 for validation are more than there are"),
    ],
)
def test_what_is_refused(write, old, new, says):
    """The message names the file and what is wrong in it."""
    assert old in SMALL
    with pytest.raises(DataError, match=rf"read_graph: .*small\.txt.*({says})"):
        read_graph(write(SMALL.replace(old, new, 1)))


def test_a_file_that_is_cut(write):
    packed = gzip.compress(SMALL.encode())
    for content in (packed[:-9], SMALL[: SMALL.index("e 1")], b""):
        with pytest.raises(DataError, match=r"small\.txt (is cut|is no file)"):
            read_graph(write(content))


def test_a_file_that_unpacks_to_too_much(write, monkeypatch):
    monkeypatch.setattr(graphs, "_MOST_BYTES", 10_000)
    with pytest.raises(DataError, match="has more than 10,000 bytes of text"):
        read_graph(write(gzip.compress(SMALL.encode() + b" " * 20_000)))


@pytest.mark.parametrize("whole", [SMALL.encode(), gzip.compress(SMALL.encode(), mtime=0)], ids=["plain", "gzip"])
def test_random_damage_is_refused_or_did_no_harm(whole):
    """A number may be another one in plain text; then the graph is one all the same."""
    refused, cases = 0, 500
    for content in damaged(whole, cases):
        was_refused, graph = attempt(
            lambda: graphs._parse("read_graph", io.BytesIO(content), "damaged", "damaged"),  # noqa: B023
            DataError,
            3_500_000,
        )
        refused += was_refused
        if not was_refused:
            assert len(graph.features) == len(graph.labels)
            assert graph.edges.size == 0 or graph.edges.max() < len(graph.labels)
    assert 0.3 * cases < refused < cases


def test_the_description_of_the_format_has_every_kind_of_line():
    assert set(re.findall(r"^    (n|e|t|#) ", graphs.__doc__, re.M)) == {"n", "e", "t", "#"}

"""The claims about graphs: what is trained is what the text says, and verdicts follow from the numbers."""

import json
from pathlib import Path

import numpy as np
import pytest

from minidl import nn
from minidl.data import Graph
from minidl.lab.after import _graphs, graph_depth, graph_row
from minidl.lab.graphs import NodeNorm
from minidl.lab.study.claim import Result, Run, Scale, plain
from minidl.lab.study.fingerprint import fingerprint
from minidl.lab.study.page import load_results
from tests.helpers import in_a_process
from tests.lab.paper.synthetic import joined, result

CLAIMS = (graph_row.CLAIM, graph_depth.CLAIM)
RESULTS = Path(__file__).parents[3] / "results"


def clusters(nodes=60, classes=3, words=12, seed=0):
    """Papers that cite papers of their own class, and whose words tell the class: easy."""
    rng = np.random.default_rng(seed)
    labels = np.arange(nodes) % classes
    features = (rng.random((nodes, words)) < 0.15).astype(np.float32)
    features[np.arange(nodes), labels] = 1
    pairs = {
        tuple(sorted((i, int(j)))) for i in range(nodes) for j in rng.choice(np.flatnonzero(labels == labels[i]), 3)
    }
    edges = np.array(sorted(pair for pair in pairs if pair[0] != pair[1]))
    ids = np.arange(nodes)
    return Graph(features, labels, edges, ids[:12], ids[12:30], ids[30:], classes, "clusters")


EASY = {"cora": clusters(), "citeseer": clusters(seed=1)}


def all_runs(claim, records, scale=None):
    """The whole plan, with made-up records: record(config)."""
    runs, plan, answer = [], claim.plan(scale or Scale(2)), None
    while True:
        try:
            configs = plan.send(answer)
        except StopIteration:
            return Result(tuple(runs))
        answer = Result(tuple(Run(plain(c), plain(records(c))) for c in configs))
        runs += answer.runs


# ---- training


@pytest.mark.parametrize("kind", ["gcn", "gat"])
def test_a_network_learns_an_easy_graph(kind):
    config = {"kind": kind, "depth": 2, "lr": 0.02, "decay": 0.0, "epochs": 60, "seed": 0}
    record = _graphs.fit(EASY["cora"], config, nn.BatchNorm, dropout=0.2)
    assert record["validation"] > 0.9
    assert record["test"] > 0.85
    assert 0 <= record["epoch"] < 60
    assert record["loss"] < 0.5
    assert record == _graphs.fit(EASY["cora"], config, nn.BatchNorm, dropout=0.2)


def test_the_twin_for_evaluation_has_the_weights_and_statistics_of_the_network():
    csr, x = _graphs.inputs(EASY["cora"], False)
    net = _graphs.GraphNet("gat", csr, (12, 4, 3), nn.BatchNorm, generator=np.random.default_rng(0))
    twin = _graphs._evaluated(net)
    assert all(a is b for a, b in zip(net.parameters(), twin.parameters(), strict=True))
    assert all(a is b for a, b in zip(net.buffers(), twin.buffers(), strict=True))
    net(x)
    assert not twin.training
    assert net.training
    assert (twin.norms[0].running_mean != 0).any()


def test_only_training_nodes_keep_their_words_where_they_are_missing():
    graph = EASY["cora"]
    _, x = _graphs.inputs(graph, True)
    assert set(x.csr.row_indices) == set(graph.train)
    _, x = _graphs.inputs(graph, False)
    assert set(x.csr.row_indices) == set(range(60))


def test_the_first_epoch_with_the_best_validation_accuracy_counts(monkeypatch):
    graph, given = EASY["cora"], iter([0.5, 0.75, 0.75, 0.25])

    def right(net, x, graph):
        share, found = next(given), np.zeros(60, bool)
        for ids in (graph.validation, graph.test):
            found[ids[: round(share * len(ids))]] = True
        return found

    monkeypatch.setattr(_graphs, "_right", right)
    config = {"kind": "gcn", "depth": 1, "lr": 0.01, "decay": 0.0, "epochs": 4, "seed": 0}
    record = _graphs.fit(graph, config, None)
    assert (record["epoch"], record["validation"]) == (1, 14 / 18)
    assert record["test"] == pytest.approx(22 / 30)
    assert record["last test"] == pytest.approx(8 / 30)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_every_arm_runs_and_seeds_are_paired(claim):
    configs, seen = [], set()
    for config in next(claim.plan(Scale(2, quick=True))):
        arm = config["norm"], config["graph"]
        if arm not in seen:
            seen.add(arm)
            configs.append({**config, "epochs": 2, "depth": 2})
    records = [claim.run(config, EASY) for config in configs]
    assert {norm for norm, _ in seen} == set(graph_row.NORMS if claim is graph_row.CLAIM else graph_depth.NORMS)
    assert all({"validation", "test", "epoch", "last test", "loss"} == set(record) for record in records)
    json.dumps([plain(record) for record in records], allow_nan=False)


def test_the_norms_are_what_they_are_called():
    graph = EASY["cora"]
    made = {name: graph_depth._maker(name, graph) for name in graph_depth.NORMS}
    norms = {name: maker(4) for name, maker in made.items() if maker}
    assert set(graph_depth.NORMS) - set(norms) == {"none"}
    assert norms["batch norm"].momentum == 0.3
    assert not norms["statistics of the test pass"].track_running_stats
    assert norms["statistics of training nodes"].rows is graph.train
    assert (norms["centring alone"].centre, norms["centring alone"].scale) == (True, False)
    assert (norms["scaling alone"].centre, norms["scaling alone"].scale) == (False, True)
    assert isinstance(norms["layer norm"], nn.LayerNorm)
    assert sum(isinstance(norm, NodeNorm) for norm in norms.values()) == 3


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_kept_runs_are_found_by_another_process(claim):
    module = claim.run.__module__
    code = f"from minidl.lab.study.fingerprint import fingerprint; from {module} import run; print(fingerprint(run))"
    assert in_a_process(code) == fingerprint(claim.run)


# ---- plans


def test_depths_are_tried_with_other_seeds_and_chosen_on_validation():
    runs = all_runs(graph_row.CLAIM, lambda c: {"validation": -abs(c["depth"] - 4), "test": 0.1 * c["depth"]})
    tried, final = runs.where(stage="depth"), runs.where(stage="final")
    assert tried.settings("depth") == list(range(1, 11))
    assert final.settings("depth") == [4]
    assert len(final.runs) == 2 * 3 * 8
    assert not set(tried.settings("seed")) & set(final.settings("seed"))
    assert {(c.config["graph"], c.config["decay"]) for c in final.runs} == {("cora", 5e-4), ("citeseer", 5e-5)}


def test_each_arm_gets_its_own_setting():
    def record(config):
        wanted = "0.03, 0.0005, 0.5" if config["norm"] == "batch norm" else "0.01, 0.005, 0"
        return {"validation": float(config["setting"] == wanted), "test": 0.5}

    runs = all_runs(graph_depth.CLAIM, record)
    final = runs.where(stage="final")
    assert final.where(norm="batch norm").settings("setting") == ["0.03, 0.0005, 0.5"]
    assert final.where(norm="none").settings("setting") == ["0.01, 0.005, 0"]
    assert len(final.runs) == 7 * 2 * 8
    run = final.where(norm="batch norm").runs[0].config
    assert (run["lr"], run["decay"], run["dropout"]) == (0.03, 5e-4, 0.5)
    assert not set(runs.where(stage="tune").settings("seed")) & set(final.settings("seed"))


def test_twenty_seeds_by_default():
    for claim in CLAIMS:
        runs = all_runs(claim, lambda c: {"validation": 0.5, "test": 0.5}, Scale())
        assert len(runs.where(stage="final").settings("seed")) == 20


# ---- verdicts


def rows(cora, citeseer, spread=0.004):
    means = {"cora": cora, "citeseer": citeseer}
    return result(
        *[
            ({"stage": "final", "graph": g, "norm": n, "depth": 5, "seed": s}, {"test": mean + spread * (s - 1)})
            for g, mean in means.items()
            for n in graph_row.NORMS
            for s in range(3)
        ]
    )


@pytest.mark.parametrize(
    ("cora", "citeseer", "word"),
    [
        (0.727, 0.487, "reproduced"),
        (0.719, 0.495, "reproduced"),
        (0.716, 0.487, "partly"),
        (0.727, 0.55, "partly"),
        (0.70, 0.50, "contradicted"),
    ],
)
def test_verdicts_on_the_rows(cora, citeseer, word):
    verdict = graph_row.CLAIM.verdict(rows(cora, citeseer))
    assert verdict.word == word
    assert f"Cora {100 * cora:.1f} ± 1.0 % (row: 72.7)" in verdict.number
    assert "(5 layers)" in verdict.because
    less = f"{100 * (cora - 0.727):+.1f}".replace("-", "−").replace("+0.0", "0.0")
    assert f"Batch norm's mean less the row is {less} ± 1.0" in verdict.because.replace("+0.0", "0.0").replace(
        "−0.0", "0.0"
    )
    reach = sum(cora + 0.004 * s >= 0.727 for s in (-1, 0, 1))
    assert f"and {reach} of 3 seeds reach the row" in verdict.because


def test_accuracies_are_those_with_batch_norm_at_the_depth_that_was_chosen():
    """Other norms, and the runs that chose the depth, have other numbers, which the rule must not see."""
    found = rows(0.727, 0.487)
    for run in found.where(norm="layer norm").runs:
        run.record["test"] -= 0.2
    tried = [
        ({"stage": "depth", "graph": g, "norm": n, "depth": 5, "seed": 1000}, {"test": 0.1, "validation": 0.9})
        for g in graph_row.ROWS
        for n in graph_row.NORMS
    ]
    verdict = graph_row.CLAIM.verdict(joined(found, result(*tried)))
    assert verdict.word == "reproduced"
    assert verdict.numbers["cora, batch norm less layer norm"].mean == pytest.approx(0.2)
    assert verdict.numbers["citeseer, batch norm less none"].mean == pytest.approx(0)


def test_the_titles_say_who_is_ahead_by_intervals():
    seeds = 0.01 * np.arange(5)
    tests = {"none": 0.5 + seeds, "batch norm": 0.6 + seeds, "layer norm": 0.61 + seeds[::-1]}
    assert graph_row._ahead(tests) == "no arm is clearly ahead of the others"
    assert graph_row._ahead(tests | {"layer norm": 0.7 + seeds[::-1]}) == "layer norm is ahead at its best depth"
    assert graph_row._ahead(tests | {"none": 0.8 + seeds[::-1]}) == "none is ahead at its best depth"


@pytest.mark.skipif(not (RESULTS / "graph-row.json").is_file(), reason="the claim has not been run yet")
def test_what_the_limits_say_of_seeds_and_of_layer_norm_is_so():
    ((_, _, found),) = load_results(RESULTS, [graph_row.CLAIM])
    tried = found.where(stage="depth", graph="citeseer", norm="batch norm")
    chosen = graph_row._depth(found, "citeseer", "batch norm")
    assert abs(tried.values("test", depth=chosen).mean() - 0.487) < 0.01
    numbers = graph_row.CLAIM.verdict(found).numbers
    assert abs(numbers["citeseer, batch norm"].mean - 0.487) > 0.01
    assert all(numbers[f"{graph}, batch norm less layer norm"].below_zero for graph in graph_row.ROWS)
    assert not numbers["citeseer, batch norm less none"].above_zero


def depths(hurt, rescue, noise=0.0, **parts):
    def test(norm, depth, seed):
        change = {"batch norm": {2: hurt, 8: rescue}, **parts}.get(norm, {2: 0.0, 8: 0.0})[depth]
        return {2: 0.8, 8: 0.3}[depth] + change * (1 + noise * (seed - 1)) + 1e-4 * seed * (norm != "none")

    return result(
        *[
            ({"stage": "final", "norm": n, "depth": d, "seed": s}, {"test": test(n, d, s)})
            for n in graph_depth.NORMS
            for d in (2, 8)
            for s in range(3)
        ]
    )


@pytest.mark.parametrize(
    ("hurt", "rescue", "noise", "word"),
    [
        (-0.06, 0.4, 0.0, "reproduced"),
        (0.02, 0.4, 0.0, "partly"),
        (-0.06, -0.1, 0.0, "partly"),
        (0.02, -0.1, 0.0, "contradicted"),
        (-0.06, 0.4, 1.0, "not at this scale"),
    ],
)
def test_verdicts_on_depth(hurt, rescue, noise, word):
    assert graph_depth.CLAIM.verdict(depths(hurt, rescue, noise)).word == word


def test_the_part_that_does_it_is_named():
    parts = {"centring alone": {2: -0.001, 8: 0.3}, "scaling alone": {2: -0.05, 8: 0.1}}
    shallow, deep = graph_depth.CLAIM.verdict(depths(-0.06, 0.4, **parts)).because.split("With 8 layers")
    assert "is done by scaling alone." in shallow
    assert "is done by centring alone." in deep
    assert graph_depth.CLAIM.verdict(depths(-0.06, 0.4)).because.count("is done by none of its variants") == 2


# ---- page


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_figure_and_tables_show_the_result(claim):
    import matplotlib.pyplot as plt

    def record(config):
        return {"validation": 0.7, "test": 0.6 + 0.01 * (config["seed"] % 3) + 0.02 * len(config["norm"]) / 10}

    found = all_runs(claim, record)
    figure = claim.figure(found)
    axes = [ax for ax in figure.axes if ax.has_data()]
    assert all(ax.get_title(loc="left") and ax.get_xlabel() for ax in axes)
    assert len(axes) == (4 if claim is graph_row.CLAIM else 2)
    plt.close(figure)
    text = claim.tables(found)
    assert text.startswith("\n\n")
    assert text.count("| batch norm |") == (2 if claim is graph_row.CLAIM else 1)

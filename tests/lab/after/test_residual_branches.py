"""Residual branches: what is measured and trained is what the text says, and verdicts follow from the numbers."""

import json

import numpy as np
import pytest

from minidl import Tensor, nn
from minidl.lab.after import _residual, residual_branches
from minidl.lab.after._residual import Gate, residual_stack, sizes
from minidl.lab.study.claim import plain
from tests.lab.after.test_graph_claims import all_runs
from tests.lab.paper.synthetic import bars, edited, result

CLAIM = residual_branches.CLAIM
NONE, BATCH, SKIP, ONE = residual_branches.ARMS


def test_a_gate_multiplies_by_a_learned_number():
    rng = np.random.default_rng(0)
    gate = Gate(0.0)
    assert not gate(Tensor(rng.normal(size=(3, 4)).astype(np.float32))).data.any()
    x, u = rng.normal(size=(5, 3)), rng.normal(size=(5, 3))
    gate, given = Gate(-0.7).to("float64"), Tensor(x, requires_grad=True)
    y = gate(given)
    y.backward(u)
    alpha = float(gate.weight.data)
    assert alpha == pytest.approx(-0.7)
    assert y.data == pytest.approx(alpha * x)
    assert given.grad == pytest.approx(alpha * u)
    assert gate.weight.grad == pytest.approx((u * x).sum())


def test_a_stack_with_gates_from_0_begins_as_one_without_blocks():
    x = np.random.default_rng(1).normal(size=(4, 784)).astype(np.float32)
    model, plain_one = residual_stack(5, gate=0.0, seed=3), residual_stack(5, seed=3)
    for (_, a), (_, b) in zip(_weights(model), _weights(plain_one), strict=True):
        assert (a == b).all()
    y = Tensor(x)
    for layer in model.children():
        y = y if isinstance(layer, nn.Residual) else layer(y)
    assert model(Tensor(x)).data == pytest.approx(y.data)
    assert not (residual_stack(5, gate=1.0, seed=3)(Tensor(x)).data == model(Tensor(x)).data).any()


def _weights(model):
    return [(name, p.data) for name, p in model.named_parameters() if p.ndim == 2]


def test_sizes_are_mean_squares_along_the_skip_path():
    model = residual_stack(3, norm=True, width=7, seed=2)
    x = np.random.default_rng(2).normal(size=(6, 784)).astype(np.float32)
    skip, branch = sizes(model, x)
    first, *blocks = list(model.children())[:4]
    y, naive = first(Tensor(x)).data, []
    for block in blocks:
        z = y.astype(np.float64)
        z = (z - z.mean(0)) / np.sqrt(z.var(0) + 1e-5)
        linear = block.body[2]
        f = np.maximum(z, 0) @ linear.weight.data + linear.bias.data
        naive.append((np.square(y).mean(), np.square(f).mean()))
        y = y + f
    assert skip == pytest.approx([*(a for a, _ in naive), np.square(y).mean()], rel=1e-4)
    assert branch == pytest.approx([b for _, b in naive], rel=1e-4)


def test_the_two_rules_hold_on_average():
    """Each block adds 1 with batch norm, and doubles without: over many small networks, as both are means over weights."""
    digits, ends = bars(), {}
    for arm in (BATCH, NONE):
        config = {"stage": "look", "arm": arm, **residual_branches.ARMS[arm], "blocks": 6, "width": 60, "steps": 0}
        records = [residual_branches.run({**config, "seed": seed}, digits) for seed in range(24)]
        ends[arm] = np.mean([record["skip"] for record in records], axis=0)
    assert np.diff(ends[BATCH]).mean() == pytest.approx(1, abs=0.12)
    assert (ends[NONE][-1] / ends[NONE][0]) ** (1 / 6) == pytest.approx(2, abs=0.12)
    assert ends[BATCH][0] == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("arm", residual_branches.ARMS)
def test_every_arm_trains(arm):
    config = {
        **residual_branches.ARMS[arm],
        "stage": "final",
        "arm": arm,
        "blocks": 2,
        "width": 12,
        "steps": 3,
        "lr": 0.02,
    }
    record = residual_branches.run({**config, "seed": 0}, bars())
    assert {"validation", "test", "diverged"} <= set(record)
    json.dumps(plain(record), allow_nan=False)


def test_rates_suit_the_arm_and_seeds_of_results_are_not_tuned_on():
    runs = all_runs(CLAIM, lambda c: {"validation": 0.5, "test": 0.5})
    tuned, final = runs.where(stage="tune"), runs.where(stage="final")
    assert set(tuned.settings("arm")) == set(final.settings("arm"))
    assert len(final.settings("arm")) == 8
    assert not set(tuned.settings("seed")) & set(final.settings("seed"))
    for arm in (NONE, ONE):
        assert set(tuned.settings("lr", arm=f"{arm}, 64 blocks")) == set(residual_branches.TINY)
        assert set(tuned.settings("lr", arm=f"{arm}, 8 blocks")) == set(residual_branches.GRID)
    assert len(runs.where(stage="look", arm=BATCH).runs) == 16


def made_up(slope=1.0, growth=2.0, skip=0.92, none=0.1, spread=0.01):
    looks = [
        (
            {"stage": "look", "arm": arm, "seed": s},
            {
                "slope": slope + spread * (s - 1), "growth": growth + spread * (s - 1),
                "skip": (1 + np.arange(65.0) if arm == BATCH else 2.0 ** np.arange(65)) * (1 + 0.01 * s),
                "share": 1 / np.arange(2.0, 66) if arm == BATCH else np.full(64, 0.5),
            },
        )
        for arm in (BATCH, NONE)
        for s in range(3)
    ]  # fmt: skip
    ends = {NONE: none, BATCH: 0.91, SKIP: skip, ONE: 0.1}
    trained = [
        ({"stage": stage, "arm": f"{arm}, {n} blocks", "blocks": n, "lr": 0.1, "seed": s + 1000 * (stage == "tune")},
         {"test": (0.9 if n == 8 else ends[arm]) + 0.001 * s * (arm != NONE), "validation": 0.9})
        for stage in ("tune", "final") for n in (8, 64) for arm in residual_branches.ARMS for s in range(3)
    ]  # fmt: skip
    return result(*looks, *trained)


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({}, "reproduced"),
        ({"slope": 1.05}, "reproduced"),
        ({"slope": 1.09}, "partly"),  # the interval reaches beyond 1.1
        ({"growth": 1.8}, "partly"),
        ({"skip": 0.7}, "partly"),
        ({"none": 0.3}, "partly"),
        ({"slope": 1.5, "none": 0.95}, "contradicted"),
        ({"slope": 1.5, "skip": 0.7}, "not at this scale"),
        ({"slope": 1.0, "spread": 0.2, "none": 0.95}, "not at this scale"),
    ],
)
def test_verdicts(settings, word):
    assert CLAIM.verdict(made_up(**settings)).word == word


def test_numbers_figure_and_table():
    from minidl.lab import plot

    made = made_up()
    verdict = CLAIM.verdict(made)
    assert "each block adds 1.000 ± 0.025 with batch norm" in verdict.number
    assert "where the rule says 0.0154" in verdict.because
    figure = CLAIM.figure(made)
    titles = [ax.get_title(loc="left") or ax.get_title() for ax in figure.axes]
    assert any("gives +82 points" in title for title in titles)
    assert "The last branch: a share of 0.015 with BN" in titles
    changed = edited(made, {"stage": "final", "arm": f"{SKIP}, 64 blocks"}, test=0.5)
    assert any("+40 points" in (ax.get_title(loc="left") or ax.get_title()) for ax in CLAIM.figure(changed).axes)
    assert len(plot.png(figure)) > 1000
    assert CLAIM.tables(made).count("\n| ") == 1 + 8


def test_the_course_has_the_same_stack():
    from minidl.lab.course import depth

    assert depth.residual_stack is _residual.residual_stack

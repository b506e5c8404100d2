"""The claim on exploding gradients: its formulas against simulations, its measure against products, its verdicts."""

import math
from pathlib import Path

import numpy as np
import pytest

from minidl import Tensor, nn
from minidl.lab.after import _residual, _stacks, explosion
from minidl.lab.study.claim import Scale
from minidl.lab.study.page import load_results
from tests.lab.after.test_graph_claims import all_runs

CLAIM, RELU = explosion.CLAIM, math.pi / (math.pi - 1)
SIZES = {"arm": "BN, ReLU", "width": 1024, "batch": 512}
RESULTS = Path(__file__).parents[3] / "results"


def simulated(f, slope, batch, units=200_000):
    """The factor of a layer by drawing what the formula is about: x̂, the Gram matrix, σ², and what batch norm removes."""
    rng = np.random.default_rng(0)
    z = rng.standard_normal((units, batch))
    z -= z.mean(1, keepdims=True)
    x_hat = z / z.std(1, keepdims=True)
    gram = f(x_hat).T @ f(x_hat) / units
    h = rng.multivariate_normal(np.zeros(batch), gram, units, method="eigh")
    inverse = (1 / h.var(1)).mean()
    grad = rng.standard_normal((units, batch))
    grad -= grad.mean(1, keepdims=True)  # from above: centred
    through = grad * slope(x_hat)
    left = through - through.mean(1, keepdims=True) - x_hat * (through * x_hat).mean(1, keepdims=True)
    return inverse * (left**2).sum() / (grad**2).sum()


@pytest.mark.parametrize("batch", [8, 16])
def test_the_formula_for_a_batch_is_what_a_simulation_gives(batch):
    relu = simulated(lambda x: np.maximum(x, 0), lambda x: x > 0, batch)
    assert _stacks.explosion_in_batches("ReLU", batch) == pytest.approx(relu, rel=0.02)
    identity = simulated(lambda x: x, np.ones_like, batch)
    assert _stacks.explosion_in_batches("identity", batch) == pytest.approx(identity, rel=0.02)


def test_large_batches_have_the_factors_of_the_limit():
    assert _stacks.explosion_in_batches("ReLU", 10**7) == pytest.approx(RELU, rel=1e-6)
    assert _stacks.explosion_in_batches("identity", 12) == pytest.approx(10 / 9)
    factors = [_stacks.explosion_in_batches("ReLU", batch) for batch in (4, 8, 64, 1000)]
    assert factors == sorted(factors, reverse=True)
    assert factors[-1] > RELU


@pytest.mark.parametrize(("activation", "batch", "said"), [("ReLU", 3, "less than 4"), ("tanh", 8, "'tanh'")])
def test_what_has_no_formula_is_refused(activation, batch, said):
    with pytest.raises(ValueError, match=said):
        _stacks.explosion_in_batches(activation, batch)


def test_gradients_of_a_chain_are_products():
    model = nn.Sequential(*_stacks.stack(2, activation="ReLU", width=4, seed=3, inputs=5)[:-1])
    generator = np.random.default_rng(0)
    x, cotangent = generator.standard_normal((6, 5), np.float32), generator.standard_normal((6, 4), np.float32)
    one, two = (model[i].weight.data for i in (0, 2))
    second = cotangent * (np.maximum(x @ one, 0) @ two > 0)  # at the outputs of the linear layers, not of ReLU
    first = (second @ two.T) * (x @ one > 0)
    expected = [np.square(first).mean(), np.square(second).mean()]
    np.testing.assert_allclose(_stacks.squared_gradients(model, x, cotangent), expected, rtol=1e-5)


def test_a_residual_block_is_seen_where_it_ends():
    model = _residual.residual_stack(2, norm=True, width=4, inputs=4)[:-1]
    assert len(_stacks.squared_gradients(model, np.eye(4, dtype=np.float32), np.ones((4, 4), np.float32))) == 3


def test_stacks_take_other_inputs_and_no_activation():
    model = _stacks.stack(2, activation="identity", norm=True, width=6, inputs=9)
    assert [layer.weight.shape for layer in model if isinstance(layer, nn.Linear)] == [(9, 6), (6, 6), (6, 10)]
    assert sum(isinstance(layer, nn.Identity) for layer in model) == 2
    assert _residual.residual_stack(1, width=6, inputs=9)(Tensor(np.zeros((2, 9), np.float32))).shape == (2, 10)


# ---- runs


def test_narrow_stacks_are_near_the_formulas():
    def mean(arm, batch):
        config = {"arm": arm, **explosion.ARMS[arm], "width": 64, "batch": batch, "depth": 16}
        runs = [explosion.run({**config, "seed": seed}) for seed in range(6)]
        assert all(np.shape(run["squares"]) == (16,) and run["squares"][-1] == 1 for run in runs)
        return np.mean([run["growth"] for run in runs])

    assert mean("BN, ReLU", 128) == pytest.approx(RELU, rel=0.05)
    assert mean("BN, ReLU", 8) == pytest.approx(_stacks.explosion_in_batches("ReLU", 8), rel=0.08)
    assert mean("BN, tanh", 128) == pytest.approx(explosion.FORMULA["BN, tanh"], rel=0.05)
    assert mean("no norm, ReLU", 128) == pytest.approx(1, rel=0.05)
    assert mean("BN, no activation", 128) == pytest.approx(1, rel=0.05)
    assert 1 < mean("BN, ReLU, residual", 128) < 1.3


def test_a_run_has_its_factors_from_the_right_layers():
    config = {"arm": "BN, ReLU", **explosion.ARMS["BN, ReLU"], "width": 16, "batch": 16, "depth": 20, "seed": 1}
    record = explosion.run(config)
    fifth, tenth, fifteenth = record["squares"][[4, 9, 14]]
    assert record["growth"] == pytest.approx((fifth / fifteenth) ** (1 / 10))
    assert record["shallow half"] == pytest.approx((fifth / tenth) ** (1 / 5))
    assert record["deep half"] == pytest.approx((tenth / fifteenth) ** (1 / 5))
    assert record["shallow half"] != pytest.approx(record["deep half"])


def test_factors_are_between_the_right_layers():
    squares = 3.0 ** np.arange(10, 0, -1)
    assert explosion._growth(squares, 2, 7) == pytest.approx(3)
    squares[:4] *= 100
    assert explosion._growth(squares, 5, 9) == pytest.approx(3)
    assert explosion._growth(squares, 4, 6) == pytest.approx(30)


def made(growth=RELU, spread=0.001, uneven=0.0, **others):
    def record(config):
        shift = spread * (config["seed"] % 5 - 2)
        value = growth if all(config[k] == v for k, v in SIZES.items()) else 1.2
        value = others.get(config["arm"], value) + shift
        squares = value ** np.arange(config["depth"] - 1, -1, -1.0)
        return {"squares": squares, "growth": value, "deep half": value, "shallow half": value * (1 + uneven)}

    return all_runs(CLAIM, record, Scale())


@pytest.mark.parametrize(
    ("growth", "spread", "uneven", "word"),
    [
        (RELU, 0.001, 0.0, "reproduced"),
        (RELU * 1.015, 0.001, 0.0, "reproduced"),
        (RELU * 1.03, 0.001, 0.0, "partly"),
        (RELU * 0.97, 0.001, 0.0, "partly"),
        (RELU, 0.1, 0.0, "partly"),
        (RELU, 0.001, 0.07, "partly"),
        (1.01, 0.001, 0.0, "contradicted"),
        (1.05, 0.1, 0.0, "not at this scale"),
    ],
)
def test_verdicts(growth, spread, uneven, word):
    verdict = CLAIM.verdict(made(growth, spread, uneven))
    assert verdict.word == word
    assert f"{growth:.3f}" in verdict.number


def test_halves_that_cancel_out_are_told():
    result = made()
    for run in result.where(arm="BN, no activation").runs:
        run.record.update({"growth": 1.0, "shallow half": 0.9, "deep half": 1.1})
    for run in result.where(arm="BN, ReLU, residual").runs:
        run.record["squares"] = np.full(30, 40.0).tolist()
    told = CLAIM.verdict(result).because
    assert "on average, 0.900 ± 0.000 in the half near the input and 1.100 ± 0.000 in the other" in told
    assert "grows 40.0 ± 0.0 times" in told
    wide = [run.record["squares"][0] for run in result.where(arm="BN, ReLU", width=512, batch=512).runs]
    assert f"the same width, {np.mean(wide):,.0f} ± " in told


@pytest.mark.skipif(not (RESULTS / "explosion.json").is_file(), reason="the claim has not been run yet")
def test_what_the_limits_say_is_so():
    ((_, _, found),) = load_results(RESULTS, [CLAIM])
    assert CLAIM.verdict(found).numbers["log of the shallow half's over the deep half's"].above_zero
    for run in found.where(batch=512, arm="BN, ReLU").runs:
        squares = run.record["squares"]
        assert squares[0] < 0.7 * squares[1]  # the first layer is another one
    for width in explosion.WIDTHS:
        assert found.values("growth", arm="BN, ReLU", width=width, batch=512).mean() < RELU


def test_the_widest_stack_with_the_largest_batch_is_judged():
    assert explosion._sizes(made()) == {"width": 1024, "batch": 512}
    quick = all_runs(CLAIM, lambda c: {"growth": 1.4}, Scale(2, quick=True))
    assert explosion._sizes(quick) == {"width": 128, "batch": 512}
    assert explosion._in_table(quick) == (64, 512)
    assert explosion._in_table(made()) == (512, 512)


def test_every_size_has_every_seed_once():
    runs = made().runs
    assert len(runs) == 10 * (5 + 6 + 4)
    assert len({str(run.config) for run in runs}) == len(runs)


def test_figure_and_tables_show_the_result():
    import matplotlib.pyplot as plt

    result = made()
    figure = CLAIM.figure(result)
    assert "1.47" in figure.axes[0].get_title(loc="left")
    assert all(ax.get_title(loc="left") and ax.get_xlabel() and ax.get_ylabel() for ax in figure.axes)
    plt.close(figure)
    text = CLAIM.tables(result)
    assert text.startswith("\n\n")
    assert text.count("| 512 |") >= 7
    assert "| 1,024 | 512 | 1.467" in text
    assert f"| {_stacks.explosion_in_batches('ReLU', 8):.3f} |" in text

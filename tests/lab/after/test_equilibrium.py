"""The claim on weight decay: the formula against descents with momentum, the measure against norms, its verdicts."""

import json

import numpy as np
import pytest

from minidl import nn
from minidl.lab.after import _small_photos, equilibrium
from minidl.lab.after._balance import equilibrium as at_rest
from minidl.lab.course import invariance
from minidl.lab.paper._training import draws, loss_of
from minidl.lab.photos import made_up
from minidl.lab.study.claim import Scale, plain
from tests.lab.after.test_graph_claims import all_runs

CLAIM = equilibrium.CLAIM
LAYERS = 8


@pytest.fixture(scope="module")
def photos():
    return made_up(300, 60)


def config(arm, start=1.0, steps=8, seed=1):
    return {"arm": arm, **equilibrium.ARMS[arm], "start": start, "steps": steps, "seed": seed}


# ---- the formula


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_momentum_makes_the_equilibrium_that_the_formula_says(momentum):
    generator, lr, decay = np.random.default_rng(2), 0.1 * (1 - momentum), 0.02
    w, velocity, norms = np.eye(20)[0], np.zeros(20), []
    for _ in range(6000):
        noise = generator.standard_normal(20)
        u = w / np.linalg.norm(w)
        grad = (noise - u * (u @ noise)) / np.linalg.norm(w)  # E‖g̃‖² is 19, and none correlates with another
        velocity = momentum * velocity + grad + decay * w
        w = w - lr * velocity
        norms.append(np.linalg.norm(w))
    assert np.mean(norms[3000:]) == pytest.approx(at_rest(lr, decay, 19, momentum), rel=0.02)


def test_the_lesson_has_the_same_formula():
    assert invariance.equilibrium is at_rest
    np.testing.assert_allclose(at_rest(0.1, 0.02, np.array([4.0, 40.0])), [10**0.25, 100**0.25])


# ---- runs


def descent(given, photos):
    """Norms and gradients of the convolutions, by a descent that is written out; plain SGD."""
    model = _small_photos.network(given["norm"], given["seed"])
    weights = [m.weight for m in model.modules() if isinstance(m, nn.Conv2d)]
    for weight in weights:
        weight.data = weight.data * np.float32(given["start"])
    batches = draws(_small_photos.small(photos)[0], 32, given["seed"])
    rows = []
    for _ in range(given["steps"] + 1):
        model.zero_grad()
        loss_of(model, *next(batches)).backward()
        rows.append([(np.linalg.norm(w.data), np.linalg.norm(w.grad), (w.data * w.grad).sum()) for w in weights])
        for p in model.parameters():
            hidden = any(p is w for w in weights)
            rate, decay = (given["lr"], given["decay"]) if hidden else (equilibrium.REST, 0.0)
            p.data = p.data - np.float32(rate) * (p.grad + np.float32(decay) * p.data)
    return np.moveaxis(np.array(rows, float), 2, 0)


@pytest.mark.parametrize(("arm", "start"), [(equilibrium.BN, 0.25), (equilibrium.NONE, 1.0)])
def test_lengths_and_balance_are_those_of_a_descent(arm, start, photos):
    given = config(arm, start)
    record = equilibrium.run(given, photos)
    lengths, slopes, products = descent(given, photos)
    np.testing.assert_allclose(record["lengths"], lengths, rtol=1e-4)
    w, g, wg = (rows[-2:] for rows in (lengths, slopes, products))  # a fourth of nine
    np.testing.assert_allclose(record["measured"], (w**4).mean(0) ** 0.25, rtol=1e-4)
    squared = (w**2 * g**2).mean(0)
    np.testing.assert_allclose(record["balance"], (given["lr"] * squared / (2 * given["decay"])) ** 0.25, rtol=2e-3)
    np.testing.assert_allclose(record["effective"], given["lr"] / (w**2).mean(0), rtol=1e-4)
    gain = 1 - 2 * wg.sum(0) / (given["lr"] * (g**2).sum(0))
    np.testing.assert_allclose(record["gain"], gain, rtol=0.02, atol=0.02)


def test_gradients_are_at_right_angles_before_batch_norm_alone(photos):
    batch, none = (equilibrium.run(config(arm), photos)["gain"] for arm in (equilibrium.BN, equilibrium.NONE))
    np.testing.assert_allclose(batch, 1, atol=0.02)
    assert np.abs(none - 1).mean() > 0.2


def test_starts_are_multiples_of_the_same_weights(photos):
    first = [equilibrium.run(config(equilibrium.BN, start, 1), photos)["lengths"][0] for start in equilibrium.STARTS]
    np.testing.assert_allclose(np.array(first) / first[1], np.array([[0.25], [1], [4]]) * np.ones(LAYERS), rtol=1e-5)


def test_momentum_is_in_the_descent_and_in_the_formula(photos):
    given = config(equilibrium.MOMENTUM, steps=3)
    record, without = equilibrium.run(given, photos), equilibrium.run({**given, "momentum": 0.0}, photos)
    assert not np.allclose(record["lengths"][3], without["lengths"][3], rtol=1e-6)
    np.testing.assert_allclose(record["lengths"][:2], without["lengths"][:2], rtol=1e-4)
    assert equilibrium.ARMS[equilibrium.MOMENTUM]["lr"] / (1 - 0.9) == pytest.approx(equilibrium.RATE)


def test_records_are_plain_and_the_same_again(photos):
    given = config(equilibrium.BN, steps=2)
    record = plain(equilibrium.run(given, photos))
    assert record == plain(equilibrium.run(given, photos))
    assert {"test", "lengths", "measured", "balance", "gain", "effective"} <= set(record)
    json.dumps(record, allow_nan=False)


def test_a_network_that_diverges_has_no_lengths(photos):
    record = plain(equilibrium.run({**config(equilibrium.NONE, steps=12), "lr": 1e7}, photos))
    assert record["diverged"] is not None
    assert record["measured"] == [None] * LAYERS


def test_the_pair_has_the_same_product():
    one, other = (equilibrium.ARMS[arm] for arm in (equilibrium.BN, equilibrium.PAIR))
    assert one["lr"] * one["decay"] == pytest.approx(other["lr"] * other["decay"])
    assert one["lr"] != other["lr"]


# ---- verdicts


def made(apart=0.01, off=0.01, bent=0.3, spread=0.001, straight=0.0):
    """Starts that end so far apart, lengths so far off the formula, steps so far off right angles without BN and with."""

    def record(given):
        shift = spread * (given["seed"] - 2)
        length = 2.0 * (1 + (apart + shift) * (given["start"] == 4.0))
        none = given["arm"] == equilibrium.NONE
        ones = np.ones(LAYERS) * np.arange(1, LAYERS + 1)
        return {
            "measured": length * ones, "balance": length * ones / (1 + (0.5 if none else off) + shift), "test": 0.5,
            "gain": np.full(LAYERS, 1 + (bent if none else straight)), "effective": given["lr"] / length**2 * ones,
            "lengths": np.ones((51, LAYERS)),
        }  # fmt: skip

    return all_runs(CLAIM, record, Scale())


@pytest.mark.parametrize(
    ("apart", "off", "bent", "straight", "spread", "word"),
    [
        (0.01, 0.01, 0.3, 0.0, 0.001, "reproduced"),
        (0.01, -0.03, -0.3, 0.005, 0.001, "reproduced"),
        (0.01, 0.01, 0.005, 0.0, 0.001, "partly"),
        (0.01, 0.01, 0.3, -0.02, 0.001, "partly"),
        (0.08, 0.01, 0.3, 0.0, 0.001, "partly"),
        (0.01, 0.08, 0.3, 0.0, 0.001, "partly"),
        (0.30, 0.30, 0.3, 0.0, 0.001, "contradicted"),
        (0.06, 0.06, 0.3, 0.0, 0.03, "not at this scale"),
    ],
)
def test_verdicts(apart, off, bent, straight, spread, word):
    verdict = CLAIM.verdict(made(apart, off, bent, spread, straight))
    assert verdict.word == word
    assert verdict.numbers[f"off right angles, {equilibrium.NONE}"].mean == pytest.approx(abs(bent))
    if spread < 0.01:
        assert verdict.numbers["three starts, apart"].mean == pytest.approx(apart, abs=1e-6)
        assert verdict.numbers[f"off the balance, {equilibrium.BN}"].mean == pytest.approx(abs(off), abs=1e-6)


def test_the_formula_must_hold_from_every_start():
    found = made()
    for run in found.where(arm=equilibrium.BN, start=0.25).runs:
        run.record["balance"] = [1.2 * length for length in run.record["measured"]]
    verdict = CLAIM.verdict(found)
    assert verdict.word == "partly"
    assert verdict.numbers["off the balance, worst of three starts"].mean == pytest.approx(1 - 1 / 1.2)
    assert verdict.numbers[f"off the balance, {equilibrium.BN}"].high < 0.05


def test_effective_rates_and_what_still_grows_are_told():
    found = made(apart=0.1, spread=0.0)
    lengths = np.linspace(1, 2, 51)[:, None] * np.ones((1, LAYERS))
    for run in found.where(arm=equilibrium.BN, start=0.25).runs:
        run.record["lengths"] = lengths.tolist()
    verdict = CLAIM.verdict(found)
    assert verdict.numbers["three starts, effective rates apart"].mean == pytest.approx(1.1**2 - 1, rel=1e-5)
    assert "still changes lengths by +13.6 ± 0.0 %, +0.0 ± 0.0 %, +0.0 ± 0.0 %." in verdict.because


def test_the_first_title_is_about_the_layer_that_is_drawn():
    import matplotlib.pyplot as plt

    found = made(apart=0.0, spread=0.0)
    for run in found.where(arm=equilibrium.BN, start=4.0).runs:
        run.record["measured"][LAYERS // 2] *= 1.25  # an eighth of it as a mean over layers
    figure = CLAIM.figure(found)
    assert figure.axes[0].get_title(loc="left") == "In this layer, three starts end 25 % apart"
    assert figure.axes[0].get_ylabel() == "‖w‖ of convolution 5, with BN"
    plt.close(figure)


def test_every_start_is_run_with_batch_norm_and_others_from_one():
    found = made()
    assert len(found.runs) == 5 * (3 + 3)
    assert found.settings("start", arm=equilibrium.BN) == [0.25, 1.0, 4.0]
    assert all(found.settings("start", arm=arm) == [1.0] for arm in equilibrium.ARMS if arm != equilibrium.BN)


# ---- page


@pytest.mark.parametrize(("apart", "said"), [(0.01, "end at the same length"), (0.3, "end 30 % apart")])
def test_figure_and_tables_show_the_result(apart, said):
    import matplotlib.pyplot as plt

    found = made(apart)
    figure = CLAIM.figure(found)
    titles = [ax.get_title(loc="left").replace("\n", " ") for ax in figure.axes]
    assert said in titles[0]
    assert titles[1] == "The worst arm with BN is 1 % off the formula"
    assert "50 % off" in titles[2]
    plt.close(figure)
    text = CLAIM.tables(found)
    assert text.startswith("\n\n")
    assert text.count("1.010") == LAYERS
    assert text.count("1.500") == LAYERS


def test_what_diverged_without_batch_norm_is_shown_as_missing():
    import matplotlib.pyplot as plt

    found = made()
    for run in found.where(arm=equilibrium.NONE).runs:
        run.record.update(dict.fromkeys(("measured", "balance", "gain", "effective"), [None] * LAYERS))
    assert CLAIM.verdict(found).word == "partly"
    assert "no number" in CLAIM.verdict(found).number
    plt.close(CLAIM.figure(found))
    assert "no number" in CLAIM.tables(found)

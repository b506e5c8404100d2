"""The claims on small photographs: what is trained and measured is what the text says, and verdicts follow from numbers."""

import json

import numpy as np
import pytest

from minidl import Tensor, nn
from minidl.lab.after import _small_photos, landscape, large_rates
from minidl.lab.paper._landscape import along_gradient
from minidl.lab.paper._training import draws, loss_of
from minidl.lab.photos import made_up
from minidl.lab.study.claim import Scale, plain
from minidl.optim import SGD
from tests.lab.after.test_graph_claims import all_runs
from tests.lab.paper.synthetic import joined, result

CLAIMS = (landscape.CLAIM, large_rates.CLAIM)
RATES = {"with BN": 0.4, "without BN": 0.1}


@pytest.fixture(scope="module")
def photos():
    return made_up(300, 60)


# ---- photographs and training


def test_pixels_are_means_of_four(photos):
    training, _ = _small_photos.small(photos)
    assert [len(part) for part in training] == [270, 270, 30, 30, 60, 60]
    assert training.x.shape == (270, 16, 16, 3)
    assert training.x.dtype == np.float32
    data = _small_photos._photos.split(photos)
    whole = data.ready(data.x[7])
    assert training.x[7, 3, 5] == pytest.approx(whole[6:8, 10:12].mean((0, 1)), rel=1e-4, abs=1e-6)
    assert training.y[7] == data.y[7]
    assert abs(training.x.mean()) < 0.05


def test_what_measures_is_a_part_of_each(photos, monkeypatch):
    monkeypatch.setattr(_small_photos, "MEASURED", (40, 20, 30))
    _small_photos.small.cache_clear()
    training, measured = _small_photos.small(photos)
    _small_photos.small.cache_clear()
    assert [len(part) for part in measured] == [40, 40, 20, 20, 30, 30]
    assert all(
        np.array_equal(ours, all_of_them[: len(ours)]) for ours, all_of_them in zip(measured, training, strict=True)
    )


def test_convolutions_are_added_at_the_end():
    more, less = _small_photos.network("none", 3, 8, 2), _small_photos.network("none", 3, 8)
    assert len(more) == len(less) + 4
    shapes = [m.weight.shape for m in more if isinstance(m, nn.Conv2d)]
    assert shapes[-2:] == [(3, 3, 32, 32)] * 2
    assert [m.weight.shape for m in less if isinstance(m, nn.Conv2d)] == shapes[:-2]
    assert all(np.array_equal(a.weight.data, b.weight.data) for a, b in zip(more[:4:2], less[:4:2], strict=True))
    batch = _small_photos.network("batch", 3, 8, 2)
    assert [type(m).__name__ for m in batch][-5:] == ["Conv2d", "BatchNorm", "ReLU", "GlobalAvgPool2d", "Linear"]
    assert batch(Tensor(np.zeros((2, 16, 16, 3), np.float32))).shape == (2, 10)


def test_networks_of_a_seed_have_equal_weights():
    batch, none = (_small_photos.network(norm, 3) for norm in ("batch", "none"))
    kinds = {
        kind: [m for m in batch.modules() if isinstance(m, kind)] for kind in (nn.Conv2d, nn.BatchNorm, nn.Dropout)
    }
    assert [len(found) for found in kinds.values()] == [8, 8, 0]
    others = [m for m in none.modules() if isinstance(m, nn.Conv2d)]
    assert all(np.array_equal(a.weight.data, b.weight.data) for a, b in zip(kinds[nn.Conv2d], others, strict=True))
    assert not np.array_equal(_small_photos.network("batch", 4)[0].weight.data, batch[0].weight.data)


def test_training_is_plain_descent_and_is_looked_at(photos):
    config, seen = {"norm": "batch", "lr": 0.2, "steps": 3, "seed": 5}, []
    record = _small_photos.train_small(
        config, photos, lambda model, step: seen.append((step, model[0].weight.data.copy())), (0, 3)
    )
    model, batches = _small_photos.network("batch", 5), draws(_small_photos.small(photos)[0], 32, 5)
    optimizer = SGD(model.parameters(), 0.2)
    first = model[0].weight.data.copy()
    for _ in range(3):
        optimizer.zero_grad()
        loss_of(model, *next(batches)).backward()
        optimizer.step()
    assert [step for step, _ in seen] == [0, 3]
    np.testing.assert_array_equal(seen[0][1], first)
    np.testing.assert_array_equal(seen[1][1], model[0].weight.data)
    assert set(record) == {"train", "validation", "test", "diverged"}


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_runs_are_deterministic_and_plain(claim, photos):
    config = {"norm": "batch", "arm": "with BN", "stage": "final", "lr": 0.2, "steps": 4, "seed": 1}
    record = claim.run(config, photos)
    assert plain(record) == plain(claim.run(config, photos))
    json.dumps(plain(record), allow_nan=False)
    tuned = claim.run({**config, "stage": "tune"}, photos)
    assert {name: record[name] for name in tuned} == tuned  # what looks does not disturb


def test_a_run_has_the_network_of_its_configuration(photos, monkeypatch):
    built, network = [], _small_photos.network
    monkeypatch.setattr(_small_photos, "network", lambda *settings: built.append(settings) or network(*settings))
    arms = large_rates.ARMS
    for settings in arms.values():
        large_rates.run({**settings, "lr": 0.1, "steps": 0, "seed": 7}, photos)
    assert built == [(norm, 7, 8, more) for more in (0, 4) for norm in ("batch", "none")]
    landscape.run({**landscape.ARMS["without BN"], "stage": "tune", "lr": 0.1, "steps": 0, "seed": 3}, photos)
    assert built[-1] == ("none", 3, 16, 0)


def test_looks_are_along_the_gradient_of_other_batches(photos):
    config = {"norm": "none", "stage": "final", "lr": 0.1, "steps": 1, "seed": 2}
    record = landscape.run(config, photos)
    others = draws(_small_photos.small(photos)[0], 32, 502)
    path = along_gradient(_small_photos.network("none", 2), next(others), 0.1, landscape.LENGTHS)
    assert record["loss range"][0] == pytest.approx(path.loss_range)
    assert record["smoothness"][0] == pytest.approx(path.smoothness)
    np.testing.assert_allclose(record["by length"][0], path.changes / path.distances)
    assert np.shape(record["by length"]) == (2, 5)
    assert {len(record[name]) for name in landscape.MEASURES} == {2}


def test_a_network_that_diverges_has_no_numbers_after_that(photos):
    record = plain(landscape.run({"norm": "none", "stage": "final", "lr": 1e6, "steps": 12, "seed": 0}, photos))
    assert record["diverged"] is not None
    assert record["smoothness"][-1] is None
    assert len(record["smoothness"]) == 13
    assert record["by length"][-1] == [None] * 5


# ---- plans


def plan_of(claim, rates, scale):
    """All runs of a plan where each arm trains best at these rates: "with BN" → rate."""

    def record(config):
        return {"validation": -abs(np.log(config["lr"] / rates[config["arm"].partition(",")[0]])), "test": 0.5}

    return all_runs(claim, record, scale)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_batch_norm_also_has_the_rate_of_the_network_without_it(claim):
    runs = plan_of(claim, RATES, Scale())
    final = runs.where(stage="final")
    kinds, seeds = (2, large_rates.SEEDS) if claim is large_rates.CLAIM else (1, 5)
    assert len(final.runs) == 3 * seeds * kinds
    assert len(final.settings("arm")) == 2 * kinds
    for arm in final.settings("arm"):
        assert final.where(arm=arm).settings("lr") == ([0.4, 0.1] if arm.startswith("with BN") else [0.1])
    assert final.settings("seed") == list(range(seeds))
    assert not set(final.settings("seed")) & set(runs.where(stage="tune").settings("seed"))
    assert runs.where(stage="tune").settings("steps") == final.settings("steps")


def test_each_depth_has_rates_of_its_own():
    best = dict(zip(large_rates.ARMS, (0.4, 0.1, 0.2, 0.05), strict=True))
    runs = all_runs(CLAIMS[1], lambda c: {"validation": -abs(np.log(c["lr"] / best[c["arm"]])), "test": 0.5}, Scale())
    rates = {arm: runs.where(stage="final", arm=arm).settings("lr") for arm in best}
    assert list(rates.values()) == [[0.4, 0.1], [0.1], [0.2, 0.05], [0.05]]


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_equal_rates_are_run_once(claim):
    final = plan_of(claim, {"with BN": 0.2, "without BN": 0.2}, Scale(2, quick=True)).where(stage="final")
    each = 8 if claim is large_rates.CLAIM else 4
    assert len({json.dumps(run.config, sort_keys=True) for run in final.runs}) == len(final.runs) == each


# ---- verdicts


def tuned():
    return result(
        *[
            (
                {"arm": arm, "stage": "tune", "lr": lr, "seed": seed, "steps": 500},
                {"validation": 0.5 - 0.1 * (lr != best)},
            )
            for arm, best in RATES.items()
            for lr in _small_photos.GRID
            for seed in (1000, 1001)
        ]
    )


def final(rows):
    """Runs of the stage "final": (arm, rate) → record(seed)."""
    return result(
        *[
            ({"arm": arm, "stage": "final", "lr": lr, "seed": seed, "steps": 500}, record(seed))
            for (arm, lr), record in rows.items()
            for seed in range(4)
        ]
    )


def measured(same=2.0, own=2.0, odd=None):
    """Measures without batch norm that are so many times those with it; `odd`: a measure that is the other way round."""

    def record(level, jitter=0.0):
        def of_seed(seed):
            found = {name: np.full(13, level(name) * (1 + jitter * seed)) for name in landscape.MEASURES}
            found["smoothness"][0] = 1e9  # the start does not count
            return found | {"test": 0.5, "by length": np.ones((13, 5))}

        return of_seed

    rows = {
        ("without BN", 0.1): record(lambda name: 1.0, 1e-3),
        ("with BN", 0.1): record(lambda name: same if name == odd else 1 / same),
        ("with BN", 0.4): record(lambda name: 1 / own),
    }
    return joined(tuned(), final(rows))


@pytest.mark.parametrize(
    ("same", "own", "odd", "word"),
    [
        (3.0, 2.0, None, "reproduced"),
        (3.0, 0.5, None, "partly"),
        (3.0, 2.0, "loss range", "partly"),
        (0.5, 0.5, None, "contradicted"),
    ],
)
def test_verdicts_on_the_landscape(same, own, odd, word):
    verdict = landscape.CLAIM.verdict(measured(same, own, odd))
    assert verdict.word == word
    assert len(verdict.numbers) == 6
    smoothness = verdict.numbers["log of effective β, without over with BN, the same rate"]
    assert smoothness.mean == pytest.approx(np.log(same), abs=0.01)


def test_no_difference_is_no_evidence():
    flat = final({
        key: lambda seed, shift=shift: {
            **{name: np.full(13, 2 + shift * (-1) ** seed * (1 + seed)) for name in landscape.MEASURES},
            "test": 0.5, "by length": np.ones((13, 5)),
        }
        for key, shift in {("without BN", 0.1): 0.1, ("with BN", 0.1): -0.1, ("with BN", 0.4): -0.1}.items()
    })  # fmt: skip
    assert landscape.CLAIM.verdict(joined(tuned(), flat)).word == "not at this scale"


def test_means_are_of_logarithms_and_differences_of_seeds():
    """A measure varies by a factor of 100 over training, and of 1,000 between seeds, there in all networks alike."""

    def record(factor, places):
        def of_seed(seed):
            varied = factor * 10.0**seed * np.array(places)
            return dict.fromkeys(landscape.MEASURES, varied) | {"test": 0.5, "by length": np.ones((len(varied), 5))}

        return of_seed

    low, high = [5.0] + [1.0] * 6 + [100.0] * 6, [10.0] * 13  # after the start equal in their geometric mean
    rows = {("without BN", 0.1): (2.0, low), ("with BN", 0.1): (1.0, high), ("with BN", 0.4): (1.0, high)}
    found = joined(tuned(), final({key: record(*row) for key, row in rows.items()}))
    verdict = landscape.CLAIM.verdict(found)
    assert verdict.word == "reproduced"
    for interval in verdict.numbers.values():
        assert np.exp([interval.low, interval.high]) == pytest.approx([2, 2], rel=1e-6)
    start = verdict.because.partition("At step 0, which does not count, they are, at the same rate: ")[2]
    assert start.startswith("loss range 1 (1 to 1), gradient change 1 (1 to 1), effective β 1 (1 to 1).")


def test_what_depends_on_the_length_of_the_step_is_told():
    """β falls as 1/s; without batch norm it is 3 times as large at the same rate."""
    s = np.array(landscape.LENGTHS)

    def record(lr, level, order=1):
        by_length = np.tile((level / (lr * s))[::order], (13, 1))
        values = {name: np.ones(13) for name in landscape.MEASURES} | {"by length": by_length, "test": 0.5}
        return lambda seed: values

    rows = {
        ("without BN", 0.1): record(0.1, 0.3),
        ("with BN", 0.1): record(0.1, 0.1),
        ("with BN", 0.4): record(0.4, 0.2),
    }
    told = landscape.CLAIM.verdict(joined(tuned(), final(rows))).because
    assert "At 96 of 96 places" in told
    assert "norm: 3 (3 to 3) at 0.25 learning rates, 3 (3 to 3) at 4 learning rates." in told
    equal = " and ".join(f"1.5 (1.5 to 1.5) at {step}" for step in (0.1, 0.2, 0.4))
    assert f"at equal lengths of the step, it is {equal}." in told
    assert (
        "by 0.2 (0.2 to 0.2) and 0.3 (0.3 to 0.3) of its length, with and without batch norm; a whole step by 0.2"
        in told
    )
    rows["without BN", 0.1] = record(0.1, 0.3, -1)
    assert "At 48 of 96 places" in landscape.CLAIM.verdict(joined(tuned(), final(rows))).because


def test_seeds_that_diverged_are_left_out():
    broken = measured()
    gone = broken.where(arm="without BN", stage="final").runs[0]
    gone.record["smoothness"][-1] = None
    verdict = landscape.CLAIM.verdict(broken)
    assert verdict.word == "reproduced"
    for run in broken.where(arm="without BN", stage="final").runs:
        for name in landscape.MEASURES:
            run.record[name][-1] = None
    assert landscape.CLAIM.verdict(broken).word == "not at this scale"
    assert "unknown" in landscape.CLAIM.verdict(broken).number


# ---- page


def test_the_figure_shows_the_result():
    import matplotlib.pyplot as plt

    figure = landscape.CLAIM.figure(measured(odd="loss range", same=4.0, own=2.0))
    assert len(figure.axes) == 4
    assert all(ax.get_title(loc="left") and ax.get_xlabel() and ax.get_ylabel() for ax in figure.axes)
    titles = [ax.get_title(loc="left").replace("\n", " ") for ax in figure.axes]
    assert titles[0] == "Loss range at the same rate: 0.25 times as large without BN"
    assert titles[2] == "Effective β at the same rate: 4 times as large without BN"
    assert titles[3].endswith("longest step, at the same rate: no clear difference")
    assert [ax.get_legend() is not None for ax in figure.axes] == [False, False, False, True]
    plt.close(figure)

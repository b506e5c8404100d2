"""The claim on large rates: the two parts of a gain, what each depth says of them, and the verdict."""

from pathlib import Path

import numpy as np
import pytest

from minidl.lab.after import large_rates
from minidl.lab.after.large_rates import GRID
from minidl.lab.study.claim import Result
from minidl.lab.study.page import load_results
from tests.lab.paper.synthetic import edited, joined, result

CLAIM = large_rates.CLAIM
RESULTS = Path(__file__).parents[3] / "results"
RATES = {"with BN": 0.4, "without BN": 0.1}


def gains(depth, same, larger, noise=0.0, rates=None):
    """All runs of a depth at which batch norm gains `same` at the same rate, and `larger` by its own."""
    rates = rates or RATES
    none, batch = rates["without BN"], rates["with BN"]
    tests = {("without BN", none): 0.4, ("with BN", none): 0.4 + same, ("with BN", batch): 0.4 + same + larger}
    tried = [
        ({"arm": f"{name}, {depth}", "stage": "tune", "lr": lr, "seed": seed}, {"validation": 0.5 - 0.1 * (lr != best)})
        for name, best in rates.items()
        for lr in GRID
        for seed in (1000, 1001)
    ]
    final = [
        (
            {"arm": f"{name}, {depth}", "stage": "final", "lr": lr, "seed": seed},
            {
                "test": mean
                + noise * (-1) ** seed * (lr == none and name == "with BN")
                + 0.002 * (seed == 3) * (lr == batch)
            },
        )
        for (name, lr), mean in tests.items()
        for seed in range(4)
    ]
    return result(*tried, *final)


SAID = {  # what one depth says → (same, larger, noise)
    "most": (0.02, 0.06, 0.0),
    "most, and batch norm alone loses": (-0.01, 0.06, 0.0),
    "less": (0.06, 0.02, 0.0),
    "less, as it loses": (-0.02, -0.02, 0.0),
    "part": (0.04, 0.06, 0.008),
    "nothing": (0.0, 0.0, 0.05),
    "nothing, noise": (0.03, -0.029, 0.03),
}


@pytest.mark.parametrize("said", SAID)
def test_a_depth_says(said):
    split = large_rates._split(gains("8 layers", *SAID[said]), "8 layers")
    assert large_rates._judge(split) == said.partition(",")[0]
    assert split.whole.mean() == pytest.approx(sum(SAID[said][:2]), abs=1e-3)
    assert (split.none, split.batch) == (0.1, 0.4)


def test_parts_are_of_the_same_seed():
    """What a seed does to all three networks is in no part, however much it is."""
    found = gains("8 layers", *SAID["most"])
    for run in found.where(stage="final").runs:
        run.record["test"] += 0.1 * run.config["seed"]
    split, plain = (large_rates._split(runs, "8 layers") for runs in (found, gains("8 layers", *SAID["most"])))
    np.testing.assert_allclose(split.excess, plain.excess, atol=1e-9)
    np.testing.assert_allclose(split.whole, plain.whole, atol=1e-9)
    assert large_rates._judge(split) == "most"


@pytest.mark.parametrize(
    ("rates", "said"), [((0.05, 0.1), "nothing"), ((0.1, 0.1), "less")], ids=["smaller", "the same"]
)
def test_without_a_larger_rate_nothing_comes_of_it(rates, said):
    rates = dict(zip(RATES, rates, strict=True))
    larger = 0.06 if said == "nothing" else 0.0
    split = large_rates._split(gains("8 layers", 0.02, larger, rates=rates), "8 layers")
    assert large_rates._judge(split) == said


@pytest.mark.parametrize(
    ("shallow", "deep", "word"),
    [
        ("most", "most", "reproduced"),
        ("less", "most", "partly"),
        ("most", "nothing", "partly"),
        ("part", "less", "partly"),
        ("nothing", "part", "partly"),
        ("less", "less", "contradicted"),
        ("nothing", "less", "contradicted"),
        ("nothing", "nothing", "not at this scale"),
    ],
)
def test_verdicts(shallow, deep, word):
    found = joined(gains("8 layers", *SAID[shallow]), gains("12 layers", *SAID[deep]))
    verdict = CLAIM.verdict(found)
    assert verdict.word == word
    assert verdict.numbers["12 layers: rates"] == [0.1, 0.4]
    assert verdict.numbers["8 layers: larger"].mean == pytest.approx(SAID[shallow][1], abs=1e-3)
    assert ("8 layers: of +8.0 ± 0.2 points +6.0 ± 0.2 by its own rate (75 %)" in verdict.number) == (shallow == "most")


def test_the_share_is_said_where_there_is_a_gain():
    found = joined(gains("8 layers", *SAID["most"]), gains("12 layers", *SAID["less, as it loses"]))
    assert CLAIM.verdict(found).number.count("(75 %)") == 1
    assert CLAIM.verdict(found).number.count(" %)") == 1


def test_another_rate_that_did_better_on_validation_images_is_told():
    """A rate with fewer seeds, or one that is not better for sure, is not chosen; but the split at it is said."""
    found = joined(gains("8 layers", *SAID["most"]), gains("12 layers", *SAID["most"]))
    assert "But without" not in CLAIM.verdict(found).because
    plain = {"arm": "without BN, 8 layers", "stage": "tune"}
    for seed in (1002, 1003, 1004):  # more seeds for the rate that is chosen
        found = joined(found, result(({**plain, "lr": 0.1, "seed": seed}, {"validation": 0.5})))
    found = edited(found, {**plain, "lr": 0.4}, validation=0.51)
    assert large_rates._split(found, "8 layers").none == 0.1
    told = CLAIM.verdict(found).because
    assert told.count("But without") == 1
    assert "rate 0.4 has the highest mean on validation images, 51.0 %" in told
    assert "−1.0 ± 0.0 points at the same rate and nothing more by its own: this depth would say “less”" in told
    found = edited(edited(found, {**plain, "lr": 0.4}, validation=0.4), {**plain, "lr": 0.2}, validation=0.52)
    told = CLAIM.verdict(found).because
    assert "−12.0 ± 0.0 points at the same rate and +10.0 ± 0.0 more by its own: this depth would say “less”" in told


@pytest.mark.skipif(not (RESULTS / "large-rates.json").is_file(), reason="the claim has not been run yet")
def test_what_the_limits_say_of_the_rates_is_so():
    ((_, _, found),) = load_results(RESULTS, [CLAIM])
    first, second = (large_rates._split(found, depth) for depth in large_rates.DEPTHS)
    tried = found.where(stage="tune", arm="without BN, 8 layers")
    accuracy = {lr: tried.values("validation", lr=lr).mean() for lr in GRID}
    assert min(GRID) < first.none == 0.025
    assert max(accuracy, key=accuracy.get) == first.batch == 0.1
    assert max(accuracy[lr] for lr in (0.025, 0.05, 0.1)) - min(accuracy[lr] for lr in (0.025, 0.05, 0.1)) < 0.01
    assert large_rates._judge(second) == "less"
    assert CLAIM.verdict(found).because.count("would say “less”") == 1
    few = Result(tuple(run for run in found.runs if run.config["stage"] == "tune" or run.config["seed"] < 5))
    assert CLAIM.verdict(few).word == "partly"
    excess = first.excess
    assert len(excess) == 10
    assert excess.mean() + 2.685 * excess.std(ddof=1) / 10**0.5 < 0  # t at 97.5 %, two-sided, 9 degrees of freedom
    assert [arm.whole.mean() > 0 for arm in (first, second)] == [True, True]


def test_the_figure_shows_the_result():
    import matplotlib.pyplot as plt

    found = joined(gains("8 layers", *SAID["most"]), gains("12 layers", *SAID["less, as it loses"]))
    figure = CLAIM.figure(found)
    titles = [ax.get_title(loc="left").replace("\n", " ") for ax in figure.axes]
    assert len(titles) == 4
    assert "chosen rate is 4 times" in titles[0]
    assert "75 %" in titles[1]
    assert "no gain" in titles[3]
    assert all(ax.get_xlabel() for ax in figure.axes)
    plt.close(figure)


def test_depths_differ_in_nothing_but_depth():
    arms = {arm: {k: v for k, v in settings.items() if k != "more"} for arm, settings in large_rates.ARMS.items()}
    assert len(arms) == 4
    for name in large_rates.NORMS:
        assert arms[f"{name}, 8 layers"] == arms[f"{name}, 12 layers"]
    assert np.diff(list(large_rates.DEPTHS.values())) == [4]

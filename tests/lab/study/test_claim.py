"""Results that can be asked, and records that JSON can say."""

import json

import numpy as np
import pytest

from minidl.lab.study.claim import WORDS, Result, Run, Scale, Verdict, best, cautious, plain, word_for

RUNS = tuple(
    Run({"arm": arm, "lr": lr, "seed": seed}, {"accuracy": a + 0.1 * lr + 0.01 * seed, "curve": [a, lr]})
    for arm, a in (("bn", 0.5), ("none", 0.3))
    for lr in (0.1, 2.0)
    for seed in range(3)
)
RESULT = Result(RUNS)


def test_values_come_in_the_order_of_the_runs():
    np.testing.assert_allclose(RESULT.values("accuracy", arm="bn", lr=0.1), [0.51, 0.52, 0.53])
    assert RESULT.values("curve", arm="none").shape == (6, 2)
    assert RESULT.settings("lr") == [0.1, 2.0]
    assert RESULT.settings("seed", arm="bn") == [0, 1, 2]
    with pytest.raises(ValueError, match="no run has"):
        RESULT.where(arm="layer norm")


def test_a_missing_number_is_nan_and_never_the_best():
    runs = (Run({"lr": 1.0}, {"accuracy": None}), Run({"lr": 2.0}, {"accuracy": 0.1}))
    assert np.isnan(Result(runs).values("accuracy")[0])
    assert best(Result(runs), "accuracy") == 2.0


def tried(accuracies):
    """Runs at learning rates, with so many seeds each."""
    runs = [Run({"lr": lr, "seed": s}, {"accuracy": a}) for lr, row in accuracies.items() for s, a in enumerate(row)]
    return Result(tuple(runs))


def test_cautious_takes_the_smaller_of_two_that_are_about_as_good():
    close = {0.5: [0.1, 0.1], 2.0: [0.90, 0.91, 0.89], 8.0: [0.91, 0.90, 0.90]}
    assert best(tried(close), "accuracy") == 8.0
    assert cautious(tried(close), "accuracy") == 2.0
    clear = {2.0: [0.90, 0.91, 0.89], 8.0: [0.92, 0.93, 0.92]}
    assert cautious(tried(clear), "accuracy") == 8.0
    assert cautious(tried({2.0: [0.91, 0.90], 8.0: [0.90, 0.92]}), "accuracy") == 8.0  # two seeds tell no error
    assert cautious(tried({2.0: [0.92, 0.91, 0.93], 8.0: [0.92, 0.91, 0.92]}), "accuracy") == 2.0


def test_best_is_by_the_mean_over_seeds():
    assert best(RESULT.where(arm="bn"), "accuracy") == 2.0
    lucky = (*RUNS[:3], Run({"arm": "bn", "lr": 9.0, "seed": 0}, {"accuracy": 0.99}),
             Run({"arm": "bn", "lr": 9.0, "seed": 1}, {"accuracy": 0.0}))  # fmt: skip
    assert best(Result(lucky), "accuracy") == 0.1


def test_a_verdict_has_four_words():
    assert len(WORDS) == 4
    for word in WORDS:
        Verdict(word, "1", "Seen.")
    with pytest.raises(ValueError, match="maybe"):
        Verdict("maybe", "1", "Seen.")


def test_scale_picks():
    assert Scale().pick("full", "quick") == "full"
    assert Scale(quick=True).pick("full", "quick") == "quick"


def test_plain_is_json():
    record = {"a": np.arange(3), "b": np.float32(0.1), "c": (np.nan, np.inf, 1.0), "d": None, 5: True, "e": "ε"}
    said = plain(record)
    assert json.loads(json.dumps(said, allow_nan=False)) == said
    assert said == {"a": [0, 1, 2], "b": 0.1, "c": [None, None, 1.0], "d": None, "5": True, "e": "ε"}
    assert plain(said) == said  # so that what is read back is what was written
    assert plain(1 / 3) == 0.3333333
    assert plain(1.23456789e-17) == 1.234568e-17
    with pytest.raises(TypeError, match="set"):
        plain({"a": {1, 2}})


@pytest.mark.parametrize(
    ("holds", "against", "word"),
    [((True, True), (False, False), "reproduced"), ((True, False), (False, True), "partly"),
     ((False, False), (False, True), "contradicted"), ((False, False), (False, False), "not at this scale")],
)  # fmt: skip
def test_the_usual_rule(holds, against, word):
    assert word_for(holds, against) == word

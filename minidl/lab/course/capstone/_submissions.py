"""Seven made-up studies, to be refereed: six have one fault each, and one has none."""

from typing import Any, NamedTuple

from minidl.lab.course.capstone._registration import Frozen, digest
from minidl.lab.course.capstone._study import Study
from minidl.lab.study.claim import Result, Run

__all__ = ["KINDS", "Submission", "submissions"]

KINDS = {
    "seeds": "seeds are too few, left out, added, or used for choosing rates too",
    "grids": "the arms are not tuned alike",
    "edge": "a rate was chosen at the edge of those tried",
    "changed": "the registration is not what was frozen",
    "zero": "a difference is claimed, and its interval contains 0",
    "rule": "the verdict does not follow the rule in another way",
    "nothing": "nothing is wrong",
}
RATES = (0.1, 0.3, 1.0, 3.0)
HONEST = "Other data, deeper networks and longer training may give another answer."


class Submission(NamedTuple):
    """A study, the report on it, and the registration as its author has it now."""

    study: Study
    report: dict[str, Any]
    registration: dict[str, Any]


def submissions() -> dict[int, Submission]:
    """Return the seven, by number. All their numbers are made up."""
    return {1: _edge(), 2: _sound(), 3: _seeds(), 4: _rule(), 5: _changed(), 6: _zero(), 7: _grids()}


def _submission(question, tuned, finals, margin=0.2, prediction="larger", **told):
    """A submission that is sound, but for what is handed in otherwise.

    tuned   arm → validation accuracies, one a rate; or a dict, rate → accuracy
    finals  arm → accuracies, one per seed; or a dict, seed → accuracy
    told    entries of the report, and `now`, entries of the registration that are different now
    """
    first, second = finals
    grids = {arm: row if isinstance(row, dict) else dict(zip(RATES, row, strict=True)) for arm, row in tuned.items()}
    registration = {
        "question": question, "arms": {arm: {"way": arm} for arm in finals}, "difference": [first, second],
        "measure": "test", "tuned_by": "validation", "rates": {arm: list(grid) for arm, grid in grids.items()},
        "tuning_seeds": [1000], "seeds": [0, 1, 2, 3, 4, 5], "margin": margin, "prediction": prediction,
    }  # fmt: skip
    runs = []
    for arm, grid in grids.items():
        best = max(grid, key=grid.__getitem__)
        rows = finals[arm] if isinstance(finals[arm], dict) else dict(enumerate(finals[arm]))
        runs += [_run(arm, "tune", lr, 1000, {"validation": value}) for lr, value in grid.items()]
        runs += [_run(arm, "final", best, seed, {"test": value}) for seed, value in rows.items()]
    at = "2026-01-15T09:00:00+00:00"
    study = Study(
        Frozen("submitted", registration, None, at, digest(registration, None, at), True), Result(tuple(runs))
    )
    interval, now = study.interval(), registration | told.pop("now", {})
    report = {
        "seeds": len(study.seeds(first)), "rates": {arm: study.rate(arm) for arm in finals},
        "difference": round(interval.mean, 2), "half_width": round(interval.half, 2), "verdict": study.word(),
        "prediction": now["prediction"], "came_true": now["prediction"] == study.word(), "not_shown": [HONEST],
    }  # fmt: skip
    return Submission(study, report | told, now)


def _run(arm, stage, lr, seed, record):
    return Run({"way": arm, "arm": arm, "stage": stage, "lr": lr, "seed": seed}, record)


def _edge():
    tuned = {"larger batch": (94.1, 95.3, 95.9, 96.4), "small batch": (94.8, 95.6, 95.2, 93.0)}
    finals = {
        "larger batch": (96.31, 96.52, 96.40, 96.45, 96.28, 96.55),
        "small batch": (95.61, 95.80, 95.52, 95.77, 95.66, 95.71),
    }  # fmt: skip
    return _submission("Does a batch of 240 read more digits than one of 60?", tuned, finals)


def _sound():
    tuned = {"warm-up": (94.9, 95.8, 95.4, 91.2), "plain start": (95.0, 95.7, 95.5, 90.8)}
    finals = {
        "warm-up": (95.82, 95.40, 95.97, 95.71, 95.33, 95.90), "plain start": (95.60, 95.71, 95.62, 95.80, 95.52, 95.44),
    }  # fmt: skip
    return _submission("Does a warm-up of the rate help a network with BN?", tuned, finals)


def _seeds():
    tuned = {"ε = 1": (94.0, 95.1, 94.7, 92.3), "ε = 1e-5": (95.2, 95.9, 95.6, 93.1)}
    finals = {
        "ε = 1": {0: 95.01, 1: 95.10, 3: 95.22, 4: 94.98, 5: 95.13},
        "ε = 1e-5": {0: 95.80, 1: 95.91, 3: 95.77, 4: 95.70, 5: 95.93},
    }
    return _submission("Does a large ε cost accuracy?", tuned, finals, prediction="smaller")


def _rule():
    tuned = {"shuffled": (94.6, 95.5, 95.1, 92.8), "in order": (94.4, 95.4, 95.2, 92.0)}
    finals = {
        "shuffled": (95.70, 95.21, 95.93, 95.40, 95.66, 95.17), "in order": (95.45, 95.52, 95.38, 95.61, 95.33, 95.58),
    }  # fmt: skip
    question = "Does it matter whether batches are drawn anew in each epoch?"
    return _submission(question, tuned, finals, prediction="about equal", verdict="about equal", came_true=True)


def _changed():
    tuned = {"BN in one layer": (94.2, 95.0, 94.8, 92.5), "BN in all": (95.1, 96.0, 95.7, 94.4)}
    finals = {
        "BN in one layer": (95.02, 95.11, 94.93, 95.08, 95.17, 94.96),
        "BN in all": (95.90, 96.07, 95.81, 95.95, 96.10, 95.88),
    }  # fmt: skip
    now = {"prediction": "smaller"}
    return _submission(
        "Is BN in the first layer as good as BN in all?", tuned, finals, prediction="about equal", now=now
    )


def _zero():
    tuned = {"tanh": (94.7, 95.9, 95.5, 93.6), "sigmoid": (94.5, 95.8, 95.6, 94.0)}
    finals = {
        "tanh": (96.10, 95.72, 96.21, 95.80, 96.05, 95.69), "sigmoid": (95.81, 95.85, 95.70, 95.92, 95.66, 95.83),
    }  # fmt: skip
    return _submission(
        "With BN, is tanh better than the sigmoid?", tuned, finals, 0.0, verdict="larger", came_true=True
    )


def _grids():
    tuned = {"with dropout": {0.1: 94.4, 0.2: 94.9, 0.3: 95.3, 0.5: 95.6, 1.0: 95.2, 3.0: 92.1},
             "without": {0.1: 94.8, 1.0: 95.1, 3.0: 93.9}}  # fmt: skip
    finals = {
        "with dropout": (95.58, 95.70, 95.51, 95.66, 95.75, 95.60), "without": (95.10, 95.21, 95.03, 95.17, 95.08, 95.26),
    }  # fmt: skip
    return _submission("Does dropout help beside BN?", tuned, finals)

"""The ward of lesson 15: eight patients with their charts, the numbers on a chart, and what a diagnosis must explain."""

import inspect
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from minidl import data
from minidl.lab.course._setting import pick
from minidl.lab.course.broken_runs import PATIENTS, ship_exactly
from minidl.lab.course.clinic_run import HEALTHY, Data, Run, run

__all__ = [
    "CURES",
    "ILLNESSES",
    "NUMBERS",
    "Ward",
    "contradiction",
    "numbers",
    "open_ward",
    "program",
    "telling",
    "ward",
]

ILLNESSES = tuple(sorted(illness for illness, *_ in PATIENTS.values()))
_TRAIN, _IN_QUICK_MODE, _HELD, _TEST = 4001, 801, 1000, 1000
_opened: list["Ward"] = []


class Ward:
    """Eight broken runs and a healthy one, on the same digits; each is trained when its chart is asked for.

    found   digits as `data.mnist` gives them: 4,001 to train on (801 in quick mode), 1,000 held out, 1,000 for the test
    Errors  ValueError for fewer
    """

    def __init__(self, found: Any):
        (images, labels), (test, test_labels), *_ = found
        train = pick(_TRAIN, _IN_QUICK_MODE)
        if len(images) < train + _HELD or len(test) < _TEST:
            raise ValueError(
                f"Ward: there are {len(images):,} and {len(test):,} digits; it takes {train + _HELD:,} to train on and "
                f"hold out, and {_TEST:,} for the test"
            )
        held = np.arange(train, train + _HELD)
        held = held[np.argsort(labels[held], kind="stable")]
        self.data = Data(images[:train], labels[:train], images[held], labels[held], test[:_TEST], test_labels[:_TEST])

    @cached_property
    def healthy(self) -> Run:
        """The run with no broken part."""
        return run(self.data, HEALTHY)

    @cached_property
    def charts(self) -> dict[str, Run]:
        """Letter → the run of that patient."""
        return {letter: self.treat(letter) for letter in PATIENTS}

    def treat(self, letter: str, parts: Mapping[str, Callable[..., Any]] | None = None) -> Run:
        """Run a patient again, with some of its parts replaced by others.

        Errors  ValueError for a letter that no patient has; TypeError for an unknown part; what a part raises passes
        """
        if letter not in PATIENTS:
            raise ValueError(f"Ward.treat: there is no patient {letter!r}; there are {', '.join(PATIENTS)}")
        _, own, second_job = PATIENTS[letter]
        return run(self.data, replace(own, **(parts or {})), self.healthy.model if second_job else None)

    def aim(self, letter: str) -> float:
        """Return the test accuracy that this patient would have without its broken part, in percent."""
        _, own, second_job = PATIENTS[letter]
        if second_job:
            return float(self.healthy.test[-1])
        return self.charts[letter].unshipped if own.ship is not HEALTHY.ship else float(self.healthy.test[-1])


def open_ward(found: Any) -> Ward:
    """Open a ward with these digits; the checks then run its patients again."""
    _opened[:] = [Ward(found)]
    return _opened[0]


def ward() -> Ward:
    """Return the ward that was opened last; else one with digits that minidl draws."""
    return _opened[0] if _opened else open_ward(data.strokes(6000, 1000))


CURES: dict[str, dict[str, Callable[..., Any]]] = {
    letter: {
        name: ship_exactly if name == "ship" else getattr(HEALTHY, name)
        for name in ("norm", "batches", "ready", "step", "rehearse", "prepare", "ship")
        if getattr(own, name) is not getattr(HEALTHY, name)
    }
    for letter, (_, own, _) in PATIENTS.items()
}
CURES["H"] = {"ready": lambda model: model.eval()}

# ---- the numbers on a chart --------------------------------------------------------------------------------------------


class _Number(NamedTuple):
    measure: Callable[[Run], float]
    step: float  # a smaller difference does not tell two patients apart


def _sigma(chart):
    """The spread of each feature: the median of what the norm keeps, where that is not NaN."""
    kept = chart.running_var[chart.epoch // 2 :]
    kept = kept[np.isfinite(kept).all(1)]
    return np.sqrt(np.median(kept, 0)) + 1e-6 if len(kept) else 1.0


def _rms(values):
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


def _second_half(array):
    return array[len(array) // 2 :]


def _steady(chart):
    """The batch means of the last epoch, less the line through them: weights that learn move them slowly."""
    means = chart.batch_mean[-chart.epoch :].astype(np.float64)
    time = np.arange(len(means)) - (len(means) - 1) / 2
    return means - means.mean(0) - np.outer(time, time @ means) / (time @ time)


def _scatter(chart):
    return _rms(_steady(chart) / _sigma(chart))


def _likeness(chart):
    """How much a batch's mean is like that of the batch before: the correlation, over all features."""
    means = _steady(chart)
    return float((means[1:] * means[:-1]).sum() / max(1e-12, np.square(means).sum()))


def _follows(chart):
    """How far the running mean moves in a step, as a share of how far the batch mean does."""
    steps = [_second_half(np.diff(means, axis=0)) for means in (chart.running_mean, chart.batch_mean)]
    return _rms(steps[0]) / max(1e-12, _rms(steps[1]))


def _spike(chart):
    ends = chart.losses[chart.epoch - 1 :: chart.epoch]
    return float(np.median(ends) - np.median(chart.losses))


NUMBERS: dict[str, dict[str, _Number]] = {
    "loss": {
        "median": _Number(lambda c: float(np.median(_second_half(c.losses))), 0.7),
        "last of an epoch": _Number(_spike, 1.5),
    },
    "training accuracy": {"end": _Number(lambda c: float(c.train[-1]), 15)},
    "test accuracy": {
        "start": _Number(lambda c: float(c.test[0]), 40),
        "end": _Number(lambda c: float(c.test[-1]), 15),
    },
    "batch mean": {"scatter": _Number(_scatter, 0.2), "likeness": _Number(_likeness, 0.3)},
    "running mean": {
        "follows": _Number(_follows, 0.3),
        "jump": _Number(lambda c: _rms(c.jumps / _sigma(c)), 0.15),
    },
    "running variance": {"lost": _Number(lambda c: float(np.isnan(c.running_var[-1]).any()), 0.5)},
    "fresh statistics": {"gain": _Number(lambda c: c.fresh - float(c.test[-1]), 10)},
    "own statistics": {"gain": _Number(lambda c: c.own - float(c.test[-1]), 10)},
    "before shipping": {"gain": _Number(lambda c: c.unshipped - float(c.test[-1]), 3)},
}


def numbers(chart: Run) -> dict[str, dict[str, float]]:
    """Return number → its parts, as measured on a chart."""
    return {name: {part: one.measure(chart) for part, one in parts.items()} for name, parts in NUMBERS.items()}


def telling(charts: Mapping[str, Run]) -> dict[str, dict[str, int]]:
    """Return letter → number → from how many of the other patients it tells this one apart."""
    measured = {letter: numbers(chart) for letter, chart in charts.items()}

    def apart(name, one, other):
        steps = NUMBERS[name]
        return any(abs(measured[one][name][p] - measured[other][name][p]) > s.step for p, s in steps.items())

    return {a: {name: sum(apart(name, a, b) for b in charts if b != a) for name in NUMBERS} for a in charts}


# ---- what a diagnosis must explain -------------------------------------------------------------------------------------


class _Finding(NamedTuple):
    """What the chart of an illness shows: a number between two bounds; and what is said of a chart that does not."""

    number: str
    part: str
    low: float
    high: float
    text: str


_INF = np.inf
_FINDINGS: dict[str, list[_Finding]] = {
    "last batch of one": [
        _Finding("running variance", "lost", 0.5, _INF,
                 "a batch of one would leave NaN in the running variance, and its curve would end; here it goes on"),
    ],
    "polluted in evaluation": [
        _Finding("running mean", "jump", 0.15, _INF,
                 "the running mean would jump where held-out images are read; here it moves by {:.2f} σ there"),
        _Finding("fresh statistics", "gain", 5, _INF,
                 "statistics measured anew would bring the accuracy back; here they gain {:.0f} points"),
    ],
    "momentum reversed": [
        _Finding("running variance", "lost", -_INF, 0.5, "a running variance that is NaN needs another reason"),
        _Finding("running mean", "follows", 0.5, _INF,
                 "the running mean would follow every batch; here its steps are {:.2f} of the batch mean's"),
    ],
    "sorted by class": [
        _Finding("batch mean", "scatter", 0.4, _INF,
                 "classes would set the batch means far apart; here they scatter by {:.2f} σ"),
        _Finding("batch mean", "likeness", 0.4, _INF,
                 "batches of one class would resemble the batch before; here their means correlate by {:.2f}"),
    ],
    "accumulation": [
        _Finding("training accuracy", "end", -_INF, 75,
                 "the training itself would suffer, as its statistics are of two images; here {:.0f} % of the training "
                 "images are read well"),
        _Finding("batch mean", "scatter", 0.45, _INF,
                 "means of two images would scatter by about 0.7 σ; here they scatter by {:.2f} σ"),
        _Finding("batch mean", "likeness", -_INF, 0.4,
                 "batches in random order would not resemble each other; here their means correlate by {:.2f}"),
    ],
    "frozen but moving": [
        _Finding("test accuracy", "start", 50, _INF,
                 "the network would read the test images well before it begins, and then lose that; here it begins at "
                 "{:.0f} %"),
    ],
    "shifted test data": [
        _Finding("training accuracy", "end", 75, _INF,
                 "the training would know nothing of it; here only {:.0f} % of the training images are read well"),
        _Finding("test accuracy", "start", -_INF, 50,
                 "the test images would be unlike the training images from the start; here it begins with {:.0f} % of them "
                 "right"),
        _Finding("fresh statistics", "gain", -_INF, 5,
                 "training images measured anew would not help, as nothing is wrong with their statistics; here they gain "
                 "{:.0f} points"),
        _Finding("own statistics", "gain", 10, _INF,
                 "the statistics of the test images would help; here they gain {:.0f} points"),
    ],
    "BN before padding": [
        _Finding("before shipping", "gain", 3, _INF,
                 "the network would read better before it is shipped; here that is a difference of {:.0f} points"),
    ],
}  # fmt: skip


def contradiction(illness: str, chart: Run) -> str:
    """Return what on a chart speaks against an illness; "" if nothing does."""
    measured = numbers(chart)
    for finding in _FINDINGS[illness]:
        value = measured[finding.number][finding.part]
        if not finding.low <= value <= finding.high:
            return finding.text.format(value + 0.0)
    return ""


def program(letter: str) -> str:
    """Return the broken part of a patient as text, without what its docstring says of the cause."""
    _, own, _ = PATIENTS[letter]
    part = next(getattr(own, name) for name in CURES[letter])
    text = textwrap.dedent(inspect.getsource(part))
    return text.replace(f'"""{part.__doc__}"""', '"""…"""')

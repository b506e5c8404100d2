"""A report, and what a referee checks in it: against the registration that was frozen, and against the records."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from minidl.lab.course.capstone._registration import FEWEST_SEEDS, Fault, is_number, is_text, weak_points
from minidl.lab.course.capstone._registration import FIELDS as REGISTERED
from minidl.lab.course.capstone._study import Study
from minidl.system.terminal import say

__all__ = ["FIELDS", "audit", "show"]

FIELDS = {
    "seeds": "how many seeds each arm has in the results",
    "rates": "a dict: arm → the learning rate it chose",
    "difference": "the mean difference, first arm minus second",
    "half_width": "half the width of its 95 % interval",
    "verdict": "the word that the rule gives",
    "prediction": "the word that was registered",
    "came_true": "True or False",
    "not_shown": "a list of sentences: what this study does not show",
}
LEAST_WORDS = 5  # of a sentence that says something


def audit(study: Study, report: Any, registration: Any = None) -> list[Fault]:
    """List what is wrong with a report, the gravest first; an empty list if a referee would accept it.

    report        a dict with the entries of `FIELDS`
    registration  the registration as its author has it now, to compare with what was frozen; None: not compared
    """
    if faults := _form(report) or _planned(study):
        return faults
    faults = [*_changed(study, registration), *_seeds(study, report), *_tuning(study, report)]
    first, second = map(study.seeds, study.frozen.registration["difference"])
    if first == second:  # else nothing is paired, which has been said
        faults += [*_idle(study), *_numbers(study, report), *_verdict(study, report), *_prediction(study, report)]
    return faults + _not_shown(report)


def _form(report):
    if not isinstance(report, Mapping):
        return [Fault("form", f"The report is a {type(report).__name__}; it should be a dict.")]
    missing = [key for key in FIELDS if key not in report or report[key] is ...]
    if missing == ["not_shown"]:
        return _not_shown({"not_shown": []})
    if missing:
        return [Fault("form", f"The report lacks {missing[0]!r}: {FIELDS[missing[0]]}.")]
    forms = {
        "seeds": is_number, "difference": is_number, "half_width": is_number,
        "rates": lambda v: isinstance(v, dict) and all(map(is_number, v.values())),
        "verdict": is_text, "prediction": is_text, "came_true": lambda v: isinstance(v, bool | np.bool_),
        "not_shown": lambda v: isinstance(v, str | list | tuple),
    }  # fmt: skip
    for key, fits in forms.items():
        value = report[key].item() if isinstance(report[key], np.generic) else report[key]
        if not fits(value):
            return [
                Fault("form", f"{key!r} is a {type(value).__name__} that says nothing; it should be {FIELDS[key]}.")
            ]
    return []


def _planned(study):
    """A fault of records in which a part of the study is missing altogether."""
    for arm in study.frozen.registration["arms"]:
        for stage, what in (("tune", "to choose its rate"), ("final", "for the results")):
            if not any(run.config.get("arm") == arm and run.config.get("stage") == stage for run in study.result.runs):
                return [Fault("seeds", f"The records have no run of {arm!r} {what}.")]
    return []


def _changed(study, registration):
    """Faults of a registration that is no longer what it was when the runs were made."""
    now = study.frozen
    if not now.intact:
        said = "The frozen registration has been edited: its digest no longer fits. It counts as not registered."
        return [Fault("changed", said)]
    if registration is not None:
        if not isinstance(registration, Mapping):
            return [Fault("changed", f"The registration is now a {type(registration).__name__}.")]
        for key in REGISTERED:
            if _listed(registration.get(key)) != _listed(now.registration[key]):
                return [Fault("changed", f"The registration was changed after the run: {key!r} was "
                                         f"{now.registration[key]!r} when it was frozen, at {now.at}.")]  # fmt: skip
    return []


def _listed(value):
    """A value as JSON gives it back: lists, for tuples and ranges."""
    if isinstance(value, dict):
        return {str(key): _listed(inner) for key, inner in value.items()}
    return [_listed(inner) for inner in value] if isinstance(value, list | tuple | range) else value


def _seeds(study, report):
    faults = [fault for fault in weak_points(study.frozen.registration) if fault.kind == "seeds"]
    for arm in study.frozen.registration["arms"]:
        seeds, wanted = study.seeds(arm), study.frozen.registration["seeds"]
        lost = [seed for seed in wanted if seed not in seeds]
        added = [seed for seed in seeds if seed not in wanted]
        if lost:
            said = (
                f"Seed {lost[0]} of {arm!r} was registered, and is not in the records: a run left out was seen first."
            )
            faults.append(Fault("seeds", said))
        if added:
            said = (
                f"Seed {added[0]} of {arm!r} was not registered, and is in the records: adding seeds is a choice, too."
            )
            faults.append(Fault("seeds", said))
        if not lost + added and len(seeds) != report["seeds"]:
            faults.append(Fault("seeds", f"The report says {report['seeds']} seeds; {arm!r} has {len(seeds)}."))
        if not faults and len(set(seeds)) < FEWEST_SEEDS:
            faults.append(Fault("seeds", f"{arm!r} has {len(set(seeds))} seeds; there must be {FEWEST_SEEDS} or more."))
    return faults[:1]


def _tuning(study, report):
    faults = [fault for fault in weak_points(study.frozen.registration) if fault.kind == "grids"]
    for arm in study.frozen.registration["arms"]:
        edge, rate = study.at_edge(arm), study.rate(arm)
        if edge and not faults:
            further = "smaller" if edge == "smallest" else "larger"
            said = (
                f"{arm!r} chose {rate:g}, the {edge} of the rates it tried: a {further} one may be better, so it is "
                "not as well tuned as it could be. Register a wider grid."
            )
            faults.append(Fault("edge", said))
    for arm in study.frozen.registration["arms"]:
        told = report["rates"].get(arm)
        if told != study.rate(arm):
            said = f"The report has the rate {told} for {arm!r}; by the records it chose {study.rate(arm):g}."
            return [*faults, Fault("numbers", said)]
        if {run.config["lr"] for run in study.result.where(arm=arm, stage="final").runs} != {told}:
            return [*faults, Fault("grids", f"The results of {arm!r} were not run at the rate that it chose.")]
    return faults


def _idle(study):
    """A fault of a run that passes over what was varied: its records repeat to the last digit."""
    now = study.frozen.registration
    arms, measure = list(now["arms"]), now["measure"]
    finals, tuned = [study.values(arm) for arm in arms], [study.rates(arm) for arm in arms]
    if np.array_equal(*finals) and all(tuned[0][lr] == tuned[1][lr] for lr in set(tuned[0]) & set(tuned[1])):
        keys = sorted({*now["arms"][arms[0]], *now["arms"][arms[1]]})
        said = f"Both arms have the same {measure!r} in every run, to the last digit. Does run use the arm's settings"
        return [Fault("run", f"{said} ({', '.join(map(repr, keys))})? If so, this measure cannot tell the arms apart.")]
    if all(len(values) > 1 and len(set(values)) == 1 for values in finals):
        said = (
            f"All seeds of {arms[0]!r} have the same {measure!r}, {finals[0][0]:g}, and so have those of {arms[1]!r}."
        )
        return [Fault("run", f"{said} Does run make its weights and batches from config['seed']?")]
    if all(len(set(rates.values())) == 1 for rates in tuned):
        said = f"All rates have the same {now['tuned_by']!r}, so none was chosen."
        return [Fault("run", f"{said} Does run use config['lr'], and measure that entry after training?")]
    return []


def _numbers(study, report):
    interval = study.interval()
    if not np.isfinite(interval.mean):
        return [
            Fault("numbers", "A run has no number, so there is no mean: register what a run that diverged counts as.")
        ]
    for key, true in (("difference", interval.mean), ("half_width", interval.half)):
        told = float(report[key])
        if abs(told - true) > _rounding(told, interval.half):
            minus = " It is first minus second." if key == "difference" and abs(told + true) <= abs(true) / 2 else ""
            said = f"The report says {key} {told:.6g}; the records give {true:.6g}.{minus}"
            return [Fault("numbers", said)]
    return []


def _rounding(told, half):
    """How far a number may be off: half its last digit, but from a thousandth to a tenth of the half-width."""
    decimals = len(repr(told).partition(".")[2].rstrip("0")) if "e" not in repr(told) else 12
    return min(max(0.5 * 10.0**-decimals * (1 + 1e-9), half / 1000), half / 10) + 1e-12


def _verdict(study, report):
    """The word, by the rule that was registered."""
    told, word, interval = report["verdict"], study.word(), study.interval()
    margin = study.frozen.registration["margin"]
    text = f"{interval.low:+.2g} to {interval.high:+.2g}".replace("-", "−")
    if told == word:
        return []
    if told in ("larger", "smaller") and not (interval.above_zero or interval.below_zero):
        said = f"{told!r} is called a finding, and the interval contains 0: {text}. By the rule the word is {word!r}."
        return [Fault("zero", said)]
    if told == "about equal" and word == "open":
        said = (
            f"'about equal' is more than these seeds know: the interval, {text}, reaches beyond the margin of {margin:g}. "
            "Not to see a difference is not to see that there is none. By the rule the word is 'open'."
        )
        return [Fault("rule", said)]
    said = (
        f"The verdict {told!r} does not follow: the interval is {text}, the margin {margin:g}; the rule gives {word!r}."
    )
    return [Fault("rule", said)]


def _prediction(study, report):
    predicted = study.frozen.registration["prediction"]
    if report["prediction"] != predicted:
        said = f"The report says that {report['prediction']!r} was predicted; {predicted!r} was registered."
        return [Fault("prediction", said)]
    if bool(report["came_true"]) != (predicted == study.word()):
        now = "came true" if predicted == study.word() else "did not come true"
        said = f"{predicted!r} was predicted, and the rule gives {study.word()!r}: the prediction {now}."
        return [Fault("prediction", said)]
    return []


def _not_shown(report):
    told = [report["not_shown"]] if isinstance(report["not_shown"], str) else list(report["not_shown"])
    full = [line for line in told if is_text(line) and len(line.split()) >= LEAST_WORDS]
    if not full:
        said = (
            "Nothing stands under 'what was not shown'" if not told else "What was not shown is not said in a sentence"
        )
        return [Fault("not shown", f"{said}: which networks, data or settings might give another answer?")]
    if len(set(full)) < len(full):
        return [Fault("not shown", "One sentence stands twice under 'what was not shown'.")]
    return []


def show(study: Study, report: Mapping[str, Any], registration: Mapping[str, Any] | None = None) -> None:
    """Print a registration, what its records say, and the report on them: what a referee reads."""
    kept = study.frozen.registration
    say(f"registered: {kept['question']}")
    say(f"  seeds {kept['seeds']}, rates chosen with {kept['tuning_seeds']}; measure {kept['difference'][0]} − "
        f"{kept['difference'][1]}; margin {kept['margin']:g}; prediction {kept['prediction']!r}")  # fmt: skip
    for key, value in (registration or {}).items():
        if _listed(value) != _listed(kept.get(key)):
            say(f"now:        {key} {value!r}")
    for arm in kept["arms"]:
        tried = ", ".join(f"{lr:g}: {value:.2f}" for lr, value in study.rates(arm).items())
        say(f"records:    {arm}: {kept['tuned_by']} at rate {tried}")
        say(f"            {arm}: {kept['measure']} {', '.join(f'{value:.2f}' for value in study.values(arm))}")
    interval = study.interval()
    say(
        f"            difference {interval.text(2, sign=True)}, from {interval.low:+.2f} to {interval.high:+.2f}".replace(
            "-", "−"
        )
    )
    told = {key: value for key, value in report.items() if key != "not_shown"}
    say("report:     " + ", ".join(f"{key} {value}" for key, value in told.items()))
    lines = report.get("not_shown", ())
    say("            not shown: " + ((lines if isinstance(lines, str) else " ".join(map(str, lines))) or "(nothing)"))

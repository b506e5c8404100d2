"""The runs of a frozen registration, by the machinery that makes the ledger."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from minidl.lab.course import _progress
from minidl.lab.course.capstone._code import code_of
from minidl.lab.course.capstone._registration import Frozen, freeze, frozen, mark_ran
from minidl.lab.course.capstone._rule import decide
from minidl.lab.study import sweep
from minidl.lab.study.claim import Claim, Result, Scale, Verdict, best
from minidl.lab.study.statistics import Interval, paired
from minidl.lab.study.store import Store

__all__ = ["BEYOND", "Study", "conduct"]

BEYOND = 3  # rates that may be added to each arm's grid, while its best one is at an edge


class Study(NamedTuple):
    """What has been run under a frozen registration."""

    frozen: Frozen
    result: Result

    def rates(self, arm: str) -> dict[float, float]:
        """Return the rates that an arm has tried, each with the mean of what they are chosen by, in increasing order."""
        tried = self.result.where(arm=arm, stage="tune")
        name = self.frozen.registration["tuned_by"]
        return {lr: float(tried.values(name, lr=lr).mean()) for lr in sorted(tried.settings("lr"))}

    def rate(self, arm: str) -> float:
        """Return the rate that an arm has chosen: the one with the best mean, of equal ones the first that was tried."""
        return best(self.result.where(arm=arm, stage="tune"), self.frozen.registration["tuned_by"])

    def at_edge(self, arm: str) -> str:
        """Return "smallest" or "largest" if the chosen rate is at an edge of those tried, or else an empty text."""
        tried = list(self.rates(arm))
        return {tried[0]: "smallest", tried[-1]: "largest"}.get(self.rate(arm), "")

    def values(self, arm: str) -> np.ndarray:
        """Return the measure of an arm's final runs, one per seed."""
        return self.result.values(self.frozen.registration["measure"], arm=arm, stage="final")

    def seeds(self, arm: str) -> list[int]:
        """List the seeds of an arm's final runs."""
        return [run.config["seed"] for run in self.result.where(arm=arm, stage="final").runs]

    def differences(self) -> np.ndarray:
        """Return first arm minus second, one per seed."""
        first, second = self.frozen.registration["difference"]
        return self.values(first) - self.values(second)

    def interval(self) -> Interval:
        """Return mean and 95 % interval of the differences."""
        return paired(*(self.values(arm) for arm in self.frozen.registration["difference"]))

    def word(self) -> str:
        """Return what the rule says of the differences."""
        return decide(self.differences(), self.frozen.registration["margin"])


def conduct(
    name: str, run: Callable[[dict], dict], registration: dict[str, Any] | None = None, quiet: bool = False
) -> Study:
    """Make all runs of a frozen registration, or take up those that are kept; freeze it first if one is given.

    Each arm tries its rates with all tuning seeds. While its best is at an edge it gets one more, a step of the grid beyond,
    three at most. Then its best one runs with the seeds of the results. Finished runs are kept in the folder
    `studies` beside the notebooks, under the registration's digest.

    run     run(config) gives a record, a dict with the measure and what rates are chosen by; config has the arm's settings,
            "lr" and "seed", and the name of the arm under "arm"
    Errors  TypeError for a run that is no function; ValueError if nothing is frozen under the name, or if the code is not
            the one that was frozen; RuntimeError, which names the run, if one fails
    """
    if not callable(run):
        raise TypeError(f"conduct: run is a {type(run).__name__}; it must be a function: run(config) returns a dict")
    now = frozen(name) if registration is None else freeze(name, registration, run)
    if now.code is not None and now.code != code_of(run):
        raise ValueError(
            f"conduct: the code of the run is not what was frozen under {name!r}; if nothing has run yet, freeze it again, "
            "otherwise it must be frozen under another name"
        )
    wanted = [now.registration[key] for key in ("measure", "tuned_by")]

    def checked(config, _):
        record = run({key: value for key, value in config.items() if key != "stage"})
        missing = [key for key in wanted if not isinstance(record, dict) or key not in record]
        if missing:
            raise ValueError(
                f"its record has no {missing[0]!r}; it must be a dict with {' and '.join(map(repr, wanted))}"
            )
        mark_ran(name)
        return {key: float(record[key]) for key in wanted}

    claim = _claim(now, checked)
    store = Store(_progress.beside("studies"), [now.digest, now.code]) if _progress.lessons_here() else None
    result = sweep.conduct(claim, Scale(len(now.registration["seeds"])), store, quiet=quiet)
    return Study(frozen(name), result)


def _claim(now, run):
    """The registration as the machinery of claims takes it; verdict and figure are the reader's."""
    return Claim(
        id=now.name, section="", statement=now.registration["question"], method="", rule="", limits="",
        plan=lambda scale: _plan(now.registration), run=run, data=None,
        verdict=_no_verdict, figure=lambda result: None,
    )  # fmt: skip


def _no_verdict(result: Result) -> Verdict:
    raise NotImplementedError("a study of one's own has a report, not a verdict on a claim")


def _plan(registration):
    """All rates of all arms, then those beyond an edge, then the results."""
    arms, rates, name = registration["arms"], registration["rates"], registration["tuned_by"]
    tried = Result(())
    wanted = {arm: sorted(set(grid)) for arm, grid in rates.items()}
    for _ in range(1 + BEYOND):
        configs = [_config(arms, arm, "tune", lr, seed)
                   for arm in arms for lr in wanted[arm] for seed in registration["tuning_seeds"]]  # fmt: skip
        if not configs:
            break
        more = yield configs
        tried = Result(tried.runs + more.runs)
        wanted = {arm: _beyond(tried.where(arm=arm), name) for arm in arms}
    chosen = {arm: best(tried.where(arm=arm), name) for arm in arms}
    yield [_config(arms, arm, "final", chosen[arm], seed) for arm in arms for seed in registration["seeds"]]


def _config(arms, arm, stage, lr, seed):
    return {**arms[arm], "arm": arm, "stage": stage, "lr": lr, "seed": seed}


def _beyond(tried, name):
    """The next rate, by the step of the grid there, if the best one is the smallest or the largest."""
    rates, chosen = sorted(tried.settings("lr")), best(tried, name)
    if chosen == rates[-1]:
        further = chosen * chosen / rates[-2]
    elif chosen == rates[0]:
        further = chosen * chosen / rates[1]
    else:
        return []
    further = float(f"{further:.4g}")
    return [further] if math.isfinite(further) and further > 0 and further not in rates else []

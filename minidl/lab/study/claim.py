"""A claim: a statement, the runs that test it, and the rule that turns their numbers into a verdict.

The rule is prose next to the function `verdict`, both written before the runs. A run takes one configuration (plain JSON)
and gives one record (plain JSON after `plain`). It depends on nothing else, so runs may happen anywhere, in any order.
"""

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = [
    "PARTS", "WORDS", "Claim", "Result", "Run", "Scale", "Verdict", "best", "cautious", "plain", "within_error", "word_for",
]  # fmt: skip

PARTS = ("paper", "after")  # of the ledger: what the paper says, and what later work found about batch norm
WORDS = ("reproduced", "partly", "not at this scale", "contradicted")


@dataclass(frozen=True)
class Scale:
    """How large a study is: seeds for each arm, and whether runs are cut short to see that everything works."""

    seeds: int = 5
    quick: bool = False

    def pick(self, full, quick):
        """Return the one of two settings that this scale asks for."""
        return quick if self.quick else full


@dataclass(frozen=True)
class Run:
    """One finished run: what was asked, what came out."""

    config: dict
    record: dict
    seconds: float = 0.0  # of processor time, which other work on the machine leaves alone


@dataclass(frozen=True)
class Result:
    """All runs of a study, in the order in which they were planned."""

    runs: tuple[Run, ...]

    def where(self, **wanted):
        """Return the runs whose configuration has these values.

        Errors  ValueError if there is none
        """
        runs = tuple(r for r in self.runs if all(r.config.get(k) == v for k, v in wanted.items()))
        if not runs:
            raise ValueError(f"Result.where: no run has {wanted}; configurations are like {self.runs[0].config}")
        return Result(runs)

    def values(self, name, **wanted):
        """Return one entry of the records of these runs as an array, a row for each run; None becomes nan."""
        rows = [run.record[name] for run in (self.where(**wanted) if wanted else self).runs]
        return np.array(rows, dtype=float)

    def settings(self, name, **wanted):
        """List the different values that a setting has, in the order of the runs."""
        runs = (self.where(**wanted) if wanted else self).runs
        return list(dict.fromkeys(run.config[name] for run in runs if name in run.config))


@dataclass(frozen=True)
class Verdict:
    """One of `WORDS`, the number it is based on, with its uncertainty, and a sentence that says what was seen."""

    word: str
    number: str
    because: str
    numbers: dict = field(default_factory=dict)

    def __post_init__(self):
        if self.word not in WORDS:
            raise ValueError(f"Verdict: the word is {self.word!r}; it must be one of {', '.join(WORDS)}")


@dataclass(frozen=True)
class Claim:
    """A statement of the paper and its study.

    id, section   its name on the command line; its place in the paper
    statement     what the paper says, in our words
    method        what is run and measured, with the grid and the number of seeds
    rule          how the verdict follows from the numbers, for each word that can come out
    limits        what the study does not show
    plan          plan(scale) is a generator: it yields lists of configurations, and gets the Result of each list back,
                  so that a learning rate can be chosen before it is used
    run           run(config, data) gives a record: numbers, lists and arrays by name
    verdict       verdict(result) gives a Verdict
    figure        figure(result) gives a matplotlib figure
    data          what runs get: the digits of "mnist", the photographs of "cifar10", both "graphs", a "text", or None
    tables        tables(result) gives Markdown for the page, in place of the usual table of learning rates
    part          one of `PARTS`: the part of the ledger that it belongs to
    """

    id: str
    section: str
    statement: str
    method: str
    rule: str
    limits: str
    plan: Callable[[Scale], Generator[list[dict], Result, None]]
    run: Callable[[dict, Any], dict]
    verdict: Callable[[Result], Verdict]
    figure: Callable[[Result], Any]
    data: str | None = "mnist"
    tables: Callable[[Result], str] | None = None
    part: str = "paper"

    def __post_init__(self):
        if self.part not in PARTS:
            raise ValueError(f"Claim: the part is {self.part!r}; it must be one of {', '.join(PARTS)}")


def best(result, name, by="lr"):
    """Return the value of the setting `by` at which the mean of an entry over the runs is highest; nan counts as lowest.

    Values with fewer runs than others are not considered: they were tried, and given up.
    """
    values = {choice: result.values(name, **{by: choice}) for choice in result.settings(by)}
    most = max(map(len, values.values()))
    means = {choice: np.nan_to_num(v, nan=-math.inf).mean() for choice, v in values.items() if len(v) == most}
    return max(means, key=means.get)


def cautious(result, name, by="lr"):
    """Return the smallest value that is not worse than `best`'s by more than a standard error of the difference.

    For learning rates: one near divergence may be a little better for these seeds, and fail for others. The difference is
    paired: runs of two values must have the same seeds in the same order. With fewer than three seeds it is just the best.
    Source  Breiman et al. 1984, the rule of one standard error
    """
    chosen = best(result, name, by)
    highest = result.values(name, **{by: chosen})
    for choice in sorted(choice for choice in result.settings(by) if choice < chosen):
        values = np.nan_to_num(result.values(name, **{by: choice}))
        if len(values) == len(highest) and within_error(highest - values):
            return choice
    return chosen


def word_for(holds, against):
    """Return the word of the usual rule, for a claim of several parts.

    Reproduced if all parts hold, partly if any does; contradicted if none does and any has the opposite; otherwise not at
    this scale.
    holds, against  a truth value for each part
    """
    if all(holds):
        return "reproduced"
    if any(holds):
        return "partly"
    return "contradicted" if any(against) else "not at this scale"


def within_error(less):
    """Return whether a mean difference, of three seeds or more, is at most one standard error."""
    return len(less) > 2 and less.mean() <= less.std(ddof=1) / len(less) ** 0.5


def plain(value):
    """Convert to what JSON can hold: arrays and tuples to lists, numbers to seven digits, NaN and infinity to None."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return float(f"{value:.7g}") if math.isfinite(value) else None
    if value is None or isinstance(value, str | bool | int):
        return value
    raise TypeError(
        f"plain: a record has a {type(value).__name__}; only numbers, text, lists, dicts and arrays are kept"
    )

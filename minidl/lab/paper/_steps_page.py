"""Tables of the claim `steps` for the page: sentences, arms, one change at a time, and all grids."""

import numpy as np

from minidl.lab.paper._search import cells, chosen
from minidl.lab.paper._steps_arms import ARMS, RETUNED, STACK, WATERFALLS
from minidl.lab.paper._steps_run import kind
from minidl.lab.paper._steps_verdict import LONG, Curves, judge
from minidl.lab.study.statistics import t_interval

__all__ = ["tables"]


def tables(result):
    """Return everything that the page shows in tables, as Markdown."""
    curves, stack, long = Curves(result), Curves(result, network="stack"), Curves(result, "long")
    spent = result.where(stage="time").runs[0].record
    parts = [
        _table(("sentence", "verdict", "number"), [(s.text, s.word, s.number) for s in judge(result)]),
        _title("Steps to the plain network's own best", curves) + _arms(result, curves, ARMS | RETUNED, spent),
        _title("The same with the plain stack of convolutions", stack) + _arms(result, stack, STACK, spent),
        _title("The same with four times the steps", long) + _arms(result, long, LONG, spent, "long"),
        "From the plain network to BN-x5, one change at a time; each row has all changes above it. Speed-ups are against "
        f"the plain network:\n\n{_waterfalls(curves)}",
        "What was tried to choose settings: validation accuracy at the end (%) by learning rate, one seed, or the mean of "
        f"three for the two best settings of an arm; bold: chosen:\n\n{_grids(result)}",
    ]
    return "".join(f"\n\n{part}" for part in parts)


def _title(text, curves):
    return (
        f"{text}, {100 * curves.target:.1f} % on validation images, in {curves.budget:,} steps. “Best” is the highest "
        "smoothed accuracy, “time” the processor time to the target, where a "
        "sigmoid is taken to cost what a ReLU costs:\n\n"
    )


def _arms(result, curves, arms, spent, stage="final"):
    rows = []
    for arm in arms:
        runs = result.where(arm=curves.name(arm), stage=stage)
        config = runs.runs[0].config
        rows.append(
            (
                arm, f"{config['lr']:g}", str(len(runs.runs)), _arrived(curves, arm), curves.speed(arm).text(),
                t_interval(list(curves.best(arm).values())).text(1, 100), _time(curves, arm, spent[kind(config)]),
            )
        )  # fmt: skip
    return _table(("arm", "rate", "seeds", "steps", "speed-up", "best (%)", "time"), rows)


def _arrived(curves, arm):
    """The geometric mean of the steps to the target, or how many seeds got there."""
    steps = np.array(list(curves.arrivals(arm).values()))
    there = steps[np.isfinite(steps)]
    if not len(there):
        return "never"
    mean = f"{np.exp(np.log(there).mean()):,.0f}"
    return mean if len(there) == len(steps) else f"{mean} ({len(there)} of {len(steps)} seeds)"


def _time(curves, arm, milliseconds):
    steps = np.array(list(curves.arrivals(arm).values()))
    step = f"{milliseconds:.1f} ms a step"
    if not np.isfinite(steps).all():
        return step
    return f"{np.exp(np.log(steps).mean()) * milliseconds / 1000:,.0f} s ({step})"


def _waterfalls(curves):
    rows = []
    for there, back in zip(*(fall.items() for fall in WATERFALLS), strict=True):
        row = []
        for change, arm in (there, back):
            row += [change if change == "plain" else f"+ {change}", _arrived(curves, arm), curves.speed(arm).text()]
        rows.append(row)
    return _table(("in the paper's order", "steps", "speed-up", "reversed", "steps", "speed-up"), rows)


def _grids(result):
    tuned = result.where(stage="tune")
    rates, rows = sorted(tuned.settings("lr")), []
    for arm in tuned.settings("arm"):
        tried, best = cells(result, arm), tuple(chosen(result, arm).values())
        hurry = tuned.where(arm=arm).runs[0].config["hurry"]
        for decay, start in dict.fromkeys(cell[1:] for cell in tried):
            row = [f"{arm}, decay 1/{decay**-hurry:,.0f}, {start}"]
            for rate in rates:
                cell = (rate, decay, start)
                text = f"{100 * np.mean(tried[cell]):.1f}" if cell in tried else ""
                row.append(f"**{text}**" if cell == best else text)
            rows.append(row)
    return _table(("arm", *(f"{rate:g}" for rate in rates)), rows)


def _table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)

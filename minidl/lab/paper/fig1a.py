"""Figure 1(a) of the paper (§4.1): with batch norm the network trains faster, and ends more accurate."""

import numpy as np

from minidl.lab.paper._reach import speed_up
from minidl.lab.paper._training import CHANCE, FINAL, GRID, best_arm, finals, rate, raw, tune
from minidl.lab.paper.fig1 import Settings, prepare, run_arm
from minidl.lab.study.claim import Claim, Result, Verdict, within_error
from minidl.lab.study.statistics import paired, t_interval
from minidl.train import evaluate

__all__ = ["CLAIM", "chosen"]

STDS = (0.1, 0.01)
RATES = GRID[:-1]  # at 32 both networks are far from their best: see ics
NORMS = {"with BN": "batch", "without BN": "none"}
TARGET = 0.95
TARGETS = (0.85, 0.88, 0.9, 0.91, 0.92, 0.93, 0.94, 0.95, 0.96, 0.965, 0.97, 0.975)  # for the curve of ratios


def _name(name, std):
    return f"{name}, std {std:g}"


def _arms(steps):
    return {_name(n, std): {"norm": norm, "init_std": std, "steps": steps} for std in STDS for n, norm in NORMS.items()}


def plan(scale):
    """4 arms × (16 to tune + 5) and some more × (50,000 steps × 0.4 ms + 3 s of measuring) = 40 minutes of one core."""
    arms = _arms(scale.pick(50_000, 2000))
    tuned = yield from tune(arms, scale, RATES)
    configs = finals(arms, tuned, range(scale.seeds))
    none = _best(tuned, "without BN")
    others = [(none.replace("without", "with"), rate(tuned, none))]
    others += [cell for name in NORMS for cell in _ties(tuned, name)]
    for arm, lr in others:
        more = [{**arms[arm], "arm": arm, **FINAL, "lr": lr, "seed": seed} for seed in range(scale.seeds)]
        configs += [config for config in more if config not in configs]
    yield configs


def run(config, digits):
    """The curve of test accuracy, and final accuracies."""
    settings = Settings(**{name: config[name] for name in ("steps", "lr", "init_std", "seed")})
    trained, (images, labels), test = raw(digits)
    try:
        arm = run_arm(settings, config["norm"], (trained, test), quiet=True, replay=True)
    except FloatingPointError:
        return {"steps": [], "curve": [], "steps_to": None, "validation": CHANCE, "test": CHANCE}
    return {
        "steps": arm.steps,
        "curve": arm.accuracy,
        "steps_to": arm.steps_to(TARGET),
        "validation": evaluate(arm.model, prepare(images, settings.model), labels).accuracy,
        "test": arm.accuracy[-1],
    }


def _best(result, name):
    """The arm with the better initial scale."""
    return best_arm(result, [_name(name, std) for std in STDS])


def chosen(result, std=None):
    """Return, with BN and without, the results' runs at the best setting; with `std`, at the best of that scale."""
    names = {name: _best(result, name) if std is None else _name(name, std) for name in NORMS}
    return {name: result.where(arm=arm, lr=rate(result, arm), **FINAL) for name, arm in names.items()}


def _ties(result, name):
    """The settings (arm, learning rate) that tuning cannot tell from the best one, by the rule of one standard error."""
    tuned, values = result.where(stage="tune"), {}
    for arm in (_name(name, std) for std in STDS):
        for lr in tuned.settings("lr", arm=arm):
            values[arm, lr] = tuned.values("validation", arm=arm, lr=lr)
    n = max(map(len, values.values()))
    values = {cell: v for cell, v in values.items() if len(v) == n}
    best = max(values, key=lambda cell: values[cell].mean())
    return [cell for cell, v in values.items() if cell == best or within_error(values[best] - v)]


def _ranges(result):
    """Leads and speeds over all pairs of settings, with and without BN, that tuning cannot tell from the best ones."""
    batch, none = ([result.where(arm=arm, lr=lr, **FINAL) for arm, lr in _ties(result, name)] for name in NORMS)
    pairs = [_compare(one, other) for one in batch for other in none]
    better, faster = (sorted(pair[kind] for pair in pairs) for kind in ("better", "faster"))
    points = " to ".join(i.text(2, 100, sign=True) for i in (better[0], better[-1]))
    return f"{points} points, at {np.exp(faster[0].mean):.2f}× to {np.exp(faster[-1].mean):.2f}× the speed"


def _steps_to(runs):
    """Steps to the target, a seed each; one that never gets there counts as if it did at the end."""
    return np.nan_to_num(runs.values("steps_to"), nan=runs.settings("steps")[0])


def _compare(batch, none):
    """How much faster (a logarithm) and how much more accurate batch norm is."""
    return {
        "faster": paired(np.log(_steps_to(none)), np.log(_steps_to(batch))),
        "better": paired(batch.values("test"), none.values("test")),
    }


def _first(runs, target):
    """Steps to a target, a seed each, or nan for never."""
    found = []
    for run in runs.runs:
        reached = [
            step for step, accuracy in zip(run.record["steps"], run.record["curve"], strict=True) if accuracy >= target
        ]
        found.append(reached[0] if reached else np.nan)
    return np.array(found)


def ratios(result):
    """Return target → SpeedUp of batch norm at its best over none at its best, where any run gets there."""
    none, batch = (chosen(result)[name] for name in ("without BN", "with BN"))
    steps, found = none.settings("steps")[0], {}
    for target in TARGETS:
        slow, fast = _first(none, target), _first(batch, target)
        if np.isfinite([slow, fast]).any():
            found[target] = speed_up(slow, fast, steps)
    return found


def verdict(result):
    """Both networks at their best; and both from small initial weights."""
    tuned, small = chosen(result), chosen(result, min(STDS))
    at_best, from_small = (_compare(*arms.values()) for arms in (tuned, small))
    none = tuned["without BN"]
    setting = {name: none.settings(name)[0] for name in ("init_std", "lr")}
    same = _compare(result.where(norm="batch", **setting, **FINAL), none)
    gains = [*at_best.values(), *from_small.values()]
    if all(gain.above_zero for gain in at_best.values()):
        word = "reproduced"
    elif any(gain.above_zero for gain in gains):
        word = "partly"
    else:
        word = "contradicted" if any(gain.below_zero for gain in gains) else "not at this scale"
    ties = ", ".join(f"{arm} at {lr:g}" for name in NORMS for arm, lr in _ties(result, name))
    return Verdict(
        word,
        f"tuned {_number(at_best)}; with other settings that tuning cannot tell from the best: {_ranges(result)}; from std "
        f"{min(STDS):g}: {_number(from_small)}",
        f"Each at its best setting: {_words(tuned)}. From small initial weights: {_words(small)}. A run that did "
        f"not reach {100 * TARGET:g} % counts as if it did at the end. Intervals (above zero: batch norm is ahead): "
        f"{_sides(gains)}. With batch norm at the tuned baseline's own setting: {_number(same)}. Settings within a "
        f"standard error of the best in tuning: {ties}. Over all pairs of them batch norm is {_ranges(result)}. How much "
        f"faster it is depends on the target, each network at its best: {_by_target(result)}.",
        {"tuned": {k: list(v) for k, v in at_best.items()}, "small": {k: list(v) for k, v in from_small.items()}},
    )


def _by_target(result):
    return ", ".join(f"to {100 * target:g} % {found.text()}" for target, found in ratios(result).items())


def _number(gains):
    """Return the lead in points, and the speed to the target, as slower or faster where the interval excludes 1."""
    gain, factor = gains["faster"], np.exp(list(gains["faster"]))
    side = "faster" if gain.above_zero else "slower" if gain.below_zero else None
    spread = "" if not np.isfinite(factor[2]) else f" ({factor[1]:.2f} to {factor[2]:.2f})"
    lead = gains["better"].text(2, 100, sign=True)
    target = f"{side} to {100 * TARGET:g} %, at" if side else f"to {100 * TARGET:g} % at"
    return f"{lead} points, {target} {factor[0]:.2f}× the speed{spread}"


def _words(arms):
    return ", ".join(
        f"{name} {t_interval(runs.values('test')).text(2, 100)} % (std {runs.settings('init_std')[0]:g}, learning "
        f"rate {runs.settings('lr')[0]:g}{_edge(runs)}; {100 * TARGET:g} % after {_steps_to(runs).mean():,.0f} steps)"
        for name, runs in arms.items()
    )


def _edge(runs):
    return ", the end of the grid" if runs.settings("lr")[0] in (min(RATES), max(RATES)) else ""


def _sides(gains):
    """Say on which side of zero each interval is: faster and better, tuned and from small weights."""
    names = ("speed when tuned", "accuracy when tuned", "speed from small weights", "accuracy from small weights")
    signs = ["above" if gain.above_zero else "below" if gain.below_zero else "around" for gain in gains]
    return "; ".join(f"{name}: {sign} zero" for name, sign in zip(names, signs, strict=True))


def figure(result):
    """Curves at the best settings, the ratio of steps for every target, and the grid as it was tried for tuning."""
    from minidl.lab import plot

    figure, (curves, ratio, accuracy, speed) = plot.panels(
        2, 2, size=(5.2, 3.7),
        note="upper row: the seeds of the results, as test accuracy; lower row: the seeds for tuning, two to five of them",
    )  # fmt: skip
    lines, ends = {}, {}
    for std, where in ((None, "best setting"), (min(STDS), f"std {min(STDS):g}")):
        for name, runs in chosen(result, std).items():
            whole = Result(tuple(run for run in runs.runs if run.record["curve"]))
            lines[f"{name}, {where}"] = whole.values("steps")[0], 100 * whole.values("curve")
            ends[name, std] = 100 * runs.values("test").mean()
    title = f"At its best {ends['with BN', None]:.2f} % with BN, {ends['without BN', None]:.2f} % without"
    plot.lines(curves, lines, title, "training step", "test accuracy (%)")
    curves.set_ylim(min(values.mean(0)[len(values[0]) // 10] for _, values in lines.values()) - 1, 100)
    _ratio(plot, ratio, result)
    rates = sorted(result.settings("lr", stage="tune"))
    cells = {arm: [result.where(arm=arm, stage="tune", lr=lr) for lr in rates] for arm in _arms(0)}
    grid = {arm: (rates, [100 * np.median(cell.values("validation")) for cell in row]) for arm, row in cells.items()}
    name, (_, values) = max(grid.items(), key=lambda item: max(item[1][1]))
    title = f"Highest: {name}, at {rates[int(np.argmax(values))]:g}"
    plot.lines(accuracy, grid, title, "learning rate", "validation accuracy at the end (%), median", log="x")
    accuracy.set_ylim(max(min(min(values) for _, values in grid.values()), 90) - 1, 100)
    grid = {arm: (rates, [np.median(_steps_to(cell)) for cell in row]) for arm, row in cells.items()}
    name, (_, values) = min(grid.items(), key=lambda item: min(item[1][1]))
    title = f"Fastest to {100 * TARGET:g} %: {name}, at {rates[int(np.argmin(values))]:g}"
    plot.lines(speed, grid, title, "learning rate", f"training steps to {100 * TARGET:g} %, median", log="xy")
    return figure


def _ratio(plot, ax, result):
    """Speed-ups over the target; a run that never arrives counts as if it did at the end."""
    found, runs = ratios(result), chosen(result)
    if not found:
        ax.set_axis_off()
        return
    steps = runs["without BN"].settings("steps")[0]
    rows = [
        np.nan_to_num(_first(runs["without BN"], target), nan=steps)
        / np.nan_to_num(_first(runs["with BN"], target), nan=steps)
        for target in found
    ]
    (first, most), (last, least) = (end(found.items(), key=lambda pair: pair[1].mean) for end in (max, min))
    bound = "at least " if most.at_least else ""
    title = f"With BN {bound}{most.mean:.2f}× as fast to {100 * first:g} %, {least.mean:.2f}× to {100 * last:g} %"
    lines = {"each at its best": (100 * np.array(list(found)), np.transpose(rows))}
    plot.lines(ax, lines, title, "test accuracy (%)", "steps without BN / steps with BN", log="y")
    ax.axhline(1, color="0.4", linewidth=1, linestyle=(0, (2, 2)), zorder=1)


CLAIM = Claim(
    id="fig1a",
    section="§4.1, Figure 1(a)",
    statement="""With batch norm the network trains faster, and reaches a higher test accuracy.""",
    method="""The paper's network: binary 28 × 28 digits, three layers of 100 sigmoid units, ten classes, batches of
        60, 50,000 steps of plain SGD, normal initial weights of std 0.1 or 0.01. The paper gives neither the std nor
        the learning rate. Test accuracy is measured every 500 steps. For each of the four arms (with or without
        batch norm, from either std) the learning rate is tuned for the final accuracy. Of the two stds, the one whose
        tuning runs are better on the validation images counts as the best setting. 5 seeds for the results. The ratio of
        steps is also shown for twelve targets from 85 to 97.5 %; a run that never gets to one is a bound there.""",
    rule="""Faster: steps to 95 % test accuracy (as logarithms); better: final test accuracy; each with batch norm
        against without, when tuned and from small weights. Reproduced if it is both when tuned; partly if any of the
        four intervals is above 0; contradicted if none is above and one is below; otherwise not at this scale.""",
    limits="""Plain SGD at a constant learning rate on one small network. Settings are tuned for the final accuracy,
        not for speed: tuned for speed, the order could change, as it could with other schedules or longer training.
        The paper gives neither learning rate nor initial scale. The rule takes one target, and other targets give other
        ratios.""",
    plan=plan, run=run, verdict=verdict, figure=figure,
)  # fmt: skip

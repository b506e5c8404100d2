"""Figure 1(a) of the paper (§4.1): with batch norm the network trains faster, and ends more accurate."""

import numpy as np

from minidl.paper._training import CHANCE, raw
from minidl.paper.fig1 import Settings, prepare, run_arm
from minidl.study.claim import Claim, Result, Verdict
from minidl.study.statistics import paired, t_interval
from minidl.train import evaluate

__all__ = ["CLAIM"]

STDS, RATES = (0.1, 0.01), (0.1, 0.5, 2.0, 8.0)
ARMS = {"with BN": "batch", "without BN": "none"}
TARGET = 0.95


def plan(scale):
    """2 arms × 2 stds × 4 rates × 5 seeds × (50,000 steps × 0.9 ms + 10 s of measuring) = 70 minutes of one core."""
    steps, rates = scale.pick(50_000, 2000), scale.pick(RATES, RATES[1:3])
    yield [
        {"norm": norm, "init_std": std, "lr": lr, "seed": seed, "steps": steps}
        for norm in ARMS.values()
        for std in STDS
        for lr in rates
        for seed in range(scale.seeds)
    ]


def run(config, digits):
    """The curve of test accuracy, and final accuracies."""
    settings = Settings(**{name: config[name] for name in ("steps", "lr", "init_std", "seed")})
    trained, (images, labels), test = raw(digits)
    try:
        arm = run_arm(settings, config["norm"], (trained, test), quiet=True)
    except FloatingPointError:
        return {"steps": [], "curve": [], "steps_to": None, "validation": CHANCE, "test": CHANCE}
    return {
        "steps": arm.steps,
        "curve": arm.accuracy,
        "steps_to": arm.steps_to(TARGET),
        "validation": evaluate(arm.model, prepare(images, settings.model), labels).accuracy,
        "test": arm.accuracy[-1],
    }


def _settings(result):
    """All (std, lr) of a result."""
    return list(dict.fromkeys((run.config["init_std"], run.config["lr"]) for run in result.runs))


def _tuned(result, norm, std=None):
    """The runs of an arm at the setting with the best mean validation accuracy; with `std`, among those of that scale."""
    arm = result.where(norm=norm) if std is None else result.where(norm=norm, init_std=std)
    chosen = max(_settings(arm), key=lambda s: arm.values("validation", init_std=s[0], lr=s[1]).mean())
    return arm.where(init_std=chosen[0], lr=chosen[1])


def _steps_to(runs):
    """Steps to the target, a seed each; one that never gets there counts as if it did at the end."""
    return np.nan_to_num(runs.values("steps_to"), nan=runs.settings("steps")[0])


def _compare(batch, none):
    """How much faster (a logarithm) and how much more accurate batch norm is."""
    return {
        "faster": paired(np.log(_steps_to(none)), np.log(_steps_to(batch))),
        "better": paired(batch.values("test"), none.values("test")),
    }


def verdict(result):
    """Both networks at their best; and both from small initial weights."""
    tuned = {norm: _tuned(result, norm) for norm in ARMS.values()}
    small = {norm: _tuned(result, norm, min(STDS)) for norm in ARMS.values()}
    at_best, from_small = (_compare(arms["batch"], arms["none"]) for arms in (tuned, small))
    setting = {name: tuned["none"].settings(name)[0] for name in ("init_std", "lr")}
    same = _compare(result.where(norm="batch", **setting), tuned["none"])
    gains = [*at_best.values(), *from_small.values()]
    if all(gain.above_zero for gain in at_best.values()):
        word = "reproduced"
    elif any(gain.above_zero for gain in gains):
        word = "partly"
    else:
        word = "contradicted" if any(gain.below_zero for gain in gains) else "not at this scale"
    return Verdict(
        word,
        f"tuned {_number(at_best)}; from std {min(STDS):g} {_number(from_small)}",
        f"Each at its best setting: {_words(tuned)}. From small initial weights: {_words(small)}. A run that did "
        f"not reach {100 * TARGET:g} % counts as if it did at the end. Intervals (above zero: batch norm is ahead): "
        f"{_sides(gains)}. With batch norm at the tuned baseline's own setting: {_number(same)}.",
        {"tuned": {k: list(v) for k, v in at_best.items()}, "small": {k: list(v) for k, v in from_small.items()}},
    )


def _number(gains):
    factor = np.exp(list(gains["faster"]))
    spread = "" if not np.isfinite(factor[2]) else f" ({factor[1]:.2f} to {factor[2]:.2f})"
    return f"{gains['better'].text(2, 100, sign=True)} points, {factor[0]:.2f} × as fast to 95 %{spread}"


def _words(arms):
    return ", ".join(
        f"{name} {t_interval(runs.values('test')).text(2, 100)} % (std {runs.settings('init_std')[0]:g}, learning "
        f"rate {runs.settings('lr')[0]:g}{_edge(runs)}; {100 * TARGET:g} % after {_steps_to(runs).mean():,.0f} steps)"
        for name, runs in ((name, arms[norm]) for name, norm in ARMS.items())
    )


def _edge(runs):
    return ", the end of the grid" if runs.settings("lr")[0] in (min(RATES), max(RATES)) else ""


def _sides(gains):
    """Which of faster and better, tuned and from small weights, come out, and which way."""
    names = ("speed when tuned", "accuracy when tuned", "speed from small weights", "accuracy from small weights")
    signs = ["above" if gain.above_zero else "below" if gain.below_zero else "around" for gain in gains]
    return "; ".join(f"{name}: {sign} zero" for name, sign in zip(names, signs, strict=True))


def figure(result):
    """Curves at the best settings, and the whole grid."""
    from minidl import plot

    figure, (curves, accuracy, speed) = plot.panels(3)
    lines = {}
    for std, where in ((None, "best setting"), (min(STDS), f"std {min(STDS):g}")):
        for name, norm in ARMS.items():
            runs = _tuned(result, norm, std)
            whole = Result(tuple(run for run in runs.runs if run.record["curve"]))
            lines[f"{name}, {where}"] = whole.values("steps")[0], 100 * whole.values("curve")
    plot.lines(curves, lines, "Test accuracy, each arm tuned", "training step", "test accuracy (%)")
    curves.set_ylim(min(values.mean(0)[len(values[0]) // 10] for _, values in lines.values()) - 1, 100)
    rates = result.settings("lr")
    for ax, entry, title, ylabel in (
        (accuracy, "test", "The whole grid: final accuracy", "test accuracy at the end (%)"),
        (speed, "steps_to", f"The whole grid: steps to {100 * TARGET:g} %", "training steps"),
    ):
        grid = {}
        for std in STDS:
            for name, norm in ARMS.items():
                cells = [result.where(norm=norm, init_std=std, lr=lr) for lr in rates]
                values = [_steps_to(cell) if entry == "steps_to" else 100 * cell.values("test") for cell in cells]
                grid[f"{name}, std {std:g}"] = rates, np.transpose(values)
        plot.lines(ax, grid, title, "learning rate", ylabel, log="xy" if entry == "steps_to" else "x")
        if entry == "test":  # one seed that diverged would make the others a single line
            ax.set_ylim(min(np.median(values, 0).min() for _, values in grid.values()) - 1, 100)
    return figure


CLAIM = Claim(
    id="fig1a",
    section="§4.1, Figure 1(a)",
    statement="""With batch norm the network trains faster, and reaches a higher test accuracy.""",
    method="""The paper's network: binary 28 × 28 digits, three layers of 100 sigmoid units, ten classes, batches of
        60, 50,000 steps of plain SGD, weights normal of std 0.1 or 0.01; learning rates 0.1, 0.5, 2 and 8, which the
        paper does not give. All 16 settings with 5 seeds; test accuracy each 500 steps. Tuned: the (std, learning
        rate) with the best mean validation accuracy at the end, for each arm by itself; from small weights: the same
        among std 0.01. Settings are chosen by the five seeds that are reported, and without the rule of one standard
        error, so that others that are as good would give other speeds.""",
    rule="""Faster: steps to 95 % test accuracy (as logarithms); better: final test accuracy; each with batch norm
        against without, when tuned and from small weights. Reproduced if it is both when tuned; partly if any of the
        four intervals is above 0; contradicted if none is and one is below; else not at this scale.""",
    limits="""Plain SGD at a constant learning rate on one small network. Settings are tuned for the final accuracy;
        with other schedules or longer training the order could change. The paper gives neither learning rate nor
        initial scale.""",
    plan=plan, run=run, verdict=verdict, figure=figure,
)  # fmt: skip

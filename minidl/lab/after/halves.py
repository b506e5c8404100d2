"""Subtracting the mean, or dividing by the standard deviation: which half of batch norm does its work?"""

from functools import partial

import numpy as np

from minidl import nn
from minidl.lab.after._deep_sigmoids import HalfNorm, Shift, sigmoids
from minidl.lab.paper._training import FINAL, draws, finals, score, split, train, tune
from minidl.lab.study.claim import Claim, Verdict, word_for
from minidl.lab.study.statistics import paired, t_interval

__all__ = ["CLAIM"]

BOTH, MEAN, STD, NEITHER = "both", "mean only", "deviation only", "neither"
MAKE = {BOTH: nn.BatchNorm, MEAN: partial(HalfNorm, centre=True), STD: partial(HalfNorm, centre=False), NEITHER: Shift}
DEPTHS = SHALLOW, DEEP = 3, 12
STEPS = 2000


def plan(scale):
    """4 arms × 2 depths × (18 to tune + 5) × 2,000 steps of 1 to 6 ms: 18 minutes of one core."""
    arms = {
        _cell(part, depth): {"part": part, "depth": depth, "steps": scale.pick(STEPS, 200)}
        for depth in DEPTHS
        for part in MAKE
    }
    tuned = yield from tune(arms, scale)
    yield finals(arms, tuned, range(scale.seeds))


def _cell(part, depth):
    return f"{part}, {depth} layers"


def run(config, digits=None):
    """Accuracies of a network with a part of batch norm before each activation."""
    data, seed = split(digits), config["seed"]
    make = MAKE[config["part"]]
    model = sigmoids(config["depth"], lambda layer, features: make(features), np.random.default_rng(seed))
    return score(model, data, train(model, draws(data, 60, seed), config["lr"], config["steps"]))


def _tests(result, part, depth):
    return result.values("test", arm=_cell(part, depth), **FINAL)


def verdict(result):
    """Both less each half, in the deep network."""
    less = {(half, d): paired(_tests(result, BOTH, d), _tests(result, half, d)) for d in DEPTHS for half in (MEAN, STD)}
    deep = [less[half, DEEP] for half in (MEAN, STD)]
    word = word_for([i.above_zero for i in deep], [i.below_zero for i in deep])
    ends = "; ".join(
        f"{d} layers: " + ", ".join(f"{part} {t_interval(_tests(result, part, d)).text(1, 100)} %" for part in MAKE)
        for d in DEPTHS
    )
    gain = {half: paired(_tests(result, half, DEEP), _tests(result, NEITHER, DEEP)) for half in (MEAN, STD)}
    return Verdict(
        word,
        f"{DEEP} layers: both less mean only {_points(deep[0])} points, less deviation only {_points(deep[1])}",
        f"Test accuracy after {_steps(result):,} steps, {ends}. At {SHALLOW} layers both less mean only is "
        f"{_points(less[MEAN, SHALLOW])} points, less deviation only {_points(less[STD, SHALLOW])}. At {DEEP} layers the "
        f"mean alone gains {_points(gain[MEAN])} points over neither, the deviation alone {_points(gain[STD])}.",
        {f"both less {half}, {d} layers": interval for (half, d), interval in less.items()}
        | {f"{half} less neither, {DEEP} layers": interval for half, interval in gain.items()},
    )


def _steps(result):
    return result.where(**FINAL).runs[0].config["steps"]


def _points(interval):
    return interval.text(2, 100, sign=True)


def figure(result):
    """Test accuracies of the four arms at both depths."""
    from minidl.lab import plot

    figure, axes = plot.panels(2, size=(5.4, 3.2))
    for ax, depth in zip(axes, DEPTHS, strict=True):
        rows = {part: 100 * _tests(result, part, depth) for part in MAKE}
        best = max((MEAN, STD), key=lambda half: rows[half].mean())
        gap = rows[BOTH].mean() - rows[best].mean()
        title = f"{depth} layers: both end {abs(gap):.1f} points {'above' if gap > 0 else 'below'} {best}"
        plot.intervals(ax, rows, title, "test accuracy (%), a small dot a seed")
    return figure


CLAIM = Claim(
    id="halves",
    section="half a batch norm",
    part="after",
    statement="""In a deep network neither half of batch norm does the work of both: subtracting the mean alone, or dividing
        by the standard deviation alone, ends at a lower accuracy (a question of *Dive into Deep Learning*, Zhang et al.
        2023, chapter 8.5).""",
    method=f"""{SHALLOW} and {DEEP} layers of 100 sigmoids on binary MNIST, {STEPS:,} steps of batches of 60, plain SGD, from
        four times Glorot's weights. Before each activation: batch norm; x − μ; x / √(σ² + ε); or a bias alone. The first
        three have γ and β, and gradients go through the statistics; for evaluation those of 10,000 training images are
        taken. Each arm has its own tuned rate; 5 seeds.""",
    rule=f"""By the differences of test accuracy at {DEEP} layers, both less one half. Reproduced if both are above 0; partly
        if one is; contradicted if none is, and one is below 0; otherwise not at this scale.""",
    limits="""One activation, fully connected layers and short training. Weights were not normalised, as they are where the
        mean alone was proposed (Salimans and Kingma 2016). How the halves do with a start that does not suit the
        activation is not tested. With 12 layers, dividing alone chose the smallest rate on offer, where some seeds stay at
        chance: a smaller rate may do better.""",
    plan=plan, run=run, verdict=verdict, figure=figure,
)  # fmt: skip

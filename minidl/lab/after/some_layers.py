"""Batch norm in some layers of a network only: does every layer need it?"""

import numpy as np

from minidl import nn
from minidl.lab.after._deep_sigmoids import Shift, sigmoids
from minidl.lab.paper._training import FINAL, draws, finals, score, split, train, tune
from minidl.lab.study.claim import Claim, Verdict
from minidl.lab.study.statistics import paired, t_interval

__all__ = ["CLAIM"]

DEPTH, STEPS = 12, 2000
ALL, NONE = "all 12", "none"
ARMS = {
    ALL: range(DEPTH),
    "every second": range(1, DEPTH, 2),
    "every third": range(2, DEPTH, 3),
    "every fourth": range(3, DEPTH, 4),
    "first six": range(DEPTH // 2),
    "last six": range(DEPTH // 2, DEPTH),
    "the first": range(1),
    "the last": range(DEPTH - 1, DEPTH),
    NONE: range(0),
}
SOME = tuple(arm for arm in ARMS if arm not in (ALL, NONE))
CLOSE = 0.005  # half a point of accuracy


def plan(scale):
    """9 arms × (18 to tune + 5) × 2,000 steps × 2.5 ms: 17 minutes of one core."""
    arms = {arm: {"layers": list(layers), "steps": scale.pick(STEPS, 200)} for arm, layers in ARMS.items()}
    tuned = yield from tune(arms, scale)
    yield finals(arms, tuned, range(scale.seeds))


def run(config, digits=None):
    """Accuracies of a network with batch norm in some layers, and a bias alone in the others."""
    data, seed = split(digits), config["seed"]

    def make(layer, features):
        return nn.BatchNorm(features) if layer in config["layers"] else Shift(features)

    model = sigmoids(DEPTH, make, np.random.default_rng(seed))
    return score(model, data, train(model, draws(data, 60, seed), config["lr"], config["steps"]))


def _tests(result, arm):
    return result.values("test", arm=arm, **FINAL)


def verdict(result):
    """Batch norm in all layers, less each way to put it into some."""
    less = {arm: paired(_tests(result, ALL), _tests(result, arm)) for arm in (*SOME, NONE)}
    enough = [arm for arm in SOME if less[arm].high < CLOSE]
    worse = [arm for arm in SOME if less[arm].above_zero]
    if len(worse) == len(SOME):
        word = "reproduced"
    elif enough:
        word = "contradicted"
    else:
        word = "partly" if worse else "not at this scale"
    ends = ", ".join(f"{arm} {t_interval(_tests(result, arm)).text(1, 100)} %" for arm in ARMS)
    fewest = min(enough, key=lambda arm: len(ARMS[arm]), default=None)
    say = (
        f"“{fewest}” is enough: all layers less it {_points(less[fewest])} points"
        if fewest
        else f"worse than all layers in {len(worse)} of {len(SOME)} placements"
    )
    return Verdict(
        word,
        f"{say}; all less none {_points(less[NONE])}",
        f"Test accuracy with batch norm in: {ends}. All layers less "
        + ", ".join(f"{arm} {_points(less[arm])}" for arm in SOME)
        + " points.",
        {f"all less {arm}": interval for arm, interval in less.items()},
    )


def _points(interval):
    return interval.text(2, 100, sign=True)


def figure(result):
    """Test accuracies of all placements."""
    from minidl.lab import plot

    figure, (ax,) = plot.panels(1, size=(7.2, 4.2))
    rows = {f"{arm} ({len(layers)})" if arm in SOME else arm: 100 * _tests(result, arm) for arm, layers in ARMS.items()}
    means = {arm: 100 * _tests(result, arm).mean() for arm in SOME}
    best = max(means, key=means.get)
    title = f"Of {DEPTH} layers, {best}: {means[best]:.1f} %; all: {100 * _tests(result, ALL).mean():.1f} %"
    plot.intervals(ax, rows, title, "test accuracy (%), a small dot a seed; batch norm in (layers)")
    return figure


CLAIM = Claim(
    id="some-layers",
    section="batch norm in some layers",
    part="after",
    statement="""In a deep network every layer needs batch norm: with it in some layers only, the accuracy is lower (a
        question of *Dive into Deep Learning*, Zhang et al. 2023, chapter 8.5).""",
    method=f"""{DEPTH} layers of 100 sigmoids on binary MNIST, {STEPS:,} steps of batches of 60, plain SGD, from four times
        Glorot's weights. Batch norm comes before the activation of all layers; of every second, third or fourth, counted
        from the input, the last among them; of the first or the last six; of the first or the last one; or of none. The
        others have a bias there. Each arm has its own tuned rate; 5 seeds.""",
    rule=f"""By the differences of test accuracy, all layers less some. Reproduced if each of the {len(SOME)} placements is
        worse (interval above 0). If not: contradicted if the interval of one of them ends below half a point, so that it is
        as good; partly if some are worse; otherwise not at this scale.""",
    limits="""One depth, one activation, one start and short training. Where a start does not suit the activation, or in
        convolutional networks, more layers may need it.""",
    plan=plan, run=run, verdict=verdict, figure=figure,
)  # fmt: skip

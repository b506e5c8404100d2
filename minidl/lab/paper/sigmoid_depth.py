"""§4.2.2 of the paper: a deep network of sigmoids can be trained with batch norm, and not without it."""

import math

import numpy as np

from minidl import nn
from minidl.lab.models import paper_mlp
from minidl.lab.paper._training import FINAL, best_arm, draws, finals, score, split, train, tune
from minidl.lab.study.claim import Claim, Verdict
from minidl.lab.study.statistics import paired, t_interval

__all__ = ["CLAIM"]

DEPTHS, WIDTH = (3, 5, 8, 12, 20), 100
ARMS = {"with BN": "batch", "without BN": "none"}
STARTS = ("std 0.1", "4 × Xavier")
STUCK, TRAINED = 0.2, 0.9


def plan(scale):
    """2 arms × 5 depths × (2 starts × 18 to tune + 5) × 3,000 steps × 1.7 ms = 35 minutes of one core."""
    depths, steps = scale.pick(DEPTHS, (DEPTHS[0], DEPTHS[2])), scale.pick(3000, 200)
    arms = {
        f"{_cell(name, depth)}, {start}": {"norm": norm, "depth": depth, "start": start, "steps": steps}
        for depth in depths
        for name, norm in ARMS.items()
        for start in STARTS
    }
    tuned = yield from tune(arms, scale)
    chosen = [_better(tuned, name, depth) for depth in depths for name in ARMS]
    yield finals({arm: arms[arm] for arm in chosen}, tuned, range(scale.seeds))


def _cell(name, depth):
    return f"{name}, {depth} layers"


def _better(tuned, name, depth):
    """The start that is better on the validation images."""
    return best_arm(tuned, [f"{_cell(name, depth)}, {start}" for start in STARTS])


def run(config, digits):
    """Accuracies of a network with so many hidden layers."""
    data, seed = split(digits), config["seed"]
    sizes = (784, *[WIDTH] * config["depth"], 10)
    model = paper_mlp(config["norm"], 0.1, sizes, np.random.default_rng(seed))
    if config["start"] == "4 × Xavier":
        for layer in model:
            if isinstance(layer, nn.Linear):
                # Glorot's scale keeps the variance where the slope is 1; a sigmoid's is 1/4 at most
                layer.weight.data *= np.float32(4 * math.sqrt(2 / sum(layer.weight.shape)) / 0.1)
    return score(model, data, train(model, draws(data, 60, seed), config["lr"], config["steps"]))


def _tests(result):
    """name → depth → test accuracies, one per seed."""
    return {
        name: {
            depth: result.values("test", norm=norm, depth=depth, **FINAL) for depth in result.settings("depth", **FINAL)
        }
        for name, norm in ARMS.items()
    }


def verdict(result):
    """At which depths does only batch norm train, and is it better at the largest?"""
    batch, none = _tests(result).values()
    only = [depth for depth in batch if none[depth].max() < STUCK and batch[depth].min() >= TRAINED]
    apart = {depth: paired(batch[depth], none[depth]) for depth in batch}
    deepest = max(apart)
    if only:
        word = "reproduced"
    elif any(interval.above_zero for interval in apart.values()):
        word = "partly"
    else:
        word = "contradicted" if apart[deepest].below_zero else "not at this scale"
    found = "; ".join(
        f"{depth} layers {t_interval(batch[depth]).text(1, 100)} % and {t_interval(none[depth]).text(1, 100)} %"
        for depth in batch
    )
    where = (
        f"only BN trains at {', '.join(map(str, only))} layers (of {', '.join(map(str, batch))})"
        if only
        else "no depth at which only BN trains"
    )
    return Verdict(
        word,
        f"{where}; at {deepest} layers {apart[deepest].text(1, 100, sign=True)} points",
        f"Test accuracy with batch norm and without: {found}.",
        {f"with less without, {depth} layers": interval for depth, interval in apart.items()},
    )


def figure(result):
    """Test accuracy over depth."""
    from minidl.lab import plot

    tests = _tests(result)
    figure, (ax,) = plot.panels(1, size=(6.5, 4))
    lines = {name: (list(values), 100 * np.transpose(list(values.values()))) for name, values in tests.items()}
    deepest = max(tests["with BN"])
    ends = {name: 100 * values[deepest].mean() for name, values in tests.items()}
    title = f"At {deepest} sigmoid layers {ends['with BN']:.0f} % with BN, {ends['without BN']:.0f} % without"
    plot.lines(ax, lines, title, "hidden layers of sigmoids", "test accuracy (%), each tuned")
    ax.set_ylim(0, 101)
    return figure


CLAIM = Claim(
    id="sigmoid-depth",
    section="§4.2.2, sigmoid",
    statement="""A deep network of sigmoids, which without batch norm stays at chance, can be trained with it.""",
    method="""3 to 20 hidden layers of 100 sigmoid units on binary MNIST, 3,000 steps, with batch norm and without.
        Initial weights of std 0.1, or four times Glorot's (which suits the sigmoid's slope of 1/4), whichever has
        the better validation accuracy, at its tuned learning rate; 5 seeds.""",
    rule="""Reproduced if at some depth every seed without batch norm stays below 20 % test accuracy and every seed
        with it reaches 90 %; partly if at some depth batch norm is better (95 % interval above 0); contradicted if
        it never is and is worse at the largest depth; otherwise not at this scale.""",
    limits="""Other networks and longer training: these are fully connected layers, plain SGD, 3,000 steps, and a
        network still at chance by then might leave it later. The paper's network is Inception on ImageNet; with batch
        norm and sigmoids it reached 69.8 %. Neither initialisation centres what a layer receives, which helps such
        networks without batch norm.""",
    plan=plan, run=run, verdict=verdict, figure=figure,
)  # fmt: skip

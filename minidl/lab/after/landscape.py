"""Along the gradient, loss and gradient change less with batch norm: measured on convolutions, over several step lengths."""

import numpy as np

from minidl.lab.after._small_photos import BATCH, GRID, STEPS, small, train_small
from minidl.lab.paper._landscape import along_gradient
from minidl.lab.paper._training import FINAL, draws, finals, marks, rate, tune
from minidl.lab.study.claim import Claim, Verdict, word_for
from minidl.lab.study.statistics import Interval, paired, t_interval

__all__ = ["CLAIM"]

ARMS = {"with BN": {"norm": "batch"}, "without BN": {"norm": "none"}}
WITH, WITHOUT = ARMS
LENGTHS = (0.25, 0.5, 1.0, 2.0, 4.0)  # of the steps along the gradient, in learning rates
LOOKS = 12
MEASURES = {
    "loss range": "largest less smallest loss along the gradient",
    "gradient change": "largest ‖∇L′ − ∇L‖ along the gradient",
    "smoothness": "largest ‖∇L′ − ∇L‖ / distance (effective β)",
}


def plan(scale):
    """36 runs to tune and 15 more, of 500 steps, 8 and 10 s each (on a busy machine) = 7 minutes."""
    arms = {arm: {**settings, "steps": scale.pick(STEPS, 20)} for arm, settings in ARMS.items()}
    tuned = yield from tune(arms, scale, GRID)
    configs = finals(arms, tuned, range(scale.seeds))
    same = rate(tuned, WITHOUT)
    common = [{**config, "lr": same} for config in configs]
    yield configs + [config for config in common if config not in configs]


def run(config, photos):
    """Accuracies; and for the results what a batch meets along its gradient, at 13 times during training."""
    others, at = draws(small(photos)[0], BATCH, config["seed"] + 500), marks(config["steps"], LOOKS)
    paths = []

    def look(model, step):
        paths.append(along_gradient(model, next(others), config["lr"], LENGTHS))

    if config["stage"] != "final":
        return train_small(config, photos)
    record = train_small(config, photos, look, at)
    missing = len(at) - len(paths)  # after it diverged
    curves = [(p.loss_range, p.gradient_change, p.smoothness) for p in paths] + [(np.nan,) * 3] * missing
    by_length = [p.changes / p.distances for p in paths] + [np.full(len(LENGTHS), np.nan)] * missing
    return record | dict(zip(MEASURES, np.transpose(curves), strict=True)) | {"by length": by_length}


def _logs(result, name, arm, lr):
    """The mean logarithm of a measure over training, one a seed; without the start. nan for a network that diverged."""
    return np.log(result.values(name, arm=arm, lr=lr, **FINAL)[:, 1:]).mean(1)


def _pairs(result):
    """Which learning rates are compared: name → (with batch norm, without)."""
    batch, none = rate(result, WITH), rate(result, WITHOUT)
    return {"the same rate": (none, none), "each its own rate": (batch, none)}


def verdict(result):
    """How many times larger each measure is without batch norm, at the same rate and each at its own."""
    pairs = _pairs(result)
    less = {
        (name, pair): _interval(_logs(result, name, WITHOUT, none), _logs(result, name, WITH, batch))
        for pair, (batch, none) in pairs.items()
        for name in MEASURES
    }
    smaller, larger = ([getattr(i, side) for i in less.values()] for side in ("above_zero", "below_zero"))
    word = word_for(smaller, larger)
    same = "the same rate"
    own = {
        arm: t_interval(_logs(result, "smoothness", arm, lr) + np.log(lr))
        for arm, lr in zip(ARMS, pairs["each its own rate"], strict=True)
    }
    tests = {
        f"{arm} at {lr:g}": t_interval(result.values("test", arm=arm, lr=lr, **FINAL))
        for arm, lr in dict.fromkeys([(WITH, lr) for lr, _ in pairs.values()] + [(WITHOUT, pairs[same][1])])
    }
    said = "; ".join(
        f"at {pair} ({WITH} {batch:g}, {WITHOUT} {none:g}): "
        + ", ".join(f"{name} {_times(less[name, pair])}" for name in MEASURES)
        for pair, (batch, none) in pairs.items()
    )
    return Verdict(
        word,
        f"smaller with BN in {sum(smaller)} and larger in {sum(larger)} of {len(less)} comparisons; at the same rate, "
        + ", ".join(f"{name} {_times(less[name, same])}" for name in MEASURES)
        + " without BN",
        f"Geometric means over training, how many times as large without batch norm as with it, and their 95 % intervals: "
        f"{said}. The learning rate times the effective β, each at its own rate, is {_number(own[WITH])} with batch norm "
        f"and {_number(own[WITHOUT])} without; at 1 a step may change the gradient by its whole length. Test accuracies: "
        f"{', '.join(f'{arm} {interval.text(1, 100)} %' for arm, interval in tests.items())}.",
        {f"log of {name}, without over with BN, {pair}": interval for (name, pair), interval in less.items()},
    )


def _interval(a, b):
    """The interval of the difference over seeds in which both are finite; none of it is known if there are none."""
    both = np.isfinite(a) & np.isfinite(b)
    return paired(a[both], b[both]) if both.any() else Interval(np.nan, -np.inf, np.inf)


def _times(interval):
    return f"{_number(interval)} times" if np.isfinite(interval.mean) else "unknown"


def _number(interval):
    """The number whose logarithm an interval is about."""
    spread = f" ({np.exp(interval.low):.3g} to {np.exp(interval.high):.3g})" if np.isfinite(interval.low) else ""
    return f"{np.exp(interval.mean):.3g}{spread}"


def figure(result):
    """The three measures over training, and the change for each unit of distance over the length of the step."""
    from minidl.lab import plot

    (own, none), steps = _pairs(result)["each its own rate"], result.settings("steps", **FINAL)[0]
    kinds = {f"{WITH}, rate {none:g}": (WITH, none), f"{WITH}, rate {own:g}": (WITH, own), WITHOUT: (WITHOUT, none)}
    at = marks(steps, LOOKS)
    figure, axes = plot.panels(2, 2, size=(5.4, 3.7))
    for ax, (name, ylabel) in zip(axes, MEASURES.items(), strict=False):
        lines = {kind: (at, result.values(name, arm=arm, lr=lr, **FINAL)) for kind, (arm, lr) in kinds.items()}
        factor = np.exp(np.nanmean(_logs(result, name, WITHOUT, none) - _logs(result, name, WITH, none)))
        title = f"{name[0].upper()}{name[1:]} at rate {none:g}: without BN {factor:.2g} times that with it"
        plot.lines(ax, lines, title, "training step", ylabel, log="y")
    lines = {}
    for kind, (arm, lr) in kinds.items():
        values = np.log(result.values("by length", arm=arm, lr=lr, **FINAL)[:, 1:]).mean(1)
        lines[kind] = (np.array(LENGTHS) * lr, np.exp(values))
    title = "The same for each length of the step, mean over training"
    plot.lines(axes[3], lines, title, "length of the step (learning rate)", "‖∇L′ − ∇L‖ / distance", log="xy")
    return figure


CLAIM = Claim(
    id="landscape",
    section="landscape of the loss",
    part="after",
    statement="""Batch norm makes the loss smoother: along the gradient, the loss and the gradient change less with it than
        without (Santurkar et al. 2018; of the paper only the abstract was read).""",
    method=f"""A stack of eight 3×3 convolutions (16 to 64 channels, ReLU; He's weights) on 10,000 photographs of CIFAR-10 at
        16×16 pixels, {STEPS} steps of plain SGD with batches of {BATCH}, five seeds, with batch norm before each ReLU and
        without. At 13 times during training a batch that is not trained with gives a gradient g, and we go ¼, ½, 1, 2 and 4
        learning rates along it, over all parameters and in training mode. Three measures: the range of the loss at these
        places; the largest change of the gradient, ‖∇L(θ − sηg) − g‖; and its largest change for each unit of distance, the
        effective β of “β-smooth”. The network with batch norm is trained and measured at its own rate and at that of the
        network without. The rate of each is chosen on validation images among {len(GRID)} from {GRID[0]:g} to
        {GRID[-1]:g}. Single trials of such networks, with other seeds, came before the rule, to see that the grid has the
        best rates in it; nothing was measured along gradients then. A seed in which a measure is not finite is left out.""",
    rule="""For each seed the mean logarithm of a measure over training after step 0; without batch norm less with it,
        paired. Six comparisons: three measures at the same rate, and each network at its own. Reproduced if all are smaller
        with batch norm; partly if any is; contradicted if none is and one is larger; otherwise not at this scale.""",
    limits="""That a smoother landscape is *why* training is faster. The measures have units: without batch norm weights and
        gradients have other lengths, and a smaller gradient alone makes all three smaller. (The share of g that a step
        replaces is free of that: it is β times the rate.) At its own, larger rate the network with batch norm is measured
        over longer steps. One network, small photographs, few steps.""",
    plan=plan, run=run, verdict=verdict, figure=figure, data="cifar10",
)  # fmt: skip

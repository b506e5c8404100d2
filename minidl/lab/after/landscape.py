"""Along the gradient, loss and gradient change less with batch norm: measured on convolutions, over several step lengths."""

import numpy as np

from minidl.lab.after._small_photos import BATCH, GRID, STEPS, small, train_small
from minidl.lab.paper._landscape import along_gradient
from minidl.lab.paper._training import FINAL, draws, finals, marks, rate, tune
from minidl.lab.study.claim import Claim, Verdict, word_for
from minidl.lab.study.statistics import Interval, t_interval

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
SHOWN = {name: name for name in MEASURES} | {"smoothness": "effective β"}  # the larger, the less smooth


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
    """The mean logarithm of a measure over training, one per seed; without the start. nan for a network that diverged.

    Of "by length", one for each seed and length: (S, 5).
    """
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
    tests = {
        f"{arm} at {lr:g}": t_interval(result.values("test", arm=arm, lr=lr, **FINAL))
        for arm, lr in dict.fromkeys([(WITH, lr) for lr, _ in pairs.values()] + [(WITHOUT, pairs[same][1])])
    }
    said = "; ".join(
        f"at {pair} ({WITH} {batch:g}, {WITHOUT} {none:g}): "
        + ", ".join(f"{SHOWN[name]} {_number(less[name, pair])}" for name in MEASURES)
        for pair, (batch, none) in pairs.items()
    )
    return Verdict(
        word,
        f"smaller with BN in {sum(smaller)} and larger in {sum(larger)} of {len(less)} comparisons; times as large without "
        "BN as with it, at the same rate: "
        + ", ".join(f"{SHOWN[name]} {_number(less[name, same])}" for name in MEASURES),
        f"Geometric means over training, how many times as large without batch norm as with it, and their 95 % intervals: "
        f"{said}. {_start(result, pairs[same][1])} {_lengths(result, *pairs['each its own rate'])} Test accuracies: "
        f"{', '.join(f'{arm} {interval.text(1, 100)} %' for arm, interval in tests.items())}.",
        {f"log of {SHOWN[name]}, without over with BN, {pair}": interval for (name, pair), interval in less.items()},
    )


def _start(result, lr):
    """The three measures before training, which the rule leaves out."""
    told = []
    for name in MEASURES:
        first = (np.log(result.values(name, arm=arm, lr=lr, **FINAL)[:, 0]) for arm in (WITHOUT, WITH))
        told.append(f"{SHOWN[name]} {_number(_interval(*first))}")
    return f"At step 0, which does not count, they are, at the same rate: {', '.join(told)}."


def _lengths(result, batch, none):
    """What depends on the length of the step: reported, and not in the rule."""
    own, same = _logs(result, "by length", WITH, batch), _logs(result, "by length", WITH, none)
    plain = _logs(result, "by length", WITHOUT, none)
    places = [
        result.values("by length", arm=arm, lr=lr, **FINAL)[:, 1:] for arm, lr in ((WITH, batch), (WITHOUT, none))
    ]
    places = [place for runs in places for place in runs.reshape(-1, len(LENGTHS)) if np.isfinite(place).all()]
    shortest = sum(place.argmax() == 0 for place in places)
    by_length = (f"{_number(_interval(plain[:, i], same[:, i]))} at {LENGTHS[i]:g} learning rates" for i in (0, -1))
    equal = [
        f"{_number(_interval(plain[:, j], own[:, i]))} at {long * batch:g}"
        for i, long in enumerate(LENGTHS)
        for j, short in enumerate(LENGTHS)
        if np.isclose(long * batch, short * none)
    ]
    shares = [
        " and ".join(
            _number(_known(logs[:, LENGTHS.index(s)] + np.log(s * lr))) for logs, lr in ((own, batch), (plain, none))
        )
        for s in (0.25, 1.0)
    ]
    return (
        f"At {shortest} of {len(places)} places, each network at its own rate, the effective β is that of the shortest "
        f"step. At the same rate ‖∇L′ − ∇L‖ / distance is this many times as large without batch norm: "
        f"{', '.join(by_length)}."
        + (f" Each at its own rate, at equal lengths of the step, it is {' and '.join(equal)}." if equal else "")
        + f" A quarter of a step of its own rate changes the gradient by {shares[0]} of its length, with and without batch "
        f"norm; a whole step by {shares[1]}."
    )


def _interval(a, b):
    """The interval of the difference over seeds in which both are finite; none of it is known if there are none."""
    return _known(np.subtract(a, b))


def _known(values):
    """The interval of what is finite."""
    values = values[np.isfinite(values)]
    return t_interval(values) if values.size else Interval(np.nan, -np.inf, np.inf)


def _number(interval):
    """The number whose logarithm an interval is about."""
    if not np.isfinite(interval.mean):
        return "unknown"
    spread = f" ({np.exp(interval.low):.3g} to {np.exp(interval.high):.3g})" if np.isfinite(interval.low) else ""
    return f"{np.exp(interval.mean):.3g}{spread}"


def figure(result):
    """The three measures over training, and the change for each unit of distance over the length of the step."""
    from minidl.lab import plot

    (own, none), steps = _pairs(result)["each its own rate"], result.settings("steps", **FINAL)[0]
    kinds = {f"{WITH}, rate {none:g}": (WITH, none), f"{WITH}, rate {own:g}": (WITH, own)}
    kinds[f"{WITHOUT}, rate {none:g}"] = WITHOUT, none
    at = marks(steps, LOOKS)
    figure, axes = plot.panels(2, 2, size=(5.4, 3.7))
    for ax, (name, ylabel) in zip(axes, MEASURES.items(), strict=False):
        lines = {kind: (at, result.values(name, arm=arm, lr=lr, **FINAL)) for kind, (arm, lr) in kinds.items()}
        title = _title(SHOWN[name], *(_logs(result, name, arm, none) for arm in (WITHOUT, WITH)))
        plot.lines(ax, lines, title, "training step", ylabel, log="y", key=False)
    by_length = {kind: (lr, _logs(result, "by length", arm, lr)) for kind, (arm, lr) in kinds.items()}
    lines = {kind: (np.array(LENGTHS) * lr, np.exp(logs)) for kind, (lr, logs) in by_length.items()}
    title = _title(
        "change by distance, longest step,", *(_logs(result, "by length", arm, none)[:, -1] for arm in (WITHOUT, WITH))
    )
    plot.lines(axes[3], lines, title, "length of the step (learning rate)", "‖∇L′ − ∇L‖ / distance", log="xy")
    return figure


def _title(name, without, with_norm):
    """What a panel shows at the same rate."""
    less = _interval(without, with_norm)
    clear = less.above_zero or less.below_zero
    told = f"{np.exp(less.mean):.2g} times as large without BN" if clear else "no clear difference"
    return f"{name[0].upper()}{name[1:]} at the same rate: {told}"


CLAIM = Claim(
    id="landscape",
    section="landscape of the loss",
    part="after",
    statement="""Batch norm makes the loss smoother: along the gradient, the loss and the gradient change less with it than
        without. (Santurkar et al. 2018; of the paper only the abstract was read, which says that the landscape becomes
        smoother and gradients more predictive. How they measured that: *not read*.)""",
    method=f"""A stack of eight 3×3 convolutions (16 to 64 channels, ReLU; He's weights) on 10,000 photographs of CIFAR-10
        at 16×16 pixels, {STEPS} steps of plain SGD with batches of {BATCH}, five seeds, with batch norm before each ReLU
        and without. At 13 times during training a batch gives a gradient g: one drawn from the same images, apart from
        those that train the network. We go ¼, ½, 1, 2 and 4 learning rates along it, over all parameters and in training
        mode. Three measures: the range of the loss at these places; the largest change of the gradient, ‖∇L(θ − sηg) − g‖;
        and its largest change for each unit of distance, the effective β of “β-smooth”: the larger, the less smooth. The
        network with batch norm is trained and measured at its own rate and at that of the network without. The rate of each
        is chosen on validation images among {len(GRID)} from {GRID[0]:g} to {GRID[-1]:g}. Single trials of such networks,
        with other seeds, came before the rule, to see that the grid has the best rates in it; nothing was measured along
        gradients then. A seed in which a measure is not finite is left out.""",
    rule="""For each seed the mean logarithm of a measure over training after step 0; without batch norm less with it,
        paired. Six comparisons: three measures at the same rate, and each network at its own. Reproduced if all are smaller
        with batch norm; partly if any is; contradicted if none is and one is larger; otherwise not at this scale.""",
    limits="""That a smoother landscape is *why* training is faster. That the loss is smoother before training: see step 0,
        which the rule leaves out. The measures have units: without batch norm weights and gradients have other lengths, and
        a smaller gradient alone makes the first two smaller. The effective β is mostly that of the shortest step. At its
        own, larger rate the network with batch norm takes longer steps, where β is smaller for both networks; so the factor
        of β at own rates is partly one of length. Large rates also let weights before a batch norm grow (lesson 11), which
        lowers β by itself. The share of g that a step replaces is free of units. Networks are compared after equal steps,
        not at equal losses. One network, small photographs, few steps.""",
    plan=plan, run=run, verdict=verdict, figure=figure, data="cifar10",
)  # fmt: skip

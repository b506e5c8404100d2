"""§3.3 and §4.2.1 of the paper: batch norm permits much larger learning rates."""

import math

import numpy as np

from minidl import nn
from minidl.lab.models import paper_mlp
from minidl.lab.paper._training import draws, score, split, train
from minidl.lab.study.claim import Claim, Verdict
from minidl.lab.study.statistics import paired, t_interval

__all__ = ["CLAIM"]

RATES = (0.01, 0.0316, 0.1, 0.316, 1.0, 3.16, 10.0, 31.6, 100.0)  # two to a decade
ARMS = {"with BN": "batch", "without BN": "none"}
ACTIVATIONS = {"sigmoid": nn.Sigmoid, "ReLU": nn.ReLU}
NEAR = 0.01  # one point of accuracy
TOLERANCES = (0.005, 0.01, 0.02, 0.05, 0.1)  # others, to see how much hangs on it
MUCH = 5.0  # the smaller of the two factors that the paper uses, 5 and 30


def plan(scale):
    """2 arms × 2 activations × 9 rates × 5 seeds × 4,000 steps × 0.9 ms = 11 minutes of one core."""
    yield [
        {"norm": norm, "activation": activation, "lr": lr, "seed": seed, "steps": scale.pick(4000, 200)}
        for activation in ACTIVATIONS
        for norm in ARMS.values()
        for lr in RATES
        for seed in range(scale.seeds)
    ]


def run(config, digits):
    """Accuracies, and how much the weights of the hidden layers have grown."""
    data = split(digits)
    generator = np.random.default_rng(config["seed"])
    model = paper_mlp(config["norm"], generator=generator, activation=ACTIVATIONS[config["activation"]])
    before = _size(model)
    diverged = train(model, draws(data, 60, config["seed"]), config["lr"], config["steps"])
    with np.errstate(all="ignore"):
        growth = _size(model) / before if diverged is None else None
    return score(model, data, diverged) | {"growth": growth}


def _size(model):
    """The norm of all hidden weights together."""
    hidden = [layer.weight.data for layer in model if isinstance(layer, nn.Linear)][:-1]
    return math.sqrt(sum(float(np.square(weight, dtype=np.float64).sum()) for weight in hidden))


def _accuracies(result, activation, norm):
    """(seeds, rates), on the validation images."""
    return np.transpose([result.values("validation", activation=activation, norm=norm, lr=lr) for lr in RATES])


def _usable(accuracies, tolerance=NEAR):
    """For each seed log10 of the smallest and the largest rate within the tolerance of its best: (seeds,), (seeds,)."""
    near = accuracies >= accuracies.max(1, keepdims=True) - tolerance
    logs = np.log10(RATES)
    return logs[near.argmax(1)], logs[len(RATES) - 1 - near[:, ::-1].argmax(1)]


def verdict(result):
    """The largest usable rate with batch norm over that without, for both activations."""
    gains, words = {}, []
    for activation in ACTIVATIONS:
        (low, high), (plain_low, plain_high) = (
            _usable(_accuracies(result, activation, norm)) for norm in ARMS.values()
        )
        gains[activation] = paired(high, plain_high)
        words.append(
            f"{activation}: up to {10 ** high.mean():.3g} with batch norm and {10 ** plain_high.mean():.3g} "
            f"without, a range of {t_interval(high - low).text(2)} and "
            f"{t_interval(plain_high - plain_low).text(2)} decades; growth of the hidden weights at the highest rate that "
            f"all seeds can use: {_growths(result, activation)}"
        )
    much = [gain.above_zero and gain.mean >= math.log10(MUCH) for gain in gains.values()]
    if all(much):
        word = "reproduced"
    elif any(gain.above_zero for gain in gains.values()):
        word = "partly"
    else:
        word = "contradicted" if all(gain.below_zero for gain in gains.values()) else "not at this scale"
    return Verdict(
        word,
        "largest usable rate, with BN over without: " + ", ".join(_factor(g, a) for a, g in gains.items()),
        f"Learning rates within one point of the arm's own best validation accuracy, {'. '.join(words)}. A step of the "
        f"grid is a factor of {RATES[-1] / RATES[-2]:.3g}, so no factor is known better than that, however well seeds "
        f"agree. One point is a choice: with {_points(TOLERANCES)} points the mean factors are "
        f"{'; '.join(f'{_factors(result, a)} ({a})' for a in ACTIVATIONS)}. The grid ends at {RATES[-1]:g}; an arm that "
        f"reaches it may go further.",
        {f"log10 of the factor, {activation}": gain for activation, gain in gains.items()},
    )


def _points(tolerances):
    return ", ".join(f"{100 * near:g}" for near in tolerances)


def _factors(result, activation):
    """The mean factor by each of the tolerances."""
    tops = [[_usable(_accuracies(result, activation, n), near)[1] for n in ARMS.values()] for near in TOLERANCES]
    return ", ".join(f"{10 ** (batch - none).mean():.2g}×" for batch, none in tops)


def _growths(result, activation):
    """With batch norm and without: how much the hidden weights have grown, and at which rate."""
    found = {arm: _growth(result, activation, norm) for arm, norm in ARMS.items()}
    both = min(lr for lr, _ in found.values())
    equal = [t_interval(result.values("growth", activation=activation, norm=n, lr=both)).text(2) for n in ARMS.values()]
    own = ", ".join(f"{growth.text(2)} times {arm} at {lr:g}" for arm, (lr, growth) in found.items())
    return f"{own}; at {both:g} for both, {equal[0]} times with, {equal[1]} times without"


def _growth(result, activation, norm):
    """The highest rate that all seeds can use, and the growth there."""
    top = _usable(_accuracies(result, activation, norm))[1].min()
    lr = min(RATES, key=lambda rate: abs(math.log10(rate) - top))
    return lr, t_interval(result.values("growth", activation=activation, norm=norm, lr=lr))


def _factor(gain, activation):
    if gain.half == 0:
        spread = ", all seeds"
    else:
        spread = f", {10**gain.low:.2g} to {10**gain.high:.2g}" if math.isfinite(gain.low) else ""
    return f"{10**gain.mean:.2g}× ({activation}{spread})"


def figure(result):
    """Accuracy, and growth of the weights, over the learning rate."""
    from minidl.lab import plot

    figure, axes = plot.panels(2, 2, size=(5.2, 3.6))
    for i, activation in enumerate(ACTIVATIONS):
        accuracies = {arm: _accuracies(result, activation, norm) for arm, norm in ARMS.items()}
        growth = {
            arm: [result.values("growth", activation=activation, norm=norm, lr=lr) for lr in RATES]
            for arm, norm in ARMS.items()
        }
        batch, none = (10 ** _usable(values)[1].mean() for values in accuracies.values())
        title = f"{activation}: usable up to {batch:.3g} with BN, {none:.3g} without"
        lines = {arm: (RATES, 100 * values) for arm, values in accuracies.items()}
        plot.lines(axes[i], lines, title, "learning rate", "validation accuracy (%)", log="x")
        axes[i].set_ylim(0, 101)
        lines = {arm: (RATES, np.transpose(values)) for arm, values in growth.items()}
        ends = ", ".join(f"{_growth(result, activation, norm)[1].mean:.2g} × {arm}" for arm, norm in ARMS.items())
        title = f"{activation}: at its highest usable rate weights grow\n{ends}"
        plot.lines(axes[2 + i], lines, title, "learning rate", "‖W‖ after / before", log="xy")
    return figure


CLAIM = Claim(
    id="lr",
    section="§3.3 and 4.2.1, learning rate",
    statement="""Batch norm permits much larger learning rates without diverging; the paper raises them 5 and 30
        times.""",
    method="""The paper's network (three hidden layers of 100 units, sigmoid or ReLU, weights of std 0.1) on binary
        MNIST, 4,000 steps with each of nine learning rates from 0.01 to 100, 5 seeds. Usable: within one point of
        the best validation accuracy of the same arm and seed. A run whose loss is not finite counts as chance. The
        growth of the hidden weights is reported: with batch norm a step turns them by about lr/‖W‖², so growth
        lowers the effective rate.""",
    rule="""Factor: the largest usable rate with batch norm over that without, as logarithms, paired. Reproduced if
        for both activations its interval is above 1 and its mean at least 5; partly if for one of them it is above
        1; contradicted if for both it is below 1; otherwise not at this scale.""",
    limits="""That a large rate trains better or faster: see fig1a and steps. Inception is deep and convolutional,
        where plain networks tolerate less than this one does.""",
    plan=plan, run=run, verdict=verdict, figure=figure,
)  # fmt: skip

"""The title of the paper: batch norm reduces internal covariate shift. Measured by both of its definitions."""

import numpy as np

from minidl import nn
from minidl.lab.models import paper_mlp
from minidl.lab.paper._drift import drift
from minidl.lab.paper._landscape import gradient_change, loss_range
from minidl.lab.paper._norms import NoisyNorm
from minidl.lab.paper._training import FINAL, draws, finals, marks, rate, score, split, train, tune
from minidl.lab.study.claim import Claim, Verdict, word_for
from minidl.lab.study.statistics import paired, t_interval
from minidl.probe import unit_percentiles
from minidl.tensor import Tensor

__all__ = ["CLAIM"]

ARMS = {"with BN": "batch", "without BN": "none", "noise after BN": "noisy"}
MARKS, IMAGES = 25, 1000
FACTORS = (1, 1 / 4, 4)  # of the common learning rate
JUDGED = ("drift", "drift before", "gradient change")
MEASURES = {
    "drift": "drift of the sigmoids' inputs (2015), band widths",
    "drift before": "the same before normalising",
    "gradient change": "‖G − G′‖/‖G‖ (2018)",
    "loss range": "range of the loss along the gradient",
}


def plan(scale):
    """3 arms × (18 to tune + 5 at three rates or four) × 5,000 steps × 0.5 ms = 5 minutes of one core."""
    arms = {arm: {"norm": norm, "steps": scale.pick(5000, 300)} for arm, norm in ARMS.items()}
    tuned = yield from tune(arms, scale)
    same = rate(tuned, "without BN")
    configs = finals(arms, tuned, range(scale.seeds))
    for factor in FACTORS:
        common = [{**config, "lr": same * factor} for config in configs[: len(arms) * scale.seeds]]
        configs += [config for config in common if config not in configs]
    yield configs


def run(config, digits):
    """Both measures and the landscape, at about 25 times during training."""
    data, seed = split(digits), config["seed"]
    noise = np.random.default_rng([seed, 3])
    norm = (lambda features: NoisyNorm(features, noise)) if config["norm"] == "noisy" else config["norm"]
    model = paper_mlp(norm, generator=np.random.default_rng(seed))
    batches, at = draws(data, 60, seed + 500), marks(config["steps"], MARKS)
    percentiles, before, changes, ranges = [], [], [], []

    def look(step, loss):
        if config["stage"] == "final":
            batch = next(batches)
            percentiles.append(_inputs(model, data.x[:IMAGES], nn.Sigmoid))
            before.append(_inputs(model, data.x[:IMAGES], nn.Sigmoid if config["norm"] == "none" else nn.BatchNorm))
            changes.append(gradient_change(model, batch, config["lr"]))
            ranges.append(loss_range(model, batch, config["lr"]))

    diverged = train(model, draws(data, 60, seed), config["lr"], config["steps"], look, at)
    record = score(model, data, diverged)
    if len(percentiles) < len(at):
        return record | dict.fromkeys(MEASURES, [None] * len(at))
    return record | {
        "drift": [None, *drift(percentiles)],  # from one mark to the next
        "drift before": [None, *drift(before)],
        "gradient change": changes,
        "loss range": ranges,
    }


def _inputs(model, images, kind):
    """Percentiles of the inputs of all layers of a kind as they are in training, noise included: (units, 3)."""
    seen = []
    handles = [
        layer.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0].data))
        for layer in model.modules()
        if isinstance(layer, kind)
    ]
    try:
        model(Tensor(images))
    finally:
        for handle in handles:
            handle.remove()
    return np.concatenate([unit_percentiles(x) for x in seen])


def _means(result, measure, arm, lr):
    """The mean of a measure over training, one per seed. Without the start, where the first step of all is a large one."""
    return np.nanmean(result.values(measure, arm=arm, lr=lr, **FINAL)[:, 1:], axis=1)


def _common(result):
    """The learning rates at which all arms were run, the tuned one of the arm without batch norm first."""
    rates = [set(result.settings("lr", arm=arm, **FINAL)) for arm in ARMS]
    same = rate(result, "without BN")
    return [same, *sorted(set.intersection(*rates) - {same})]


def verdict(result):
    """At equal learning rates: is either kind of shift smaller with batch norm?"""
    tuned, rates = {arm: rate(result, arm) for arm in ARMS}, _common(result)
    same = rates[0]
    less = {
        (measure, lr): paired(*(_means(result, measure, arm, lr) for arm in ("without BN", "with BN")))
        for lr in rates
        for measure in JUDGED
    }
    smaller, larger = ([getattr(i, side) for i in less.values()] for side in ("above_zero", "below_zero"))
    word = word_for(smaller, larger)
    means = {measure: {arm: t_interval(_means(result, measure, arm, same)) for arm in ARMS} for measure in MEASURES}
    tests = {arm: result.values("test", arm=arm, lr=tuned[arm], **FINAL) for arm in ARMS}
    said = "; ".join(
        f"{MEASURES[measure]}: {', '.join(f'{arm} {interval.text(3)}' for arm, interval in by_arm.items())}"
        for measure, by_arm in means.items()
    )
    differences = "; ".join(
        f"rate {lr:g}: {', '.join(f'{measure} {less[measure, lr].text(3, sign=True)}' for measure in JUDGED)}"
        for lr in sorted(rates)
    )
    ends = ", ".join(f"{arm} {t_interval(values).text(2, 100)} %" for arm, values in tests.items())
    noisy = {
        arm: paired(tests["noise after BN"], tests[arm]).text(2, 100, sign=True) for arm in ("without BN", "with BN")
    }
    return Verdict(
        word,
        f"smaller with BN in {sum(smaller)} and larger in {sum(larger)} of {len(less)} comparisons; at rate {same:g} BN "
        f"lowers drift after normalising by {less['drift', same].text(3)}, before it by "
        f"{less['drift before', same].text(3)}, gradient change by {less['gradient change', same].text(3)}",
        f"At learning rate {same:g} in all arms, means over training: {said}. Without batch norm minus with it, paired: "
        f"{differences}. Each at its own best learning rate ({_rates(tuned)}), test accuracies are {ends}. The network "
        f"whose noise makes a shift of its own ends {noisy['without BN']} points from the one without batch norm, and "
        f"{noisy['with BN']} from the one with it.",
        {f"{measure}, without less with BN, rate {lr:g}": interval for (measure, lr), interval in less.items()},
    )


def _rates(tuned):
    if len(set(tuned.values())) == 1:
        return "the same one"
    return ", ".join(f"{arm} {lr:g}" for arm, lr in tuned.items())


def figure(result):
    """The measures over training, at the same learning rate."""
    from minidl.lab import plot

    same = rate(result, "without BN")
    steps = marks(result.settings("steps", **FINAL)[0], MARKS)
    title = f"Two definitions of internal covariate shift, and the landscape, at learning rate {same:g}"
    figure, axes = plot.panels(2, 2, title=title, size=(5.4, 3.7))
    for ax, (measure, ylabel) in zip(axes, MEASURES.items(), strict=True):
        lines = {arm: (steps, result.values(measure, arm=arm, lr=same, **FINAL)) for arm in ARMS}
        batch, none = (_means(result, measure, arm, same).mean() for arm in ("with BN", "without BN"))
        title = f"{measure}: {batch:.2g} with BN, {none:.2g} without"
        plot.lines(ax, lines, title[0].upper() + title[1:], "training step", ylabel, log="y")
    return figure


CLAIM = Claim(
    id="ics",
    section="Title, and §1",
    statement="""Batch norm reduces internal covariate shift.""",
    method="""The network of Figure 1 on binary MNIST, 5,000 steps, 5 seeds: with batch norm, without it, and with
        noise after batch norm, which makes a shift on purpose (in each step a new factor from 0.5 to 2 and a new
        shift from −1 to 1 for each unit). Four things are measured 26 times, from step 0 on. First, how much the
        distributions of all sigmoids' inputs have changed since the last time (2015): as in fig1bc, but in training
        mode. Second, the same before the normalisation. Third, how much the gradient of a layer's weights changes
        when the layers before it take their step, ‖G − G′‖/‖G‖, averaged over layers (2018). Fourth, the range of
        the loss along the gradient, for steps of half to four times the learning rate. All arms run at the rate
        tuned for the one without batch norm, at a quarter of it and at four times it, and each also at its own.""",
    rule="""At equal learning rates, means over training after step 0. Nine comparisons: drift after normalising,
        drift before, and gradient change, at three rates. Reproduced if all are smaller with batch norm than without;
        partly if any is; contradicted if none is and one is larger; otherwise not at this scale. Loss range and the
        noisy arm are reported: if noise makes the shift larger and training no worse, the shift is not what matters.""",
    limits="""Whether less shift is the *cause* of faster training. The noisy arm shows that a network with batch norm
        tolerates such a drift, without a loss of accuracy that five seeds could show. It does not show that a network
        without batch norm would. A small drift after the normalisation is close to a tautology; one before it is not
        (see fig1bc). Only 5,000 steps: for what happens later in the last layer, see fig1bc. The second definition,
        the loss range and the idea of noise are from Santurkar et al. 2018. They are measured here relative to the
        gradient, on another network and with other noise.""",
    plan=plan, run=run, verdict=verdict, figure=figure,
)  # fmt: skip

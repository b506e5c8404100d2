"""The title of the paper: batch norm reduces internal covariate shift. What that is has two definitions; here are both."""

import numpy as np

from minidl import nn
from minidl.models import paper_mlp
from minidl.paper._drift import drift
from minidl.paper._landscape import gradient_change, loss_range
from minidl.paper._networks import NoisyNorm
from minidl.paper._training import FINAL, draws, finals, marks, rate, score, split, train, tune
from minidl.probe import unit_percentiles
from minidl.study.claim import Claim, Verdict
from minidl.study.statistics import paired, t_interval
from minidl.tensor import Tensor

__all__ = ["CLAIM"]

ARMS = {"with BN": "batch", "without BN": "none", "noise after BN": "noisy"}
MARKS, IMAGES = 25, 1000
MEASURES = {
    "drift": "drift of the activations (2015), band widths",
    "gradient change": "‖G − G′‖/‖G‖ (2018)",
    "loss range": "range of the loss along the gradient",
}


def plan(scale):
    """3 arms × (18 to tune + 5, at one or two rates) × 5,000 steps × 1 ms = 7 minutes of one core."""
    arms = {arm: {"norm": norm, "steps": scale.pick(5000, 300)} for arm, norm in ARMS.items()}
    tuned = yield from tune(arms, scale)
    same = rate(tuned, "without BN")
    configs = finals(arms, tuned, range(scale.seeds))
    yield configs + [{**config, "lr": same} for config in configs if config["lr"] != same]


def run(config, digits):
    """Both measures and the landscape, at about 25 times during training."""
    data, seed = split(digits), config["seed"]
    noise = np.random.default_rng([seed, 3])
    norm = (lambda features: NoisyNorm(features, noise)) if config["norm"] == "noisy" else config["norm"]
    model = paper_mlp(norm, generator=np.random.default_rng(seed))
    batches, at = draws(data, 60, seed + 500), marks(config["steps"], MARKS)
    percentiles, changes, ranges = [], [], []

    def look(step, loss):
        if config["stage"] == "final":
            batch = next(batches)
            percentiles.append(_inputs_of_sigmoids(model, data.x[:IMAGES]))
            changes.append(gradient_change(model, batch, config["lr"]))
            ranges.append(loss_range(model, batch, config["lr"]))

    diverged = train(model, draws(data, 60, seed), config["lr"], config["steps"], look, at)
    record = score(model, data, diverged)
    if len(percentiles) < len(at):
        return record | dict.fromkeys(MEASURES, [None] * len(at))
    return record | {
        "drift": [None, *drift(percentiles)],  # from one mark to the next
        "gradient change": changes,
        "loss range": ranges,
    }


def _inputs_of_sigmoids(model, images):
    """Percentiles of the inputs of all hidden sigmoids as they are in training, noise included: (units, 3)."""
    seen = []
    handles = [
        layer.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0].data))
        for layer in model
        if isinstance(layer, nn.Sigmoid)
    ]
    try:
        model(Tensor(images))
    finally:
        for handle in handles:
            handle.remove()
    return np.concatenate([unit_percentiles(x) for x in seen])


def _means(result, measure, arm, lr):
    """The mean of a measure over training, one a seed. Without the start, where the first step of all is a large one."""
    return np.nanmean(result.values(measure, arm=arm, lr=lr, **FINAL)[:, 1:], axis=1)


def verdict(result):
    """At the same learning rate: is either kind of shift smaller with batch norm?"""
    tuned = {arm: rate(result, arm) for arm in ARMS}
    same = tuned["without BN"]
    less = {
        measure: paired(*(_means(result, measure, arm, same) for arm in ("without BN", "with BN")))
        for measure in ("drift", "gradient change")
    }
    smaller, larger = ([getattr(i, side) for i in less.values()] for side in ("above_zero", "below_zero"))
    if all(smaller):
        word = "reproduced"
    elif any(smaller):
        word = "partly"
    else:
        word = "contradicted" if any(larger) else "not at this scale"
    means = {measure: {arm: t_interval(_means(result, measure, arm, same)) for arm in ARMS} for measure in MEASURES}
    tests = {arm: result.values("test", arm=arm, lr=tuned[arm], **FINAL) for arm in ARMS}
    said = "; ".join(
        f"{MEASURES[measure]}: {', '.join(f'{arm} {interval.text(3)}' for arm, interval in by_arm.items())}"
        for measure, by_arm in means.items()
    )
    ends = ", ".join(f"{arm} {t_interval(values).text(2, 100)} %" for arm, values in tests.items())
    noisy = paired(tests["noise after BN"], tests["without BN"])
    return Verdict(
        word,
        "; ".join(
            f"{name} {means[measure]['with BN'].text(3)} with BN, {means[measure]['without BN'].text(3)} without (less by "
            f"{less[measure].text(3)})"
            for measure, name in (("drift", "activations"), ("gradient change", "gradients"))
        ),
        f"At learning rate {same:g} in all arms, means over training: {said}. Without batch norm less with, paired: "
        f"{', '.join(f'{MEASURES[m]} {interval.text(3, sign=True)}' for m, interval in less.items())}. Each at its own "
        f"best learning rate ({_rates(tuned)}), test accuracies are {ends}: with noise that makes a shift of its own the "
        f"network ends {noisy.text(2, 100, sign=True)} points from the one without batch norm.",
        {
            **{f"{measure}, without less with BN": interval for measure, interval in less.items()},
            "noisy less none": noisy,
        },
    )


def _rates(tuned):
    if len(set(tuned.values())) == 1:
        return "the same one"
    return ", ".join(f"{arm} {lr:g}" for arm, lr in tuned.items())


def figure(result):
    """The measures over training, at the same learning rate."""
    from minidl import plot

    same = rate(result, "without BN")
    steps = marks(result.settings("steps", **FINAL)[0], MARKS)
    figure, axes = plot.panels(3, title=f"Two definitions of internal covariate shift, at learning rate {same:g}")
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
    method="""The network of Figure 1 on binary MNIST, 5,000 steps, 5 seeds: with batch norm, without, and with noise
        after batch norm (each step a new factor from 0.5 to 2 and a new shift from −1 to 1 for each unit), which
        makes a shift on purpose. At 26 times, from step 0 on: the change of the inputs' distributions of all sigmoids
        since the last time, as in fig1bc, but as they are in training (2015); how much the gradient of a layer's
        weights changes when the layers before it take their step, ‖G − G′‖/‖G‖, averaged over layers (2018); and the
        range of the loss along the gradient for steps of half to four times the learning rate. All arms at the rate
        tuned for the one without batch norm, and also each at its own.""",
    rule="""At the same learning rate, means over training after its first step. Reproduced if drift and gradient
        change are both smaller with batch norm than without; partly if one is; contradicted if neither is and one is
        larger; else not at this scale. Loss range and the noisy arm are reported: if noise makes the shift larger and
        training no worse, the shift is not what matters.""",
    limits="""Whether less shift is the *cause* of faster training. The noisy arm shows that a network with batch norm bears
        such a drift without loss, not that one without it would. Drift is measured
        after the normalisation, where a small one is close to a tautology (see fig1bc). The second definition, the
        loss range and the idea of noise are from Santurkar et al. 2018, measured here on another network and with
        other noise.""",
    plan=plan, run=run, verdict=verdict, figure=figure,
)  # fmt: skip

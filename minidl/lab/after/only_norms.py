"""Training γ and β alone, in a network whose random weights are frozen, reaches far more than chance."""

import math

import numpy as np

from minidl import nn
from minidl.lab.models import resnet8
from minidl.lab.paper import _photos
from minidl.lab.paper._training import CHANCE, FINAL, epochs, finals, tune
from minidl.lab.study.claim import Claim, Result, Verdict
from minidl.lab.study.statistics import paired, t_interval
from minidl.optim import SGD, LambdaLR
from minidl.replay import Replay
from minidl.train import evaluate, update_bn

__all__ = ["CLAIM"]

NORMS, OTHERS, LAST, ALL = ARMS = "γ and β", "as many other weights", "last layer", "all"
BATCH, MOMENTUM = 32, 0.9
STEPS = 400
EACH = 2  # weights of each channel, in the place of its γ and β
POPULATION = 2000  # images for the statistics of evaluation
MEASURED = 2000  # images, to choose rates and for the result
FAR = 0.1  # above chance
GRIDS = {
    NORMS: (0.32, 1.28, 5.12), OTHERS: (0.32, 1.28, 5.12, 20.48), LAST: (0.08, 0.32, 1.28), ALL: (0.02, 0.08, 0.32),
}  # fmt: skip


def plan(scale):
    """4 arms × (12 or 14 to tune + 5) × 400 steps of 10 to 17 ms, on a busy machine: 7 minutes."""
    arms = {arm: {"trained": arm, "steps": scale.pick(STEPS, 30)} for arm in ARMS}
    found = []
    for arm, settings in arms.items():
        tuned = yield from tune({arm: settings}, scale, GRIDS[arm])
        found += tuned.runs
    yield finals(arms, Result(tuple(found)), range(scale.seeds))


def run(config, photos):
    """Accuracies after training a part of the network."""
    data, seed = _photos.split(photos), config["seed"]
    model = resnet8(generator=np.random.default_rng(seed))
    masks = _freeze(model, config["trained"], np.random.default_rng([seed, 3]))
    diverged = _train(model, masks, data, config)
    record = {"trained": _count(model, masks), "diverged": diverged}
    if diverged is not None:
        return record | {"validation": CHANCE, "test": CHANCE}
    chosen = np.random.default_rng([seed, 4]).permutation(len(data.y))[:POPULATION]
    with np.errstate(all="ignore"):
        update_bn(np.array_split(halved(data.ready(data.x[chosen])), max(1, len(chosen) // 500)), model)
        for name, x, y in (
            ("validation", data.x_validation, data.y_validation),
            ("test", data.x_test, data.y_test),
        ):
            record[name] = evaluate(model, halved(x[:MEASURED]), y[:MEASURED]).accuracy
    return record


def halved(images):
    """Return images (N, H, W, C) of half the height and width: means of 2 × 2 pixels."""
    n, height, width, channels = images.shape
    return images.reshape(n, height // 2, 2, width // 2, 2, channels).mean((2, 4), dtype=np.float32)


def _freeze(model, trained, generator):
    """Leave only a part of the network to be trained; returns parameter → which of its numbers, where that is not all."""
    layers = list(model.modules())
    model.requires_grad_(trained == ALL)
    if trained == NORMS:
        for layer in layers:
            if isinstance(layer, nn.BatchNorm):
                layer.requires_grad_()
    if trained == LAST:
        [last] = (layer for layer in layers if isinstance(layer, nn.Linear))
        last.requires_grad_()
    masks = {}
    if trained == OTHERS:
        for layer in layers:
            if isinstance(layer, nn.Conv2d):
                layer.weight.requires_grad = True
                masks[layer.weight] = _some(layer.weight.shape, generator)
    return masks


def _some(shape, generator):
    """A mask of a convolution's weights (kh, kw, C, O) with `EACH` of each channel's, at random."""
    fan_in, channels = math.prod(shape[:-1]), shape[-1]
    order = generator.permuted(np.tile(np.arange(fan_in)[:, None], channels), axis=0)
    return (order < EACH).reshape(shape)


def _count(model, masks):
    """How many numbers are trained."""
    return int(sum(masks[p].sum() if p in masks else p.data.size for p in model.parameters() if p.requires_grad))


def _train(model, masks, data, config):
    """Train by SGD with momentum at a rate that falls to 0; returns where the loss was no longer finite, or None."""
    seed, steps = config["seed"], config["steps"]
    optimizer = SGD([p for p in model.parameters() if p.requires_grad], config["lr"], MOMENTUM)
    schedule, step = LambdaLR(optimizer, lambda t: 1 - t / steps), Replay(nn.fuse(model))
    batches = epochs(len(data.y), BATCH, True, np.random.default_rng([seed, 1]))
    with np.errstate(all="ignore"):
        for t in range(steps):
            chosen = next(batches)
            optimizer.zero_grad()
            loss = step(halved(data.ready(data.x[chosen])), data.y[chosen])
            if not math.isfinite(loss):
                return t
            for parameter, mask in masks.items():
                parameter.grad *= mask
            optimizer.step()
            schedule.step()
    return None


def _tests(result, arm):
    return result.values("test", arm=arm, **FINAL)


def verdict(result):
    """γ and β against chance, against as many other weights, and against the last layer."""
    tests = {arm: _tests(result, arm) for arm in ARMS}
    chance = t_interval(tests[NORMS] - CHANCE)
    others, last = (paired(tests[NORMS], tests[arm]) for arm in (OTHERS, LAST))
    holds = chance.low >= FAR, others.above_zero, last.above_zero
    if all(holds):
        word = "reproduced"
    elif holds[0] and any(holds[1:]):
        word = "partly"
    else:
        word = "contradicted" if others.below_zero and last.below_zero else "not at this scale"
    ends = ", ".join(f"{arm} ({_counts(result, arm):,} numbers) {_percent(t_interval(tests[arm]))} %" for arm in ARMS)
    share = t_interval(tests[NORMS] / tests[ALL])
    return Verdict(
        word,
        f"γ and β alone: {_percent(t_interval(tests[NORMS]))} % of test images, {_percent(others, True)} points from as many"
        f" other weights, {_percent(last, True)} from the last layer",
        f"What is trained, and the test accuracy: {ends}. γ and β alone reach {_percent(share)} % of what all reach; they "
        f"are {_percent(chance, True)} points above chance, {_percent(others, True)} above as many other weights, and "
        f"{_percent(last, True)} above the last layer.",
        {"above chance": chance, "above other weights": others, "above the last layer": last, "share of all": share},
    )


def _counts(result, arm):
    return int(result.values("trained", arm=arm, **FINAL)[0])


def _percent(interval, sign=False):
    return interval.text(1, 100, sign=sign)


def figure(result):
    """Test accuracies of what is trained, and the differences."""
    from minidl.lab import plot

    figure, (tests, less) = plot.panels(2, size=(5.4, 3.2))
    rows = {f"{arm} ({_counts(result, arm):,})": 100 * _tests(result, arm) for arm in ARMS}
    mean = 100 * _tests(result, NORMS).mean()
    plot.intervals(tests, rows, f"γ and β alone reach {mean:.0f} %", "test accuracy (%), a small dot a seed")
    tests.axvline(100 * CHANCE, color="0.4", linestyle=":", linewidth=1)
    rows = {f"less {arm}": 100 * (_tests(result, NORMS) - _tests(result, arm)) for arm in (OTHERS, LAST)}
    above = [arm for arm in (OTHERS, LAST) if (_tests(result, NORMS) - _tests(result, arm)).mean() > 0]
    title = {2: "More than either of the two", 1: f"More than {above[0] if above else ''}", 0: "Less than both"}
    plot.intervals(less, rows, title[len(above)], "γ and β, points of test accuracy", zero=True)
    return figure


CLAIM = Claim(
    id="only-norms",
    section="only batch norm",
    part="after",
    statement="""Training only γ and β, in a network whose other weights stay as they were drawn at random, reaches far more
        than chance; more than training as many other weights of each channel, and more than training the last layer
        (Frankle, Schwab and Morcos 2020; *not read* in its text).""",
    method=f"""A residual network of eight layers (`resnet8`) on photographs of CIFAR-10 that are halved to 16 × 16 pixels,
        {STEPS} steps of {BATCH} images, SGD with momentum {MOMENTUM} and a rate that falls to 0 in a straight line. What is
        trained: γ and β of every batch norm; {EACH} weights of each channel of every convolution, drawn at random, with all
        γ = 1 and β = 0; the last layer; or all. The rest stays as it was drawn; the last layer, too, where it is not named.
        Each arm has its own rate, tuned on {MEASURED:,} validation images among three, a factor of four apart, around the
        best of a trial; then 5 seeds, measured on {MEASURED:,} test images, with statistics of {POPULATION:,} training
        images. Trials with one seed of each arm came before the rule.""",
    rule=f"""Far more than chance: at least {100 * FAR:.0f} points above 10 %, the whole interval. Reproduced if this holds,
        and γ and β less the other weights, and less the last layer, are above 0; partly if the first holds with one of the
        two; contradicted if both differences are below 0; otherwise not at this scale.""",
    limits="""A small network, a short training and small images: how much γ and β reach grows with depth and width, which
        is not tried. γ begins at 1 here. The last layer has fewer numbers than γ and β have. For as many other
        weights the largest rate tried was chosen, so that a larger one may do better. Intervals are over seeds; the 2,000
        test images are the same in all of them. The share of what all weights reach counts chance, too.""",
    plan=plan, run=run, verdict=verdict, figure=figure, data="cifar10",
)  # fmt: skip

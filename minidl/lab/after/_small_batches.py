"""What the two claims about small batches share: scenes of digits, the runs, and the parts of what batch norm loses."""

import copy
import functools
import math

import numpy as np

from minidl import functional as F
from minidl import nn
from minidl.autograd import no_grad
from minidl.lab.paper._search import chosen, search
from minidl.lab.paper._training import FINAL, epochs, raw
from minidl.lab.scenes import (
    centre_loss,
    centre_targets,
    detector,
    draw_scenes,
    find_centres,
    freeze,
    mean_average_precision,
    mean_iou,
    pixels,
    segmenter,
)
from minidl.lab.study.claim import Verdict
from minidl.lab.study.statistics import paired, t_interval
from minidl.optim import Adam, LambdaLR, update_bn
from minidl.replay import Replay
from minidl.tensor import Tensor

__all__ = ["BATCH", "BATCHES", "GROUP", "NORMS", "figure", "plan", "run", "tables", "verdict"]

BATCH, FROZEN, GROUP, NONE = NORMS = ("batch norm", "frozen statistics", "group norm", "none")
LAYERS = {BATCH: "batch", FROZEN: "batch", GROUP: "group", NONE: "none"}
BATCHES, FEW = (1, 2, 4, 8, 32), 8  # the claim is about less than FEW images
CLASSES = (0, 1, 2, 3, 4)
EXAMPLES = 4096  # seen by a run, each once; a sixteenth and an eighth as many for validation and test
SEEDS = {"train": 1, "validation": 2, "test": 3}  # of the scenes
START = 500  # images for the statistics that stay frozen
POPULATION = 1024  # images for exact statistics, in batches of
TOGETHER = 128
DECAY = 1 / 16  # of the learning rate, over the whole run
RATES = {1: (0.002, 0.004, 0.008), 2: (0.002, 0.004, 0.008), 4: (0.004, 0.008, 0.016), 8: (0.004, 0.008, 0.016),
         32: (0.008, 0.016, 0.032)}  # fmt: skip
WAYS = {
    "test": "moving averages",
    "exact": "exact statistics",
    "own": "statistics of its batch",
}  # to evaluate batch norm
PARTS = {
    "moving averages": ("exact", "test"),
    "training and evaluation": ("own", "exact"),
    "training": (None, "own"),
}  # of what batch norm loses to group norm: the score with less error, the one with more
EDGE = "†"
EDGES = f"; {EDGE}: the lowest or the highest that was tried, as further seeds preferred it to the first seed's best"
CAUSES = {
    "moving averages": "the error of the moving averages",
    "training and evaluation": "the gap between training and evaluation",
    "training": "training itself",
}


# ---- a plan, and a run ---------------------------------------------------------------------------------------------------


def plan(task, scale):
    """20 arms × (8 runs or so that choose a rate + 5 seeds) × 10 s, for detection 6 s (on a busy machine)."""
    examples, sizes = scale.pick(EXAMPLES, 64), scale.pick(BATCHES, (2, 32))
    arms = {
        f"{norm}, {size}": (
            {"task": task, "norm": norm, "batch": size, "examples": examples, "steps": examples // size},
            RATES[size], (DECAY,), ("He",),
        )
        for size in sizes
        for norm in NORMS
    }  # fmt: skip
    found = yield from search(arms, scale)
    yield [
        {**arms[name][0], "arm": name, **chosen(found, name), **FINAL, "seed": seed}
        for name in arms
        for seed in range(scale.seeds)
    ]


@functools.lru_cache(maxsize=3)
def _scenes(digits, part, examples):
    """Scenes of a part of the digits: no digit is in two parts."""
    splits = dict(zip(SEEDS, raw(digits), strict=True))
    count = {"train": examples, "validation": examples // 16, "test": examples // 8}[part]
    return draw_scenes(splits[part], count, SEEDS[part], classes=CLASSES)


@functools.lru_cache(maxsize=2)
def _targets(task, digits, examples):
    scenes = _scenes(digits, "train", examples)
    if task == "segmentation":
        return scenes.masks
    return centre_targets(scenes.objects, len(scenes), len(CLASSES))


def _network(task, norm, generator):
    build = segmenter if task == "segmentation" else detector
    return build(len(CLASSES), norm, generator)


def run(config, digits):
    """Scores after training, 0 if it diverged; where they count, batch norm's in three ways: see `WAYS`."""
    task, examples, seed = config["task"], config["examples"], config["seed"]
    scenes = _scenes(digits, "train", examples)
    model = _network(task, LAYERS[config["norm"]], np.random.default_rng(seed))
    if config["norm"] == FROZEN:
        freeze(model, pixels(scenes.images[np.random.default_rng([seed, 2]).permutation(examples)[:START]]))
    loss = _train(model, scenes.images, _targets(task, digits, examples), config)
    part = "test" if config["stage"] == FINAL["stage"] else "validation"
    measured = _scenes(digits, part, examples)
    three = part == "test" and config["norm"] == BATCH
    if not math.isfinite(loss):
        return {"loss": loss, part: 0.0, **({"own": 0.0, "exact": 0.0} if three else {})}
    record = {"loss": loss, part: _score(model.eval(), task, measured)}
    if three:
        record["own"] = _score(_with_own(model), task, measured, config["batch"])
        _settle(model, scenes.images[:POPULATION])
        record["exact"] = _score(model, task, measured)
    return record


def _train(model, images, targets, config):
    """Train by Adam on every image once, at a rate that decays exponentially; returns the mean loss of the last tenth."""
    steps, order = config["steps"], np.random.default_rng([config["seed"], 1])
    optimizer = Adam(model.parameters(), config["lr"])
    schedule = LambdaLR(optimizer, lambda step: config["decay"] ** (step / steps))
    step, losses = Replay(model, F.cross_entropy if config["task"] == "segmentation" else centre_loss), []
    batches = epochs(len(images), config["batch"], False, order)
    with np.errstate(all="ignore"):  # a network that diverges overflows first
        for _ in range(steps):
            batch = next(batches)
            optimizer.zero_grad()
            losses.append(step(pixels(images[batch]), targets[batch]))
            if not math.isfinite(losses[-1]):
                return math.nan
            optimizer.step()
            schedule.step()
    return float(np.mean(losses[-max(1, steps // 10) :]))


def _with_own(model):
    """A copy whose batch norms take the statistics of the batch that they are given, in evaluation, too."""
    model = copy.deepcopy(model)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm):
            module.track_running_stats = False
    return model


def _settle(model, images):
    """Give batch norms the statistics of these images, for the weights as they are."""
    with np.errstate(all="ignore"):
        update_bn((pixels(images[i : i + TOGETHER]) for i in range(0, len(images), TOGETHER)), model)


@no_grad()
def _score(model, task, scenes, together=TOGETHER):
    """The score of a network's answers, given so many scenes at a time; 0 if not all of them are finite."""
    with np.errstate(all="ignore"):
        answers = [model(Tensor(pixels(scenes.images[i : i + together]))).data for i in range(0, len(scenes), together)]
    output = np.concatenate(answers)
    if not np.isfinite(output).all():
        return 0.0
    if task == "segmentation":
        return mean_iou(output.argmax(-1), scenes.masks, len(CLASSES) + 1)
    return mean_average_precision(find_centres(output), scenes.objects, len(CLASSES))


# ---- the verdict ---------------------------------------------------------------------------------------------------------


def _scores(result, norm, size, way="test"):
    return result.values(way, norm=norm, batch=size, **FINAL)


def _lead(result, size, way="test"):
    """Group norm less batch norm, evaluated in one way, one per seed."""
    return _scores(result, GROUP, size) - _scores(result, BATCH, size, way)


def _part(result, size, part):
    """One part of what batch norm loses, one per seed; the parts sum to the whole."""
    better, worse = PARTS[part]
    if better is None:
        return _lead(result, size, worse)
    return _scores(result, BATCH, size, better) - _scores(result, BATCH, size, worse)


def _points(interval):
    return interval.text(1, 100, sign=True)


def verdict(measure, result):
    """Group norm less batch norm at each size of batch, where it grows, and its parts."""
    sizes = sorted(result.settings("batch", **FINAL))
    small, largest = [size for size in sizes if size < FEW], sizes[-1]
    lead = {size: t_interval(_lead(result, size)) for size in sizes}
    grown = paired(np.mean([_lead(result, size) for size in small], 0), _lead(result, largest))
    above = [lead[size].above_zero for size in small]
    if all(above) and grown.above_zero:
        word = "reproduced"
    elif any(above):
        word = "partly"
    else:
        word = "contradicted" if any(lead[size].below_zero for size in small) else "not at this scale"
    numbers = {f"group norm less batch norm, {size}": interval for size, interval in lead.items()}
    numbers |= {f"below {FEW} less {largest}": grown}
    told = [f"The mean lead below {FEW} images, less that with {largest}, is {_points(grown)} points."]
    for size in small:
        parts = {part: t_interval(_part(result, size, part)) for part in PARTS}
        numbers |= {f"{part}, {size}": interval for part, interval in parts.items()}
        told.append(_explained(size, lead[size], parts))
    told.append(_others(result, small))
    number = f"{measure}, group norm less batch norm: " + "; ".join(
        f"{_points(interval)} points with {size} image{'s' * (size > 1)}" for size, interval in lead.items()
    )
    return Verdict(word, number, " ".join(told), numbers)


def _explained(size, lead, parts):
    """Say what wins back how much of the loss at a size of batch, and which parts make up most of it."""
    averages, evaluation, training = (_points(part) for part in parts.values())
    told = (
        f"With {size} image{'s' * (size > 1)} in a batch the lead is {_points(lead)} points: exact statistics in place of "
        f"moving averages give batch norm {averages}, the statistics of its own batch another {evaluation}, and {training} "
        f"are left."
    )
    if not lead.above_zero:
        return told
    main = [CAUSES[part] for part in PARTS if parts[part].above_zero and parts[part].mean >= lead.mean / 2]
    return f"{told} At least half of it is due to {' and to '.join(main) or 'no part alone'}."


def _others(result, small):
    """How frozen statistics and no norm compare with group norm."""
    told = []
    for norm in (FROZEN, NONE):
        less = [paired(_scores(result, norm, size), _scores(result, GROUP, size)) for size in small]
        told.append(f"{norm} {', '.join(_points(interval) for interval in less)}")
    sizes = ", ".join(map(str, small))
    return f"Other arms less group norm, with {sizes} images: {'; '.join(told)} points."


# ---- the page ------------------------------------------------------------------------------------------------------------


def figure(measure, result):
    """Scores over the size of the batch, and what is left of group norm's lead."""
    from minidl.lab import plot

    sizes = sorted(result.settings("batch", **FINAL))
    figure, (left, right) = plot.panels(2, size=(5.8, 4.2))
    runs = {norm: (sizes, 100 * np.stack([_scores(result, norm, s) for s in sizes], 1)) for norm in NORMS}
    behind = [str(size) for size in sizes if t_interval(_lead(result, size)).above_zero]
    title = f"Batch norm is behind with {', '.join(behind) or 'no number'} in a batch"
    if behind == ["1"]:
        title = "Batch norm is behind with one image alone"
    plot.lines(left, runs, title, "images in a batch", f"{measure} (%)", log="x", key="below")
    leads = {f"batch norm with {name}": (sizes, 100 * np.stack([_lead(result, s, way) for s in sizes], 1))
             for way, name in WAYS.items()}  # fmt: skip
    counted, lost = "one image" if sizes[0] == 1 else f"{sizes[0]} images", t_interval(_lead(result, sizes[0]))
    title = f"With {counted}, group norm " + (
        f"leads by {100 * lost.mean:.1f} points" if lost.above_zero else "does not lead clearly")  # fmt: skip
    axis = f"lead of group norm, {measure} (points)"
    plot.lines(right, leads, title, "images in a batch", axis, log="x", key="below")
    right.axhline(0, color="0.4", linewidth=1)
    return figure


def tables(measure, result):
    """The scores, batch norm's in three ways, and the learning rates."""
    sizes = sorted(result.settings("batch", **FINAL))
    head = f"| norm | {' | '.join(map(str, sizes))} |\n{'|---' * (len(sizes) + 1)}|\n"
    rows = {norm: [_scores(result, norm, size) for size in sizes] for norm in NORMS if norm != BATCH}
    own = {f"batch norm, {name}": [_scores(result, BATCH, s, way) for s in sizes] for way, name in WAYS.items()}
    scores = [
        f"| {name} | {' | '.join(t_interval(values).text(1, 100) for values in row)} |"
        for name, row in (own | rows).items()
    ]
    rates = [f"| {norm} | " + " | ".join(_rate(result, norm, size) for size in sizes) + " |" for norm in NORMS]
    title = f"{measure[0].upper()}{measure[1:]} (%) on the test scenes, by images in a batch"
    return (
        f"\n\n{title}:\n\n{head}" + "\n".join(scores)
        + f"\n\nLearning rates, chosen on validation scenes{EDGES * (EDGE in ''.join(rates))}:\n\n{head}" + "\n".join(rates)
    )  # fmt: skip


def _rate(result, norm, size):
    """The rate that was chosen, marked where none was tried on one side of it."""
    rate = result.where(norm=norm, batch=size, **FINAL).runs[0].config["lr"]
    tried = [run.config["lr"] for run in result.where(norm=norm, batch=size).runs if run.config["stage"] == "tune"]
    return f"{rate:g}{EDGE * (bool(tried) and rate in (min(tried), max(tried)))}"

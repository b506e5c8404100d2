"""A run of the claim `steps`: one network, trained by a bundle of settings, its accuracy measured on the way."""

import math
import time

import numpy as np

from minidl import functional as F
from minidl import nn
from minidl.lab.paper._networks import plain_stack, small_inception, standardise
from minidl.lab.paper._photos import batches, split
from minidl.lab.paper._reach import times
from minidl.lab.paper._training import CHANCE
from minidl.lab.paper.ensemble import together
from minidl.optim import SGD, LambdaLR
from minidl.replay import Replay
from minidl.tensor import Tensor
from minidl.train import evaluate, predict_logits

__all__ = ["kind", "run"]

NETWORKS = {"Inception": small_inception, "stack": plain_stack}
ACTIVATIONS = {"ReLU": nn.ReLU, "sigmoid": nn.Sigmoid}
BATCH, MOMENTUM, DROPOUT, L2 = 32, 0.9, 0.4, 5e-4
START = 200  # training images by which a start is standardised
TOGETHER = 250  # images in a batch where nothing is trained


def run(config, photos):
    """Train, and return the record that the stage asks for: a curve, an ensemble's answers, or times of a step.

    The curve is measured on the first `watched` validation images, the end on all of them.
    """
    data = split(photos)
    if config["stage"] == "time":
        return _times(config, data)
    if config["stage"] == "ensemble":
        return _ensemble(config, data)
    model = _build(config, data)
    curve, diverged = _train(model, config, data)
    end = CHANCE if diverged is not None else _accuracy(model, data.x_validation, data.y_validation)
    return {"accuracy": curve, "validation": end, "diverged": diverged}


def _build(config, data):
    """The network of a configuration; equal seeds give equal weights where the shapes agree."""
    seed, network = config["seed"], NETWORKS[config["network"]]
    model = network(
        config["norm"], ACTIVATIONS[config["activation"]], config["width"], config["response"],
        DROPOUT if config["dropout"] else 0, np.random.default_rng(seed), np.random.default_rng([seed, 3]),
    )  # fmt: skip
    if config["start"] == "standardised":
        chosen = np.random.default_rng([seed, 4]).permutation(len(data.y))[:START]
        standardise(model, data.ready(data.x[chosen]))
    return model


def _train(model, config, data):
    """Train by momentum SGD at a rate that decays exponentially; returns the curve, and where training diverged or None.

    The rate falls to `decay` times itself over the whole run, `hurry` times as fast, after a linear warm-up over that part
    of the run. Weights have L2, biases and the parameters of batch norm have none.
    """
    steps, warm = config["steps"], round(config["warmup"] * config["steps"])
    weights = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim == 1]
    optimizer = SGD(
        [{"params": weights, "weight_decay": L2 * config["l2"]}, {"params": others}], config["lr"], MOMENTUM
    )
    schedule = LambdaLR(
        optimizer,
        lambda t: config["decay"] ** (config["hurry"] * t / steps) * (min(1, (t + 1) / warm) if warm else 1),
    )
    trained, watched = nn.fuse(model), nn.fuse(model).eval()  # the same parameters: what measures does not disturb
    step, at, curve = Replay(trained), times(steps, config["first"]), []
    source = batches(data, BATCH, config["seed"], config["reshuffled"], config["distortion"])
    x, y = (array[: config["watched"]] for array in (data.x_validation, data.y_validation))
    with np.errstate(all="ignore"):  # a network that diverges overflows first
        for done in range(1, steps + 1):
            optimizer.zero_grad()
            if not math.isfinite(step(*next(source))):
                return curve + [CHANCE] * (len(at) - len(curve)), done - 1
            optimizer.step()
            schedule.step()
            if done in at:
                curve.append(_accuracy(watched, x, y))
    return curve, None


def _accuracy(model, x, y):
    with np.errstate(all="ignore"):
        return evaluate(model, x, y, TOGETHER).accuracy


def _ensemble(config, data):
    """What several networks know of the test images, alone and together."""
    probabilities = []
    for member in range(config["members"]):
        own = {**config, "seed": config["seed"] * config["members"] + member}
        model = _build(own, data)
        _train(model, own, data)
        with np.errstate(all="ignore"):
            logits = predict_logits(model, data.x_test, TOGETHER)
        probabilities.append(F.softmax(Tensor(np.nan_to_num(logits))).data)
    return together(np.array(probabilities), data.y_test)


def _times(config, data):
    """Milliseconds of processor time of a step of each kind of network; in turns, so that a busy machine slows all."""
    kinds = [{**config, **own} for own in config["kinds"]]
    steps, spent = {}, {kind(one): [] for one in kinds}
    for one in kinds:
        model = nn.fuse(_build(one, data))
        steps[kind(one)] = SGD(model.parameters(), 1e-4, MOMENTUM), Replay(model)
    source = batches(data, BATCH, config["seed"], True, "weak")
    for _ in range(config["steps"]):
        batch = next(source)
        for name, (optimizer, step) in steps.items():
            start = time.thread_time()
            optimizer.zero_grad()
            step(*batch)
            optimizer.step()
            spent[name].append(1000 * (time.thread_time() - start))
    return {name: float(np.median(values[len(values) // 4 :])) for name, values in spent.items()}


def kind(config):
    """Name what the time of a step depends on."""
    return f"{config['network']}, {config['norm']}, {'with' if config['response'] else 'without'} response"

"""Train the networks of the living figure, and record what reaches each of their activations on the way.

The training is `fig1.Training`, as in the demo: the same loop, batches and population statistics. Each run depends on its
configuration and the digits alone, so runs are kept and spread as those of the ledger are.
"""

import dataclasses
import math
from typing import Any, NamedTuple

import numpy as np

from minidl import nn
from minidl.lab.models import paper_mlp
from minidl.lab.paper.fig1 import Settings, Training, build
from minidl.probe import saturated, unit_percentiles
from minidl.train import predict_logits

__all__ = ["ARMS", "EDGES", "NETS", "PERCENTILES", "RECORDING", "UNITS", "Net", "Recording", "careful", "describe",
           "looked_at", "model_of", "moments", "norm_of", "plan", "run", "settings_of", "shortened"]  # fmt: skip

EDGES = np.linspace(-8, 8, 41)  # of the bins in which inputs are counted; what lies beyond counts in the outermost
PERCENTILES = (5, 15, 50, 85, 95)
UNITS = 20  # of a layer, evenly spread, whose bands are kept
DEPTH, WIDTH = 8, 100
ARMS = {"none": "without BN", "batch": "with BN", "start": "good start, no BN"}


class Net(NamedTuple):
    """One of the two networks: its settings, its arms, how many moments of its training are kept."""

    settings: Settings
    arms: tuple[str, ...]
    moments: int
    tested: int  # test images, for the accuracy
    watched: int  # and of those, for what the activations receive


NETS = {
    "sigmoid": Net(Settings(steps=10_000, lr=0.5), ("none", "batch", "start"), 38, 10_000, 1000),
    # half an epoch, at the demo's settings; an image counts once for every position, so few of them say as much
    "conv": Net(
        Settings(model="conv", steps=234, lr=0.05, batch_size=128, momentum=0.9), ("none", "batch"), 10, 2000, 100
    ),
}


class Recording(NamedTuple):
    """What `study.sweep.conduct` needs to know of a study that is no claim."""

    id: str
    plan: Any
    run: Any
    data: str = "mnist"


def plan(scale):
    """Three arms × 10,000 steps × 1.2 ms, two × 234 × 120 ms, and what measuring takes; times three seeds."""
    yield [
        {"net": name, "arm": arm, "seed": seed, "steps": scale.pick(net.settings.steps, 40)}
        for name, net in NETS.items()
        for arm in net.arms
        for seed in range(scale.seeds)
    ]


def moments(steps, count):
    """Return the steps after which a run is measured: the start, then evenly spaced on a logarithmic scale."""
    return np.unique(np.round(np.concatenate([[0], np.geomspace(1, steps, count)])).astype(int)).tolist()


def settings_of(config):
    """Return the Settings of a configuration, for `fig1.run_arm` and `fig1.Training`."""
    return dataclasses.replace(NETS[config["net"]].settings, steps=config["steps"], seed=config["seed"])


def norm_of(config):
    """Return the norm of a configuration's arm, "batch" or "none"."""
    return "batch" if config["arm"] == "batch" else "none"


def model_of(config):
    """Build the network of a configuration; arms of equal seeds draw the same initial weights."""
    settings = settings_of(config)
    if config["net"] == "conv":
        return build(settings, norm_of(config))
    sizes = (784, *[WIDTH] * DEPTH, 10)
    model = paper_mlp(norm_of(config), settings.init_std, sizes, np.random.default_rng(settings.seed))
    return careful(model, settings.init_std) if config["arm"] == "start" else model


def careful(model, std):
    """Give a stack of sigmoids a start that keeps the signal: lesson 00's; returns the model.

    Weights four times as large as Glorot's, as a sigmoid's slope is ¼ at most; biases b_j = −½·Σ_i w_ij, which make an
    output of ½ count as nothing in the next layer.
    std     of the normal weights that the model has
    Source  Glorot and Bengio 2010, for slopes of 1; lesson 03 derives both corrections
    """
    for layer in model:
        if isinstance(layer, nn.Linear):
            layer.weight.data *= np.float32(4 * math.sqrt(2 / sum(layer.weight.shape)) / std)
            if layer.bias is not None:
                layer.bias.data[...] = -layer.weight.data.sum(0) / 2
    return model


def run(config, digits):
    """Train one arm; the record's lists have an entry for each moment, and those of layers one for each layer in it."""
    net = NETS[config["net"]]
    training = Training(settings_of(config), norm_of(config), shortened(digits, net.tested), True, model_of(config))
    watched, layers = training.test_images[: net.watched], []
    for step in moments(config["steps"], net.moments):
        while training.step < step:
            training.do_step()
        training.measure()
        layers.append([describe(*seen) for seen in looked_at(training.model, watched)])
    seen = {"steps": training.seen["step"], "accuracy": training.seen["accuracy"], "loss": training.seen["loss"]}
    return seen | {name: [[layer[name] for layer in moment] for moment in layers] for name in layers[0][0]}


def shortened(digits, tested):
    """Return the digits with at most so many test images."""
    train, (images, labels) = digits
    return train, (images[:tested], labels[:tested])


def looked_at(model, images):
    """Return (its class, input, output) for each activation in evaluation mode, from the first to the last."""
    seen = []
    handles = [
        module.register_forward_hook(lambda module, args, y: seen.append((type(module), args[0].data, y.data)))
        for module in model.modules()
        if isinstance(module, nn.Sigmoid | nn.ReLU)
    ]
    try:
        predict_logits(model, images)
    finally:
        for handle in handles:
            handle.remove()
    return seen


def describe(kind, x, y):
    """Measure one layer of activations, its inputs x and outputs y, both (N, …, C), over N images.

    "counts"       how many inputs lie between two of EDGES
    "percentiles"  of all inputs: PERCENTILES
    "units"        the 15th, 50th and 85th percentile of UNITS units over images and positions, (UNITS, 3)
    "saturated"    the fraction whose slope is below a tenth of its steepest
    "signal"       standard deviation from image to image (root mean square over units and positions)
    """
    counts = np.histogram(np.clip(x, EDGES[0], EDGES[-1]), EDGES)[0]
    rows = x.reshape(-1, x.shape[-1])
    chosen = np.linspace(0, rows.shape[1] - 1, UNITS).round().astype(int)
    centred = x - x.mean(0, dtype=np.float64)
    return {
        "counts": counts,
        "percentiles": np.percentile(rows, PERCENTILES),
        "units": unit_percentiles(rows[:, chosen]),
        "saturated": saturated(kind, y).mean(),
        "signal": math.sqrt(np.square(centred).mean()),
    }


RECORDING = Recording("live", plan, run)

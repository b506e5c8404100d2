"""What the claims about photographs share: CIFAR-10 at half its size, and a stack of eight convolutions trained on it."""

import functools

import numpy as np

from minidl import nn
from minidl.lab.models import initialise, spare_generator
from minidl.lab.paper import _photos
from minidl.lab.paper._networks import plain_stack
from minidl.lab.paper._training import Data, draws, score, train

__all__ = ["BATCH", "GRID", "STEPS", "network", "small", "train_small"]

GRID = (0.025, 0.05, 0.1, 0.2, 0.4, 0.8)  # of learning rates
STEPS, BATCH = 500, 32
IMAGES = 10_000  # to train with
MEASURED = (1000, 2500, 5000)  # images for the population's statistics, to choose rates with, for the results


@functools.lru_cache(maxsize=1)
def small(photos):
    """Return photographs of 16×16 pixels, means of four: (those to train with, those to measure with), a Data each.

    The first training images; of those to measure with, "train" is a part of them, for the population's statistics.
    """
    data = _photos.split(photos)
    x = _halved(data.ready(data.x[:IMAGES]))
    training = Data(
        x, data.y[: len(x)], _halved(data.x_validation), data.y_validation, _halved(data.x_test), data.y_test
    )
    pairs = zip(zip(training[::2], training[1::2], strict=True), MEASURED, strict=True)
    return training, Data(*(array[:n] for pair, n in pairs for array in pair))


def _halved(images):
    n, height, width, colours = images.shape
    return images.reshape(n, height // 2, 2, width // 2, 2, colours).mean((2, 4))


def network(norm, seed, width=16, more=0):
    """Build `plain_stack` without anything but convolutions, batch norm if asked, and ReLU; equal seeds, equal weights.

    more    so many convolutions are added at the end, where images have 2×2 pixels
    """
    layers = list(plain_stack(norm, width=width, response=False, dropout=0.0))
    for _ in range(more):
        conv = nn.Conv2d(4 * width, 4 * width, 3, padding=1, bias=norm == "none", generator=spare_generator())
        layers[-2:-2] = [conv, *([nn.BatchNorm(4 * width)] if norm == "batch" else []), nn.ReLU()]
    generator = np.random.default_rng(seed)
    return initialise(nn.Sequential(*layers), lambda weight: nn.init.kaiming_normal_(weight, generator))


def train_small(config, photos, look=None, at=()):
    """Train by plain SGD and measure; `look(model, step)` is called at some steps. Returns the record of `score`.

    config    "norm" ("batch" or "none"), "lr", "steps", "seed"; may have "width" and "more" of the network
    """
    (training, measured), seed = small(photos), config["seed"]
    model = network(config["norm"], seed, config.get("width", 16), config.get("more", 0))
    diverged = train(
        model, draws(training, BATCH, seed), config["lr"], config["steps"], lambda step, loss: look(model, step), at
    )
    return score(model, measured, diverged)

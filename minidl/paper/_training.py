"""What the trained claims share: one split of the digits, batches that are the same in every arm, and a training loop."""

import functools
import math
from typing import NamedTuple

import numpy as np

from minidl import functional as F
from minidl.data.loader import DataLoader
from minidl.optim import SGD
from minidl.paper.fig1 import prepare
from minidl.tensor import Tensor
from minidl.train import evaluate, update_bn

__all__ = ["CHANCE", "Data", "draws", "loss_of", "marks", "score", "split", "subset", "train"]

CHANCE = 0.1  # what a network that has diverged is taken to know of ten digits
POPULATION = 10_000  # training images from which the statistics for evaluation are taken, in batches of 1,000


class Data(NamedTuple):
    """Binary pixels, flat (N, 784), and labels: for training, for choosing learning rates, for the results."""

    x: np.ndarray
    y: np.ndarray
    x_validation: np.ndarray
    y_validation: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


@functools.lru_cache(maxsize=1)
def split(digits):
    """A twelfth of the training images, 5,000 of MNIST's, is for validation: always the same ones, drawn at random."""
    order = np.random.default_rng(2015).permutation(len(digits.train.labels))
    held, rest = np.split(order, [len(order) // 12])
    pixels = prepare(digits.train.images, "mlp")
    labels = digits.train.labels
    test = prepare(digits.test.images, "mlp"), digits.test.labels
    return Data(pixels[rest], labels[rest], pixels[held], labels[held], *test)


def subset(data, n, seed):
    """The data with only n of the training images, drawn by the seed."""
    chosen = np.random.default_rng([seed, 2]).permutation(len(data.y))[:n]
    return data._replace(x=data.x[chosen], y=data.y[chosen])


def draws(data, batch_size, seed):
    """Batches without end, each drawn independently of the others; equal seeds give equal batches."""
    generator = np.random.default_rng([seed, 1])
    while True:
        chosen = generator.integers(0, len(data.y), batch_size)
        yield data.x[chosen], data.y[chosen]


def loss_of(model, x, y):
    """The mean cross-entropy of a batch, as a tensor."""
    return F.cross_entropy(model(Tensor(x)), y)


def train(model, batches, lr, steps, look=None, at=(), loss_of=loss_of):
    """Plain SGD; returns None, or the step at which the loss was no longer finite.

    look     look(step, loss) is called after as many steps as `at` says, with the loss of the batch that comes next
    loss_of  loss_of(model, x, y), a tensor
    """
    optimizer, at = SGD(model.parameters(), lr), frozenset(at)
    with np.errstate(all="ignore"):  # a network that diverges overflows first
        for step in range(steps + 1):
            loss = loss_of(model, *next(batches))
            if not math.isfinite(loss.item()):
                return step
            if step in at:
                look(step, loss.item())
            if step < steps:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return None


def marks(steps, count):
    """About `count` steps at equal distances, from 0 to the last one."""
    return sorted({round(steps * i / count) for i in range(count + 1)})


def score(model, data, diverged=None):
    """Accuracies in evaluation mode, by population statistics: {"train", "validation", "test", "diverged"}.

    "train" is taken on the first 10,000 training images at most. A network that diverged, at that step, is at chance.
    """
    if diverged is not None:
        return {"train": CHANCE, "validation": CHANCE, "test": CHANCE, "diverged": diverged}
    x, y = data.x[:POPULATION], data.y[:POPULATION]
    # only full batches: a small last one would count as much as the others
    update_bn(DataLoader(x, batch_size=min(1000, len(x)), drop_last=True), model)
    with np.errstate(all="ignore"):
        return {
            "train": evaluate(model, x, y).accuracy,
            "validation": evaluate(model, data.x_validation, data.y_validation).accuracy,
            "test": evaluate(model, data.x_test, data.y_test).accuracy,
            "diverged": None,
        }

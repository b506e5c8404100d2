"""What the trained claims share: one split of the digits, the same batches in every arm, and a training loop."""

import functools
import math
from typing import NamedTuple

import numpy as np

from minidl import functional as F
from minidl.data import loader
from minidl.lab.paper.fig1 import prepare
from minidl.lab.photos import hold_out
from minidl.lab.study.claim import Result, cautious
from minidl.optim import SGD
from minidl.tensor import Tensor
from minidl.train import evaluate, update_bn

__all__ = ["CHANCE", "FINAL", "Data", "best_arm", "draws", "epochs", "finals", "loss_of", "marks", "rate", "raw", "score",
           "settle", "split", "subset", "train", "tune"]  # fmt: skip

CHANCE = 0.1  # what a network that has diverged is taken to know of ten digits
POPULATION = 10_000  # training images from which the statistics for evaluation are taken, in batches of 1,000

GRID = (0.03125, 0.125, 0.5, 2.0, 8.0, 32.0)  # of learning rates
TUNING_SEEDS = (1000, 1001)  # never those of the results
CONFIRMING_SEEDS = (1002, 1003, 1004)
FINAL = {"stage": "final"}


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
    """Split off a twelfth of the training images, 5,000 of MNIST's, for validation: always the same, drawn at random."""
    (x, y), (x_validation, y_validation), (x_test, y_test) = (
        (prepare(images, "mlp"), labels) for images, labels in raw(digits)
    )
    return Data(x, y, x_validation, y_validation, x_test, y_test)


def raw(digits, part=12):
    """Return the same split as bytes: (images, labels) for training, for validation (one in `part`), for the results."""
    return *hold_out(digits.train, len(digits.train.labels) // part), digits.test


def subset(data, n, seed):
    """Return the data with only n of the training images, drawn by the seed."""
    chosen = np.random.default_rng([seed, 2]).permutation(len(data.y))[:n]
    return data._replace(x=data.x[chosen], y=data.y[chosen])


def draws(data, batch_size, seed):
    """Yield batches forever, each drawn independently of the others; equal seeds give equal batches."""
    return loader.draws(data.x, data.y, batch_size=batch_size, generator=np.random.default_rng([seed, 1]))


def epochs(n, batch_size, reshuffled, generator):
    """Yield epochs without end, as the numbers of the examples in each batch; those that fill no batch are left out.

    reshuffled   batches get new members each epoch; else they keep them, and come in a new order
    """
    usable = n // batch_size * batch_size
    members = generator.permutation(n)[:usable].reshape(-1, batch_size)
    while True:
        if reshuffled:
            members = generator.permutation(n)[:usable].reshape(-1, batch_size)
        yield from generator.permutation(members)


def loss_of(model, x, y):
    """Return the mean cross-entropy of a batch, as a tensor."""
    return F.cross_entropy(model(Tensor(x)), y)


def train(model, batches, lr, steps, look=None, at=(), loss_of=loss_of):
    """Train by plain SGD; returns None, or the step at which the loss was no longer finite.

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
    """Return about `count` steps at equal distances, from 0 to the last one."""
    return sorted({round(steps * i / count) for i in range(count + 1)})


def settle(model, data):
    """Give batch norms the population statistics of the weights as they are, for evaluation (Algorithm 2)."""
    x = data.x[:POPULATION]
    # only full batches: a small last one would count as much as the others
    update_bn(loader.DataLoader(x, batch_size=min(1000, len(x)), drop_last=True), model)


def score(model, data, diverged=None):
    """Measure accuracies in evaluation mode, by population statistics: {"train", "validation", "test", "diverged"}.

    "train" is taken on the first 10,000 training images at most. A network that diverged, at that step, is at chance.
    """
    if diverged is not None:
        return {"train": CHANCE, "validation": CHANCE, "test": CHANCE, "diverged": diverged}
    x, y = data.x[:POPULATION], data.y[:POPULATION]
    settle(model, data)
    with np.errstate(all="ignore"):
        return {
            "train": evaluate(model, x, y).accuracy,
            "validation": evaluate(model, data.x_validation, data.y_validation).accuracy,
            "test": evaluate(model, data.x_test, data.y_test).accuracy,
            "diverged": None,
        }


# ---- learning rates --------------------------------------------------------------------------------------------------


def tune(arms, scale, grid=GRID):
    """Try learning rates, as a part of a plan: `tuned = yield from tune(arms, scale)`, a Result for `rate`, `finals`.

    arms    name → the settings of its runs, whose records must have "validation", an accuracy
    Every rate of the grid with two seeds; then the two best ones of each arm with three more, as the rate that is best for
    two seeds may be one at which others fail to train. No seed is used again. Quick: three rates, one seed, no more.
    """
    first = yield _trials(arms, dict.fromkeys(arms, scale.pick(grid, grid[1:4])), scale.pick(TUNING_SEEDS, (1000,)))
    if scale.quick:
        return first
    second = yield _trials(arms, {arm: _two_best(first, arm) for arm in arms}, CONFIRMING_SEEDS)
    return Result(first.runs + second.runs)


def _trials(arms, rates, seeds):
    return [
        {**arms[arm], "arm": arm, "stage": "tune", "lr": lr, "seed": seed}
        for arm in arms
        for lr in rates[arm]
        for seed in seeds
    ]


def _two_best(tried, arm):
    chosen = rate(tried, arm)
    others = tuple(run for run in tried.where(arm=arm).runs if run.config["lr"] != chosen)
    return chosen, rate(Result(others), arm)


def rate(tuned, arm):
    """Return the learning rate of an arm with the best mean validation accuracy, or a smaller one that is about as good."""
    return cautious(tuned.where(arm=arm, stage="tune"), "validation")


def best_arm(tuned, names):
    """Return the arm with the best mean validation accuracy, each at its own learning rate."""
    tuned = tuned.where(stage="tune")
    return max(names, key=lambda arm: tuned.values("validation", arm=arm, lr=rate(tuned, arm)).mean())


def finals(arms, tuned, seeds):
    """List the configurations of the results: each arm at its learning rate, with every seed."""
    return [{**arms[arm], "arm": arm, **FINAL, "lr": rate(tuned, arm), "seed": seed} for arm in arms for seed in seeds]

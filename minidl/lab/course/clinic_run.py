"""A training run in parts, each of which can be replaced, and what is measured while it runs (lesson 15)."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from minidl import functional as F
from minidl import nn, optim
from minidl.lab.models import initialise, paper_mlp, spare_generator
from minidl.tensor import Tensor
from minidl.train import evaluate, update_bn

__all__ = [
    "EPOCHS", "HEALTHY", "Data", "HandNorm", "PartError", "Parts", "Run", "convolutional", "in_inputs", "is_norm",
    "perceptron", "run", "scale_and_shift",
]  # fmt: skip

EPOCHS, _RATE, _BATCH = 3, 0.1, 8
_WIDTH, _CHANNELS = 64, 8
_AT_ONCE = 200  # images in a batch where statistics are measured anew


class PartError(TypeError):
    """A part of a run returned what it must not."""


class Data(NamedTuple):
    """Images (N, 28, 28) of bytes with their labels: to train on, held out (in the order of their classes), for the test."""

    images: np.ndarray
    labels: np.ndarray
    held: np.ndarray
    held_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray


class HandNorm(nn.BatchNorm):
    """Batch norm as one writes it by hand: it does not refuse a batch of one, whose variance over m − 1 is 0/0."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x (N, C) or (N, H, W, C)."""
        if not self.training or x.data.size > x.shape[-1]:
            return super().forward(x)
        rows = x.reshape(-1, x.shape[-1])
        mean, squares = rows.data.mean(0), ((rows.data - rows.data.mean(0)) ** 2).sum(0)
        with np.errstate(invalid="ignore"):
            unbiased = squares / np.float32(len(rows) - 1)
        self.running_mean[...] += np.float32(self.momentum or 1.0) * (mean - self.running_mean)
        self.running_var[...] += np.float32(self.momentum or 1.0) * (unbiased - self.running_var)
        bias: Any = self.bias
        return (x - x) + bias


def is_norm(layer: Any) -> bool:
    """Return whether a layer keeps running statistics."""
    return getattr(layer, "running_mean", None) is not None


def scale_and_shift(norm: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return what a norm does in evaluation, y = s·x + t: s and t, each (C,)."""
    scale = norm.weight.data / np.sqrt(norm.running_var + np.float32(norm.eps))
    return scale, norm.bias.data - norm.running_mean * scale


def perceptron(norm: Callable[[int], nn.Module]) -> nn.Sequential:
    """Build two hidden layers of 64 units, a norm before each ReLU, with He's weights: (N, 784) → (N, 10)."""
    generator = np.random.default_rng(0)
    model = paper_mlp(norm, sizes=(784, _WIDTH, _WIDTH, 10), generator=generator, activation=nn.ReLU)
    return initialise(model, lambda weight: nn.init.kaiming_normal_(weight, generator))


class _AsImages(nn.Module):
    def forward(self, x):
        return x.reshape(-1, 28, 28, 1)


def convolutional(norm: Callable[[int], nn.Module]) -> nn.Sequential:
    """Build three convolutions with zero padding, with a norm *before* all but the first: (N, 784) → (N, 10)."""
    generator, spare = np.random.default_rng(0), spare_generator()
    narrow, wide = _CHANNELS, 2 * _CHANNELS

    def conv(n_in, n_out, stride=1):
        return nn.Conv2d(n_in, n_out, 3, stride, padding=1, generator=spare)

    model = nn.Sequential(
        _AsImages(), conv(1, narrow, 2), nn.ReLU(), nn.MaxPool2d(2), norm(narrow), conv(narrow, wide, 2), nn.ReLU(),
        norm(wide), conv(wide, wide), nn.ReLU(), nn.GlobalAvgPool2d(), nn.Linear(wide, 10, generator=spare),
    )  # fmt: skip
    return initialise(model, lambda weight: nn.init.kaiming_normal_(weight, generator))


# ---- the parts of a run that is well ---------------------------------------------------------------------------------


def in_inputs(images: np.ndarray) -> np.ndarray:
    """Turn images of bytes into inputs (N, 784) from 0 to 1."""
    return images.reshape(len(images), -1).astype(np.float32) / np.float32(255)


def full_batches(labels, generator):
    """Cut a random order into batches of 8; what is left over waits for the next epoch."""
    order = generator.permutation(len(labels))
    return [order[i : i + _BATCH] for i in range(0, len(labels) - _BATCH + 1, _BATCH)]


def one_step(model, optimizer, inputs, labels):
    """Make one step of gradient descent, and return the loss."""
    optimizer.zero_grad()
    loss = F.cross_entropy(model(Tensor(inputs)), labels)
    loss.backward()
    optimizer.step()
    return loss.item()


def read(model, inputs, labels):
    """Read held-out images in evaluation mode; the accuracy."""
    return evaluate(model, inputs, labels).accuracy


def as_it_is(model):
    """Ship the model that was trained."""
    return model


@dataclass(frozen=True)
class Parts:
    """The functions that make a run.

    network   norm → the model, (N, 784) → (N, 10)
    norm      features → a layer
    batches   (labels, generator) → the batches of one epoch, each an array of image numbers
    ready     model → nothing; called before each epoch
    step      (model, optimizer, inputs, labels) → the loss, after one update
    rehearse  (model, inputs, labels) → the accuracy on held-out images, after each epoch
    prepare   test images of bytes → inputs
    ship      model → the model that is tested
    """

    network: Callable[..., Any] = perceptron
    norm: Callable[..., Any] = HandNorm
    batches: Callable[..., Any] = full_batches
    ready: Callable[..., Any] = nn.Module.train
    step: Callable[..., Any] = one_step
    rehearse: Callable[..., Any] = read
    prepare: Callable[..., Any] = in_inputs
    ship: Callable[..., Any] = as_it_is


HEALTHY = Parts()


@dataclass
class Run:
    """What was measured: rows are steps, or epochs from 0; accuracies are in percent.

    batch_mean, running_mean, running_var  (steps, C) of the first norm, after each step: of the last batch that it saw, and
                                           as it keeps them
    jumps                                  (epochs, C): how far its running mean moved while held-out images were read
    rehearsed, held                        accuracy on held-out images after each epoch: as `rehearse` told it, and as it
                                           is in evaluation mode
    train, test                            accuracy on the batches of each epoch; on test images, from epoch 0
    fresh, own, unshipped                  test accuracy at the end: with the statistics of the training images measured
                                           anew, with those of the test images, and before shipping
    """

    losses: np.ndarray
    batch_mean: np.ndarray
    running_mean: np.ndarray
    running_var: np.ndarray
    jumps: np.ndarray
    rehearsed: np.ndarray
    held: np.ndarray
    train: np.ndarray
    test: np.ndarray
    fresh: float
    own: float
    unshipped: float
    shipped: Any
    model: Any
    seen: float  # training images for each epoch

    @property
    def epoch(self) -> int:
        """Steps in an epoch."""
        return len(self.losses) // EPOCHS


def run(data: Data, parts: Parts, trained: nn.Sequential | None = None) -> Run:
    """Train for three epochs with plain SGD, and measure.

    trained  for a second job: a network whose last layer learns to read images on grey paper, while the test asks for the
             first job, with the last layer that it had
    Errors   PartError for a part that returns what it must not; what a part raises passes
    """
    generator = np.random.default_rng(1)
    model = parts.network(parts.norm) if trained is None else copy.deepcopy(trained)
    _module("network", model)
    inputs, held, test = in_inputs(data.images), in_inputs(data.held), _inputs(parts.prepare(data.test), len(data.test))
    if trained is not None:
        inputs = np.float32(0.3) + np.float32(0.7) * inputs
    first = next((layer for layer in model.modules() if is_norm(layer)), None)
    trains = model if trained is None else model[-1]
    optimizer, record = optim.SGD(trains.parameters(), _RATE), _Record(first)

    def tested(model, ship=parts.ship):
        if trained is not None:
            model = nn.Sequential(*list(model)[:-1], trained[-1])
        before = [p.data.copy() for p in model.parameters()]
        shipped = _module("ship", ship(model))
        if not all(np.array_equal(b, p.data, equal_nan=True) for b, p in zip(before, model.parameters(), strict=True)):
            raise PartError("ship changes the model that is trained; let it work on a copy, copy.deepcopy(model)")
        with np.errstate(all="ignore"):
            return shipped, 100 * evaluate(shipped, test, data.test_labels).accuracy

    accuracies, seen = [tested(model)[1]], 0
    train: list[float] = []
    jumps: list[np.ndarray] = []
    rehearsed: list[tuple[float, float]] = []
    hooks = [model.register_forward_hook(record.outputs)]
    hooks += [first.register_forward_hook(record.statistics)] if first is not None else []
    for _ in range(EPOCHS):
        parts.ready(model)
        right = 0
        for batch in _indices(parts.batches(data.labels, generator), len(data.labels)):
            right += record.step(
                lambda b=batch: _number("step", "the loss", parts.step(model, optimizer, inputs[b], data.labels[b])),
                data.labels[batch],
            )
            seen += len(batch)
        train.append(100 * right / max(1, seen / (len(train) + 1)))
        before = record.mean()
        told = _number("rehearse", "the accuracy", parts.rehearse(model, held, data.held_labels))
        jumps.append(record.mean() - before)
        with np.errstate(all="ignore"):
            rehearsed.append((100 * told, 100 * evaluate(model, held, data.held_labels).accuracy))
        accuracies.append(tested(model)[1])
    for hook in hooks:
        hook.remove()
    losses, batch_mean, running_mean, running_var = record.arrays()
    claimed, true = np.array(rehearsed).T
    return Run(
        losses, batch_mean, running_mean, running_var, np.array(jumps), claimed, true,
        np.array(train), np.array(accuracies),
        fresh=tested(_measured_anew(model, inputs))[1], own=tested(_measured_anew(model, test))[1],
        unshipped=tested(model, as_it_is)[1], shipped=tested(model)[0], model=model, seen=seen / EPOCHS,
    )  # fmt: skip


def _measured_anew(model, inputs):
    model = copy.deepcopy(model)
    if any(is_norm(layer) for layer in model.modules()):
        full = range(0, len(inputs) - _AT_ONCE + 1, _AT_ONCE)  # 4,001 images would leave a batch of one
        update_bn([inputs[i : i + _AT_ONCE] for i in full], model)
    return model


def _module(part, model):
    if not isinstance(model, nn.Module):
        raise PartError(f"{part} returns a {type(model).__name__}; it should return a model")
    return model


def _indices(batches: Any, count: int) -> Sequence[np.ndarray]:
    """Check what `batches` returns."""
    try:
        each = iter(batches)
    except TypeError:
        each = iter(())
    found = [np.asarray(batch) for batch in each]
    if not found or any(b.ndim != 1 or b.dtype.kind not in "iu" or not len(b) for b in found):
        raise PartError("batches should return a list of arrays, each with the numbers of the images of one batch")
    for asked in (min(b.min() for b in found), max(b.max() for b in found)):
        if not 0 <= asked < count:
            raise PartError(f"batches asks for image {asked:,}; the images have the numbers 0 to {count - 1:,}")
    return found


def _inputs(found: Any, count: int) -> np.ndarray:
    """Check what `prepare` returns."""
    if isinstance(found, np.ndarray) and found.dtype == np.float32 and found.shape == (count, 784):
        return found
    is_array = isinstance(found, np.ndarray)
    what = f"an array of {found.dtype}, {found.shape}" if is_array else f"a {type(found).__name__}"
    raise PartError(f"prepare returns {what}; it should return an array of float32, ({count}, 784)")


def _number(part: str, what: str, found: Any) -> float:
    """Check what `step` and `rehearse` return."""
    if isinstance(found, int | float | np.number) and not isinstance(found, bool):
        return float(found)
    raise PartError(f"{part} returns a {type(found).__name__}; it should return {what}, a number")


class _Record:
    """Collects what hooks see in each step."""

    def __init__(self, first):
        self.first, self.rows, self.logits, self.listens = first, [], [], False
        self.last = np.full(self.mean().shape, np.nan, np.float32)

    def mean(self):
        return np.full(1, np.nan, np.float32) if self.first is None else self.first.running_mean.copy()

    def outputs(self, module, inputs, output):
        if self.listens:
            self.logits.append(output.data)

    def statistics(self, module, inputs, output):
        if self.listens:
            self.last = inputs[0].data.reshape(-1, inputs[0].shape[-1]).mean(0)

    def step(self, do, labels):
        """Make a step; how many of its images the outputs had right."""
        self.logits, self.listens = [], True
        try:
            loss = do()
        finally:
            self.listens = False
        var = np.full(1, np.nan, np.float32) if self.first is None else self.first.running_var.copy()
        self.rows.append((loss, self.last, self.mean(), var))
        logits = np.concatenate(self.logits) if self.logits else np.zeros((0, 10))
        return int((logits.argmax(-1) == labels).sum()) if len(logits) == len(labels) else 0

    def arrays(self):
        return tuple(np.array(column) for column in zip(*self.rows, strict=True))

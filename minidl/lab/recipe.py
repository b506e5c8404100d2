"""The recipe of `minidl cifar`: a small network for photographs, trained in about ten passes over them.

A frozen first layer that whitens; filters that begin as the identity, come in mirrored pairs (`mirror.py`), and are moved by
Muon, each layer's of constant length; batch norms without γ, whose biases learn 64 times as fast as the last layer; rates
that fall in a straight line to 0; label smoothing; shifted and alternately mirrored images. From Jordan 2024, "94% on
CIFAR-10 in 3.29 Seconds on a Single GPU", and its public code, which later took to Muon: the facts, in our words.

All that is random is a function of the seed, the epoch and the step: a run that continues has no generator to restore.
"""

import math
import time
from dataclasses import dataclass

import numpy as np

from minidl import Tensor, nn, optim
from minidl import functional as F
from minidl.data.augment import alternating_flip, cutout, random_shift
from minidl.lab.mirror import Mirror, whiten
from minidl.lab.models import cifar_net
from minidl.lab.photos import hold_out
from minidl.train import check_finite, evaluate, predict_logits

__all__ = ["RATES", "SIZES", "Rates", "Settings", "Size", "Training", "as_input", "build", "settings_for"]

MOMENTUM, MUON_MOMENTUM = 0.85, 0.6
MUON_STEPS = 3  # of Newton and Schulz
WHITENED_BY = 5000  # training images from which the first layer's filters are made
BIAS_EPOCHS = 3  # for which the first layer's bias learns
_PER = 1024 * (1 + 1 / (1 - MOMENTUM))  # rates and decays are stated for so many images, as each step counts this often
_AT_ONCE = 500  # images that are evaluated together
_MOST_STEPS = 100_000_000


@dataclass(frozen=True)
class Size:
    """A network, how long it is trained, and on what.

    widths, norm    channels of its three groups, and what normalises them
    shift, cutout   by how many pixels images are moved at most, and the side of the square that is covered; 0: none is
    """

    widths: tuple[int, ...]
    epochs: float
    norm: str = "batch"
    shift: int = 2
    cutout: int = 0


@dataclass(frozen=True)
class Rates:
    """What depends on the norm.

    lr, decay        of 1,024 · (1 + 1/(1 − momentum)) images, on the summed loss; the decay does not depend on the rate
    label_smoothing  as in `F.cross_entropy`
    bias_lr          how many times as fast the biases of norms learn, and that of the first layer
    muon_lr          Muon's rate, for the filters of the 3×3 convolutions; their length is kept if a norm follows
    mirror           whether filters come in mirrored pairs (group norm's groups would cut them apart); pooling windows are
                     3×3 then, so that they cover odd maps evenly
    """

    lr: float
    decay: float
    label_smoothing: float
    bias_lr: float
    muon_lr: float
    mirror: bool


SIZES = {
    "fast": Size((64, 256, 256), 10.0, shift=4, cutout=8),
    "best": Size((64, 384, 384), 10.0, shift=4, cutout=8),
    "plain": Size((64, 256, 256), 10.0, norm="none"),
}
RATES = {
    "batch": Rates(lr=6.5, decay=0.0153, label_smoothing=0.2, bias_lr=64.0, muon_lr=0.24, mirror=True),
    "group": Rates(lr=6.5, decay=0.0153, label_smoothing=0.2, bias_lr=64.0, muon_lr=0.24, mirror=False),
    "none": Rates(lr=2.0, decay=0.0153, label_smoothing=0.2, bias_lr=1.0, muon_lr=0.06, mirror=True),
}


@dataclass(frozen=True)
class Settings:
    """What a run depends on; equal settings and data give equal results. `held_out` is a share of the training images."""

    widths: tuple[int, ...]
    epochs: float
    norm: str
    lr: float
    decay: float
    label_smoothing: float
    bias_lr: float
    muon_lr: float
    mirror: bool
    shift: int = 2
    cutout: int = 0
    batch_size: int = 1024
    seed: int = 0
    held_out: float = 0.0


def settings_for(model="fast", norm=None, **changes):
    """Return the settings of one of `SIZES`, with a norm's `RATES`; a change of None keeps the default."""
    size = SIZES[model]
    given = vars(size) | vars(RATES[norm or size.norm]) | {"norm": norm or size.norm}
    return Settings(**given | {name: value for name, value in changes.items() if value is not None})


def as_input(images, mean, std):
    """Turn bytes (N, 32, 32, 3) into the network's input: float32, less the mean of each colour, by its deviation."""
    x = images.astype(np.float32)
    x -= np.float32(mean)
    x *= np.float32(1) / np.float32(std)
    return x


def build(settings, classes):
    """Build the network of the settings; the weight of its first layer is frozen."""
    generator = np.random.default_rng([settings.seed, 0])
    model = cifar_net(settings.widths, settings.norm, classes, generator, pool=3 if settings.mirror else 2)
    model[0].weight.requires_grad = False
    return model


def make_optimizers(model, settings):
    """Make both: SGD, whose rate is multiplied by the batch size, as the loss is a mean; and Muon for the filters."""
    share = settings.batch_size / _PER
    lr, decay = settings.lr * share, settings.decay * share
    filters = filters_of(model)
    fast = [model[0].bias, *(m.bias for m in model.modules() if isinstance(m, nn.BatchNorm | nn.GroupNorm))]
    elsewhere = {id(p) for p in (*fast, *filters)}
    others = [p for p in model.parameters() if p.requires_grad and id(p) not in elsewhere]
    groups = [(fast, lr * settings.bias_lr), (others, lr)]
    listed = [{"params": part, "lr": rate, "weight_decay": decay / rate} for part, rate in groups]
    return (
        optim.SGD(listed, lr=lr, momentum=MOMENTUM, nesterov=True),
        optim.Muon(filters, lr=settings.muon_lr, momentum=MUON_MOMENTUM, weight_decay=0, ns_steps=MUON_STEPS),
    )


def filters_of(model):
    """Return the weights of all convolutions but the first, which is frozen."""
    return [m.weight for m in model.modules() if isinstance(m, nn.Conv2d) and m.weight.requires_grad]


def keep_length(filters):
    """Set the length of each layer's filters to the root of their number, so that the next step turns them as far as any.

    A norm behind them takes their length out again (Ioffe and Szegedy 2015, §3.3), but the same step turns longer ones less.
    """
    for weight in filters:
        length = math.sqrt(np.square(weight.data, dtype=np.float64).sum())
        weight.data = weight.data * weight.data.dtype.type(math.sqrt(weight.shape[-1]) / max(length, 1e-12))


def make_schedule(optimizer, steps):
    """Make the schedule of so many steps: a straight line to 0."""
    return optim.PiecewiseLinearLR(optimizer, [(0, 1), (steps, 0)])


class Training:
    """A network while it is trained by the recipe, and everything that changes.

    photos      `data.Photos`, or what unpacks and has `classes` like it. With `settings.held_out` that share of the
                training images is for measuring, and the test images are not touched
    seen        a row for each epoch: its number, steps so far, mean loss and share of right answers in its batches, as they
                were trained, loss and accuracy on the images for measuring, and the time it took up to here
    seconds     that steps took so far, and measurements
    """

    def __init__(self, settings, photos):
        train, test = photos
        if settings.held_out:
            train, test = hold_out(train, max(1, int(len(train.labels) * settings.held_out)))
        self.settings, self.train, self.test = settings, train, test
        if settings.batch_size > len(train.labels):
            raise ValueError(
                f"the batch size is {settings.batch_size}, but there are {len(train.labels)} training images; use a smaller "
                "one"
            )
        self.mean, self.std = _colours(train.images)
        self.model = build(settings, len(photos.classes))
        some = self.as_input(train.images[:WHITENED_BY])
        if settings.mirror:
            self.mirror = Mirror(self.model, whiten(self.model[0], some))
        else:
            self.mirror = None
            nn.init.whitening_(self.model[0].weight, some)
        self.per_epoch = len(train.labels) // settings.batch_size
        self.steps = _steps(self.per_epoch, settings.epochs)
        self.optimizers = make_optimizers(self.model, settings)
        self.schedules = [make_schedule(optimizer, self.steps) for optimizer in self.optimizers]
        self.step, self.seen, self.seconds = 0, [], {"steps": 0.0, "measuring": 0.0}
        self._losses, self._right = [], 0
        self._order = None, None

    @property
    def epoch(self):
        """Epochs so far, a number of them and a part."""
        return self.step / self.per_epoch

    def as_input(self, images):
        """Turn bytes into the network's input."""
        return as_input(images, self.mean, self.std)

    def batch(self):
        """Return the next batch: images, augmented, and labels."""
        epoch, place = divmod(self.step, self.per_epoch)
        seed, size = self.settings.seed, self.settings.batch_size
        if self._order[0] != epoch:
            self._order = epoch, np.random.default_rng([seed, 1, epoch]).permutation(len(self.train.labels))
        chosen = self._order[1][place * size : (place + 1) * size]
        images = alternating_flip(self.train.images[chosen], chosen, epoch, seed)
        generator = np.random.default_rng([seed, 2, self.step])
        images = random_shift(images, self.settings.shift, generator)
        if self.settings.cutout:
            images = cutout(images, self.settings.cutout, generator, self.mean.round())
        return self.as_input(images), self.train.labels[chosen]

    def do_step(self):
        """Do one step of training; returns its loss."""
        start = time.perf_counter()
        self.model[0].bias.requires_grad = self.step < BIAS_EPOCHS * self.per_epoch
        self.model.train()
        x, labels = self.batch()
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        logits = self.model(Tensor(x))
        loss = F.cross_entropy(logits, labels, label_smoothing=self.settings.label_smoothing)
        check_finite(loss.item(), self.step)
        loss.backward()
        if self.mirror:
            self.mirror.average_gradients()
        if self.settings.norm != "none":
            keep_length(filters_of(self.model))
        for optimizer, schedule in zip(self.optimizers, self.schedules, strict=True):
            optimizer.step()
            schedule.step()
        if self.mirror:
            self.mirror.average_weights()
        self.step += 1
        self._losses.append(loss.item())
        self._right += int((logits.data.argmax(-1) == labels).sum())
        self.seconds["steps"] += time.perf_counter() - start
        return loss.item()

    def measure(self):
        """Measure what the network can do now, and add the row of the epoch that ends here; returns it."""
        if self.seen and self.seen[-1]["step"] == self.step:
            return self.seen[-1]
        start = time.perf_counter()
        loss, accuracy = evaluate(self.model, self.as_input(self.test.images), self.test.labels, _AT_ONCE)
        check_finite(loss, self.step)
        done = len(self._losses) * self.settings.batch_size
        self.seen.append({
            "epoch": self.epoch, "step": self.step, "training_loss": float(np.mean(self._losses)),
            "training_accuracy": self._right / done, "loss": loss, "accuracy": accuracy,
        })  # fmt: skip
        self._losses, self._right = [], 0
        self.seconds["measuring"] += time.perf_counter() - start
        self.seen[-1]["seconds"] = sum(self.seconds.values())
        return self.seen[-1]

    def answers(self, views=False):
        """Return the network's outputs for the images for measuring, (N, classes); with views, averages over six."""
        model = nn.AveragedViews(self.model) if views else self.model
        return predict_logits(model, self.as_input(self.test.images), _AT_ONCE)

    def state_dict(self):
        """Return everything needed to continue later, to the same bits."""
        return {
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "schedules": [schedule.state_dict() for schedule in self.schedules],
            "seen": self.seen,
            "epoch": {"losses": self._losses, "right": self._right},
            "seconds": self.seconds,
        }

    def load_state_dict(self, step, state):
        """Continue after so many steps, from where `state_dict` was taken."""
        self.model.load_state_dict(state["model"])
        for name in ("optimizers", "schedules"):
            for each, saved in zip(getattr(self, name), state[name], strict=True):
                each.load_state_dict(saved)
        self.seen, self.seconds = list(state["seen"]), dict(state["seconds"])
        self._losses, self._right = list(state["epoch"]["losses"]), state["epoch"]["right"]
        self.step = step


def _steps(per_epoch, epochs):
    steps = per_epoch * epochs
    if not 0 < steps <= _MOST_STEPS:
        raise ValueError(f"epochs are {epochs:g}, which makes {steps:g} steps; there must be from 1 to {_MOST_STEPS:,}")
    return math.ceil(steps)


def _colours(images):
    """Mean and standard deviation of each colour, from the counts of its 256 values."""
    counts, values = np.zeros((3, 256), np.int64), np.arange(256)
    for first in range(0, len(images), 1000):  # bincount makes numbers of eight bytes
        for colour in range(3):
            counts[colour] += np.bincount(images[first : first + 1000, ..., colour].ravel(), minlength=256)
    mean = counts @ values / counts.sum(1)
    return mean, np.sqrt(np.maximum(counts @ values**2 / counts.sum(1) - mean**2, 1e-6))

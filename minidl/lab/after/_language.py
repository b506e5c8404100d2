"""What the claim about language is made of: training of a decoder, and its losses by batch, moving and exact statistics."""

import contextlib
import functools
import itertools
import math

import numpy as np

from minidl import Tensor, nn
from minidl import functional as F
from minidl.autograd import no_grad
from minidl.data import DataLoader
from minidl.lab.language import Decoder, Lines, SequenceNorm, lines_of, sequence_loss
from minidl.optim import Adam, PiecewiseLinearLR, update_bn
from minidl.replay import Replay

__all__ = ["BATCH", "CUT", "LENGTH", "NORMS", "fit", "line_parts"]

LENGTH, BATCH = 48, 32  # places of a line, lines of a batch
CUT = 16  # places before the future that is replaced
LARGE, POPULATION = 256, 2560  # lines of a batch for exact statistics, and in all
ALIKE = 256  # lines on either side, in the order of lengths, that a batch of lines of like length is drawn from
NORMS = {
    "layer norm": nn.LayerNorm,
    "none": None,
    "batch norm": SequenceNorm,
    "batch norm without padding": functools.partial(SequenceNorm, padding=False),
    "batch norm by place": functools.partial(SequenceNorm, length=LENGTH),
    "batch norm by place, without padding": functools.partial(SequenceNorm, length=LENGTH, padding=False),
}


@functools.lru_cache(maxsize=1)
def line_parts(text):
    """Return the lines of a text for training, for choosing learning rates, for the results."""
    return tuple(lines_of(text, part, LENGTH) for part in text)


def fit(text, config):
    """Train a decoder by Adam, and measure it; losses are nats a character.

    config   "norm", "alike" (whether batches are of lines of like length), "lr", "steps", "seed", "measured" (how many
             lines measures take, at most), and "stage": runs for tuning are measured on validation lines alone
    Record   "validation"   minus the loss in evaluation mode; higher is better
             "train"        the loss of the batches of the last tenth of the steps, in training mode
             "moving", "exact", "batch"    the loss on test lines: in evaluation mode with the statistics that training has
                            kept, or with those of the population; in training mode, with those of each batch
             "moved", "leak"    in training mode, of the places before `CUT`, if what follows them is replaced: the mean
                            change of the logarithm of the probability, without its sign; by how much the loss grows
    A network that diverges has the loss of a guess among all characters, and no statistics.
    """
    lines, *others = line_parts(text)
    validation, test = (part.some(slice(config["measured"])) for part in others)
    seed, steps, guess = config["seed"], config["steps"], math.log(len(text.characters))
    model = Decoder(len(text.characters), LENGTH, NORMS[config["norm"]], generator=np.random.default_rng(seed))
    losses = _train(model, lines, config)
    finite = bool(np.isfinite(losses).all())
    if not finite:
        losses = np.where(np.isfinite(losses), losses, guess)
    with np.errstate(all="ignore"):
        found = {"validation": -_loss(model, validation) if finite else -guess}
        if config["stage"] == "tune":
            return found
        found["train"] = losses[-max(1, steps // 10) :].mean()
        if not finite:
            return found | {"moving": guess, "exact": guess, "batch": guess, "moved": 0.0, "leak": 0.0}
        if config["alike"]:
            test = test.some(_by_length(test))  # then each batch of it is
        found["moving"] = _loss(model, test)
        with _in_training(model):
            before, after = (_log_likelihoods(model, given, BATCH) for given in (test, _other_future(test, seed)))
        found["batch"] = _mean_loss(before, test)
        change = (after - before)[:, :CUT][test.targets[:, :CUT] != test.padding].astype(np.float64)
        found |= {"moved": np.abs(change).mean(), "leak": -change.mean()}
        _settle(model, lines, seed, min(POPULATION, config["measured"]))
        return found | {"exact": _loss(model, test)}


def _train(model, lines, config):
    """Train on lines drawn at random: the rate rises for a twentieth of the steps, then falls, from and to a tenth."""
    steps, optimizer, losses = config["steps"], Adam(model.parameters(), config["lr"]), []
    rates = PiecewiseLinearLR(optimizer, [(0, 0.1), (max(1, steps // 20), 1.0), (steps, 0.1)])
    step, batches = Replay(model, sequence_loss), _batches(lines, config["alike"], config["seed"])
    with np.errstate(all="ignore"):
        for batch in itertools.islice(batches, steps):
            optimizer.zero_grad()
            losses.append(step(batch.inputs, batch.targets))
            if not math.isfinite(losses[-1]):
                return np.array(losses + [math.nan] * (steps - len(losses)))
            optimizer.step()
            rates.step()
    return np.array(losses)


def _batches(lines, alike, seed):
    """Yield batches forever, of any lines, or of lines of about the length of one that is drawn first."""
    generator, order = np.random.default_rng([seed, 1]), _by_length(lines)
    while True:
        chosen = generator.integers(0, len(order), BATCH)
        if alike:
            near = order[max(0, chosen[0] - ALIKE) : chosen[0] + ALIKE]
            chosen = near[generator.integers(0, len(near), BATCH)]
        yield lines.some(chosen)


def _by_length(lines):
    return np.argsort((lines.targets != lines.padding).sum(1), kind="stable")


@contextlib.contextmanager
def _in_training(model):
    """Let a network use the statistics of each batch, as in training, and put its own back after it."""
    before = [(buffer, buffer.copy()) for buffer in model.buffers()]
    model.train()
    try:
        yield
    finally:
        for buffer, old in before:
            buffer[...] = old
        model.eval()


def _settle(model, lines, seed, count):
    """Give batch norms the statistics of the population, from large batches of so many training lines (Algorithm 2)."""
    chosen = np.random.default_rng([seed, 2]).permutation(len(lines.inputs))[:count]
    size = min(LARGE, len(chosen))
    update_bn(DataLoader(lines.inputs[chosen], batch_size=size, drop_last=True), model)


def _loss(model, lines):
    """The mean loss of all characters of the lines, in evaluation mode."""
    return _mean_loss(_log_likelihoods(model.eval(), lines, LARGE), lines)


def _mean_loss(log_likelihoods, lines):
    return -log_likelihoods[lines.targets != lines.padding].mean(dtype=np.float64)


@no_grad()
def _log_likelihoods(model, lines, size):
    """The logarithm of the probability of each true character (N, T); 0 for padding."""
    parts = []
    for first in range(0, len(lines.inputs), size):
        some = lines.some(slice(first, first + size))
        found = F.log_softmax(model(Tensor(some.inputs))).data
        true = np.minimum(some.targets, found.shape[-1] - 1)[..., None]
        parts.append(np.where(some.targets == some.padding, 0, np.take_along_axis(found, true, -1)[..., 0]))
    return np.concatenate(parts)


def _other_future(lines: Lines, seed):
    """The same lines with other characters from `CUT` on: as many, that follow each other somewhere in the lines."""
    generator = np.random.default_rng([seed, 3])
    stream = lines.inputs[lines.inputs != lines.padding]
    stream = np.concatenate((stream, stream[:LENGTH]))
    starts = generator.integers(0, len(stream) - LENGTH, (len(lines.inputs), 1))
    others = stream[starts + np.arange(LENGTH - CUT)]
    inputs = lines.inputs.copy()
    inputs[:, CUT:] = np.where(inputs[:, CUT:] == lines.padding, lines.padding, others)
    return lines._replace(inputs=inputs)

"""The training loop as functions, and what goes with it: `evaluate`, `update_bn`, `stop_on_interrupt`."""

import contextlib
import math
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from minidl import functional as F
from minidl import nn
from minidl._numbers import check_bool, check_whole
from minidl.autograd import no_grad
from minidl.optim import Optimizer, update_bn
from minidl.optim.averages import NO_BATCH
from minidl.system.progress import progress
from minidl.tensor import Tensor

__all__ = ["Evaluation", "check_finite", "evaluate", "predict_logits", "stop_on_interrupt", "train_one_epoch",
           "update_bn"]  # fmt: skip


def train_one_epoch(
    model: nn.Module, loader: Iterable[Any], optimizer: Optimizer, loss_fn: Callable[..., Tensor] = F.cross_entropy,
    after_step: Callable[[], Any] | None = None, quiet: bool = False,
    callback: Callable[[int, float], Any] | None = None,
) -> float:  # fmt: skip
    """Train for one pass over the loader; returns the mean of the batches' losses.

    loader      gives (inputs, targets), arrays
    loss_fn     takes the model's output and the targets; gives a Tensor of one number
    after_step  called without arguments after each step, say a schedule's or a probe's `step`
    callback    then called with the step (from 0, in this epoch) and its loss; True, and nothing else, ends the epoch here
    Errors      FloatingPointError when the loss is no longer finite, naming the step; ValueError for a loader without a
                batch; TypeError for a loss that is no Tensor. What loader, callback or after_step raise passes
    Ctrl-C      raises KeyboardInterrupt after the step, when all of it is done; a second time at once. Within
                `stop_on_interrupt`, or with a handler of your own, that one is asked instead
    """
    check_bool("train_one_epoch", "quiet", quiet)
    for name, function in (("after_step", after_step), ("callback", callback)):
        if function is not None and not callable(function):
            raise TypeError(f"train_one_epoch: {name} is a {type(function).__name__}; it must be a function")
    model.train()
    losses: list[float] = []
    ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with stop_on_interrupt() if ours else contextlib.nullcontext(lambda: False) as stop:
        for batch in progress(loader, desc="training", unit="batch", quiet=quiet):
            inputs, targets = _pair(batch)
            optimizer.zero_grad()
            loss = _tensor("train_one_epoch", "loss_fn", loss_fn(model(Tensor(inputs)), targets))
            losses.append(check_finite(loss.item(), len(losses)))
            loss.backward()
            optimizer.step()
            if after_step is not None:
                after_step()
            ends = callback(len(losses) - 1, losses[-1]) if callback is not None else False
            if stop() or (isinstance(ends, bool | np.bool_) and ends):
                break
    if stop():
        raise KeyboardInterrupt
    if not losses:
        raise ValueError(f"train_one_epoch: the loader {NO_BATCH}")
    return float(np.mean(losses))


def _pair(batch):
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        what = f"{len(batch)} parts" if isinstance(batch, tuple | list) else f"a {type(batch).__name__}"
        raise ValueError(f"train_one_epoch: the loader gave {what}; each batch must be a pair (inputs, targets)")
    return batch


def _tensor(op, whose, value):
    if isinstance(value, Tensor):
        return value
    raise TypeError(f"{op}: {whose} returned a {type(value).__name__}; it must return a Tensor, with its graph")


def check_finite(loss: float, step: int) -> float:
    """Return the loss as a number, or raise FloatingPointError if it is not finite: no step after that would make sense."""
    if not math.isfinite(loss):
        raise FloatingPointError(
            f"the loss is {loss} at training step {step}: training has diverged; try a smaller learning rate "
            "(minidl.detect_anomaly() finds the operation that made it)"
        )
    return loss


class Evaluation(NamedTuple):
    """Mean cross-entropy, and the fraction of examples whose likeliest class is the true one; a NaN has none."""

    loss: float
    accuracy: float


def evaluate(model: nn.Module, inputs: Any, labels: Any, batch_size: int = 1000) -> Evaluation:
    """Compute loss and accuracy of a classifier in evaluation mode; the model's mode is restored."""
    if len(inputs) != len(labels):
        raise ValueError(f"evaluate: {len(inputs)} inputs but {len(labels)} labels; each input needs one label")
    labels = np.asarray(labels)
    logits = predict_logits(model, inputs, batch_size)
    loss = F.cross_entropy(Tensor(logits), labels).item()
    right = (logits.argmax(-1) == labels) & ~np.isnan(logits).any(-1)  # argmax takes the first NaN for the largest
    return Evaluation(loss, float(right.mean()))


@no_grad()
def predict_logits(model: nn.Module, inputs: Any, batch_size: int = 1000) -> np.ndarray:
    """Compute the model's outputs in evaluation mode, batch by batch: an array; the model's mode is restored."""
    if len(inputs) == 0:
        raise ValueError("predict_logits: there are no inputs; there must be at least one")
    batch_size = check_whole("predict_logits", "batch_size", batch_size)
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        batches = (Tensor(inputs[i : i + batch_size]) for i in range(0, len(inputs), batch_size))
        parts = [_tensor("predict_logits", "the model", model(batch)).data for batch in batches]
    finally:
        for module in training:
            module.training = True
    return np.concatenate(parts)


@contextlib.contextmanager
def stop_on_interrupt() -> Iterator[Callable[[], bool]]:
    """Let Ctrl-C end a loop between two steps, where everything fits together and can be saved.

    with stop_on_interrupt() as stop:
        while not stop():
            …one step…

    The first Ctrl-C makes `stop()` True; a second one raises KeyboardInterrupt at once. Where Ctrl-C is ignored, or
    not ours to handle (in a thread), `stop()` stays False.
    """
    asked: list[bool] = []  # not an Event, whose lock a second Ctrl-C could wait for while the first one holds it
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before in (signal.SIG_IGN, None):
        yield lambda: False
        return

    def ask(*_):
        if asked:
            raise KeyboardInterrupt
        asked.append(True)
        with contextlib.suppress(OSError):  # not print, which may be in the middle of a line
            os.write(2, b"\nstopping after this step; Ctrl-C once more stops at once\n")

    signal.signal(signal.SIGINT, ask)
    try:
        yield lambda: bool(asked)
    finally:
        signal.signal(signal.SIGINT, before)

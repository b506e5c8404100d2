"""Figure 1 of the paper (§4.1): the same network with and without batch normalization, trained on binary digits.

Both arms start from the same weights and see the same batches in the same order. From time to time test accuracy and the
15th, 50th and 85th percentiles of what reaches each unit of the last hidden layer are measured on the test images, in
evaluation mode: with batch norm, by statistics of a fixed part of the training images, as Algorithm 2 has it. The paper
shows the input of one sigmoid (b, c). With batch norm we also keep the input of the normalisation (d), because after it
only γ and β can move the bands.
"""

import time
from dataclasses import dataclass

import numpy as np

from minidl import Tensor, nn
from minidl import functional as F
from minidl.data.loader import DataLoader
from minidl.lab.models import mnist_conv, paper_mlp
from minidl.optim import SGD
from minidl.probe import unit_percentiles
from minidl.replay import Replay
from minidl.system.progress import progress
from minidl.system.terminal import note
from minidl.train import check_finite, evaluate, update_bn

__all__ = ["Arm", "Settings", "Training", "build", "prepare", "run_arm", "save",
           "typical_unit"]  # fmt: skip

POINTS = {"mlp": 100, "conv": 10}  # measurements over the training; conv's take seconds each
WATCHED = 2000  # test images from which percentiles are taken
POPULATION = 10_000  # training images from which the statistics for evaluation are taken, in batches of 1,000


@dataclass(frozen=True)
class Settings:
    """What a run depends on; equal settings and data give equal results."""

    model: str = "mlp"
    steps: int = 50_000
    lr: float = 0.1
    init_std: float = 0.1
    batch_size: int = 60
    momentum: float = 0.0
    seed: int = 0


@dataclass
class Arm:
    """One trained network and what was seen on the way; arrays have one entry for each measurement."""

    model: nn.Module
    steps: np.ndarray  # (T,) training steps done
    accuracy: np.ndarray  # (T,) on the test images
    loss: np.ndarray  # (T,) on the test images
    inputs: np.ndarray  # (T, units, 3) percentiles of what the last hidden activation receives
    before: np.ndarray | None  # (T, units, 3) of what the last batch norm receives; None without one
    seconds: float = 0.0  # that the training took

    def steps_to(self, accuracy):
        """Return the first measured step with at least this test accuracy, or None."""
        reached = np.flatnonzero(self.accuracy >= accuracy)
        return int(self.steps[reached[0]]) if len(reached) else None


def build(settings, norm):
    """Build the network of the settings, with norm "batch" or "none"; the same weights for both."""
    generator = np.random.default_rng(settings.seed)
    if settings.model == "conv":
        return mnist_conv(norm, generator)
    return paper_mlp(norm, settings.init_std, generator=generator)


def prepare(images, model):
    """Turn bytes (N, 28, 28) into the network's input: mlp binary and flat (N, 784), conv grey (N, 28, 28, 1), 0 … 1."""
    if model == "conv":
        return (images.astype(np.float32) / 255)[..., None]
    return (images.reshape(len(images), -1) > 127).astype(np.float32)


def run_arm(
    settings, norm, digits, quiet=False, checkpoints=None, every=None, saved=None, stop=lambda: False, replay=False,
    model=None,
):  # fmt: skip
    """Train one arm; returns an Arm.

    model         the network to train, in place of the one that the settings describe; it takes the same pixels
    checkpoints   Checkpoints to save to: every `every` steps, when stopped, and at the end
    saved         the latest of such Checkpoints, to continue from
    stop          called before each step; once it returns True, the arm is returned as it is
    replay        repeat the kernel calls of the first steps: the same bits in less time
    """
    training = Training(settings, norm, digits, replay, model)
    if saved:
        training.load_state_dict(*saved)
    measure_every = max(1, settings.steps // POINTS[settings.model])
    name = {"batch": "with batch norm   ", "none": "without batch norm"}[norm]
    with progress(desc=name, total=settings.steps, initial=training.step, unit="step", quiet=quiet, leave=True) as bar:
        while True:
            step, last = training.step, training.step == settings.steps
            if step % measure_every == 0 or last:
                accuracy = training.measure()
                bar.set_postfix_str(f"test accuracy {100 * accuracy:.2f} %", refresh=False)
            last = last or stop()
            if checkpoints and (last or step % every == 0):
                save(checkpoints, training)
            if last:
                return training.arm()
            training.do_step()
            bar.update()


class Training:
    """An arm while it is being trained: its data, and everything that changes, which a checkpoint must hold.

    Each batch is drawn independently of the others, by a generator that is the same for every arm. `seen` holds a list for
    each quantity that is measured.
    """

    def __init__(self, settings, norm, digits, replay=False, model=None):
        (images, self.labels), (test_images, self.test_labels) = digits
        self.images, self.test_images = prepare(images, settings.model), prepare(test_images, settings.model)
        # only full batches: a small last one would count as much as the others, and one image alone has no variance
        size = min(1000, len(images))
        self.population = DataLoader(self.images[:POPULATION], batch_size=size, drop_last=True)
        self.model, self.batch_size = build(settings, norm) if model is None else model, settings.batch_size
        self.replay = Replay(self.model) if replay else None
        self.optimizer = SGD(self.model.parameters(), settings.lr, settings.momentum)
        self.generator = np.random.default_rng([settings.seed, 1])
        self.step, self.started = 0, time.perf_counter()
        self.seen = {"step": [], "loss": [], "accuracy": [], "inputs": []} | ({"before": []} if norm == "batch" else {})

    def do_step(self):
        """Do one step of training."""
        chosen = self.generator.integers(0, len(self.images), self.batch_size)
        x, labels = self.images[chosen], self.labels[chosen]
        self.optimizer.zero_grad()
        if self.replay:
            loss = self.replay(x, labels)  # in place of the next two lines, with the same bits
        else:
            loss = F.cross_entropy(self.model(Tensor(x)), labels)
            loss.backward()
        check_finite(float(loss), self.step)
        self.optimizer.step()
        self.step += 1

    def measure(self):
        """Record what the network can do after this step, once; returns the test accuracy."""
        if self.step not in self.seen["step"][-1:]:
            update_bn(self.population, self.model)
            measured = _measure(self.model, self.test_images, self.test_labels, self.step)
            for values, value in zip(self.seen.values(), (self.step, *measured), strict=True):
                values.append(value)
        return self.seen["accuracy"][-1]

    def arm(self):
        """Return the results so far."""
        seen = {name: np.array(values) for name, values in self.seen.items()}
        before, seconds = seen.get("before"), self._seconds()
        return Arm(self.model, seen["step"], seen["accuracy"], seen["loss"], seen["inputs"], before, seconds)

    def state_dict(self):
        """Return everything needed to continue later, to the same bits."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.bit_generator.state,
            "seen": {name: np.array(values) for name, values in self.seen.items()},
            "seconds": self._seconds(),
        }

    def load_state_dict(self, step, state):
        """Continue after so many steps, from where `state_dict` was taken."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.bit_generator.state = state["generator"]
        self.seen = {name: list(state["seen"][name]) for name in self.seen}
        self.step, self.started = step, time.perf_counter() - state["seconds"]

    def _seconds(self):
        return time.perf_counter() - self.started


def save(checkpoints, training):
    """Save a checkpoint of a training, by its `step` and `state_dict()`.

    A full disk does not stop the training; the last good checkpoint is still there.
    """
    try:
        checkpoints.save(training.step, training.state_dict())
    except OSError as error:
        note(
            f"minidl: no checkpoint of step {training.step:,} ({error.strerror or error}); training continues, and the "
            f"checkpoints before it stay in {checkpoints.folder}"
        )


def typical_unit(arm):
    """Return the unit whose input's median wandered a median distance: neither the calmest nor the wildest.

    Distance: Σ |change of the median| over all measurements.
    """
    distance = np.abs(np.diff(arm.inputs[:, :, 1], axis=0)).sum(0)
    return int(np.argsort(distance, kind="stable")[len(distance) // 2])


def _measure(model, images, labels, step):
    """Test loss and accuracy; percentiles of what reaches the last hidden activation, and the last batch norm, if any."""
    layers = [m for m in model.modules() if isinstance(m, nn.Sigmoid | nn.ReLU)][-1:]
    layers += [m for m in model.modules() if isinstance(m, nn.BatchNorm)][-1:]
    seen = {layer: [] for layer in layers}
    handles = [layer.register_forward_hook(lambda m, inputs, y: seen[m].append(inputs[0].data)) for layer in layers]
    try:
        result = evaluate(model, images, labels)
    finally:
        for handle in handles:
            handle.remove()
    check_finite(result.loss, step)
    return *result, *(unit_percentiles(np.concatenate(arrays)[:WATCHED]) for arrays in seen.values())

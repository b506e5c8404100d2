"""Figure 1 of the paper (§4.1): the same network with and without batch normalization, trained on binary digits.

Both arms start from the same weights and see the same batches in the same order. Now and then test accuracy and the
15th, 50th and 85th percentiles of what reaches each unit of the last hidden layer are measured on the test images, in
evaluation mode: with batch norm, by statistics of a fixed part of the training images, as Algorithm 2 has it. The paper
shows the input of one sigmoid (b, c); with batch norm we also keep what comes in before the normalisation (d), because
after it only γ and β can move the bands.
"""

from dataclasses import dataclass

import numpy as np

from minidl import functional as F
from minidl import nn
from minidl._progress import progress
from minidl.data.loader import DataLoader
from minidl.models import mnist_conv, paper_mlp
from minidl.optim import SGD
from minidl.probe import unit_percentiles
from minidl.tensor import Tensor
from minidl.train import check_finite, evaluate, update_bn

__all__ = ["Arm", "Settings", "build", "prepare", "run_arm", "typical_unit"]

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

    def steps_to(self, accuracy):
        """The first measured step with at least this test accuracy, or None."""
        reached = np.flatnonzero(self.accuracy >= accuracy)
        return int(self.steps[reached[0]]) if len(reached) else None


def build(settings, norm):
    """The network of the settings, with norm "batch" or "none"; the same weights for both."""
    generator = np.random.default_rng(settings.seed)
    if settings.model == "conv":
        return mnist_conv(norm, generator)
    return paper_mlp(norm, settings.init_std, generator=generator)


def prepare(images, model):
    """Bytes (N, 28, 28) as the network takes them: mlp binary and flat (N, 784), conv grey (N, 28, 28, 1), 0 … 1."""
    if model == "conv":
        return (images.astype(np.float32) / 255)[..., None]
    return (images.reshape(len(images), -1) > 127).astype(np.float32)


def run_arm(settings, norm, digits, quiet=False):
    """Train one arm; returns an Arm."""
    model = build(settings, norm)
    optimizer = SGD(model.parameters(), settings.lr, settings.momentum)
    (images, labels), (test_images, test_labels) = digits
    images, test_images = prepare(images, settings.model), prepare(test_images, settings.model)
    batches = _batches(images, labels, settings)
    # only full batches: a small last one would count as much as the others, and one image alone has no variance
    population = DataLoader(images[:POPULATION], batch_size=min(1000, len(images)), drop_last=True)
    every = max(1, settings.steps // POINTS[settings.model])
    seen = []
    name = {"batch": "with batch norm   ", "none": "without batch norm"}[norm]
    with progress(desc=name, total=settings.steps, unit="step", quiet=quiet, leave=True) as bar:
        for step, (x, y) in enumerate(batches):
            if step % every == 0 or step == settings.steps:
                update_bn(population, model)
                seen.append((step, *_measure(model, test_images, test_labels, step)))
                bar.set_postfix_str(f"test accuracy {100 * seen[-1][1].accuracy:.2f} %", refresh=False)
                bar.update(step - bar.n)
            if step == settings.steps:
                break
            optimizer.zero_grad()
            loss = F.cross_entropy(model(Tensor(x)), y)
            check_finite(loss.item(), step)
            loss.backward()
            optimizer.step()
    steps, results, inputs, *before = map(list, zip(*seen, strict=True))
    loss, accuracy = np.array(results).T
    return Arm(
        model, np.array(steps), accuracy, loss, np.array(inputs), np.array(before[0]) if norm == "batch" else None
    )


def typical_unit(arm):
    """The unit whose input's median wandered a median distance in training: neither the calmest nor the wildest.

    Distance: Σ |change of the median| over all measurements.
    """
    distance = np.abs(np.diff(arm.inputs[:, :, 1], axis=0)).sum(0)
    return int(np.argsort(distance, kind="stable")[len(distance) // 2])


def _batches(images, labels, settings):
    """Batches without end, each drawn independently of the others; the same for every arm."""
    generator = np.random.default_rng([settings.seed, 1])
    while True:
        chosen = generator.integers(0, len(images), settings.batch_size)
        yield images[chosen], labels[chosen]


def _measure(model, images, labels, step):
    """Test result, and percentiles of what reaches the last hidden activation, and the last batch norm if there is one."""
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
    inputs, *before = (unit_percentiles(np.concatenate(arrays)[:WATCHED]) for arrays in seen.values())
    return result, inputs, *before

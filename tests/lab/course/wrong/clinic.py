"""What learners get wrong in lesson 15."""

import copy

import numpy as np

from minidl import Tensor, nn, no_grad
from minidl import functional as F
from minidl.lab.course.broken_runs import PATIENTS, ship_folded
from minidl.lab.course.clinic_run import is_norm, scale_and_shift
from minidl.train import evaluate

TRUTH = {letter: (illness, "loss") for letter, (illness, *_) in PATIENTS.items()}


def claimed(**wrong):
    return TRUTH | {letter: (illness, "test accuracy") for letter, illness in wrong.items()}


def without_gradients(model, inputs, labels):
    """`no_grad` is no evaluation mode."""
    with no_grad():
        logits = [model(Tensor(inputs[i : i + 8])).data for i in range(0, len(inputs), 8)]
    return float((np.concatenate(logits).argmax(-1) == labels).mean())


def summed(model, optimizer, inputs, labels):
    """Larger steps, and still two images at a time."""
    optimizer.zero_grad()
    for i in range(0, len(inputs), 2):
        loss = F.cross_entropy(model(Tensor(inputs[i : i + 2])), labels[i : i + 2])
        loss.backward()
    optimizer.step()
    return loss.item()


def loss_kept(model, optimizer, inputs, labels):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(Tensor(inputs)), labels)
    loss.backward()
    optimizer.step()
    return loss


def centred(images):
    rows = images.reshape(len(images), -1).astype(np.float32) / np.float32(255)
    return rows - rows.mean()


def one_by_one_at_the_end(labels, generator):
    order = generator.permutation(len(labels))
    return [*(order[i : i + 8] for i in range(0, len(labels) - 8, 8)), order[-1:]]


def few(labels, generator):
    return [generator.permutation(len(labels))[:8] for _ in range(100)]


def classes_in_turns(labels, generator):
    order = np.argsort(labels, kind="stable")
    batches = [order[i : i + 8] for i in range(0, len(order) - 7, 8)]
    return [batches[i] for i in generator.permutation(len(batches))]


def no_parameter_learns(model):
    model.train()
    for layer in model.modules():
        if is_norm(layer):
            layer.requires_grad_(False)


def as_it_is(model):
    return model


class ScaleAndShift(nn.Module):
    def __init__(self, scale, shift):
        self.scale, self.shift = scale, shift

    def forward(self, x):
        return x * self.scale + self.shift


def under_another_name(model):
    """Exact, and nothing is folded."""
    layers = [ScaleAndShift(*scale_and_shift(layer)) if is_norm(layer) else layer for layer in copy.deepcopy(model)]
    return nn.Sequential(*layers).eval()


def folded_in_place(model):
    scale = None
    for layer in model:
        if scale is not None:
            layer.weight.data *= scale[:, None]
        scale = scale_and_shift(layer)[0] if is_norm(layer) else None
    return nn.Sequential(*(layer for layer in model if not is_norm(layer)))


def statistics_forgotten(model):
    """Put into the bias what the norm had left to the padding, without the mean."""
    shipped = ship_folded(model)
    for before, after in zip(
        [m for m in model.modules() if isinstance(m, nn.Conv2d)],
        [m for m in shipped.modules() if isinstance(m, nn.Conv2d)],
        strict=True,
    ):
        after.bias.data[...] = copy.deepcopy(before.bias.data)
    return shipped


WRONG = {
    "diagnoses": [
        ((claimed(A="momentum reversed"),), "A is not 'momentum reversed': the running mean would follow every batch"),
        ((claimed(F="polluted in evaluation"),), "would jump where held-out images are read"),
        ((claimed(C="frozen but moving"),), "it begins at"),
        ((claimed(H="shifted test data"),), "unlike the training images from the start"),
        (
            (claimed(B="sorted by class", G="accumulation"),),
            "G is not 'accumulation': the training itself would suffer",
        ),
        ((claimed(D="accumulation"),), "the training itself would suffer"),
        ((claimed(E="shifted test data"),), "E is not 'shifted test data'"),
        (({"A": TRUTH["A"]},), "no diagnosis for B"),
        (({"A": ("polluted in evaluation", "colour")},), "there is no number"),
        (({"A": ("flu", "loss")},), "there is no illness"),
        (({},), "The answer is empty"),
    ],
    "cures": [
        (({"A": {"rehearse": without_gradients}},), "It still looks like"),
        (({"B": {"step": summed}},), "B reads"),
        (({"C": {"prepare": centred}},), "C reads"),
        (({"D": {"batches": one_by_one_at_the_end}},), "D reads 0.0 %"),
        (({"E": {"ship": as_it_is}},), "the device has no batch norm"),
        (({"E": {"ship": statistics_forgotten}},), "E reads"),
        (({"F": {"norm": lambda features: nn.BatchNorm(features, momentum=0.9)}},), "F reads"),
        (({"G": {"batches": classes_in_turns}},), "G reads"),
        (({"G": {"batches": few}},), "a cure trains on nearly all"),
        (({"H": {"ready": no_parameter_learns}},), "H reads"),
        (({"A": {"rehearse": lambda m, x, y: evaluate(m, x, y).accuracy}},), "no cure for B"),
        (({"A": {"mode": len}},), "has no part 'mode'"),
        (({"A": {"ship": lambda model: 3}},), "A: ship returns a int; it should return a model."),
        (
            ({"A": {"rehearse": lambda model, inputs, labels: 0.95}},),
            "rehearse returns 0.950 at the end, and in evaluation",
        ),
        (({"A": {"rehearse": lambda model, inputs, labels: None}},), "rehearse returns a NoneType"),
        (({"B": {"step": loss_kept}},), "step returns a Tensor; it should return the loss, a number"),
        (
            ({"C": {"prepare": lambda images: images.reshape(len(images), -1) / 255}},),
            "prepare returns an array of float64",
        ),
        (({"C": {"prepare": lambda images: None}},), "prepare returns a NoneType"),
        (({"D": {"norm": lambda features: nn.Sequential()}},), "To take BN away is no cure"),
        (({"D": {"batches": lambda labels, generator: None}},), "batches should return a list of arrays"),
        (({"D": {"batches": lambda labels, generator: [[len(labels)]]}},), "batches asks for image"),
        (({"E": {"ship": under_another_name}},), "batch norm under another name"),
        (({"E": {"ship": folded_in_place}},), "let it work on a copy"),
        (({},), "The answer is empty"),
        (({"A": {}},), "What you have for A is empty"),
    ],
}

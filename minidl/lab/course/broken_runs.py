"""Eight runs that batch norm spoils, each by one broken part (lesson 15).

The lesson asks you to find out by their charts who has what. Read on after that. Each part is written as it is met in public
code, and says where; the repositories named have mended theirs, or explain it. The parts that are well are in `clinic_run`.
"""

import copy
from dataclasses import replace

import numpy as np

from minidl import functional as F
from minidl import nn
from minidl.lab.course.clinic_run import HEALTHY, HandNorm, Parts, convolutional, in_inputs, is_norm, scale_and_shift
from minidl.tensor import Tensor

__all__ = ["PATIENTS", "ship_exactly"]


def all_batches(labels, generator):
    """Cut a random order into batches of 8; the last one has what is left: 4,001 images leave one.

    torch/nn pull request 1271 (2017): a last batch of one put NaN into running_var, by the variance over m − 1.
    """
    order = generator.permutation(len(labels))
    return [order[i : i + 8] for i in range(0, len(labels), 8)]


def read_in_training_mode(model, inputs, labels):
    """Read held-out images, which lie in the order of their classes, without `model.eval()`.

    pliang279/MultiBench issue 26 (2023): the loop that validates called `model.train()` by mistake.
    """
    logits = [model(Tensor(inputs[i : i + 8])).data for i in range(0, len(inputs), 8)]
    return float((np.concatenate(logits).argmax(-1) == labels).mean())


def keep_99_percent(features):
    """Make a norm whose running statistics should keep 99 % of themselves at each step, as TensorFlow's 0.99 means.

    pytorch/vision issue 8250 (2024): a network that was ported took TensorFlow's 0.99 as it was.
    """
    return HandNorm(features, momentum=0.99)


def class_by_class(labels, generator):
    """Take the images in the order of their folders, one for each class, in batches of 8.

    vlfeat/matconvnet issue 393 (2016): a dataset in the order of its labels, and whether that is a problem.
    """
    order = np.argsort(labels, kind="stable")
    return [order[i : i + 8] for i in range(0, len(order) - 7, 8)]


def from_grey_paper(images):
    """Prepare test images from a second scanner, whose paper is grey: 0.3 where there is no ink.

    mlpack/examples pull request 213 (2023): test images had not been prepared as those for training.
    """
    return np.float32(0.3) + np.float32(0.7) * in_inputs(images)


def freeze(model):
    """Set the model for a second job: only the last layer learns, all below it is frozen.

    keras-team/keras issue 7085 (2017): a frozen batch norm whose statistics went on moving.
    """
    model.train()
    *body, _ = model
    for layer in body:
        layer.requires_grad_(False)


def four_times_two(model, optimizer, inputs, labels):
    """Make one step from 8 images, two at a time, as no more fit into memory: add up the gradients, then step.

    open-mmlab/mmcv issue 1869 (2022): accumulation cost a network with batch norm 8 points.
    """
    optimizer.zero_grad()
    total = 0.0
    for i in range(0, len(inputs), 2):
        loss = F.cross_entropy(model(Tensor(inputs[i : i + 2])), labels[i : i + 2]) / (len(inputs) / 2)
        loss.backward()
        total += loss.item()
    optimizer.step()
    return total


def ship_folded(model):
    """Fold each batch norm into the convolution after it, for a device that has no batch norm.

    DingXiaoH/DiverseBranchBlock issue 9 (2021): folded in this way outputs differed; the author explains the padding.
    """
    shipped, norm = [], None
    for layer in copy.deepcopy(model).eval():
        if is_norm(layer):
            norm = layer
            continue
        if norm is not None:
            scale, shift = scale_and_shift(norm)
            layer.bias.data += np.einsum("ijco,c->o", layer.weight.data, shift)
            layer.weight.data *= scale[:, None]
            norm = None
        shipped.append(layer)
    return nn.Sequential(*shipped).eval()


class _Add(nn.Module):
    def __init__(self, what):
        self.what = what

    def forward(self, x):
        return x + self.what


def ship_exactly(model: nn.Sequential) -> nn.Module:
    """Fold the scale of each batch norm into the convolution after it, and add the shift before the padding: exact.

    Maths  s·x + t = s·(x + t/s), and a border of zeros around x + t/s is one around s·x + t
    """
    shipped: list[nn.Module] = []
    scale = None
    for layer in copy.deepcopy(model).eval():
        if is_norm(layer):
            scale, shift = scale_and_shift(layer)
            shipped.append(_Add(shift / scale))
            continue
        if scale is not None:
            layer.weight.data *= scale[:, None]
            scale = None
        shipped.append(layer)
    return nn.Sequential(*shipped).eval()


# letter → illness, the run's parts, and whether it is a second job: the last layer of a trained network learns grey paper
PATIENTS: dict[str, tuple[str, Parts, bool]] = {
    "A": ("polluted in evaluation", replace(HEALTHY, rehearse=read_in_training_mode), False),
    "B": ("accumulation", replace(HEALTHY, step=four_times_two), False),
    "C": ("shifted test data", replace(HEALTHY, prepare=from_grey_paper), False),
    "D": ("last batch of one", replace(HEALTHY, batches=all_batches), False),
    "E": ("BN before padding", replace(HEALTHY, network=convolutional, ship=ship_folded), False),
    "F": ("momentum reversed", replace(HEALTHY, norm=keep_99_percent), False),
    "G": ("sorted by class", replace(HEALTHY, batches=class_by_class), False),
    "H": ("frozen but moving", replace(HEALTHY, ready=freeze), True),
}

# %% [markdown]
# # Solutions of lesson 15

# %% [markdown]
# ## `diagnoses`
#
# Begin with the table. Fresh statistics bring A, D and F back: their weights are right. How did the statistics move? In D
# the running variance ends, in A the running mean jumps where held-out images are read, in F it follows every batch. Own
# statistics alone help C and H: the test images are unlike what the statistics are of. H was well before it began, C never
# was. E reads well until it is shipped. B and G are left: in B the training itself goes badly, in G batches resemble those
# before them, and the loss is near 0 while the test is guessed.

# %% tags=["exercise:diagnoses"]
diagnoses = {
    "A": ("polluted in evaluation", "running mean"),
    "B": ("accumulation", "training accuracy"),
    "C": ("shifted test data", "own statistics"),
    "D": ("last batch of one", "running variance"),
    "E": ("BN before padding", "before shipping"),
    "F": ("momentum reversed", "running mean"),
    "G": ("sorted by class", "batch mean"),
    "H": ("frozen but moving", "test accuracy"),
}

# %% [markdown]
# ## `cures`
#
# Seven cures are a line or two: read in evaluation mode; show the norm all eight images; prepare the test images as the
# others; leave the lone image for the next epoch; give the new batch a share of 0.1; shuffle; freeze the statistics, too.
# The eighth needs algebra. In evaluation the norm is $s x + t = s\,(x + t/s)$. The convolution is linear, so $s$ goes into
# its weights. The shift stays a layer of its own *before* the padding: a border of zeros around $x + t/s$, times $s$, is
# the border of zeros around $s x + t$ that the network has learned with.

# %% tags=["exercise:cures"]
import copy

import numpy as np

from minidl import Tensor, nn
from minidl import functional as F
from minidl.lab.course.clinic_run import HandNorm, scale_and_shift
from minidl.train import evaluate


def rehearse(model, inputs, labels):
    return evaluate(model, inputs, labels).accuracy  # in evaluation mode, and back


def step(model, optimizer, inputs, labels):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(Tensor(inputs)), labels)  # all of them at once
    loss.backward()
    optimizer.step()
    return loss.item()


def prepare(images):
    return images.reshape(len(images), -1).astype(np.float32) / 255


def batches(labels, generator):
    order = generator.permutation(len(labels))
    return [order[i : i + 8] for i in range(0, len(order) - 7, 8)]  # no batch with fewer than 8


class Shift(nn.Module):
    def __init__(self, by):
        self.by = by

    def forward(self, x):
        return x + self.by


def ship(model):
    shipped, scale = [], None
    for layer in copy.deepcopy(model).eval():
        if isinstance(layer, HandNorm):
            scale, shift = scale_and_shift(layer)
            shipped.append(Shift(shift / scale))  # in the norm's place, so before the padding
            continue
        if isinstance(layer, nn.Conv2d) and scale is not None:
            layer.weight.data *= scale[:, None]  # (3, 3, in, out): a scale for each input channel
            scale = None
        shipped.append(layer)
    return nn.Sequential(*shipped)


cures = {
    "A": {"rehearse": rehearse},
    "B": {"step": step},
    "C": {"prepare": prepare},
    "D": {"batches": batches},
    "E": {"ship": ship},
    "F": {"norm": lambda features: HandNorm(features, momentum=0.1)},
    "G": {"batches": batches},
    "H": {"ready": lambda model: model.eval()},  # γ and β do not learn here; in this mode the statistics rest, too
}

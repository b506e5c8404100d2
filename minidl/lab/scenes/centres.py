"""Objects as points: a map of centres for each class, and at each centre the size of the box and where in the cell it is.

Source  Zhou et al. 2019, "Objects as Points", and Law and Deng 2018, "CornerNet" (neither *read* in its text)
"""

import functools
from typing import Any

import numpy as np

from minidl._numbers import check_between, check_whole
from minidl.kernels.jit import computed
from minidl.lab.scenes.draw import SIDE, Objects, check_objects
from minidl.ops._check import check_tensors
from minidl.tensor import Tensor

__all__ = ["BOX", "centre_loss", "centre_targets", "find_centres"]

BOX = 4  # channels: height and width in UNITs, then how far the centre is from the middle of its cell, in cells
UNIT = 16.0  # pixels
SPREAD = 1 / 8  # standard deviation of the bump around a centre, in sides of the box


def centre_targets(objects: Objects, count: int, classes: int, stride: int = 4, size: int = SIDE) -> np.ndarray:
    """Return what a network should say about images: (count, size / stride, size / stride, classes + 5), float32.

    Channels    for each class a map that is 1 in the cells of centres, and falls off like a Gaussian around them, as wide as
                the box; where two overlap the larger counts. Then four of the box, and one that is 1 where they mean
                something; of two objects with one cell, the later one's box counts
    objects     with numbers of images below `count`, and centres inside of them
    Errors      ValueError for objects out of range, a size that the stride does not divide
    """
    for name, value in (("count", count), ("classes", classes), ("stride", stride), ("size", size)):
        check_whole("centre_targets", name, value)
    objects = _checked(check_objects("centre_targets", "objects", objects, classes), count, stride, size)
    cells = size // stride
    targets = np.zeros((count, cells, cells, classes + BOX + 1), np.float32)
    at = np.arange(cells)
    for scene, label, box, centre in zip(objects.scene, objects.label, objects.box, objects.centre, strict=True):
        cell = (centre / stride).astype(np.int64)
        sides = box[2:] - box[:2]
        down, across = (
            np.exp(-0.5 * ((at - place) * stride / (SPREAD * side)) ** 2)
            for place, side in zip(cell, sides, strict=True)
        )
        heat = targets[scene, :, :, label]
        np.maximum(heat, down[:, None] * across, out=heat)
        targets[scene, cell[0], cell[1], classes:] = [*sides / UNIT, *centre / stride - cell - 0.5, 1]
    return targets


def _checked(objects, count, stride, size):
    """Return the objects; check that they have a place in the targets."""
    if size % stride:
        raise ValueError(f"centre_targets: size is {size} and stride {stride}; the second must divide the first")
    if len(objects.scene) and objects.scene.max() >= count:
        raise ValueError(
            f"centre_targets: an object is in scene {objects.scene.max()}; it must be from 0 to {count - 1}"
        )
    inside = (objects.centre >= 0) & (objects.centre < size)
    if not (inside.all() and (objects.box[:, 2:] > objects.box[:, :2]).all()):
        raise ValueError(
            f"centre_targets: a box is empty, or its centre outside of the {size}×{size} pixels; each must have an area, "
            "and its centre in the image"
        )
    return objects


def centre_loss(output: Tensor, targets: Any) -> Tensor:
    """Return how far a network's maps are from `centre_targets`, for each object.

    Forward   loss = (Σ heat + Σ box) / objects, with p = σ(z) for the first channels z, whose targets are t:
              heat = −(1 − p)²·log p where t = 1, and −(1 − t)⁴·p²·log(1 − p) elsewhere
              box = the squared difference of the four numbers, where there is a centre
              objects: the cells with a box, or 1 if there is none
    Backward  ∂z = 2p(1 − p)²·log p − (1 − p)³ where t = 1, else (1 − t)⁴·(p³ − 2p²(1 − p)·log(1 − p)); 2·difference for
              boxes; all times ∂loss / objects
    Shape     output (N, H, W, K + 4), targets (N, H, W, K + 5); loss: one number
    """
    check_tensors("centre_loss", output=output)
    targets = np.asarray(targets)
    if output.ndim != 4 or output.shape[-1] <= BOX or targets.shape != (*output.shape[:-1], output.shape[-1] + 1):
        raise ValueError(
            f"centre_loss: output is {output.shape} and targets {targets.shape}; they must be (N, H, W, K + {BOX}) and "
            f"(N, H, W, K + {BOX + 1}), for K classes of which there is at least one"
        )
    if targets.dtype.kind != "f" or not targets.size:
        raise ValueError(
            f"centre_loss: targets are {targets.dtype} {targets.shape}; they must be floats, and not empty"
        )
    value = computed(_value, output.data, targets)

    def backward(grad):
        return (computed(_gradient, output.data, targets, grad),)

    return Tensor._from_op(value, (output,), backward)


def _log_shares(z):
    """log σ(z) and log(1 − σ(z)), which cannot overflow."""
    small = np.log1p(np.exp(-np.abs(z)))
    return np.minimum(z, 0) - small, -np.maximum(z, 0) - small


def _parts(output, targets):
    """z, t, the difference of the boxes where there are centres, the number of objects."""
    classes = output.shape[-1] - BOX
    t = targets.astype(output.dtype, copy=False)
    centre = t[..., classes + BOX :]
    difference = (output[..., classes:] - t[..., classes : classes + BOX]) * centre
    return output[..., :classes], t[..., :classes], difference, max(1.0, float(centre.sum()))


def _value(output, targets):
    with np.errstate(all="ignore"):  # of a network that diverges
        z, t, difference, objects = _parts(output, targets)
        here, away = _log_shares(z)
        p, q = np.exp(here), np.exp(away)
        heat = np.where(t == 1, q**2 * here, (1 - t) ** 4 * p**2 * away)
        return output.dtype.type(((difference**2).sum(dtype=np.float64) - heat.sum(dtype=np.float64)) / objects)


def _gradient(output, targets, grad):
    with np.errstate(all="ignore"):
        z, t, difference, objects = _parts(output, targets)
        here, away = _log_shares(z)
        p, q = np.exp(here), np.exp(away)
        heat = np.where(t == 1, 2 * p * q**2 * here - q**3, (1 - t) ** 4 * (p**3 - 2 * p**2 * q * away))
        whole = np.concatenate([heat, 2 * difference], -1)
        return whole * output.dtype.type(float(grad) / objects)


def find_centres(output: Any, stride: int = 4, most: int = 20, least: float = 0.01) -> Objects:
    """Return the objects that a network's maps show: cells whose score is the largest of the 3×3 around them.

    Score     σ of the cell's number; of each image the `most` highest are kept, if they are at least `least`
    Shape     output (N, H, W, K + 4), an array or a tensor, as `centre_loss` takes it
    Order     by image, then from the highest score; equal ones by place, then class. What is NaN is no object
    Errors    ValueError for other shapes, and settings out of range
    """
    output = np.asarray(output.data if isinstance(output, Tensor) else output)
    if output.ndim != 4 or output.shape[-1] <= BOX or output.dtype.kind != "f":
        raise ValueError(
            f"find_centres: output is {output.dtype} {output.shape}; it must be floats (N, H, W, K + {BOX})"
        )
    check_whole("find_centres", "stride", stride)
    check_whole("find_centres", "most", most)
    check_between("find_centres", "least", least, 0, 1)
    z = output[..., :-BOX]
    with np.errstate(all="ignore"):
        scores = np.where(_peaks(z), np.exp(_log_shares(z)[0]), 0).astype(np.float32)
    flat = scores.reshape(len(scores), -1)
    order = np.argsort(-flat, axis=1, kind="stable")[:, :most]
    highest = np.take_along_axis(flat, order, 1)
    image, place = np.nonzero((highest >= least) & (highest > 0))
    down, across, label = np.unravel_index(order[image, place], z.shape[1:])
    height, width, dy, dx = output[image, down, across, -BOX:].astype(np.float64).T
    with np.errstate(all="ignore"):
        middle = np.stack([down + 0.5 + dy, across + 0.5 + dx], 1) * stride
        sides = np.maximum(np.stack([height, width], 1), 0) * UNIT
        box = np.concatenate([middle - sides / 2, middle + sides / 2], 1).astype(np.float32)
    finite = np.isfinite(box).all(1)
    return Objects(image[finite], label[finite], box[finite], scores[image, down, across, label][finite])


def _peaks(z):
    """Where no neighbour is larger, up, down, across or at a corner; never at NaN."""
    n, height, width, classes = z.shape
    padded = np.full((n, height + 2, width + 2, classes), -np.inf, z.dtype)
    padded[:, 1:-1, 1:-1] = z
    around = [padded[:, i : i + height, j : j + width] for i in range(3) for j in range(3)]
    return np.greater_equal(z, functools.reduce(np.fmax, around))

"""How well scenes were understood: intersection over union of masks and of boxes, and average precision."""

from typing import Any

import numpy as np

from minidl._numbers import check_between, check_whole
from minidl.lab.scenes.draw import Objects, check_objects

__all__ = ["average_precisions", "box_iou", "class_ious", "mean_average_precision", "mean_iou"]


def class_ious(found: Any, truth: Any, classes: int) -> np.ndarray:
    """Return for each class the pixels that both masks give it, over those that either gives it, of all images together.

    found, truth   whole numbers from 0 to classes − 1, of equal shape
    Returns        (classes,), NaN for a class that is in neither
    Errors         ValueError for masks that do not match, numbers out of range, no pixels
    Source         Everingham et al. 2010, the measure of segmentation of PASCAL VOC (not read)
    """
    classes = check_whole("class_ious", "classes", classes)
    found, truth = np.asarray(found), np.asarray(truth)
    if found.shape != truth.shape or not truth.size:
        raise ValueError(
            f"class_ious: found is {found.shape} and truth {truth.shape}; they must be equal, and not empty"
        )
    for name, mask in (("found", found), ("truth", truth)):
        if mask.dtype.kind not in "iu":
            raise ValueError(f"class_ious: {name} is {mask.dtype}; it must be whole numbers, the class of each pixel")
        if not 0 <= mask.min() <= mask.max() < classes:
            raise ValueError(
                f"class_ious: {name} runs from {mask.min()} to {mask.max()}; it must be from 0 to {classes - 1}, the classes"
            )
    pairs = truth.ravel().astype(np.int64) * classes + found.ravel().astype(np.int64)
    table = np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)
    both = np.diag(table)
    either = table.sum(0) + table.sum(1) - both
    return np.divide(both, either, out=np.full(classes, np.nan), where=either > 0)


def mean_iou(found: Any, truth: Any, classes: int) -> float:
    """Return the mean of `class_ious` over the classes that are in either mask; the background counts as one."""
    return float(np.nanmean(class_ious(found, truth, classes)))


def box_iou(a: Any, b: Any) -> np.ndarray:
    """Return area of the intersection over area of the union, for boxes (…, 4): top, left, bottom, right; they broadcast.

    0 where both are empty. A box whose bottom is above its top, or right left of its left, is empty.
    """
    a, b = (np.asarray(boxes, dtype=np.float64) for boxes in (a, b))
    for name, boxes in (("a", a), ("b", b)):
        if boxes.shape[-1:] != (4,):
            raise ValueError(f"box_iou: {name} is {boxes.shape}; its last size must be 4: top, left, bottom, right")
    both = _area(np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:]))
    either = _area(a[..., :2], a[..., 2:]) + _area(b[..., :2], b[..., 2:]) - both
    return np.divide(both, either, out=np.zeros(np.shape(both)), where=either > 0)


def _area(low, high):
    return np.maximum(high - low, 0).prod(-1)


def average_precisions(found: Objects, truth: Objects, classes: int, overlap: float = 0.5) -> np.ndarray:
    """Return the average precision of each class: the area under precision over recall, as the threshold of scores falls.

    From the highest score on, an object found is right if the true object of its class and image with the largest IoU has
    at least `overlap`, and has not been found before; otherwise it is wrong. Precision at a recall is the highest one at
    that recall or more. Equal scores keep their order.

    Returns   (classes,), NaN for a class that has no true object
    Errors    TypeError for other than Objects, ValueError for labels out of range, numbers that are NaN
    Source    Everingham et al. 2010 (not read), with the area of PASCAL VOC from 2010 on, and not eleven points
    """
    classes = check_whole("average_precisions", "classes", classes)
    check_between("average_precisions", "overlap", overlap, 0, 1)
    found = check_objects("average_precisions", "found", found, classes)
    truth = check_objects("average_precisions", "truth", truth, classes)
    return np.array([_average_precision(_of_class(found, k), _of_class(truth, k), overlap) for k in range(classes)])


def mean_average_precision(found: Objects, truth: Objects, classes: int, overlap: float = 0.5) -> float:
    """Return the mean of `average_precisions` over the classes that have true objects; NaN if none has."""
    precisions = average_precisions(found, truth, classes, overlap)
    known = np.isfinite(precisions)
    return float(precisions[known].mean()) if known.any() else float("nan")


def _of_class(objects, label):
    own = objects.label == label
    return Objects(*(part[own] for part in objects))


def _average_precision(found, truth, overlap):
    """That of objects of one class."""
    if not len(truth.scene):
        return np.nan
    order = np.argsort(-found.score, kind="stable")
    best, iou = _best(found.scene[order], found.box[order], truth)
    hits = np.flatnonzero(iou >= overlap)
    hits = hits[best[hits] >= 0]
    _, first = np.unique(best[hits], return_index=True)
    right = np.zeros(len(order), bool)
    right[hits[first]] = True
    precision = np.cumsum(right) / np.arange(1, len(right) + 1)
    highest = np.maximum.accumulate(precision[::-1])[::-1]
    return float(highest[right].sum() / len(truth.scene))


def _best(scenes, boxes, truth):
    """For each box, which true object of its image has the largest IoU, or −1 if there is none, and that IoU."""
    order = np.argsort(truth.scene, kind="stable")
    first = np.searchsorted(truth.scene[order], scenes, "left")
    count = np.searchsorted(truth.scene[order], scenes, "right") - first
    best, most = np.full(len(scenes), -1), np.zeros(len(scenes))
    for i in range(count.max(initial=0)):  # the i-th true object of each box's image
        has = np.flatnonzero(count > i)
        candidate = order[first[has] + i]
        iou = box_iou(boxes[has], truth.box[candidate])
        better = (iou > most[has]) | (best[has] < 0)
        best[has[better]], most[has[better]] = candidate[better], iou[better]
    return best, most

"""What a network for photographs learned, on one page: curves, first filters, some answers, the confusion of classes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from minidl.lab.plot._style import DASHES, INKS, label, legend, marker, new_figure

__all__ = ["photo_report"]

_NAMED = 20  # classes whose names can still be read along an axis
_WRONG = INKS[1]


def photo_report(
    epochs: Sequence[Mapping], filters: ArrayLike, images: ArrayLike, labels: ArrayLike, probabilities: ArrayLike,
    confusion: ArrayLike, classes: Sequence[str], *, measured: str = "test images", source: str = "",
) -> Figure:  # fmt: skip
    """Draw accuracy over epochs, the filters of the first layer, images with what the network said, and the confusion.

    epochs         a dict for each: epoch, training_accuracy and accuracy, fractions
    filters        (kh, kw, 3, O), weights for red, green and blue; grey is 0, and each has a scale of its own
    images         (N, H, W, 3) of bytes, with labels (N,) and the network's probabilities (N, K)
    confusion      (K, K), how many images of a class (row) got which answer (column)
    classes        K names
    measured       what `accuracy` and the confusion are of;  source: where the images come from
    Errors         ValueError for other shapes
    """
    filters, images, labels, probabilities, confusion = map(
        np.asarray, (filters, images, labels, probabilities, confusion)
    )
    _check(epochs, filters, images, labels, probabilities, confusion, classes)
    figure = new_figure(13, 9)
    sides: Any = figure.subfigures(1, 2, width_ratios=(1, 1.25))
    curves, first = sides[0].subfigures(2, 1, height_ratios=(2.6, 1))
    answers, mixed = sides[1].subfigures(2, 1, height_ratios=(1, 1.7))
    _draw_curves(curves.add_subplot(), epochs, measured)
    _draw_filters(first, filters)
    _draw_answers(answers, images, labels, probabilities, classes)
    _draw_confusion(mixed.add_subplot(), confusion, classes, measured)
    if source:
        figure.supxlabel(f"data: {source}", fontsize=8)
    return figure


def _check(epochs, filters, images, labels, probabilities, confusion, classes):
    if any(not {"epoch", "training_accuracy", "accuracy"} <= set(row) for row in epochs):
        raise ValueError(
            "photo_report: a row of epochs must have epoch, training_accuracy and accuracy, and one lacks some"
        )
    if filters.ndim != 4 or filters.shape[2] != 3 or not np.isfinite(filters).all():
        raise ValueError(f"photo_report: filters are {filters.shape}; they must be (kh, kw, 3, O), and finite")
    n, k = len(images), len(classes)
    shapes = labels.shape, probabilities.shape, confusion.shape
    if images.ndim != 4 or images.shape[3] != 3 or not n or shapes != ((n,), (n, k), (k, k)):
        raise ValueError(
            f"photo_report: images are {images.shape}, labels {shapes[0]}, probabilities {shapes[1]}, the confusion "
            f"{shapes[2]} and there are {k} classes; they must be (N, H, W, 3), (N,), (N, {k}) and ({k}, {k}), N at least 1"
        )


def _draw_curves(ax, epochs, measured):
    x = np.array([row["epoch"] for row in epochs])
    for i, (name, key) in enumerate(((f"{measured}", "accuracy"), ("as it trains", "training_accuracy"))):
        values = [100 * row[key] for row in epochs]
        ax.plot(x, values, color=INKS[i], linestyle=DASHES[i], linewidth=1.7, label=name, marker=marker(x))
    title = (
        f"{100 * epochs[-1]['accuracy']:.2f} % of the {measured} at the end" if epochs else "Stopped in the first epoch"
    )
    label(ax, title, "epoch", "accuracy (%)")
    if epochs:
        legend(ax)


def _draw_filters(figure, filters):
    """Each filter in colour, grey for 0, on a scale of its own: those that whiten differ in size a hundredfold."""
    count = filters.shape[3]
    columns = min(count, 12)
    axes = figure.subplots(-(-count // columns), columns, squeeze=False).ravel()
    largest = np.abs(filters).max((0, 1, 2))
    shown = 0.5 + 0.5 * filters / np.where(largest > 0, largest, 1)
    for ax in axes:
        ax.set_axis_off()
    for i in range(count):
        axes[i].imshow(shown[..., i], vmin=0, vmax=1)
    figure.suptitle("Filters of the first layer, each on a scale of its own", fontsize=10, x=0.02, ha="left")


def _draw_answers(figure, images, labels, probabilities, classes):
    columns = min(len(images), 8)
    axes = figure.subplots(-(-len(images) // columns), columns, squeeze=False).ravel()
    answers = probabilities.argmax(1)
    for ax in axes:
        ax.set_axis_off()
    for ax, image, true, answer, p in zip(axes, images, labels, answers, probabilities, strict=False):
        ax.imshow(image)
        said = f"{classes[answer]} {100 * p[answer]:.0f} %" + ("" if answer == true else f"\nnot {classes[true]}")
        ax.set_title(said, fontsize=7, color="black" if answer == true else _WRONG)
    right = int((answers == labels).sum())
    figure.suptitle(f"What the network says: {right} of {len(images)} right", fontsize=10, x=0.02, ha="left")


def _draw_confusion(ax, confusion, classes, measured):
    """Rows are the true classes. Right answers would outshine all else: colours are for the wrong ones."""
    wrong = confusion - np.diag(np.diag(confusion))
    ax.imshow(np.where(np.eye(len(classes), dtype=bool), 0, wrong), cmap="Blues", vmin=0, vmax=max(1, wrong.max()))
    if len(classes) <= _NAMED:
        for (true, answer), count in np.ndenumerate(confusion):
            ink = "0.45" if true == answer else "white" if count > 0.6 * wrong.max() else "black"
            ax.text(answer, true, f"{count}", ha="center", va="center", fontsize=7, color=ink)
        ax.set_xticks(range(len(classes)), classes, rotation=40, ha="right")
        ax.set_yticks(range(len(classes)), classes)
    label(ax, _confusion_title(wrong, classes), f"answer, for the {measured}", "true class", grid=False)


def _confusion_title(wrong, classes):
    if not wrong.any():
        return "No class is taken for another"
    true, answer = np.unravel_index(int(wrong.argmax()), wrong.shape)
    return f"Most often mistaken: {classes[true]} for {classes[answer]}, {wrong.max()} times"

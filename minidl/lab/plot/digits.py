"""Digits: which ones the network gets wrong, and what it makes of one of your own."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from minidl.lab.plot._style import INKS, PAPER, new_figure

__all__ = ["misclassified", "prediction"]


def misclassified(
    images: ArrayLike, labels: ArrayLike, probabilities: ArrayLike, count: int = 25, figure: Figure | None = None
) -> Figure:  # fmt: skip
    """Show the digits that the network got wrong while it was most certain, each with: true → predicted, and how certain.

    images         (N, H, W) or (N, H, W, 1), ink bright, drawn dark
    labels         (N,), the true classes
    probabilities  (N, K), the network's
    count          how many at most
    Errors         ValueError for other shapes, no images, count below 1
    """
    images, labels, probabilities = np.asarray(images), np.asarray(labels), np.asarray(probabilities)
    images = images[..., 0] if images.ndim == 4 and images.shape[3] == 1 else images
    _check_digits(images, labels, probabilities, count)
    predicted, certainty = probabilities.argmax(1), probabilities.max(1)
    wrong = np.flatnonzero(predicted != labels)
    worst = wrong[np.argsort(-certainty[wrong], kind="stable")][:count]
    columns = max(math.ceil(math.sqrt(worst.size)), min(worst.size, 5), 1)
    rows = max(math.ceil(worst.size / columns), 1)
    figure = figure or new_figure(max(5.5, 1.25 * columns), 0.6 + 1.6 * rows)
    order = ", most certain first" if worst.size > 1 else ""
    figure.suptitle(f"{wrong.size:,} of {labels.size:,} wrong{order}", fontsize=11)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax in axes[worst.size :]:
        ax.set_axis_off()
    if not worst.size:
        axes[0].text(0.5, 0.5, "every digit is right", ha="center", transform=axes[0].transAxes)
    for ax, i in zip(axes, worst, strict=False):
        _draw_image(ax, images[i], f"{labels[i]} → {predicted[i]}\n{100 * certainty[i]:.1f} %", **PAPER)
    return figure


def _draw_image(ax, image, title, **colors):
    ax.imshow(image, **colors)
    ax.set_title(title, fontsize=9)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_color("0.8")


def _check_digits(images, labels, probabilities, count):
    if (
        images.ndim != 3
        or labels.shape != images.shape[:1]
        or probabilities.shape[:-1] != labels.shape
        or not len(images)
    ):
        raise ValueError(
            f"misclassified: images is {images.shape}, labels {labels.shape} and probabilities {probabilities.shape}; "
            "they must be (N, H, W), (N,) and (N, classes), with N at least 1"
        )
    if count < 1:
        raise ValueError(f"misclassified: count is {count}; it must be at least 1")


def prediction(
    image: ArrayLike, seen: ArrayLike, probabilities: ArrayLike, figure: Figure | None = None,
    names: Sequence[str] | None = None,
) -> Figure:  # fmt: skip
    """Show what the network makes of one picture: the picture, the network's input, and its probabilities.

    image          (H, W) or (H, W, 3 or 4): the user's picture, uint8 or from 0 to 1
    seen           (h, w), ink bright, drawn dark; or a photograph (h, w, 3) of bytes
    probabilities  (K,), one for each class
    names          of the K classes, of which the ten likeliest are shown; without them they are digits
    Errors         ValueError for other shapes, and a picture of other values
    """
    image, seen, probabilities = np.asarray(image), np.asarray(seen), np.asarray(probabilities, dtype=float)
    if not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (3, 4))):
        raise ValueError(f"prediction: image is {image.shape}; it must be (H, W), (H, W, 3) or (H, W, 4)")
    white = 255 if image.dtype == np.uint8 else 1
    if not image.size or not (image.min() >= 0 and image.max() <= white):
        raise ValueError(f"prediction: image has values outside 0 … {white}; give uint8, or fractions from 0 to 1")
    is_photo = seen.ndim == 3 and seen.shape[2] == 3 and seen.dtype == np.uint8
    if not (seen.ndim == 2 or is_photo) or probabilities.ndim != 1 or not probabilities.size:
        raise ValueError(
            f"prediction: seen is {seen.shape} and probabilities {probabilities.shape}; they must be (h, w), or "
            "(h, w, 3) of bytes, and (K,)"
        )
    if names is not None and len(names) != probabilities.size:
        raise ValueError(f"prediction: there are {len(names)} names for {probabilities.size} classes; each needs one")
    figure = figure or new_figure(9.2, 3.5)
    picture, network, chart = figure.subplots(1, 3, width_ratios=(1, 1, 1.25))
    _draw_image(picture, image, f"your picture, {_size(image)}", cmap="gray", vmin=0, vmax=white)
    _draw_image(network, seen, f"what the network sees, {_size(seen)}", **({} if is_photo else PAPER))
    _draw_probabilities(chart, probabilities, names)
    return figure


def _size(image):
    return f"{image.shape[1]} × {image.shape[0]}"


def _draw_probabilities(ax, probabilities, names):
    shown = range(probabilities.size) if names is None else np.argsort(-probabilities, kind="stable")[:10]
    labels, best = [str(i) if names is None else names[i] for i in shown], int(probabilities.argmax())
    places, shares = range(len(labels)), 100 * probabilities[list(shown)]
    bars = ax.barh(places, shares, color=[INKS[0] if i == best else "0.72" for i in shown])
    ax.bar_label(bars, [f"{share:.1f}" for share in shares], padding=3, fontsize=8)
    ax.set_xlim(0, 118)  # room for the label of a full bar
    ax.set_xticks(range(0, 101, 25))
    ax.set_yticks(places, labels)
    ax.invert_yaxis()
    answer = labels[list(shown).index(best)]
    ax.set_title(f"most probable: {answer}, with {100 * probabilities[best]:.1f} %", fontsize=9)
    ax.set_xlabel("probability (%)", fontsize=9)
    ax.set_ylabel("digit" if names is None else "", fontsize=9)
    ax.tick_params(labelsize=9)
    ax.spines[["top", "right"]].set_visible(False)

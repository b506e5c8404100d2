"""Lesson 09: batch norm for images, how far a layer is from moving along with its input, and folding into a convolution."""

import numpy as np

from minidl.course._check import ask, compare, exercise
from minidl.course.checks.inference import parts

__all__ = ["fold_conv", "images", "shift"]


@exercise("images")
def images(answer):
    """One mean and one variance for each channel, over the batch and all positions: m′ = m·p·q."""
    rng = np.random.default_rng()
    for shape in ((5, 5, 5, 5), tuple(rng.integers(3, 7, 4)), (1, 4, 3, 2)):  # equal sizes: axes can be confused
        x = rng.normal(2, 3, shape) * rng.uniform(0.5, 2, shape[1:]) + rng.normal(size=shape[1:])
        gamma, beta = rng.normal(size=(2, shape[-1]))
        eps = 0.1
        compare(
            "y", ask(answer, x, gamma, beta, eps), _over(x, (0, 1, 2), gamma, beta, eps),
            instead={
                "this normalises each position by itself, over the batch alone (per activation)":
                    _over(x, (0,), gamma, beta, eps),
                "this normalises each image by itself; the mean goes over the batch, too":
                    _over(x, (1, 2), gamma, beta, eps),
                "this has one mean for all channels; each channel needs its own": _over(x, (0, 1, 2, 3), gamma, beta, eps),
                "this normalises each position over its channels, as layer norm does": _over(x, (3,), gamma, beta, eps),
                "the axes are taken for (N, C, H, W); here the channels are last": _over(x, (0, 2, 3), gamma, beta, eps),
                "this divides by m′ − 1; the variance that normalises divides by m′":
                    _over(x, (0, 1, 2), gamma, beta, eps, ddof=1) if len(x) > 1 else np.nan,
                "ε is missing under the root": _over(x, (0, 1, 2), gamma, beta, 0.0),
            },
        )  # fmt: skip


def _over(x, axes, gamma, beta, eps, ddof=0):
    """Batch norm with means and variances over these axes."""
    mean, var = x.mean(axes, keepdims=True), x.var(axes, keepdims=True, ddof=ddof)
    return gamma * (x - mean) / np.sqrt(var + eps) + beta


@exercise("shift")
def shift(answer):
    """The gap is 0 for what moves along with its input, and positive for what knows where it is."""
    rng = np.random.default_rng()
    n, height, width, channels = 2, 9, 12, 3
    scale = rng.uniform(0.5, 2, (height, width, channels))
    layers = {
        "a layer that scales each position by its own factor": lambda x: x * scale,
        "a layer that lowers each position by its own number": lambda x: x - 5 * scale,
        "an elementwise layer": lambda x: np.maximum(x, 0) ** 2,
        "a difference of neighbours, with zeros outside": _difference,
    }
    for what, layer in layers.items():
        x = rng.normal(size=(n, height, width, channels))
        by, edge = int(rng.integers(1, 3)), 4
        _compare_gap(f"the gap of {what}", ask(answer, layer, x, by, edge), layer, x, by, edge)


def _difference(x):
    return x - np.pad(x, ((0, 0), (0, 0), (1, 0), (0, 0)))[:, :, :-1]


def _compare_gap(what, got, layer, x, by, edge):
    def moved(a, axis=2, by=by):
        return np.roll(a, by, axis)

    apart = layer(moved(x)) - moved(layer(x))
    inside = np.abs(apart[:, :, edge:-edge])
    compare(
        what, got, inside.max(),
        instead={
            "this compares layer(moved x) with layer(x): that would ask for an output that stays (invariance), and not "
            "for one that moves along": np.abs(layer(moved(x)) - layer(x))[:, :, edge:-edge].max(),
            "the columns near the edge are in it, where the images go round": np.abs(apart).max(),
            "this moves along the height; the width is axis 2":
                np.abs(layer(moved(x, 1)) - moved(layer(x), 1))[:, :, edge:-edge].max(),
            "the output is moved back; it should move the same way as the input":
                np.abs(layer(moved(x)) - moved(layer(x), 2, -by))[:, :, edge:-edge].max(),
            "this is a mean; the question is the largest": inside.mean(),
            "this is the largest with its sign; differences below 0 count too": apart[:, :, edge:-edge].max(),
        } if inside.max() > 0 else {
            "this compares layer(moved x) with layer(x): that would ask for an output that stays (invariance), and not "
            "for one that moves along": np.abs(layer(moved(x)) - layer(x))[:, :, edge:-edge].max(),
            "the columns near the edge are in it, where the images go round": np.abs(apart).max(),
        },
    )  # fmt: skip


@exercise("fold-conv")
def fold_conv(answer):
    """A convolution and its batch norm are one convolution: each output channel of W is scaled."""
    rng = np.random.default_rng()
    for c, o in ((4, 4), (2, 5)):  # equal numbers of channels: in and out can be confused
        w = rng.normal(size=(3, 3, c, o))
        b, gamma, beta, mean = rng.normal(size=(4, o))
        var, eps = rng.uniform(0.2, 3, o), 0.1
        got_w, got_b = parts(ask(answer, w, b, gamma, beta, mean, var, eps), ("the weight", "the bias"))
        s = gamma / np.sqrt(var + eps)
        compare(
            "the weight", got_w, w * s,
            instead={
                "the scale is on the input channels; it belongs to the output channels, the last axis":
                    w * s[:, None] if c == o else np.nan,
                "only the middle of each filter is scaled; every position of it must be": _middle(w, s),
                "ε is missing under the root": w * gamma / np.sqrt(var),
                "γ is missing": w / np.sqrt(var + eps),
                "W is unchanged; the scale has to go into it": w,
            },
        )  # fmt: skip
        compare(
            "the bias", got_b, (b - mean) * s + beta,
            instead={
                "the convolution's old bias is forgotten": beta - mean * s,
                "the old bias is not scaled; batch norm scales all that it gets": b - mean * s + beta,
                "β is scaled too; batch norm adds it last": (b - mean + beta) * s,
                "the mean counts once for each position of the filter; the bias is added once": (b - 9 * mean) * s + beta,
            },
        )  # fmt: skip


def _middle(w, s):
    w = w.copy()
    w[1, 1] *= s
    return w

"""Checks of lesson 09 (convolutions): batch norm for images, how a layer moves with its input, folding into what follows."""

import numpy as np

from minidl.lab.course._check import Wrong, array, ask, compare, exercise, parts

__all__ = ["fold_conv", "images", "shift"]


@exercise(
    "images",
    hints=(
        "Over how many numbers is the mean of one channel taken? Where do they lie in an array (N, H, W, C)?",
        "Make a row of every position of every image: an array (N·H·W, C). Then it is lesson 05. Turn it "
        "back at the end.",
        "μ_c = mean over n, h, w of x[n, h, w, c], the same for σ²;  y = γ (x − μ)/√(σ² + ε) + β.",
    ),
)
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
                "ε is outside the root": _eps_outside(x, gamma, beta, eps),
                "the channels become rows without moving the axes: reshape(-1, C) keeps them together, not reshape(C, -1)":
                    _wrong_rows(x, gamma, beta, eps),
                "this is the mean of the images' own variances; it is the variance about the mean of all":
                    gamma * (x - x.mean((0, 1, 2))) / np.sqrt(x.var((1, 2)).mean(0) + eps) + beta
                    if len(x) > 1 else np.nan,
                "γ and β are exchanged": _over(x, (0, 1, 2), beta, gamma, eps),
                "γ and β are missing": _over(x, (0, 1, 2), 1.0, 0.0, eps),
            },
        )  # fmt: skip


def _over(x, axes, gamma, beta, eps, ddof=0):
    """Batch norm with means and variances over these axes."""
    mean, var = x.mean(axes, keepdims=True), x.var(axes, keepdims=True, ddof=ddof)
    return gamma * (x - mean) / np.sqrt(var + eps) + beta


def _wrong_rows(x, gamma, beta, eps):
    rows = x.reshape(x.shape[-1], -1)
    hat = (rows - rows.mean(1, keepdims=True)) / np.sqrt(rows.var(1, keepdims=True) + eps)
    return gamma * hat.reshape(x.shape) + beta


def _eps_outside(x, gamma, beta, eps):
    return gamma * (x - x.mean((0, 1, 2))) / (x.std((0, 1, 2)) + eps) + beta


@exercise(
    "shift",
    hints=(
        "Which two outputs are to be compared? One moves first, one moves last.",
        "a = layer(moved x) and b = moved layer(x), both moved the same way along axis 2. Then leave out "
        "columns on both sides.",
        "max |a − b| over the columns from `edge` to the width less `edge`.",
    ),
)
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
    for what, layer in [*layers.items()] * 20:  # one draw alone can agree with a wrong answer: signs, places
        x = rng.normal(size=(n, height, width, channels))
        by, edge = int(rng.integers(2, 4)), 4
        _compare_gap(f"the gap of {what}", ask(answer, layer, x, by, edge), layer, x, by, edge)


def _difference(x):
    return x - np.pad(x, ((0, 0), (0, 0), (1, 0), (0, 0)))[:, :, :-1]


def _compare_gap(what, got, layer, x, by, edge):
    if (size := array(what, got).size) > 1:
        raise Wrong(f"{what} is an array of {size} numbers; it should be one number, the largest.")

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
            "the columns are left out on the left only": np.abs(apart[:, :, edge:]).max(),
            "the columns are left out on the right only": np.abs(apart[:, :, :-edge]).max(),
            "`by` columns are left out, not `edge`": np.abs(apart[:, :, by:-by]).max(),
            "this moves along the height; the width is axis 2":
                np.abs(layer(moved(x, 1)) - moved(layer(x), 1))[:, :, edge:-edge].max(),
            "the output is moved back; it should move the same way as the input":
                np.abs(layer(moved(x)) - moved(layer(x), 2, -by))[:, :, edge:-edge].max(),
            "this moves along the height in one place and along the width in the other; the width is axis 2":
                np.abs(layer(moved(x, 1)) - moved(layer(x)))[:, :, edge:-edge].max(),
            "this moves along the height, and leaves out rows; the width is axis 2":
                np.abs(layer(moved(x, 1)) - moved(layer(x), 1))[:, edge:-edge].max(),
            "this moves to the left; np.roll moves to the right by a positive number":
                np.abs(layer(moved(x, 2, -by)) - moved(layer(x), 2, -by))[:, :, edge:-edge].max(),
            "rows are left out, too; only columns wrap around": inside[:, edge:-edge].max(),
            "this is a mean; the question is the largest": inside.mean(),
            "this is the root of the mean square; the question is the largest": np.sqrt(np.square(inside).mean()),
            "this is the largest with its sign; differences below 0 count too": apart[:, :, edge:-edge].max(),
        } if inside.max() > 0 else {
            "this compares layer(moved x) with layer(x): that would ask for an output that stays (invariance), and not "
            "for one that moves along": np.abs(layer(moved(x)) - layer(x))[:, :, edge:-edge].max(),
            "the columns near the edge are in it, where the images go round": np.abs(apart).max(),
        },
    )  # fmt: skip


@exercise(
    "fold-conv",
    hints=(
        "Put y = s·x + t, with t = β − mean·s, into the sum of the convolution. Which part multiplies x?",
        "s belongs to the input channels, the last axis but one of the weight. What t contributes is the "
        "same at every position.",
        "W′ = W·s (over input channels);  b′ₒ = bₒ + Σ over positions and input channels of W · t.",
    ),
)
def fold_conv(answer):
    """Batch norm and the convolution after it are one, inside: W·s by input channels, and Σ W·(β − mean·s) in the bias."""
    rng = np.random.default_rng()
    for c, o in ((4, 4), (2, 5)):  # equal numbers of channels: in and out can be confused
        w, b = rng.normal(size=(3, 3, c, o)), rng.normal(size=o)
        gamma, beta, mean = rng.normal(size=(3, c))
        var, eps = rng.uniform(0.2, 3, c), 0.1
        got_w, got_b = parts(ask(answer, w, b, gamma, beta, mean, var, eps), ("the weight", "the bias"))
        s = gamma / np.sqrt(var + eps)
        shift = beta - mean * s
        compare(
            "the weight", got_w, w * s[:, None],
            instead={
                "the scale is on the output channels, the last axis; here batch norm comes before, so it belongs to the "
                "input channels": w * s if c == o else np.nan,
                "only the middle of each filter is scaled; every position of it must be": _middle(w, s[:, None]),
                "ε is missing under the root": w * (gamma / np.sqrt(var))[:, None],
                "ε is outside the root": w * (gamma / (np.sqrt(var) + eps))[:, None],
                "γ is missing": w / np.sqrt(var + eps)[:, None],
                "W is unchanged; the scale has to go into it": w,
            },
        )  # fmt: skip
        compare(
            "the bias", got_b, b + _through(w, shift),
            instead={
                "the convolution's old bias is forgotten": _through(w, shift),
                "the shift that batch norm makes is forgotten: each weight lets it through": b,
                "the shift is added as it is; it has to go through the weights, which lead from input to output channels":
                    b + shift if c == o else np.nan,
                "only the middle of each filter lets the shift through; all its positions do": b + shift @ w[1, 1],
                "β and the mean go through the weights that are scaled already; the shift is scaled itself":
                    b + _through(w * s[:, None], shift),
                "the mean is not scaled; batch norm takes it off before it multiplies": b + _through(w, beta - mean),
                "the mean is added; batch norm takes it away": b + _through(w, beta + mean * s),
                "β is missing": b - _through(w, mean * s),
                "the mean is missing": b + _through(w, beta),
                "this is the fold of the other order, conv → batch norm": (b - mean) * s + beta if c == o else np.nan,
            },
        )  # fmt: skip


def _through(w, shift):
    """What a constant in each input channel becomes behind a convolution, inside."""
    return np.einsum("ijco,c->o", w, shift)


def _middle(w, s):
    w = w.copy()
    w[1, 1] *= s
    return w

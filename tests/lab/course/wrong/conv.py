"""Lesson 09: what people write instead."""

import numpy as np


def _over(x, axes, gamma, beta, eps):
    mean, var = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    return gamma * (x - mean) / np.sqrt(var + eps) + beta


def _per_activation(x, gamma, beta, eps):
    rows = x.reshape(len(x), -1)
    hat = (rows - rows.mean(0)) / np.sqrt(rows.var(0) + eps)
    return gamma * hat.reshape(x.shape) + beta


def _per_image(x, gamma, beta, eps):
    return _over(x, (1, 2), gamma, beta, eps)


def _everything(x, gamma, beta, eps):
    return _over(x, (0, 1, 2, 3), gamma, beta, eps)


def _channels_first(x, gamma, beta, eps):
    return _over(x, (0, 2, 3), gamma, beta, eps)


def _without_eps(x, gamma, beta, eps):
    return _over(x, (0, 1, 2), gamma, beta, 0.0)


def _wrong_rows(x, gamma, beta, eps):
    rows = x.reshape(x.shape[-1], -1)
    hat = (rows - rows.mean(1, keepdims=True)) / np.sqrt(rows.var(1, keepdims=True) + eps)
    return gamma * hat.reshape(x.shape) + beta


def _invariance(layer, x, by, edge):
    return np.abs(layer(np.roll(x, by, 2)) - layer(x))[:, :, edge:-edge].max()


def _with_edges(layer, x, by, edge):
    return np.abs(layer(np.roll(x, by, 2)) - np.roll(layer(x), by, 2)).max()


def _height(layer, x, by, edge):
    return np.abs(layer(np.roll(x, by, 1)) - np.roll(layer(x), by, 1))[:, :, edge:-edge].max()


def _signed(layer, x, by, edge):
    return (layer(np.roll(x, by, 2)) - np.roll(layer(x), by, 2))[:, :, edge:-edge].max()


def _mean(layer, x, by, edge):
    return np.abs(layer(np.roll(x, by, 2)) - np.roll(layer(x), by, 2))[:, :, edge:-edge].mean()


def _back(layer, x, by, edge):
    return np.abs(layer(np.roll(x, by, 2)) - np.roll(layer(x), -by, 2))[:, :, edge:-edge].max()


def _other_order(w, b, gamma, beta, mean, var, eps):
    s = gamma / np.sqrt(var + eps)
    return w * s[: w.shape[-1]] if len(s) == w.shape[-1] else w, b


def _middle(w, b, gamma, beta, mean, var, eps):
    s = gamma / np.sqrt(var + eps)
    w = w.copy()
    w[1, 1] *= s[:, None]
    return w, b


def _no_shift(w, b, gamma, beta, mean, var, eps):
    return w * (gamma / np.sqrt(var + eps))[:, None], b


def _no_bias(w, b, gamma, beta, mean, var, eps):
    s = gamma / np.sqrt(var + eps)
    return w * s[:, None], np.einsum("ijco,c->o", w, beta - mean * s)


def _scaled_twice(w, b, gamma, beta, mean, var, eps):
    s = gamma / np.sqrt(var + eps)
    w = w * s[:, None]
    return w, b + np.einsum("ijco,c->o", w, beta - mean * s)


def _shift_of_the_middle(w, b, gamma, beta, mean, var, eps):
    s = gamma / np.sqrt(var + eps)
    return w * s[:, None], b + (beta - mean * s) @ w[1, 1]


def _rows_too(layer, x, by, edge):
    return np.abs(layer(np.roll(x, by, 2)) - np.roll(layer(x), by, 2))[:, edge:-edge, edge:-edge].max()


def _to_the_left(layer, x, by, edge):
    return np.abs(layer(np.roll(x, -by, 2)) - np.roll(layer(x), -by, 2))[:, :, edge:-edge].max()


def _root_mean_square(layer, x, by, edge):
    return np.sqrt(np.square(layer(np.roll(x, by, 2)) - np.roll(layer(x), by, 2))[:, :, edge:-edge].mean())


def _not_reduced(layer, x, by, edge):
    return np.abs(layer(np.roll(x, by, 2)) - np.roll(layer(x), by, 2))[:, :, edge:-edge]


def _bare(x, gamma, beta, eps):
    return _over(x, (0, 1, 2), 1.0, 0.0, eps)


def _eps_outside(w, b, gamma, beta, mean, var, eps):
    return w * (gamma / (np.sqrt(var) + eps))[:, None], b


def _shift_as_it_is(w, b, gamma, beta, mean, var, eps):
    s = gamma / np.sqrt(var + eps)
    return w * s[:, None], b + np.resize(beta - mean * s, w.shape[-1])


WRONG = {
    "images": [
        ((_per_activation,), "each position by itself"),
        ((_per_image,), "each image by itself"),
        ((_everything,), "one mean for all channels"),
        ((_channels_first,), "taken for (N, C, H, W)"),
        ((_without_eps,), "ε is missing"),
        ((_wrong_rows,), "without moving the axes"),
        ((_bare,), "γ and β are missing"),
    ],
    "shift": [
        ((_invariance,), "invariance"),
        ((_with_edges,), "columns near the edge"),
        ((_height,), "moves along the height"),
        ((_mean,), "this is a mean"),
        ((_back,), "moved back"),
        ((_signed,), "differences below 0 count too"),
        ((_rows_too,), "rows are left out, too"),
        ((_to_the_left,), "moves to the left"),
        ((_root_mean_square,), "root of the mean square"),
        ((_not_reduced,), "it should be one number, the largest"),
    ],
    "fold-conv": [
        ((_other_order,), "on the output channels"),
        ((_middle,), "only the middle of each filter is scaled"),
        ((_no_shift,), "the shift that batch norm makes is forgotten"),
        ((_no_bias,), "old bias is forgotten"),
        ((_eps_outside,), "ε is outside the root"),
        ((_shift_as_it_is,), "it has to go through the weights"),
        ((_scaled_twice,), "scaled already"),
        ((_shift_of_the_middle,), "lets the shift through"),
    ],
}

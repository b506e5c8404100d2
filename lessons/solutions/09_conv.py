# %% [markdown]
# # Solutions of lesson 09

# %% tags=["exercise:images"]
def batch_norm_images(x, gamma, beta, eps):
    """Batch norm of images x (N, H, W, C) in training mode, with γ and β (C,)."""
    rows = x.reshape(-1, x.shape[-1])  # every position of every image is an example
    x_hat = (rows - rows.mean(0)) * (rows.var(0) + eps) ** -0.5
    return (gamma * x_hat + beta).reshape(x.shape)


# %% tags=["exercise:shift"]
import numpy as np


def shift_gap(layer, x, by, edge):
    """The largest difference between layer(moved x) and moved layer(x), without `edge` columns on either side."""
    first = layer(np.roll(x, by, axis=2))
    second = np.roll(layer(x), by, axis=2)
    return np.abs(first - second)[:, :, edge:-edge].max()


# %% tags=["exercise:fold-conv"]
def fold_conv(weight, bias, gamma, beta, mean, var, eps):
    """Weight (kh, kw, C, O) and bias (O,) of the convolution that does what batch norm and then this one do."""
    scale = gamma * (var + eps) ** -0.5  # one number for each input channel: the last axis but one
    shift = beta - mean * scale
    # what is the same at every position goes into the bias, through all weights
    return weight * scale[:, None], bias + (weight * shift[:, None]).sum(axis=(0, 1, 2))

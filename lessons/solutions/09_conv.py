# %% [markdown]
# # Solutions of lesson 09

# %% [markdown]
# ## `images`
#
# A channel has one mean and one variance, over all images and positions. So every position of every image is an
# example, and `reshape(-1, C)` makes the table of lesson 05; the channels are the last axis, and stay columns. At the
# end the table gets the shape of the images again.


# %% tags=["exercise:images"]
def batch_norm_images(x, gamma, beta, eps):
    """Batch norm of images x (N, H, W, C) in training mode, with γ and β (C,)."""
    rows = x.reshape(-1, x.shape[-1])  # every position of every image is an example
    x_hat = (rows - rows.mean(0)) * (rows.var(0) + eps) ** -0.5
    return (gamma * x_hat + beta).reshape(x.shape)


# %% [markdown]
# ## `shift`
#
# Both outputs are moved once, the same way: one before the layer, one after it. Where they agree, the layer moves
# along with its input. The `edge` columns on both sides are left out, because `np.roll` brings in there what went out
# at the other end.


# %% tags=["exercise:shift"]
import numpy as np


def shift_gap(layer, x, by, edge):
    """The largest difference between layer(moved x) and moved layer(x), without `edge` columns on either side."""
    first = layer(np.roll(x, by, axis=2))
    second = np.roll(layer(x), by, axis=2)
    return np.abs(first - second)[:, :, edge:-edge].max()


# %% [markdown]
# ## `fold-conv`
#
# Batch norm makes $s x + t$ of each input channel, with $t = \beta - \text{mean}\cdot s$. In the convolution's sum,
# $s$ multiplies the weights of its input channel (the last axis but one), and $t$ goes through every weight of every
# position and channel: a constant for each output, which joins the bias.


# %% tags=["exercise:fold-conv"]
def fold_conv(weight, bias, gamma, beta, mean, var, eps):
    """Weight (kh, kw, C, O) and bias (O,) of the convolution that does what batch norm and then this one do."""
    scale = gamma * (var + eps) ** -0.5  # one number for each input channel: the last axis but one
    shift = beta - mean * scale
    # what is the same at every position goes into the bias, through all weights
    return weight * scale[:, None], bias + (weight * shift[:, None]).sum(axis=(0, 1, 2))

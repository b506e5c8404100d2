# %% [markdown]
# # Solutions of lesson 06

# %% [markdown]
# ## `staged`
#
# From the end of the graph to its start; each line adds up over the arrows that leave a node. $\hat x_i$ has one, to
# $y_i$, with slope γ. $\sigma^2$ has one to every $\hat x_i$; the slope of $(\sigma^2+\varepsilon)^{-1/2}$ is
# $-\tfrac12(\sigma^2+\varepsilon)^{-3/2}$, times $x_i - \mu$. μ has one to every $\hat x_i$, with slope $-1/s$, and
# one to $\sigma^2$, whose slope is a sum of distances from the mean: 0, but it is written out here. At last $x_i$ has
# three: to $\hat x_i$, to $\sigma^2$ with slope $2(x_i-\mu)/m$, and to μ with slope $1/m$. γ and β are used by every
# example, so they get sums.


# %% tags=["exercise:staged"]
def staged(grad_y, x, gamma, eps):
    m, distance, var = len(x), x - x.mean(0), x.var(0)
    std = (var + eps) ** 0.5
    grad_x_hat = grad_y * gamma
    grad_var = (grad_x_hat * distance * -0.5 * (var + eps) ** -1.5).sum(0)
    grad_mean = (grad_x_hat * -1 / std).sum(0) + grad_var * (-2 * distance).sum(0) / m
    grad_x = grad_x_hat / std + grad_var * 2 * distance / m + grad_mean / m
    return grad_x, (grad_y * distance / std).sum(0), grad_y.sum(0)


# %% [markdown]
# ## `closed`
#
# Put $\partial L/\partial\sigma^2 = -\frac{\gamma}{2s^2}\sum_j g_j \hat x_j$ and $\partial L/\partial\mu =
# -\frac{\gamma}{s}\sum_j g_j$ into the third equation, with $x_i - \mu = s\,\hat x_i$: $\frac{\gamma}{s} g_i \;-\;
# \frac{\gamma}{2s^2}\sum_j g_j\hat x_j \cdot \frac{2 s \hat x_i}{m} \;-\; \frac{\gamma}{s}\sum_j g_j \cdot \frac1m$.
# All three have γ/s, and each sum with its $1/m$ is a mean.


# %% tags=["exercise:closed"]
def closed(grad_y, x_hat, inv_std, gamma):
    return gamma * inv_std * (grad_y - grad_y.mean(0) - x_hat * (grad_y * x_hat).mean(0))


# %% [markdown]
# ## `projector`
#
# $g_i - \overline g - \hat x_i\,\overline{g\hat x}$, as a matrix times $g$. The identity gives $g_i$. The mean is
# $\sum_j \frac1m g_j$: a matrix with $1/m$ everywhere. The last is $\sum_j \frac1m \hat x_i \hat x_j\,g_j$: entry
# $ij$ is $\hat x_i\hat x_j/m$, an outer product.


# %% tags=["exercise:projector"]
import numpy as np


def projector(x_hat):
    m = len(x_hat)
    return np.eye(m) - np.ones((m, m)) / m - np.outer(x_hat, x_hat) / m


# %% [markdown]
# ## `is_projection`
#
# Both conditions, for all entries, by size: `abs` before `max`, since a difference may be negative, and a tolerance
# well above rounding (1e-16) and well below any real defect.


# %% tags=["exercise:is_projection"]
def is_projection(matrix):
    same = abs(matrix @ matrix - matrix).max() < 1e-9
    symmetric = abs(matrix.T - matrix).max() < 1e-9
    return same and symmetric


# %% [markdown]
# ## `freedom`
#
# A feature has $m$ directions. Shifting and stretching it changes nothing, which takes away two; the rest passes.
# Features do not mix, so the counts multiply. In a batch of one, shift is all there is, and nothing is left: 0, not
# −1.


# %% tags=["exercise:freedom"]
def freedom(m, features):
    # shift and stretch are lost in each feature; a batch of one has only the shift to lose
    return features * max(m - 2, 0)

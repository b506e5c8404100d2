# %% [markdown]
# # Solutions of lesson 16

# %% [markdown]
# ## `three_norms`
#
# The distances come first, then the mean of their squares, over the same axes. `keepdims` leaves axes of size 1, so that
# broadcasting puts each mean beside the numbers it belongs to. A norm is then a choice of axes: those that share a mean.
# Group norm first cuts the last axis in two, so that the channels of a group have an axis of their own.


# %% tags=["exercise:three_norms"]
def normalise(x, axes, eps):
    distance = x - x.mean(axes, keepdims=True)
    var = (distance * distance).mean(axes, keepdims=True)
    return distance / (var + eps) ** 0.5


def three_norms(x, groups, eps):
    n, height, width, channels = x.shape
    batch = normalise(x, (0, 1, 2), eps)
    layer = normalise(x, (1, 2, 3), eps)
    parts = x.reshape(n, height, width, groups, channels // groups)
    return batch, layer, normalise(parts, (1, 2, 4), eps).reshape(n, height, width, channels)


# %% [markdown]
# ## `unchanged`
#
# The whole table goes through the norm, before and after, as batch-mates may matter. Then only row 0 counts. The
# differences may have either sign, and one unit is enough to make a change visible: the largest absolute difference.


# %% tags=["exercise:unchanged"]
def unchanged(norm, change, x, w):
    before = norm(x @ w)[0]
    new_x, new_w = change(x, w)
    after = norm(new_x @ new_w)[0]
    return bool(abs(after - before).max() < 0.001)


# %% [markdown]
# ## `whitened_distance`
#
# Whitened, $y^Ty/m$ is 1 in each direction in which the batch varies, and there are $m - 1$ of them. So $yy^T$ has
# $m - 1$ eigenvalues $m$, and 0 along $(1, …, 1)$, as the rows add up to 0. That is $yy^T = m\,(I - \frac1m 11^T)$:
# $m - 1$ on the diagonal and $-1$ beside it. The squared distance is $2(m - 1) + 2 = 2m$.


# %% tags=["exercise:whitened_distance"]
def whitened_distance(m):
    return (2 * m) ** 0.5

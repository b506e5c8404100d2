# %% [markdown]
# # Solutions of lesson 04

# %% [markdown]
# ## `runaway`
#
# The mean of $\hat x$ is 0 for any $b$, since it is subtracted after $b$ was added. With the mean as a constant,
# $\partial \hat x_i / \partial b = 1$, so $\partial\text{loss}/\partial b$ is the mean of $\hat x_i - t_i$, which is
# $-\bar t$, in every step. Each step adds $\text{lr}\cdot\bar t$, and nothing ever changes that.


# %% tags=["exercise:runaway"]
def runaway(u, t, lr, steps):
    """∂loss/∂b = mean(x̂ − t) = −mean(t) in every step, as the mean of x̂ is 0 whatever b is."""
    return lr * steps * t.mean()


# %% [markdown]
# ## `detective`
#
# A right gradient of a normalisation has $\sum_i \partial x_i = 0$ (a shift of the batch changes nothing) and $\sum_i
# \partial x_i \hat x_i = 0$ (a stretch changes nothing). The first needs the path through the mean, the second the
# one through the variance. The gradient that is sent back is random, so that it has a mean and a part along $\hat x$
# that should be removed. Both sums are compared with the size of the gradient, because of ε and rounding.


# %% tags=["exercise:detective"]
import numpy as np

from minidl import Tensor


def missing_paths(bn):
    """Σ ∂x is not 0: the mean's path is missing. Σ ∂x·x̂ is not 0: the variance's."""
    rng = np.random.default_rng(0)
    x = Tensor(rng.normal(2, 3, (20, 4)), requires_grad=True)
    bn(x).backward(rng.standard_normal((20, 4)))
    x_hat = (x.data - x.data.mean(0)) / x.data.std(0)
    size = np.abs(x.grad).sum()
    found = {"mean": x.grad.sum(0), "variance": (x.grad * x_hat).sum(0)}
    return {name for name, sums in found.items() if np.abs(sums).max() > 1e-3 * size}


# %% [markdown]
# ## `suspects`
#
# `missing_paths(people[name])` for each of the four gives these sets. B is the innocent one: it takes the mean for a
# constant in the variance alone, where that changes nothing, because $\sum_i (x_i - \mu) = 0$.


# %% tags=["exercise:suspects"]
verdicts = {"A": {"variance"}, "B": set(), "C": {"mean", "variance"}, "D": {"mean"}}

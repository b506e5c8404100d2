# %% [markdown]
# # Solutions of lesson 03

# %% [markdown]
# ## `gain`
#
# A unit adds up $n$ products $w_i f(x_i)$, and their variance over the images is $n s^2\,\mathrm{Var}[f(x)]$. It
# should equal $\mathrm{Var}[x]$. Solved for $s$: $\sqrt{\mathrm{Var}[x] / (n\,\mathrm{Var}[f(x)])}$. Variances, so
# the mean is taken off; $n$ inside the root, as variances add up.


# %% tags=["exercise:gain"]
import numpy as np


def weight_std(f, x, n):
    """n·s²·Var f(x) = Var x, solved for s."""
    return np.sqrt(x.var() / (n * f(x).var()))


# %% [markdown]
# ## `saturation`
#
# A sigmoid whose output is $y$ has the slope $y(1 − y)$ there, whatever its input was, and ¼ at its steepest. So
# `flat` is an array of truths. Its mean is the fraction of outputs; `all(axis=0)` asks of each column, that is of
# each unit, whether it is flat for every image, at either end.


# %% tags=["exercise:saturation"]
def saturation(y):
    """The slope of a sigmoid whose output is y is y(1 − y), and 1/4 where it is steepest."""
    flat = y * (1 - y) < 0.1 * 0.25
    return flat.mean(), flat.all(axis=0).mean()

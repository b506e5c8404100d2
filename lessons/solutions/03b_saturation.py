# %% [markdown]
# # Solutions of lesson 03b

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


# %% [markdown]
# ## `update ratio`
#
# The step is the difference of the two arrays. Its standard deviation over that of the weights says how far a typical
# weight moves, compared with its size; the logarithm makes powers of ten out of it. The weights are those from before
# the step. A step of 0 has the logarithm −∞, which NumPy gives, with a warning that is silenced here.

# %% tags=["exercise:update ratio"]
import numpy as np


def update_ratios(before, after):
    with np.errstate(divide="ignore"):
        return [np.log10((new - old).std() / old.std()) for old, new in zip(before, after, strict=True)]

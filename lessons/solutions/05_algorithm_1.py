# %% [markdown]
# # Solutions of lesson 05

# %% tags=["exercise:stand_out"]
import math


def largest(m):
    # the others at -a / (m - 1) each: a² + (m - 1)·(a / (m - 1))² = a²·m / (m - 1) is at most m
    return math.sqrt(m - 1)


# %% tags=["exercise:undo"]
import numpy as np


def identity(x, eps):
    return np.sqrt(x.var(0) + eps), x.mean(0)


# %% tags=["exercise:bn_forward"]
import numpy as np


def forward(x, gamma, beta, eps):
    mean = x.mean(0)
    centred = x - mean
    var = (centred * centred).mean(0)
    y = gamma * centred / np.sqrt(var + eps) + beta
    return y.astype(x.dtype)

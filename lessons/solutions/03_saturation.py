# %% tags=["exercise:gain"]
import numpy as np


def weight_std(f, x, n):
    """n·s²·Var f(x) = Var x, solved for s."""
    return np.sqrt(x.var() / (n * f(x).var()))


# %% tags=["exercise:saturation"]
def saturation(y):
    """The slope of a sigmoid whose output is y is y(1 − y), and 1/4 where it is steepest."""
    flat = y * (1 - y) < 0.1 * 0.25
    return flat.mean(), flat.all(axis=0).mean()

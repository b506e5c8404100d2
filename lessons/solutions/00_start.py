# %% [markdown]
# One solution to each exercise of lesson 00.

# %% tags=["exercise:predictions"]
plain = 60
batch = 90
speedup = 5
shift = "yes"

# %% tags=["exercise:reach"]
import numpy as np


def reach(steps, accuracies, target):
    there = np.flatnonzero(accuracies >= target)
    return steps[there[0]] if there.size else None

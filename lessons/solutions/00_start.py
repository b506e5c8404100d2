# %% [markdown]
# # Solutions of lesson 00

# %% [markdown]
# ## `predictions`
#
# There is no right answer. These are one reader's bets, made before the run; lessons 07 and 10 come back to two of
# them.


# %% tags=["exercise:predictions"]
plain = 60
batch = 90
speedup = 5
shift = "yes"

# %% [markdown]
# ## `reach`
#
# `accuracies >= target` is an array of True and False, and `np.flatnonzero` lists the places of True in order. Its
# first entry is the place of the first True; the *step* is what `steps` has at that place. If the list is empty the
# curve never got there, which `there.size` tells before `there[0]` could fail. (`argmax` of the array of truths would
# say 0 in that case, which looks like an answer.)


# %% tags=["exercise:reach"]
import numpy as np


def reach(steps, accuracies, target):
    there = np.flatnonzero(accuracies >= target)
    return steps[there[0]] if there.size else None

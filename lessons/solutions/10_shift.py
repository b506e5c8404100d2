# %% [markdown]
# # Solutions of lesson 10

# %% [markdown]
# ## `gradient change`
#
# `old` are the gradients at the original weights, which all steps use. `at` grows layer by layer: when it is layer
# `i`'s turn, all layers before it have taken their step, and it has not. A new list, and new arrays in it, so that
# the weights of the training stay.


# %% tags=["exercise:gradient change"]
def gradient_change(gradients, weights, lr):
    import numpy as np

    old = gradients(weights)
    at, changes = list(weights), []
    for i in range(1, len(weights)):
        at[i - 1] = weights[i - 1] - lr * old[i - 1]  # those before it have moved already
        changes.append(np.linalg.norm(old[i] - gradients(at)[i]) / np.linalg.norm(old[i]))
    return changes


# %% [markdown]
# ## `verdict`
#
# The differences first: what the two runs of a seed share drops out. Then the mean of five against its standard
# error, $s/\sqrt5$. Beyond 2.78 of them on either side it counts; otherwise five seeds cannot tell it from luck.


# %% tags=["exercise:verdict"]
def verdict(a, b):
    import numpy as np

    d = a - b
    error = d.std(ddof=1) / np.sqrt(len(d))
    if d.mean() > 2.78 * error:
        return "larger"
    return "smaller" if d.mean() < -2.78 * error else "no difference"


# %% [markdown]
# ## `table`
#
# `word` takes the five numbers of each arm, pairs them by seed, and asks whether the interval of the mean difference
# excludes 0, as in `verdict`.


# %% tags=["exercise:table"]
def filled_in():
    import numpy as np

    from minidl.lab.course import ledger
    from minidl.lab.paper import ics
    from minidl.lab.study.statistics import paired

    result = ledger("ics").result
    rate = result.settings("lr", arm="without BN", **ics.FINAL)[0]

    def word(measure, *arms):
        seeds = [result.values(measure, arm=arm, lr=rate, **ics.FINAL).reshape(5, -1) for arm in arms]
        interval = paired(*(np.nanmean(values, axis=1) for values in seeds))
        return "larger" if interval.above_zero else "smaller" if interval.below_zero else "no difference"

    return {
        "drift, BN against none": word("drift", "with BN", "without BN"),
        "gradient change, BN against none": word("gradient change", "with BN", "without BN"),
        "drift, noise against none": word("drift", "noise after BN", "without BN"),
        "accuracy, noise against none": word("test", "noise after BN", "without BN"),
        "accuracy, BN against noise": word("test", "with BN", "noise after BN"),
    }


table = filled_in()

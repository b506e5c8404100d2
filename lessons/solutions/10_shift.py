# %% tags=["exercise:gradient change"]
def gradient_change(gradients, weights, lr):
    import numpy as np

    old = gradients(weights)
    at, changes = list(weights), []
    for i in range(1, len(weights)):
        at[i - 1] = weights[i - 1] - lr * old[i - 1]  # those before it have moved already
        changes.append(np.linalg.norm(old[i] - gradients(at)[i]) / np.linalg.norm(old[i]))
    return changes


# %% tags=["exercise:verdict"]
def verdict(a, b):
    import numpy as np

    d = a - b
    error = d.std(ddof=1) / np.sqrt(len(d))
    if d.mean() > 2.78 * error:
        return "larger"
    return "smaller" if d.mean() < -2.78 * error else "no difference"


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

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
table = {
    "drift, BN against none": "smaller",
    "gradient change, BN against none": "smaller",
    "drift, noise against none": "larger",
    "accuracy, noise against none": "larger",
    "accuracy, BN against noise": "no difference",
}

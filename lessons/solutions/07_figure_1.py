# %% tags=["exercise:recorder"]
def recorder(batches):
    import numpy as np

    return np.percentile(np.concatenate(batches), [15, 50, 85], axis=0).T


# %% tags=["exercise:bands"]
def bands(gamma, beta):
    import numpy as np

    half = 1.04 * np.abs(gamma)
    return np.stack([beta - half, beta, beta + half], axis=1)


# %% tags=["exercise:tune"]
def tune(validation, test):
    chosen = validation.mean(axis=1).argmax()
    return test[chosen]

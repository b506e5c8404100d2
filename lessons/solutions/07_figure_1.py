# %% tags=["exercise:recorder"]
import numpy as np


def recorder(batches):
    return np.percentile(np.concatenate(batches), [15, 50, 85], axis=0).T


# %% tags=["exercise:bands"]
import numpy as np


def bands(gamma, beta):
    half = 1.04 * np.abs(gamma)
    return np.stack([beta - half, beta, beta + half], axis=1)


# %% tags=["exercise:tune"]
import numpy as np


def tune(validation, test):
    chosen = validation.mean(axis=1).argmax()
    return test[chosen]

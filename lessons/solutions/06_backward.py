# %% [markdown]
# # Solutions of lesson 06

# %% tags=["exercise:staged"]
def staged(grad_y, x, gamma, eps):
    m, distance, var = len(x), x - x.mean(0), x.var(0)
    std = (var + eps) ** 0.5
    grad_x_hat = grad_y * gamma
    grad_var = (grad_x_hat * distance * -0.5 * (var + eps) ** -1.5).sum(0)
    grad_mean = (grad_x_hat * -1 / std).sum(0) + grad_var * (-2 * distance).sum(0) / m
    grad_x = grad_x_hat / std + grad_var * 2 * distance / m + grad_mean / m
    return grad_x, (grad_y * distance / std).sum(0), grad_y.sum(0)


# %% tags=["exercise:closed"]
def closed(grad_y, x_hat, inv_std, gamma):
    return gamma * inv_std * (grad_y - grad_y.mean(0) - x_hat * (grad_y * x_hat).mean(0))


# %% tags=["exercise:projector"]
import numpy as np


def projector(x_hat):
    m = len(x_hat)
    return np.eye(m) - np.ones((m, m)) / m - np.outer(x_hat, x_hat) / m


# %% tags=["exercise:is_projection"]
def is_projection(matrix):
    same = abs(matrix @ matrix - matrix).max() < 1e-9
    symmetric = abs(matrix.T - matrix).max() < 1e-9
    return same and symmetric


# %% tags=["exercise:freedom"]
def freedom(m, features):
    # shift and stretch are lost in each feature; a batch of one has only the shift to lose
    return features * max(m - 2, 0)

"""Operations that claim a gradient: sound ones, and the same with a defect planted. All take and return a float Tensor.

Such defects are found in well-known teaching code. Rows of x (N, C) are examples.
"""

import numpy as np

from minidl.tensor import Tensor

__all__ = ["DEFECTS", "SOUND", "WRONG_FUNCTION"]

_EPS = 1e-5
_MEAN, _VAR = 0.3, 2.0  # what evaluation mode takes for mean and variance


def _statistics(x):
    mean, inv_std = x.mean(0), 1 / np.sqrt(x.var(0) + _EPS)
    return mean, inv_std, (x - mean) * inv_std


def _claim(x, y, gradient):
    def suspect(grad):
        return (gradient(grad),)

    return Tensor._from_op(y, (x,), suspect)


def _through_both(grad, x_hat, inv_std):
    """Return the gradient of batch norm: through the mean, and through the variance."""
    return inv_std * (grad - grad.mean(0) - x_hat * (grad * x_hat).mean(0))


def _batch_norm(x):
    _, inv_std, x_hat = _statistics(x.data)
    return _claim(x, x_hat, lambda grad: _through_both(grad, x_hat, inv_std))


def _no_gradient(x):
    _, _, x_hat = _statistics(x.data)
    return _claim(x, x_hat, lambda grad: np.zeros_like(x_hat))


def _stopped(x):
    _, inv_std, x_hat = _statistics(x.data)
    return _claim(x, x_hat, lambda grad: inv_std * grad)


def _half_stopped(x):
    _, inv_std, x_hat = _statistics(x.data)
    return _claim(x, x_hat, lambda grad: inv_std * (grad - grad.mean(0)))


def _evaluation(x):
    return _claim(x, (x.data - _MEAN) / np.sqrt(_VAR), lambda grad: grad / np.sqrt(_VAR))


def _evaluation_as_training(x):
    _, inv_std, x_hat = _statistics(x.data)
    return _claim(x, (x.data - _MEAN) / np.sqrt(_VAR), lambda grad: _through_both(grad, x_hat, inv_std))


def _rows(x):
    return np.append(np.arange(len(x.data)), len(x.data) - 1)  # the last row twice


def _repeated(x):
    def gradient(grad):
        grad_x = np.zeros_like(x.data)
        np.add.at(grad_x, _rows(x), grad)
        return grad_x

    return _claim(x, x.data[_rows(x)], gradient)


def _repeated_once(x):
    def gradient(grad):
        grad_x = np.zeros_like(x.data)
        grad_x[_rows(x)] = grad  # where a row is taken twice, the second gradient overwrites the first
        return grad_x

    return _claim(x, x.data[_rows(x)], gradient)


def _spread(x):
    return _claim(x, np.stack([x.data, x.data, x.data]), lambda grad: grad.sum(0))


def _spread_averaged(x):
    return _claim(x, np.stack([x.data, x.data, x.data]), lambda grad: grad.mean(0))


def _all_columns_together(x):
    centred = x - x.mean()
    return centred / ((centred * centred).mean() + _EPS) ** 0.5


def _unbiased(x):
    centred = x - x.mean(0)
    return centred / ((centred * centred).sum(0) / (len(x) - 1) + _EPS) ** 0.5


SOUND = {
    "batch norm": _batch_norm, "batch norm, evaluation": _evaluation, "a row taken twice": _repeated,
    "a broadcast": _spread,
}  # fmt: skip
DEFECTS = {
    "batch norm: no gradient (∂x = 0)": _no_gradient,
    "batch norm: μ and σ² as constants": _stopped,
    "batch norm: only σ² as a constant": _half_stopped,
    "evaluation mode: the gradient of training": _evaluation_as_training,
    "a row taken twice: one gradient overwritten": _repeated_once,
    "a broadcast: gradients averaged, not summed": _spread_averaged,
}
WRONG_FUNCTION = {
    "batch norm over all columns together": _all_columns_together,
    "batch norm with the variance over m − 1": _unbiased,
}

"""Lesson 08: what people write instead."""

import numpy as np


def _mix(old, new, share):
    return (1 - share) * old + share * new


def _swapped(x, mean, var, momentum):
    return _mix(mean, x.mean(0), 1 - momentum), _mix(var, x.var(0, ddof=1), 1 - momentum)


def _biased(x, mean, var, momentum):
    return _mix(mean, x.mean(0), momentum), _mix(var, x.var(0), momentum)


def _deviations(x, mean, var, momentum):
    return _mix(mean, x.mean(0), momentum), _mix(var, x.std(0, ddof=1), momentum)


def _in_place(x, mean, var, momentum):
    mean += momentum * (x.mean(0) - mean)
    var += momentum * (x.var(0, ddof=1) - var)
    return mean, var


def _wrong_center(x, mean, var, momentum):
    mean = _mix(mean, x.mean(0), momentum)
    return mean, _mix(var, ((x - mean) ** 2).sum(0) / (len(x) - 1), momentum)


def _as_in_training(grad_y, x, gamma, mean, var, eps):
    s = 1 / np.sqrt(var + eps)
    x_hat = (x - mean) * s
    grad_gamma, grad_beta = (grad_y * x_hat).sum(0), grad_y.sum(0)
    return gamma * s * (grad_y - grad_beta / len(x) - x_hat * grad_gamma / len(x)), grad_gamma, grad_beta


def _of_the_batch(grad_y, x, gamma, mean, var, eps):
    return _as_in_training(grad_y, x, gamma, x.mean(0), x.var(0), eps)


def _without_eps(grad_y, x, gamma, mean, var, eps):
    s = 1 / np.sqrt(var)
    return gamma * s * grad_y, (grad_y * (x - mean) * s).sum(0), grad_y.sum(0)


def _not_normalised(grad_y, x, gamma, mean, var, eps):
    return gamma / np.sqrt(var + eps) * grad_y, (grad_y * x).sum(0), grad_y.sum(0)


def _means(grad_y, x, gamma, mean, var, eps):
    s = 1 / np.sqrt(var + eps)
    return gamma * s * grad_y, (grad_y * (x - mean) * s).mean(0), grad_y.mean(0)


def _rows(w, b, gamma, beta, mean, var, eps):
    s = gamma / np.sqrt(var + eps)
    return (s * w.T).T, (b - mean) * s + beta


def _no_eps(w, b, gamma, beta, mean, var, eps):
    s = gamma / np.sqrt(var)
    return w * s, (b - mean) * s + beta


def _bias_forgotten(w, b, gamma, beta, mean, var, eps):
    s = gamma / np.sqrt(var + eps)
    return w * s, beta - mean * s


def _bias_not_scaled(w, b, gamma, beta, mean, var, eps):
    s = gamma / np.sqrt(var + eps)
    return w * s, b - mean * s + beta


def _beta_scaled(w, b, gamma, beta, mean, var, eps):
    s = gamma / np.sqrt(var + eps)
    return w * s, (b - mean + beta) * s


def _eps_outside(grad_y, x, gamma, running_mean, running_var, eps):
    s = 1 / (np.sqrt(running_var) + eps)
    return gamma * s * grad_y, (grad_y * (x - running_mean) * s).sum(0), grad_y.sum(0)


def _not_scaled(grad_y, x, gamma, running_mean, running_var, eps):
    return gamma / np.sqrt(running_var + eps) * grad_y, (grad_y * (x - running_mean)).sum(0), grad_y.sum(0)


WRONG = {
    "running": [
        ((_swapped,), "the two shares are swapped"),
        ((_biased,), "this is the biased variance"),
        ((_deviations,), "this averages standard deviations"),
        ((_in_place,), "in place"),
        ((_wrong_center,), "about the new running mean"),
    ],
    "eval-backward": [
        ((_as_in_training,), "the backward of training mode"),
        ((_of_the_batch,), "the batch's own statistics are used"),
        ((_without_eps,), "ε is missing"),
        ((_not_normalised,), "x is not normalised"),
        ((_eps_outside,), "ε is outside the root"),
        ((_not_scaled,), "x − mean is not divided by the root"),
        ((_means,), "a mean over the batch; it is a sum"),
    ],
    "fold": [
        ((_rows,), "on the rows"),
        ((_no_eps,), "ε is missing"),
        ((lambda w, b, g, be, m, v, eps: (w * g / (np.sqrt(v) + eps), b),), "ε is outside the root"),
        ((_bias_forgotten,), "the layer's old bias is forgotten"),
        ((_bias_not_scaled,), "the old bias is not scaled"),
        ((_beta_scaled,), "β is scaled too"),
    ],
}

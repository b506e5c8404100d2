"""What learners get wrong in lesson 05."""

import numpy as np


def unbiased(x, gamma, beta, eps):
    return (gamma * (x - x.mean(0)) / np.sqrt(x.var(0, ddof=1) + eps) + beta).astype(x.dtype)


def layer_norm(x, gamma, beta, eps):
    mean, var = x.mean(1, keepdims=True), x.var(1, keepdims=True)
    return (gamma * (x - mean) / np.sqrt(var + eps) + beta).astype(x.dtype)


def eps_outside(x, gamma, beta, eps):
    return (gamma * (x - x.mean(0)) / (x.std(0) + eps) + beta).astype(x.dtype)


def beta_inside(x, gamma, beta, eps):
    return (gamma * ((x - x.mean(0)) / np.sqrt(x.var(0) + eps) + beta)).astype(x.dtype)


def one_pass(x, gamma, beta, eps):
    var = (x * x).mean(0) - x.mean(0) ** 2
    return (gamma * (x - x.mean(0)) / np.sqrt(var + eps) + beta).astype(x.dtype)


def always_float64(x, gamma, beta, eps):
    x = x.astype(np.float64)
    return gamma * (x - x.mean(0)) / np.sqrt(x.var(0) + eps) + beta


WRONG = {
    "stand_out": [
        ((lambda m: float("inf"),), "There is a bound"),
        ((lambda m: m**0.5,), "all others to sit at exactly 0"),
        ((lambda m: m - 1,), "this is its square"),
        ((lambda m: (m - 1) / m**0.5,), "divided by m − 1; Algorithm 1 divides by m"),
        ((lambda m: 2.0,), "it is right for m = 5 only"),
    ],
    "undo": [
        ((lambda x, eps: (x.std(0), x.mean(0)),), "leaves out ε"),
        ((lambda x, eps: (1 / np.sqrt(x.var(0) + eps), x.mean(0)),), "divides once more"),
        ((lambda x, eps: (np.sqrt(x.var(0) + eps), -x.mean(0)),), "the sign is wrong"),
        ((lambda x, eps: (x.mean(0), np.sqrt(x.var(0) + eps)),), "return γ first"),
        ((lambda x, eps: (np.sqrt(x.var() + eps), x.mean()),), "one number for all features"),
    ],
    "bn_forward": [
        ((unbiased,), "divides by m"),
        ((layer_norm,), "layer normalization"),
        ((eps_outside,), "inside the root"),
        ((beta_inside,), "γ multiplies β too"),
        ((one_pass,), "float32 at a mean of 1,000"),
        ((always_float64,), "keep the type of x"),
    ],
}

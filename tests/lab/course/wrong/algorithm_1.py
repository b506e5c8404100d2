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


def variant(finish, variance=lambda x: x.var(0)):
    """A forward with another variance, or another use of what it is divided by."""
    return lambda x, gamma, beta, eps: finish(x, np.sqrt(variance(x) + eps), gamma, beta).astype(x.dtype)


WRONG = {
    "stand_out": [
        ((lambda m: float("inf"),), "There is a bound"),
        ((lambda m: m**0.5,), "all others to sit at exactly 0"),
        ((lambda m: m - 1,), "this is its square"),
        ((lambda m: (m - 1) / m**0.5,), "divided by m − 1; Algorithm 1 divides by m"),
        ((lambda m: 2.0,), "it is right for m = 5 only"),
        ((lambda m: ((m - 1) ** 0.5, -((m - 1) ** 0.5)),), "it should be one number"),
    ],
    "undo": [
        ((lambda x, eps: (x.std(0), x.mean(0)),), "leaves out ε"),
        ((lambda x, eps: (1 / np.sqrt(x.var(0) + eps), x.mean(0)),), "divides once more"),
        ((lambda x, eps: (np.sqrt(x.var(0) + eps), -x.mean(0)),), "the sign is wrong"),
        ((lambda x, eps: (x.mean(0), np.sqrt(x.var(0) + eps)),), "return γ first"),
        ((lambda x, eps: (np.sqrt(x.var() + eps), x.mean()),), "one number for all features"),
        ((lambda x, eps: (x.var(0), x.mean(0)),), "this is the variance alone"),
        ((lambda x, eps: (np.ones(x.shape[1]), x.mean(0)),), "leaves the batch normalised"),
        ((lambda x, eps: (np.sqrt(x.var(0) + 1e-5), x.mean(0)),), "takes ε to be 1e-5"),
        ((lambda x, eps: (x.std(0, ddof=1), x.mean(0)),), "divides by m − 1, and leaves out ε"),
        ((lambda x, eps: (np.sqrt(x.var(0) + eps), -x.mean(0) / np.sqrt(x.var(0) + eps)),), "β is added after it"),
        ((lambda x, eps: (np.sqrt(x.var(0) + eps), x.mean(0) * np.sqrt(x.var(0) + eps)),), "γ does not multiply β"),
    ],
    "bn_forward": [
        ((unbiased,), "divides by m"),
        ((layer_norm,), "layer normalization"),
        ((eps_outside,), "inside the root"),
        ((beta_inside,), "γ multiplies β too"),
        ((one_pass,), "float32 at a mean of 1,000"),
        ((always_float64,), "keep the type of x"),
        ((variant(lambda x, s, g, b: g * (x - x.mean(0)) / s),), "β is missing"),
        ((variant(lambda x, s, g, b: (x - x.mean(0)) / s + b),), "γ is missing"),
        ((variant(lambda x, s, g, b: g * (x - x.mean(0)) / s - b),), "β is subtracted"),
        ((variant(lambda x, s, g, b: g * x / s + b),), "the mean is not subtracted"),
        ((variant(lambda x, s, g, b: g * (x / s - x.mean(0)) + b),), "subtracted after the division"),
        ((variant(lambda x, s, g, b: g * (x - x.mean(0)) / s + b, lambda x: (x**2).mean(0)),), "not of x²"),
        (
            (variant(lambda x, s, g, b: g * (x - x.mean(0)) / s + b, lambda x: len(x) * x.var(0)),),
            "squares are added up",
        ),
    ],
}

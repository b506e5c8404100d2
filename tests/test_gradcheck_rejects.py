"""gradcheck rejects wrong backward passes: the mistakes that people make, each beside the correct version it passes.

The correct versions stand here too, in plain NumPy, because a check that rejects everything would prove nothing.
"""

import numpy as np
import pytest

from minidl import Tensor
from minidl.gradcheck import GradientError, gradcheck

EPS = 1e-5


def op(forward, backward):
    """An operation on Tensors from forward(*arrays) -> (y, kept) and backward(grad_y, *kept) -> gradients."""

    def call(*tensors):
        y, kept = forward(*[tensor.data for tensor in tensors])
        return Tensor._from_op(y, tensors, lambda grad_y: backward(grad_y, *kept))

    return call


# --- batch normalization -----------------------------------------------------------------------------------------


def normalise(x, gamma, beta):
    inv_std = 1 / np.sqrt(x.var(axis=0) + EPS)
    x_hat = (x - x.mean(axis=0)) * inv_std
    return x_hat * gamma + beta, (x_hat, inv_std, gamma)


def normalise_grad(grad_y, x_hat, inv_std, gamma):
    grad_x = gamma * inv_std * (grad_y - grad_y.mean(axis=0) - x_hat * (grad_y * x_hat).mean(axis=0))
    return grad_x, (grad_y * x_hat).sum(axis=0), grad_y.sum(axis=0)


def constant_statistics(grad_y, x_hat, inv_std, gamma):
    """As if neither mean nor variance depended on x: what §2 of the paper warns of."""
    return gamma * inv_std * grad_y, *normalise_grad(grad_y, x_hat, inv_std, gamma)[1:]


def constant_variance(grad_y, x_hat, inv_std, gamma):
    grad_x = gamma * inv_std * (grad_y - grad_y.mean(axis=0))
    return grad_x, *normalise_grad(grad_y, x_hat, inv_std, gamma)[1:]


def constant_mean(grad_y, x_hat, inv_std, gamma):
    grad_x = gamma * inv_std * (grad_y - x_hat * (grad_y * x_hat).mean(axis=0))
    return grad_x, *normalise_grad(grad_y, x_hat, inv_std, gamma)[1:]


def unbiased_variance(grad_y, x_hat, inv_std, gamma):
    """The variance term divided by m − 1, although the forward pass divided by m."""
    m = len(grad_y)
    grad_x = gamma * inv_std * (grad_y - grad_y.mean(axis=0) - x_hat * (grad_y * x_hat).sum(axis=0) / (m - 1))
    return grad_x, *normalise_grad(grad_y, x_hat, inv_std, gamma)[1:]


def forgotten_gamma(grad_y, x_hat, inv_std, gamma):
    grad_x, grad_gamma, grad_beta = normalise_grad(grad_y, x_hat, inv_std, gamma)
    return grad_x / gamma, grad_gamma, grad_beta


def gamma_from_y(grad_y, x_hat, inv_std, gamma):
    """∂γ from y in place of x̂."""
    grad_x, _, grad_beta = normalise_grad(grad_y, x_hat, inv_std, gamma)
    return grad_x, (grad_y * x_hat * gamma).sum(axis=0), grad_beta


def mean_for_beta(grad_y, x_hat, inv_std, gamma):
    grad_x, grad_gamma, grad_beta = normalise_grad(grad_y, x_hat, inv_std, gamma)
    return grad_x, grad_gamma, grad_beta / len(grad_y)


def nothing_for_x(grad_y, x_hat, inv_std, gamma):
    return np.zeros_like(grad_y), *normalise_grad(grad_y, x_hat, inv_std, gamma)[1:]


WRONG_NORMS = [
    constant_statistics, constant_variance, constant_mean, unbiased_variance, forgotten_gamma, gamma_from_y,
    mean_for_beta, nothing_for_x,
]  # fmt: skip


def norm_inputs(m):
    rng = np.random.default_rng(0)
    return rng.standard_normal((m, 3)), *rng.standard_normal((2, 3))


def accepts(f, *arrays, seed=1, **options):
    gradcheck(f, *arrays, generator=np.random.default_rng(seed), **options)


def rejects(f, *arrays, seed=1):
    with pytest.raises(GradientError):
        gradcheck(f, *arrays, generator=np.random.default_rng(seed))


def test_accepts_the_batch_norm_of_the_paper():
    accepts(op(normalise, normalise_grad), *norm_inputs(8))


@pytest.mark.parametrize("wrong", WRONG_NORMS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("m", [5, 8, 60])
def test_rejects_wrong_batch_norms(wrong, m):
    rejects(op(normalise, wrong), *norm_inputs(m))


def test_two_examples_hide_a_missing_gradient():
    """Why checks need m ≥ 5: of two examples, x̂ is ±1 whatever x is, and a gradient of zero is right (but for ε)."""
    x, gamma, beta = norm_inputs(2)
    accepts(op(normalise, nothing_for_x), 1e4 * x, gamma, beta)


def test_a_loss_that_sums_hides_a_missing_gradient():
    """Why the cotangent is random: Σy is β·m whatever x is."""

    def summed(wrong):
        return lambda *tensors: op(normalise, wrong)(*tensors).sum()

    accepts(summed(nothing_for_x), *norm_inputs(8))


def test_gamma_of_one_hides_a_forgotten_gamma():
    """Why γ is random."""
    x, _, beta = norm_inputs(8)
    accepts(op(normalise, forgotten_gamma), x, np.ones(3), beta)


# --- sigmoid, softmax, linear, convolution, max pooling ----------------------------------------------------------


def sigmoid(x):
    y = 1 / (1 + np.exp(-x))
    return y, (y,)


def silu(x):
    y = 1 / (1 + np.exp(-x))
    return x * y, (x, y)


def group_norm(x):
    """Two groups of two channels, over pixels too: x is (N, P, 4)."""
    parts = x.reshape(len(x), -1, 2, 2)
    inv_std = 1 / np.sqrt(parts.var((1, 3), keepdims=True) + EPS)
    x_hat = (parts - parts.mean((1, 3), keepdims=True)) * inv_std
    return x_hat.reshape(x.shape), (x_hat, inv_std)


def group_norm_grad(grad_y, x_hat, inv_std, over=(1, 3), stretch=1):
    grad = grad_y.reshape(x_hat.shape)
    projection = x_hat * (grad * x_hat).mean(over, keepdims=True)
    return ((inv_std * (grad - grad.mean(over, keepdims=True) - stretch * projection)).reshape(grad_y.shape),)


def softmax(x):
    y = np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)
    return y, (y,)


def linear(x, weight, bias):
    return x @ weight + bias, (x, weight)


def row_convolution(x, weight):
    """One-dimensional, one channel: y[p] = Σ_i x[p + i] · weight[i]."""
    return np.correlate(x, weight, mode="valid"), (x, weight)


def row_convolution_grad(grad_y, x, weight):
    return np.convolve(grad_y, weight, mode="full"), np.correlate(x, grad_y, mode="valid")


def unflipped_kernel(grad_y, x, weight):
    return np.correlate(grad_y, weight, mode="full"), np.correlate(x, grad_y, mode="valid")


def pairwise_max(x):
    return x.reshape(-1, 2).max(axis=1), (x,)


RIGHT = {
    "sigmoid": (sigmoid, lambda grad_y, y: (grad_y * y * (1 - y),)),
    "silu": (silu, lambda grad_y, x, y: (grad_y * y * (1 + x * (1 - y)),)),
    "group norm": (group_norm, group_norm_grad),
    "softmax": (softmax, lambda grad_y, y: (y * (grad_y - (grad_y * y).sum(axis=-1, keepdims=True)),)),
    "linear": (linear, lambda grad_y, x, weight: (grad_y @ weight.T, x.T @ grad_y, grad_y.sum(axis=0))),
    "convolution": (row_convolution, row_convolution_grad),
    "max pooling": (
        pairwise_max,
        lambda grad_y, x: ((np.repeat(grad_y, 2) * (x == np.repeat(pairwise_max(x)[0], 2))),),
    ),
}
WRONG = {
    "sigmoid without (1 - y)": (sigmoid, lambda grad_y, y: (grad_y * y,)),
    "sigmoid with y(1 + y)": (sigmoid, lambda grad_y, y: (grad_y * y * (1 + y),)),
    "silu as if the sigmoid were a constant": (silu, lambda grad_y, x, y: (grad_y * y,)),
    "silu by y in place of x": (silu, lambda grad_y, x, y: (grad_y * (y + x * y * (1 - x * y)),)),
    "group norm with constant statistics": (
        group_norm,
        lambda grad_y, _, s: (grad_y * s.repeat(2, 3).reshape(-1, 1, 4),),
    ),
    "group norm with a constant variance": (group_norm, lambda *given: group_norm_grad(*given, stretch=0)),
    "group norm over the channels of a pixel": (group_norm, lambda *given: group_norm_grad(*given, over=(3,))),
    "group norm over the pixels of a channel": (group_norm, lambda *given: group_norm_grad(*given, over=(1,))),
    "softmax as if elementwise": (softmax, lambda grad_y, y: (grad_y * y * (1 - y),)),
    "linear: bias gets the mean": (linear, lambda grad_y, x, w: (grad_y @ w.T, x.T @ grad_y, grad_y.mean(axis=0))),
    "linear: square weight not transposed": (
        linear,
        lambda grad_y, x, w: (grad_y @ w, x.T @ grad_y, grad_y.sum(axis=0)),
    ),
    "linear: no gradient for the weight": (linear, lambda grad_y, x, w: (grad_y @ w.T, 0 * w, grad_y.sum(axis=0))),
    "convolution: kernel not flipped": (row_convolution, unflipped_kernel),
    "max pooling shares the gradient": (pairwise_max, lambda grad_y, x: (np.repeat(grad_y, 2) / 2,)),
}
INPUTS = {
    "sigmoid": [(6, 4)],
    "silu": [(6, 4)],
    "group norm": [(5, 3, 4)],
    "softmax": [(6, 4)],
    "linear": [(6, 4), (4, 4), (4,)],
    "convolution": [(12,), (4,)],
    "max pooling": [(12,)],
}


def inputs(name):
    rng = np.random.default_rng(0)
    family = next(family for family in INPUTS if name.startswith(family))
    return [rng.standard_normal(shape) for shape in INPUTS[family]]


@pytest.mark.parametrize("name", RIGHT)
def test_accepts_right_gradients(name):
    accepts(op(*RIGHT[name]), *inputs(name))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", WRONG)
def test_rejects_wrong_gradients(name, seed):
    rejects(op(*WRONG[name]), *inputs(name), seed=seed)


def test_rejects_a_gradient_of_the_wrong_sign_and_of_one_part_in_100_000():
    for factor in (-1, 1 + 1e-5):

        def square_grad(grad_y, x, factor=factor):
            return (factor * 2 * x * grad_y,)

        rejects(op(lambda x: (x * x, (x,)), square_grad), np.random.default_rng(0).standard_normal(20))

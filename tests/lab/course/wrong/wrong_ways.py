"""Lesson 04."""

import numpy as np

from minidl import functional as F
from minidl.tensor import Tensor

RNG = np.random.default_rng(0)


def sums(bn, m=30, g=None, x_hat=None):
    """(Σ ∂x, Σ ∂x·x̂) of three columns, as shares of the gradient."""
    data = RNG.normal(1, 2, (m, 3))
    x = Tensor(data, requires_grad=True)
    y = bn(x)
    y.backward(RNG.standard_normal((m, 3)) if g is None else g(y))
    x_hat = (data - data.mean(0)) / data.std(0) if x_hat is None else x_hat(data, y.data)
    size = np.abs(x.grad).sum()
    return np.abs(x.grad.sum(0)).max() / size, np.abs((x.grad * x_hat).sum(0)).max() / size


def judge(first, second, tol=1e-3):
    return {name for name, value in (("mean", first), ("variance", second)) if not value <= tol}


def with_ones(bn):
    return judge(*sums(bn, g=lambda y: np.ones(y.shape)))


def two_examples(bn):
    return judge(*sums(bn, m=2))


def the_other_way_round(bn):
    return judge(*sums(bn)[::-1])


def lenient(bn):
    return judge(*sums(bn), tol=0.3)


def without_sizes(bn):
    data, g = RNG.normal(1, 2, (30, 1)), RNG.standard_normal((30, 1))
    x = Tensor(data, requires_grad=True)
    bn(x).backward(g)
    x_hat = (data - data.mean(0)) / data.std(0)
    size = np.abs(x.grad).sum()
    return judge(x.grad.sum() / size, (x.grad * x_hat).sum() / size)


def y_for_x_hat(bn):
    return judge(*sums(bn, x_hat=lambda x, y: y))


def exactly_zero(bn):
    return judge(*sums(bn), tol=0)


def compares_with_the_right_one(bn):
    def gradient(f):
        x = Tensor(data, requires_grad=True)
        f(x).backward(g)
        return x.grad

    data, g = RNG.normal(1, 2, (30, 3)), RNG.standard_normal((30, 3))
    right = gradient(lambda x: F.batch_norm(x, None, None, training=True))
    return set() if np.allclose(gradient(bn), right, rtol=1e-3) else {"mean", "variance"}


TRUTH = {"A": {"variance"}, "B": set(), "C": {"mean", "variance"}, "D": {"mean"}}

WRONG = {
    "runaway": [
        ((lambda u, t, lr, steps: -lr * steps * t.mean(),), "it goes the wrong way"),
        ((lambda u, t, lr, steps: lr * steps * t.sum(),), "it is m times too far"),
        ((lambda u, t, lr, steps: 0.0,), "this is what the true gradient does"),
        ((lambda u, t, lr, steps: t.mean() * (1 - (1 - lr) ** steps),), "this settles where the loss would have"),
        ((lambda u, t, lr, steps: lr * steps * (t - u).mean(),), "this pulls u + b to t"),
        ((lambda u, t, lr, steps: lr * steps,), "it takes t to be 1"),
        ((lambda u, t, lr, steps: lr * steps * t,), "b is one number"),
        ((lambda u, t, lr, steps: steps * t.mean(),), "the learning rate is missing"),
        ((lambda u, t, lr, steps: lr * steps * t.mean() / len(t),), "m times too near"),
        ((lambda u, t, lr, steps: lr * (steps - 1) * t.mean(),), "one step too few"),
    ],
    "detective": [
        ((with_ones,), "the same for all examples"),
        ((two_examples,), "You feed it a batch of 2"),
        ((the_other_way_round,), "where the mean is missing"),
        ((lenient,), "a hundredth of Σ |∂x| is more than rounding"),
        ((without_sizes,), "A sum below 0 is as bad"),
        ((y_for_x_hat,), "Take x̂ itself"),
        ((exactly_zero,), "not with exactly 0"),
        ((compares_with_the_right_one,), "does not say where"),
    ],
    "suspects": [
        ((TRUTH | {"B": {"mean"}},), "B is innocent"),
        ((TRUTH | {"A": {"mean", "variance"}},), "A does not miss the mean"),
        ((TRUTH | {"C": {"mean"}},), "that is not all"),
        ((TRUTH | {"D": set()},), "D is not innocent"),
    ],
}

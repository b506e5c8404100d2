"""What learners get wrong in lesson 16."""

import numpy as np

from minidl.lab.course.alternatives import normalise, three_norms
from minidl.tensor import Tensor


def other_axes(x, axes, eps):
    return normalise(x, tuple(i for i in range(x.ndim) if i not in axes), eps)


def stopped(x, axes, eps):
    distance = x - x.mean(axes, keepdims=True).detach()
    return distance / ((distance * distance).mean(axes, keepdims=True).detach() + eps) ** 0.5


def numbers_only(x, axes, eps):
    return Tensor(normalise(x, axes, eps).data)


def examples_alone(x, groups, eps):
    _, layer, group = three_norms(x, groups, eps)
    return normalise(x, (0,), eps), layer, group


def far_channels(x, groups, eps):
    batch, layer, _ = three_norms(x, groups, eps)
    parts = x.reshape(*x.shape[:3], -1, groups)
    return batch, layer, normalise(parts, (1, 2, 3), eps).reshape(*x.shape)


def before_and_after(norm, change, x, w):
    return norm(x @ w), norm(np.matmul(*change(x, w)))


def exactly(norm, change, x, w):
    a, b = before_and_after(norm, change, x, w)
    return bool((a[0] == b[0]).all())


def everywhere(norm, change, x, w):
    a, b = before_and_after(norm, change, x, w)
    return bool(np.abs(a - b).max() < 1e-3)


def without_abs(norm, change, x, w):
    a, b = before_and_after(norm, change, x, w)
    return bool((b[0] - a[0]).max() < 1e-3)


def of_the_sums(norm, change, x, w):
    return bool(np.abs((x @ w - np.matmul(*change(x, w)))[0]).max() < 1e-3)


def first_alone(norm, change, x, w):
    changed, weights = change(x, w)
    return bool(np.abs(norm(x[:1] @ w) - norm(changed[:1] @ weights)).max() < 1e-3)


WRONG = {
    "three_norms": [
        ((other_axes, three_norms), "these are the other axes"),
        ((stopped, three_norms), "through both mean and variance"),
        ((numbers_only, three_norms), "cut it from x"),
        ((normalise, examples_alone), "over the examples alone"),
        ((normalise, far_channels), "a group is of neighbours"),
    ],
    "unchanged": [
        ((exactly,), "with a tolerance"),
        ((everywhere,), "only the first one counts"),
        ((without_abs,), "take the absolute difference"),
        ((of_the_sums,), "not the sums"),
        ((first_alone,), "run norm on the whole table"),
    ],
    "whitened_distance": [
        ((lambda m: 2 * m,), "the squared distance"),
        ((lambda m: (m - 1) ** 0.5,), "from the *mean*"),
        ((lambda m: (2 * (m - 1)) ** 0.5,), "at right angles"),
        ((lambda m: 2**0.5,), "sum to m"),
    ],
}

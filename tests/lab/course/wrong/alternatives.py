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


def first_axis(x, axes, eps):
    return normalise(x, axes[:1], eps)


def sum_of_squares(x, axes, eps):
    d = x - x.mean(axes, keepdims=True)
    return d / ((d * d).sum(axes, keepdims=True) + eps) ** 0.5


def own_epsilon(x, axes, eps):
    return normalise(x, axes, 1e-5)


def two_groups(x, groups, eps):
    return three_norms(x, 2 if x.shape[3] % 2 == 0 else 1, eps)


def group_without_pixels(x, groups, eps):
    parts = x.reshape(*x.shape[:3], groups, -1)
    return *three_norms(x, groups, eps)[:2], normalise(parts, (3, 4), eps).reshape(*x.shape)


def left_in_groups(x, groups, eps):
    parts = x.reshape(*x.shape[:3], groups, -1)
    return *three_norms(x, groups, eps)[:2], normalise(parts, (1, 2, 4), eps)


def turned_around(x, groups, eps):
    return three_norms(x, groups, eps)[::-1]


def cut_from_x(x, groups, eps):
    return tuple(Tensor(y.data, requires_grad=True) for y in three_norms(x, groups, eps))


def mean_difference(norm, change, x, w):
    a, b = before_and_after(norm, change, x, w)
    return bool(np.abs(a[0] - b[0]).mean() < 1e-3)


def to_a_tenth(norm, change, x, w):
    a, b = before_and_after(norm, change, x, w)
    return bool(np.abs(a[0] - b[0]).max() < 0.1)


def allclose(norm, change, x, w):
    a, b = before_and_after(norm, change, x, w)
    return bool(np.allclose(a[0], b[0]))


def without_order(norm, change, x, w):
    a, b = before_and_after(norm, change, x, w)
    return bool(np.abs(np.sort(a[0]) - np.sort(b[0])).max() < 1e-3)


def inverted(norm, change, x, w):
    a, b = before_and_after(norm, change, x, w)
    return bool(np.abs(a[0] - b[0]).max() > 1e-3)


def only_the_weights(norm, change, x, w):
    return bool(np.abs(norm(x @ w)[0] - norm(x @ change(x, w)[1])[0]).max() < 1e-3)


def only_the_inputs(norm, change, x, w):
    return bool(np.abs(norm(x @ w)[0] - norm(change(x, w)[0] @ w)[0]).max() < 1e-3)


WRONG = {
    "three_norms": [
        ((other_axes, three_norms), "these are the other axes"),
        ((stopped, three_norms), "through both mean and variance"),
        ((numbers_only, three_norms), "cut it from x"),
        ((normalise, examples_alone), "over the examples alone"),
        ((normalise, far_channels), "a group is of neighbours"),
        ((first_axis, three_norms), "only the first"),
        ((sum_of_squares, three_norms), "average them"),
        ((own_epsilon, three_norms), "it should be `eps`"),
        ((normalise, two_groups), "two groups, whatever"),
        ((normalise, group_without_pixels), "one mean for each pixel"),
        ((normalise, left_in_groups), "not back in their shape"),
        ((normalise, turned_around), "the order is BN, LN, GN"),
        ((normalise, cut_from_x), "cut it off"),
    ],
    "unchanged": [
        ((exactly,), "with a tolerance"),
        ((everywhere,), "only the first one counts"),
        ((without_abs,), "take the absolute difference"),
        ((of_the_sums,), "not the sums"),
        ((first_alone,), "run norm on the whole table"),
        ((mean_difference,), "not the mean"),
        ((to_a_tenth,), "one unit moved by 0.004"),
        ((allclose,), "tolerance"),
        ((without_order,), "units have changed places"),
        ((inverted,), "nothing was changed at all"),
        ((only_the_weights,), "x has changed"),
        ((only_the_inputs,), "w has changed"),
    ],
    "whitened_distance": [
        ((lambda m: 2 * m,), "the squared distance"),
        ((lambda m: (m - 1) ** 0.5,), "from the *mean*"),
        ((lambda m: (2 * (m - 1)) ** 0.5,), "at right angles"),
        ((lambda m: 2**0.5,), "sum to m"),
        ((lambda m: m,), "half of the *squared* distance"),
        ((lambda m: 2 * m**0.5,), "on opposite sides"),
    ],
}

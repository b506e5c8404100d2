"""Checks of lesson 16 (alternatives): three norms from one function, what a norm cannot see, whitening of a small batch."""

from itertools import pairwise

import numpy as np

from minidl.lab.course import alternatives
from minidl.lab.course._check import Wrong, ask, compare, exercise
from minidl.tensor import Tensor

__all__ = ["three_norms", "unchanged", "whitened_distance"]


@exercise(
    "three_norms",
    hints=(
        "Which lines of `normalise` know about axes? What must the mean's shape be, so that it can be subtracted from x?",
        "normalise: the distance from the mean (keepdims=True), then the mean of its square, over the same axes. For images "
        "(N, H, W, C), BN leaves only the channel its own; LN leaves only the example.",
        "For GN cut the channels in two axes, (N, H, W, groups, C/groups); a set is one example and one group, so the axes "
        "are 1, 2 and 4. Then give the result the shape of x.",
    ),
)
def three_norms(normalise, norms):
    """One function of the axes makes batch, layer and group norm, and autograd has its gradient."""
    generator = np.random.default_rng()
    x = generator.standard_normal((7, 5, 4)) * generator.uniform(1, 3, (7, 1, 4)) + generator.uniform(1, 3, (5, 4))
    for axes in ((0,), (2,), (0, 1)):
        right, wrong = _normalised(x, axes, eps := float(generator.uniform(0.1, 0.3)))
        got, given = _asked(normalise, x, axes, eps)
        where = f"normalise of {x.shape} over the axes {axes}"
        _compare(where, got, given, right(Tensor(x)).data, wrong, lambda t, right=right: right(t))
    channels = generator.permutation([2, 3, 4]).tolist()
    for groups, size in pairwise(channels):  # never equal, and never one number of groups
        n, height, width = (int(generator.integers(2, 5)) for _ in range(3))
        x = generator.standard_normal((n, height, width, groups * size)) * generator.uniform(1, 3, groups * size)
        x += generator.uniform(0, 3, (n, 1, 1, groups * size))
        for i, (name, wrong) in enumerate(_confusions(x, groups, eps).items()):
            got, given = _asked(
                norms, x, groups, eps
            )  # again for each: a graph is walked once, and three may share a part
            if not isinstance(got, tuple | list) or len(got) != 3:
                raise Wrong("three_norms should return three Tensors: batch norm, layer norm and group norm.")
            wanted = alternatives.three_norms(Tensor(x), groups, eps)[i].data
            _compare(
                name, got[i], given, wanted, wrong, lambda t, i=i, g=groups: alternatives.three_norms(t, g, eps)[i]
            )


def _asked(function, x, *arguments):
    """The answer for a Tensor of x, and this Tensor, which must not have changed."""
    given = Tensor(x.copy(), requires_grad=True)
    got = ask(function, given, *arguments)
    if not np.array_equal(given.data, x):
        raise Wrong("Your function changes x in place, and others still need it; make a new Tensor.")
    return got, given


def _compare(what, got, given, want, wrong, right):
    """Compare the numbers, then the gradient for a random cotangent."""
    if not isinstance(got, Tensor):
        raise Wrong(
            f"{what} is a {type(got).__name__}; it should be a Tensor, made from x by Tensor operations, so that autograd "
            "has the gradient."
        )
    compare(
        what, got.data, want, tol=1e-7, instead=wrong, hint="First the mean, then the mean square of the distances."
    )
    if not got.requires_grad:
        raise Wrong(f"{what} has the right numbers and no gradient: `.data` or `.detach()` cut it from x.")
    cotangent = np.random.default_rng().standard_normal(want.shape)
    try:
        (got * cotangent).sum().backward()
    except RuntimeError as error:
        raise Wrong(f"{what} has the right numbers, and its graph cannot be walked: {error}.") from None
    if given.grad is None:
        raise Wrong(
            f"{what} has the right numbers, and no gradient comes back to x: `.data` or `.detach()` cut it off."
        )
    again = Tensor(given.data, requires_grad=True)
    (right(again) * cotangent).sum().backward()
    compare(
        f"the gradient of {what}",
        given.grad,
        again.grad,
        tol=1e-7,
        hint="The numbers are right. Does the gradient flow through both mean and variance, without `.data`?",
    )


def _normalised(x, axes, eps):
    """The right function, and misconception → what it returns for x."""
    mean, var = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    others = tuple(i for i in range(x.ndim) if i not in axes)
    count = x.size // mean.size
    return lambda t: alternatives.normalise(t, axes, eps), {
        "these are the other axes: `axes` are those that *share* a mean, and those left out keep their own": (
            (x - x.mean(others, keepdims=True)) / np.sqrt(x.var(others, keepdims=True) + eps)
        ),
        "the variance is divided by the count less 1; the norms divide by the count": (
            (x - mean) / np.sqrt(var * count / (count - 1) + eps)
        ),
        "ε is added to the standard deviation; it belongs inside the root": (x - mean) / (np.sqrt(var) + eps),
        "ε is missing": (x - mean) / np.sqrt(var),
        "the root of the variance is missing": (x - mean) / (var + eps),
        "this divides by the root of the mean square of x; of its *distance from the mean*": (
            (x - mean) / np.sqrt((x * x).mean(axes, keepdims=True) + eps)
        ),
        "the mean is not subtracted": x / np.sqrt(var + eps),
        "this has one mean for everything": (x - x.mean()) / np.sqrt(x.var() + eps),
        "these are not all of `axes`, only the first": (
            (x - x.mean(axes[0], keepdims=True)) / np.sqrt(x.var(axes[0], keepdims=True) + eps)
        ),
        "this adds up the squares; average them": (x - mean) / np.sqrt(var * count + eps),
        "this adds 1e-5; it should be `eps`": (x - mean) / np.sqrt(var + 1e-5),
        "this divides by the mean *distance*; it should be the root of the mean square": (
            (x - mean) / (np.abs(x - mean).mean(axes, keepdims=True) + eps)
        ),
    }


def _confusions(x, groups, eps):
    """Norm → misconception → what it returns for images x."""

    def over(axes, t=x):
        return alternatives.normalise(Tensor(t), axes, eps).data

    shape = (*x.shape[:3], groups, -1)
    batch, layer, group = (y.data for y in alternatives.three_norms(Tensor(x), groups, eps))
    swapped = x.reshape(*x.shape[:3], -1, groups)
    tiny = alternatives.three_norms(Tensor(x), groups, 1e-5)[2].data
    turned = x.transpose(0, 3, 1, 2).reshape(len(x), groups, -1)
    return {
        "batch norm": {
            "this is layer norm": layer,
            "this is over the examples alone; for images the pixels share the mean of their channel, too": over((0,)),
            "this is over the pixels of each example alone (instance norm); BN takes all examples": over((1, 2)),
            "this is group norm; the order is BN, LN, GN": group,
            "one axis of the pixels is left out": over((0, 1)),
            "the other axis of the pixels is left out": over((0, 2)),
        },
        "layer norm": {
            "this is batch norm; what has a mean of its own here is the example": batch,
            "this is over the channels of each pixel; here LN is over all of an example": over((3,)),
            "this is group norm": group,
            "this is over the pixels of each channel (instance norm); LN takes all channels of an example": over(
                (1, 2)
            ),
        },
        "group norm": {
            "this is layer norm: one group for all channels": layer,
            "the examples share a mean; a set is one example's": over((0, 1, 2, 4), x.reshape(shape)).reshape(x.shape),
            "the pixels are left out; a group's pixels share the mean": over((4,), x.reshape(shape)).reshape(x.shape),
            "these are two groups, whatever `groups` is": over(
                (1, 2, 4), x.reshape(*x.shape[:3], 2, -1) if x.shape[-1] % 2 == 0 else x[..., None]
            ).reshape(x.shape),
            "these are `groups` channels in a set; it should be `groups` sets": (
                over((1, 2, 4), swapped).reshape(x.shape)
            ),
            "these groups are of channels that lie `groups` apart; a group is of neighbours": (
                over((1, 2, 3), swapped).reshape(x.shape)
            ),
            "this is the mean over the groups, and each channel within has its own; a group's channels share one": (
                over((1, 2, 3), x.reshape(shape)).reshape(x.shape)
            ),
            "this is batch norm; the order is BN, LN, GN": batch,
            "this adds 1e-5; it should be `eps`": tiny,
            "this is one mean for each pixel; a group's pixels share it": (
                over((3, 4), x.reshape(shape)).reshape(x.shape)
            ),
            "each channel has its own mean (instance norm); a group's channels share one": over((1, 2)),
            "the numbers are in groups, and not back in their shape": over((1, 2, 4), x.reshape(shape)),
            "the channels were moved before the pixels for the groups, and are not moved back": (
                over((2,), turned).reshape(x.shape)
            ),
            "a reshape does not move the channels: cut the last axis, the first one stays": (
                over((2,), x.reshape(len(x), groups, -1)).reshape(x.shape)
            ),
        },
    }


@exercise(
    "unchanged",
    hints=(
        "Which two tables must you compute, and which row of them do you compare?",
        "Before: norm of x @ w. After: the same with what `change` returns, both of its parts. Take row 0 of each.",
        "The largest of the absolute differences, over all units, against 0.001.",
    ),
)
def unchanged(answer):
    """You can find out by experiment what a norm does not see."""
    generator = np.random.default_rng()
    for norm, change, truth, otherwise in _cases(generator):
        x, w = generator.uniform(0.5, 2, (9, 6)), generator.uniform(0.5, 2, (6, 5)) + 2 * np.eye(6, 5)
        got = ask(answer, norm, change, x, w)
        if not isinstance(got, bool | np.bool_):
            raise Wrong(f"Your function returns a {type(got).__name__}; it should return True or False.")
        if bool(got) != truth:
            raise Wrong(f"For one norm and change it says {bool(got)}, and it is {truth}: {otherwise}.")


def _cases(generator):
    """(norm, change, whether the first example stays, what is wrong with an answer that says otherwise)."""

    def over(axis, eps=1e-5):
        return lambda s: (s - s.mean(axis, keepdims=True)) / np.sqrt(s.var(axis, keepdims=True) + eps)

    def last_unit(x, w):
        w = w.copy()
        w[:, -1] *= -1
        return x, w

    def first_example(x, w):
        x = x.copy()
        x[0] = x[0] ** 2 * [1, 2, 3, 1, 2, 3]
        return x, w

    def mates(x, w):
        x = x.copy()
        x[1:] = x[:0:-1] ** 2 + 3
        return x, w

    def by_largest(s):
        return s / s.max(0)

    def a_little(size, units):
        def change(x, w):
            w = w.copy()
            w[:, units] += 10 * size * (x[0] / (x[0] @ x[0]))[:, None]
            return x, w

        return change

    def shared(s):
        return s / 10  # about 1 in size

    a = float(generator.uniform(2, 4))
    yield over(1), lambda x, w: (x, w), True, "nothing was changed at all; True is for outputs that stay"
    yield shared, lambda x, w: (a * x, w), False, "x has changed, and the outputs with it; `change` returns x and w"
    yield shared, lambda x, w: (x, a * w), False, "w has changed, and the outputs with it; `change` returns x and w"
    yield over(1, 0), lambda x, w: (x, 4 * w), True, "compare what norm returns, not the sums x @ w"
    yield over(1), lambda x, w: (x, a * w), True, "rounding changes the last digits; compare with a tolerance"
    yield over(1), mates, True, "it compares all examples; only the first one counts"
    yield lambda s: s, lambda x, w: (x, w / a), False, "all outputs became smaller; take the absolute difference"
    yield by_largest, mates, False, "batch-mates move the first example's output; run norm on the whole table"
    yield over(0), lambda x, w: (x, -w), False, "the outputs have changed their signs; do not square them, nor take |·|"
    yield over(0, 0), lambda x, w: (x + 1.0, a * w), True, "`change` returns both, x and w; use both"
    yield shared, a_little(4e-4, slice(None)), True, "nothing moved by more than 0.0004; the tolerance is 0.001"
    yield (
        shared,
        a_little(4e-3, slice(2, 3)),
        False,
        ("one unit moved by 0.004, and the tolerance is 0.001; take the largest difference, not the mean"),
    )
    yield over(0), lambda x, w: (x, w[:, ::-1]), False, "units have changed places; compare each with itself, unsorted"
    yield over(0), last_unit, False, "one unit's output has changed; look at all of them"
    yield over(1), first_example, False, "the mean over the units stays 0, whatever happens; compare each unit's output"
    yield (
        over(0),
        first_example,
        False,
        "mean and variance stay, as the norm sees to it; compare the outputs themselves",
    )


@exercise(
    "whitened_distance",
    hints=(
        "The whitened table y has m rows. In how many directions does it vary, and with which variance in each?",
        "In m − 1 directions, with variance 1. So the squares of all numbers in y sum to m·(m − 1). All rows are alike: "
        "what is yᵢ·yᵢ of one row? And what is yᵢ·yⱼ of two rows, if all rows add up to 0?",
        "yᵢ·yᵢ = m − 1. The rows add up to 0, so yᵢ·yᵢ and the other m − 1 products yᵢ·yⱼ sum to 0: each is −1. The squared "
        "distance of two rows is yᵢ·yᵢ + yⱼ·yⱼ − 2 yᵢ·yⱼ.",
    ),
)
def whitened_distance(answer):
    """You know what whitening makes of a small batch: all examples are equally far apart."""
    for m in np.random.default_rng().integers(5, 40, 4).tolist():
        compare(
            f"the distance for m = {m}",
            ask(answer, m),
            alternatives.whitened_distance(m),
            tol=1e-6,
            instead={
                "this is the squared distance; take the root": 2 * m,
                "this has one row in it, and two count: yᵢ·yᵢ + yⱼ·yⱼ − 2 yᵢ·yⱼ": m**0.5,
                "this is an example's distance from the *mean*, not from another example": (m - 1) ** 0.5,
                "this takes the rows to be at right angles; they add up to 0, so yᵢ·yⱼ is −1": (2 * (m - 1)) ** 0.5,
                "the variance in each direction is 1, so the squares of all m examples sum to m": 2**0.5,
                "this is half of the *squared* distance": m,
                "this is for two on opposite sides of the mean; they are at nearly right angles": 2 * m**0.5,
                "the product of two rows is −1, and it is subtracted: the distance grows by it": (2 * (m - 2)) ** 0.5,
            },
            hint="Try m = 2: the only direction has the values 1 and −1, which are 2 apart.",
        )

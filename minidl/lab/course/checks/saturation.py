"""Checks of lessons 03 and 03b: weights that keep the variance, three numbers of a layer, saturation, steps by layer."""

import numpy as np

from minidl.lab.course._check import Wrong, array, ask, compare, exercise, parts

ROWS = 150  # images, so that “at least 99 %” of them is not all
_FUNCTIONS = {
    "a sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "ReLU": lambda x: np.maximum(x, 0),
    "a straight line": lambda x: 3 * x + 2,
}


@exercise(
    "gain",
    hints=(
        "The next layer adds up n products wᵢ f(xᵢ). If you double n, what happens to the variance of the sum?",
        "The variance of the sum is n s² Var f(x). Which variance should it be?",
        "n s² Var f(x) = Var x. Solve it for s; both variances can be taken from the samples.",
    ),
)
def gain(weight_std):
    """A layer with weights of this size keeps the variance of its input, for any function f."""
    rng = np.random.default_rng()
    for name, f in _FUNCTIONS.items():
        n = int(rng.integers(20, 400))
        x = rng.normal(rng.uniform(0.3, 0.6), rng.uniform(1.2, 2.5), 1500)
        y, root = f(x), np.sqrt(n)
        slope = (f(np.array(1e-6)) - f(np.array(-1e-6))) / 2e-6
        right = x.std() / (y.std() * root)
        compare(
            f"s for f = {name} and n = {n}",
            ask(weight_std, f, x, n),
            right,
            tol=1e-6,
            instead={
                "it ignores that n inputs are added up, each of which adds s²·Var f(x)": right * root,
                "it divides by n; variances add up, not standard deviations, so divide by √n": right / root,
                "this is the variance of the weights; their standard deviation is its root": right**2,
                "it takes the mean of f(x)² where the variance belongs. A mean that is the same for all images is no "
                "signal": x.std() / np.sqrt((y * y).mean()) / root,
                "this is 1/√n, which is right for a layer without f": 1 / root,
                "it is upside down: this weakens what f has weakened already": y.std() / x.std() / root,
                "it takes the slope of f at 0 for its slope everywhere, which is right for small x only": 1
                / (slope * root),
                "it takes x to have variance 1": 1 / (y.std() * root),
                "it takes the mean of x² for the variance of x, whose mean is not 0": np.sqrt((x * x).mean())
                / (y.std() * root),
                "it takes the mean of the squares for the variance, twice. A mean that is the same for all images is no "
                "signal": np.sqrt((x * x).mean() / (y * y).mean()) / root,
                "it takes x to have variance 1, and the mean of f(x)² for its variance": 1
                / np.sqrt((y * y).mean())
                / root,
                "it has roots of standard deviations; the variances add up, so take the root once": np.sqrt(
                    x.std() / (n * y.std())
                ),
                "one of its variances divides by the number of samples minus one, and the other does not": x.std(ddof=1)
                / (y.std() * root),
                "this is √(2/n), which is for ReLU, and for a variance over the draw of the weights": np.sqrt(2) / root,
            },
        )


@exercise(
    "saturation",
    hints=(
        "Can you write the slope of the sigmoid with its output y alone, without x?",
        "σ′ = y(1 − y), at most ¼. Make an array of True and False: is the slope below a tenth of that? For"
        " units, look down each column.",
        "The mean of an array of True and False is a fraction. For units, ask first of each column whether all of it is "
        "True (`all` has an axis), and then take the mean.",
    ),
)
def saturation(measure):
    """A measure of saturation that counts what is flat, and finds the units that are flat for every image."""
    rng = np.random.default_rng()
    for units, flat_only in ((12, False), (16, False), (11, True)):
        x = rng.normal(rng.uniform(-2, 2, units), rng.uniform(0.5, 4, units), (ROWS, units))
        x[:, :2] = rng.uniform(-2, 2, (ROWS, 2)) + np.array([8, -9])
        x[:, 2] = rng.choice([-8, 8], ROWS) + rng.uniform(-2, 2, ROWS)  # at both ends in turns, and flat at both
        x[:, 3:10] = rng.uniform(-1, 1, (ROWS, 7)) + np.array([-9, 8, 8, 8, 8, 8, 8])
        x[1, 3], x[::2, 4], x[::2, 5], x[2:10, 6], x[2:6, 7:10] = 0, 2.1, 2.2, 2.2, 0  # no two misreadings count alike
        x[3, :2] = 3.65, -3.65  # flat, though these outputs are from 0.025 to 0.975
        x[0, -1] = 0  # so that the steepest slope that occurs is 1/4, but for the grid in which all is flat
        if flat_only:
            x = np.where(x > 0, x, -x) + 5
        y = 1 / (1 + np.exp(-x))
        got = parts(ask(measure, y), ("the fraction of outputs", "the fraction of units"))
        slope = y * (1 - y)
        flat = slope < 0.025
        swapped = {"this is the fraction of stuck units, which comes second": flat.all(0).mean()}
        compare("The fraction of saturated outputs", got[0], flat.mean(), instead=_misread(y, slope) | swapped)
        compare(
            "The fraction of stuck units",
            got[1],
            flat.all(0).mean(),
            instead={
                "it counts units that are flat for at least one image; a stuck unit is flat for all": flat.any(
                    0
                ).mean(),
                "it counts units that are flat for most images; a stuck unit is flat for all": (
                    flat.mean(0) > 0.9
                ).mean(),
                "it goes along the wrong axis, and so counts images. Rows are images, columns are units": flat.all(
                    1
                ).mean(),
                "this is the fraction of outputs once more": flat.mean(),
                "this is a number of units, not a fraction of them": flat.all(0).sum(),
                "it misses a unit that is flat for every image, but at 0 for some of them and at 1 for others": (
                    (flat & (y > 0.5)).all(0) | (flat & (y < 0.5)).all(0)
                ).mean(),
                "it compares the slope with 0.1, not with a tenth of 1/4": (slope < 0.1).all(0).mean(),
                "it asks for outputs below 0.1 or above 0.9, where the slope is still 0.09": ((y < 0.1) | (y > 0.9))
                .all(0)
                .mean(),
                "it cuts the outputs at 0.025 and 0.975, which is near but not the same; take the slope itself": (
                    (y < 0.025) | (y > 0.975)
                )
                .all(0)
                .mean(),
                "it asks whether a unit's mean output is flat; the question is whether each output is": (
                    y.mean(0) * (1 - y.mean(0)) < 0.025
                ).mean(),
                "this is in percent; return a fraction": 100 * flat.all(0).mean(),
            },
        )


def _misread(y, slope):
    return {
        "it compares the slope with 0.1; a tenth of the steepest slope, which is 1/4, is 0.025": (slope < 0.1).mean(),
        "it counts outputs below 0.1 and above 0.9. The slope there is still 0.09, more than a third of the steepest": (
            (y < 0.1) | (y > 0.9)
        ).mean(),
        "it counts those near 1 only; near 0 a sigmoid is as flat": ((slope < 0.025) & (y > 0.5)).mean(),
        "it counts those near 0 only; near 1 a sigmoid is as flat": ((slope < 0.025) & (y < 0.5)).mean(),
        "it compares the output with 0.025, not its slope, and so misses what is near 1": (y < 0.025).mean(),
        "it counts those that are not saturated": (slope >= 0.025).mean(),
        "it cuts the outputs at 0.025 and 0.975, which is near but not the same; take the slope itself": (
            (y < 0.025) | (y > 0.975)
        ).mean(),
        "it counts those near 1 only (y > 0.975); near 0 a sigmoid is as flat": (y > 0.975).mean(),
        "it compares with a tenth of the steepest slope that occurs; the steepest that a sigmoid has is 1/4": (
            slope < 0.1 * slope.max()
        ).mean(),
        "this is in percent; return a fraction": 100 * (slope < 0.025).mean(),
        "this is a number of outputs, not a fraction of them": (slope < 0.025).sum(),
        "it divides by the number of images; there are as many outputs as images times units": (slope < 0.025).sum()
        / len(y),
    }


_ILLNESSES = {  # word → ranges of the signal (as log10), of the mean off 0, and of the flat share
    "asleep": ((-9, -2.3), (0, 0.6), (0, 0)),
    "off centre": ((-3, -0.5), (2.5, 5), (0, 0.45)),
    "flat": ((1.08, 1.5), (0, 4), (0.8, 1)),
    "well": ((-0.25, 0.25), (0, 0.4), (0, 0.1)),
}
_WHY = {
    ("asleep", "well"): "no output is flat there, but {signal:.1g} is all that differs from image to image",
    (
        "asleep",
        "off centre",
    ): "its mean is {off_centre:.2f}, which is still the steep part: it is the weights that are small",
    (
        "off centre",
        "asleep",
    ): "its signal is lost, too, but its mean is {off_centre:.1f}: larger weights move it further off",
    ("off centre", "well"): "its mean is {off_centre:.1f}, and the images differ by {signal:.1g} only",
    (
        "off centre",
        "flat",
    ): "the images do not differ by much ({signal:.1g}); it is the mean, {off_centre:.1f}, that is large",
    ("flat", "well"): "{flat:.0%} of its outputs are saturated: a signal can be too large, too",
    (
        "flat",
        "off centre",
    ): "its mean is {off_centre:.2f}, much less than its signal, {signal:.0f}: the weights are too large",
    ("well", "flat"): "only {flat:.0%} of its outputs are saturated, which is harmless",
}


@exercise(
    "diagnosis",
    hints=(
        "For each of the four printed networks: does anything differ from image to image in that layer? "
        "If not, what took it away?",
        "Two of the illnesses have hardly any signal. Which other number tells them apart? And which number is large only "
        "where the weights are too large?",
        "off centre: its mean is above 1 and above its signal. Otherwise asleep: a signal well below 1. Otherwise flat: "
        "more than half of the outputs are saturated.",
    ),
)
def diagnosis(answer):
    """Three numbers tell four kinds of layers apart, and none of them does alone."""
    rng = np.random.default_rng()
    words = [word for word in _ILLNESSES for _ in range(40)]
    for word in rng.permutation(words).tolist():
        signal, off_centre, flat = (float(rng.uniform(*span)) for span in _ILLNESSES[word])
        signal = 10**signal
        got = ask(answer, signal, off_centre, flat)
        if not isinstance(got, str) or got not in _ILLNESSES:
            raise Wrong(
                f"Your function returns {got!r:.60}; it should return one of {', '.join(map(repr, _ILLNESSES))}."
            )
        if got != word:
            why = _WHY.get((word, got), "look at all three numbers before you decide")
            why = why.format(signal=signal, off_centre=off_centre, flat=flat)
            raise Wrong(
                f"A layer with a signal of {signal:.1g}, a mean of {off_centre:.1g} off 0 and {flat:.0%} flat outputs is "
                f"{word}, and you say {got}: {why}."
            )


@exercise(
    "update ratio",
    hints=(
        "What is the step of a layer, if you have its weights before and after?",
        "Take the standard deviation of all numbers in the step, and divide it by that of the weights before it.",
        "log₁₀(std(after − before) / std(before)), for each layer by itself.",
    ),
)
def update_ratio(answer):
    """How far a step moves each layer, in powers of ten of the size of its weights."""
    rng = np.random.default_rng()
    before = [rng.normal(rng.uniform(0.5, 1), rng.uniform(0.1, 2), rng.integers(4, 9, 2)) for _ in range(4)]
    steps = [rng.normal(rng.uniform(0.5, 1), 10.0 ** rng.uniform(-1, 0), w.shape) for w in before]
    after = [w + step for w, step in zip(before, steps, strict=True)]

    def each(ratio):
        return np.log10([ratio(step, w) for step, w in zip(steps, before, strict=True)])

    got = ask(answer, before, after)
    if not isinstance(got, list | tuple | np.ndarray):
        raise Wrong(
            f"Your function returns a {type(got).__name__}; it should return a list, with a number for each layer."
        )
    compare(
        "The list",
        got,
        each(lambda step, w: step.std() / w.std()),
        instead={
            "these are the ratios themselves; take the logarithm to base 10": each(
                lambda s, w: 10 ** (s.std() / w.std())
            ),
            "this is the natural logarithm; take the one to base 10": each(lambda s, w: s.std() / w.std()) * np.log(10),
            "this divides by the weights after the step; take those before it": each(
                lambda s, w: s.std() / (w + s).std()
            ),
            "this is upside down: the step over the weights": each(lambda s, w: w.std() / s.std()),
            "these are root mean squares, in which a mean counts, too; take standard deviations": each(
                lambda s, w: np.sqrt((s * s).mean() / (w * w).mean())
            ),
            "this divides by the number of weights minus one somewhere; both in the same way": each(
                lambda s, w: s.std(ddof=1) / w.std()
            ),
            "this compares the spread of the new weights with that of the old; the step is their difference": each(
                lambda s, w: (w + s).std() / w.std()
            ),
        },
        hint="One number for each layer, over all its weights.",
    )
    with np.errstate(divide="ignore"):
        rested = ask(answer, before, [before[0], *after[1:]])
    rested = array("The list", rested)
    if rested.shape != (len(before),) or rested[0] != -np.inf:
        found = (
            f"{rested[0]:g}" if rested.shape == (len(before),) else f"{rested.size} numbers for {len(before)} layers"
        )
        raise Wrong(
            f"The first layer did not move, which is −∞, and you have {found}. NumPy's log10 of 0 is −∞ by itself."
        )

"""Checks of lesson 03 (saturation): the weights that keep the variance, and how saturated a layer is."""

import numpy as np

from minidl.lab.course._check import ask, compare, exercise, parts

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
                "this is √(2/n), which is for ReLU, and for a variance over the draw of the weights": np.sqrt(2) / root,
            },
        )


@exercise(
    "saturation",
    hints=(
        "Can you write the slope of the sigmoid with its output y alone, without x?",
        "σ′ = y(1 − y), at most ¼. Make an array of True and False: is the slope below a tenth of that? For"
        " units, look down each column.",
        "flat = y(1 − y) < 0.025;  the fraction of outputs is the mean of flat, that of units counts the "
        "columns in which all are flat.",
    ),
)
def saturation(measure):
    """A measure of saturation that counts what is flat, and finds the units that are flat for every image."""
    rng = np.random.default_rng()
    for units, flat_only in ((9, False), (13, False), (8, True)):
        x = rng.normal(rng.uniform(-6, 6, units), rng.uniform(0.5, 4, units), (60, units))
        x[:, :2] = rng.uniform(-2, 2, (60, 2)) + np.array([8, -9])
        x[:, 2] = rng.choice([-8, 8], 60) + rng.uniform(-2, 2, 60)  # at both ends in turns, and flat at both
        x[:, 3:7] = rng.uniform(-1, 1, (60, 4)) + np.array([-9, 8, 8, 8])
        x[1, 3], x[2:10, 4], x[2:10, 6], x[::2, 5] = 0, 2.2, 2.2, 0  # flat for 59, 52, 30 and 52 of the 60 images
        x[0, -1] = 0  # so that the steepest slope that occurs is 1/4, but for the grid in which all is flat
        if flat_only:
            x = np.where(x > 0, x, -x) + 5
        y = 1 / (1 + np.exp(-x))
        got = parts(ask(measure, y), ("the fraction of outputs", "the fraction of units"))
        slope = y * (1 - y)
        flat = slope < 0.025
        compare("The fraction of saturated outputs", got[0], flat.mean(), instead=_misread(y, slope))
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
    }

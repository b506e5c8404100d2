"""Checks of the lesson on Figure 1: percentiles of a layer, bands from γ and β, and a baseline that is tuned fairly."""

import numpy as np

from minidl.course._check import Wrong, ask, compare, exercise

PERCENT = (15, 50, 85)
Z = 1.0364  # a normal distribution has 35 % between its mean and this many standard deviations


@exercise("recorder")
def recorder(answer):
    """The percentiles of every unit over all examples, however they were cut into batches."""
    generator = np.random.default_rng()
    batches = [generator.gamma(2.0, 1 + i, size=(m, 7)) + generator.normal(size=7) for i, m in enumerate((40, 40, 13))]
    joined = np.concatenate(batches)
    each = np.stack([np.percentile(x, PERCENT, axis=0).T for x in batches])
    mean, std = joined.mean(0), joined.std(0)
    misconceptions = {
        "these are averages of each batch's percentiles, and percentiles do not average (a median of medians is not the "
        "median): join the batches first": each.mean(0),
        "these are percentiles of the last batch alone": each[-1],
        "these are the percentiles 0.15, 0.5 and 0.85: np.percentile counts to 100, np.quantile to 1": np.percentile(
            joined, [0.15, 0.5, 0.85], axis=0
        ).T,
        "this is one row a percentile; it should be one row a unit (transpose it)": np.percentile(
            joined, PERCENT, axis=0
        ),
        "these are percentiles over the units, one row an example; sum the examples up instead": np.percentile(
            joined, PERCENT, axis=1
        ).T,
        "these are mean and standard deviation; a distribution that is not normal has other percentiles": np.stack(
            [mean - std, mean, mean + std], 1
        ),
    }
    got = ask(answer, [x.copy() for x in batches])
    if np.shape(got) == (3,):
        raise Wrong(
            "The percentiles have the shape (3,): all units are thrown together, but each needs its own: axis=0."
        )
    compare("The percentiles", got, np.percentile(joined, PERCENT, axis=0).T, instead=misconceptions)


@exercise("bands")
def bands(answer):
    """Figure 1(c) can be foretold from γ and β, without a look at any image."""
    generator = np.random.default_rng()
    gamma, beta = generator.uniform(0.5, 2.5, size=12) * np.tile([1, -1], 6), generator.normal(size=12)

    def around(center, half):
        return np.stack([center - half, center, center + half], 1)

    misconceptions = {
        "where γ is negative, the columns come in the wrong order (the 15th percentile above the 85th): a width is |γ|": (
            around(beta, Z * gamma)
        ),
        "this is β ± |γ|, where the 16th and 84th percentiles are; the 15th and 85th are 1.04 standard deviations off": (
            around(beta, np.abs(gamma))
        ),
        "this is β ± 1.04 γ²: γ² is the variance, and a band is measured in standard deviations": around(
            beta, Z * gamma**2
        ),
        "this is β ± 1.04 √|γ|: γ is the standard deviation itself, not the variance": around(
            beta, Z * np.abs(gamma) ** 0.5
        ),
        "γ and β have changed places: γ scales, β shifts": around(gamma, Z * np.abs(beta)),
        "this is ± 1.04 without γ: x̂ has that band, y = γx̂ + β a wider or narrower one": around(beta, np.full(12, Z)),
        "this is ± 1.04 |γ| around 0: β, the mean, is missing": around(np.zeros(12), Z * np.abs(gamma)),
    }
    want = around(beta, Z * np.abs(gamma))
    compare("The band", ask(answer, gamma, beta), want, tol=4e-3, instead=misconceptions)


@exercise("tune")
def tune(answer):
    """A setting chosen by validation images and the mean over seeds, and reported by test images."""
    validation, test, misconceptions = _grid(np.random.default_rng())
    want = test[validation.mean(1).argmax()]
    got = ask(answer, validation, test)
    if np.ndim(got) == 0:
        what = "the number of the setting" if got == validation.mean(1).argmax() else "one number"
        raise Wrong(
            f"You return {what}; return the test accuracies of all seeds at the chosen setting: their spread counts."
        )
    compare("The reported accuracies", got, want, instead=misconceptions)


def _grid(generator):
    """Accuracies (settings, seeds) on validation and test images for which every misconception gives something else."""
    while True:
        validation = generator.uniform(0.9, 0.97, size=(6, 5))
        test = validation + generator.normal(0, 0.02, size=validation.shape)
        seeds = np.arange(5)
        wrong = {
            "this is the setting that is best on the test images: what is chosen by them is no longer tested by them": test[
                test.mean(1).argmax()
            ],
            "this is the setting of the single best run: with many settings the luckiest seed wins; average first": test[
                validation.max(1).argmax()
            ],
            "each seed has a setting of its own: that reports the luck of every seed; choose one setting for all": test[
                validation.argmax(0), seeds
            ],
            "these are validation accuracies: the images that chose the setting flatter it; report test accuracies": (
                validation[validation.mean(1).argmax()]
            ),
        }
        rows = [test[validation.mean(1).argmax()], *wrong.values()]
        if len({tuple(row) for row in rows}) == len(rows):
            return validation, test, wrong

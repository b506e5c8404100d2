"""Checks of lesson 07 (Figure 1): percentiles of a layer, bands from γ and β, and a baseline that is tuned fairly."""

import numpy as np

from minidl.lab.course._check import Wrong, array, ask, compare, exercise

PERCENT = (15, 50, 85)
GRIDS = 60  # a rule that is wrong chooses the right setting now and then, but not in all of them
RIGHT = "right"
Z = 1.0364  # a normal distribution has 35 % between its mean and this many standard deviations


@exercise(
    "recorder",
    hints=(
        "Can a median of everything be computed from the medians of the parts?",
        "Put all batches into one array (N, units), and then take percentiles over the examples. Which axis is that?",
        "table[unit] = the 15th, 50th and 85th percentile of column `unit`; np.percentile gives one row a "
        "percentile, so turn it.",
    ),
)
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
        "these are averages of each batch's percentiles, weighted by its size; percentiles do not average: join the batches "
        "first": np.average(each, axis=0, weights=[len(x) for x in batches]),
        "these are percentiles of the last batch alone": each[-1],
        "these are the percentiles 0.15, 0.5 and 0.85: np.percentile counts to 100, np.quantile to 1": np.percentile(
            joined, [0.15, 0.5, 0.85], axis=0
        ).T,
        "this is one row a percentile; it should be one row a unit (transpose it)": np.percentile(
            joined, PERCENT, axis=0
        ),
        "these are percentiles over the units, one row an example; take them over the examples (axis 0)": np.percentile(
            joined, PERCENT, axis=1
        ).T,
        "the last batch, which is smaller, is left out": np.percentile(np.concatenate(batches[:-1]), PERCENT, axis=0).T,
        "the columns are to be the 15th, the 50th and the 85th, in this order": np.percentile(
            joined, PERCENT[::-1], axis=0
        ).T,
        "reshape is not transpose: it fills the rows in the order in which the numbers lie": np.percentile(
            joined, PERCENT, axis=0
        ).reshape(-1, 3),
        "these are the percentiles 16, 50 and 84": np.percentile(joined, (16, 50, 84), axis=0).T,
        "these are values that occur; between two of them np.percentile goes a part of the way": np.percentile(
            joined, PERCENT, axis=0, method="nearest"
        ).T,
        "these are the sorted values at the places 0.15 n, 0.5 n and 0.85 n; np.percentile counts from 0 to n − 1, and goes "
        "a part of the way between two": np.sort(joined, 0)[[int(len(joined) * p / 100) for p in PERCENT]].T,
        "these are mean and standard deviation; a distribution that is not normal has other percentiles": np.stack(
            [mean - std, mean, mean + std], 1
        ),
    }
    got = array("The table", ask(answer, [x.copy() for x in batches]))
    if got.shape == (3,):
        raise Wrong(
            "The percentiles have the shape (3,): all units are thrown together, but each needs its own: axis=0."
        )
    compare("The table", got, np.percentile(joined, PERCENT, axis=0).T, instead=misconceptions)


@exercise(
    "bands",
    hints=(
        "Which percentiles has x̂, if it is normal with mean 0 and variance 1? What do γ and β do to them?",
        "15 % of a normal distribution lie below −1.04. A negative γ turns left and right round.",
        "β − 1.04 |γ|,  β,  β + 1.04 |γ|.",
    ),
)
def bands(answer):
    """γ and β predict Figure 1(c), without a look at any image."""
    generator = np.random.default_rng()
    gamma, beta = generator.uniform(0.5, 2.5, size=12) * np.tile([1, -1], 6), generator.normal(size=12)

    def around(center, half):
        return np.stack([center - half, center, center + half], 1)

    misconceptions = {
        "where γ is negative, the columns come in the wrong order (the 15th percentile above the 85th): a width is |γ|": (
            around(beta, Z * gamma)
        ),
        "1.04 is missing, and where γ is negative, the columns come in the wrong order": around(beta, gamma),
        "these are quartiles, where 25 % lie below and 25 % above; 15 % do at 1.04": around(
            beta, 0.6745 * np.abs(gamma)
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
        "this is β ± 1.44 |γ|, which leaves 15 % outside on both sides together; the 15th percentile has 15 % below it": (
            around(beta, 1.44 * np.abs(gamma))
        ),
        "the columns are to be the 15th, the 50th and the 85th, in this order": around(beta, -Z * np.abs(gamma)),
        "γ and β have changed places: γ scales, β shifts": around(gamma, Z * np.abs(beta)),
        "this is ± 1.04 without γ: x̂ has that band, y = γx̂ + β a wider or narrower one": around(beta, np.full(12, Z)),
        "this is ± 1.04 |γ| around 0: β, the mean, is missing": around(np.zeros(12), Z * np.abs(gamma)),
    }
    want = around(beta, Z * np.abs(gamma))
    compare("The band", ask(answer, gamma, beta), want, tol=4e-3, instead=misconceptions)


@exercise(
    "tune",
    hints=(
        "Which images may be looked at when the setting is chosen, and which only afterwards?",
        "One number for each setting: its mean over the seeds, on validation images. The largest wins.",
        "chosen = argmax over settings of the mean over seeds of validation; return the row `chosen` of test.",
    ),
)
def tune(answer):
    """A setting chosen by validation images and the mean over seeds, and reported by test images."""
    generator = np.random.default_rng()
    grids = [_grid(generator) for _ in range(GRIDS)]
    answers = [array("The result", ask(answer, validation, test)) for validation, test, _ in grids]
    wants = [wrong.pop(RIGHT) for _, _, wrong in grids]
    for got, want, (validation, _, _) in zip(answers, wants, grids, strict=True):
        if got.ndim == 0:
            what = "the number of the setting" if got == validation.mean(1).argmax() else "one number"
            raise Wrong(
                f"You return {what}; return the test accuracies of all seeds at the chosen setting: their spread counts."
            )
        if got.shape != want.shape:
            compare("The array", got, want)
    misconceptions = {name: np.stack([wrong[name] for _, _, wrong in grids]) for name in grids[0][2]}
    hint = "The setting must be the one with the best mean validation accuracy, no matter what the test images say."
    compare("The array", np.stack(answers), np.stack(wants), instead=misconceptions, hint=hint)


def _grid(generator):
    """Accuracies (settings, seeds) on validation and on test images, and what is to be reported, rightly or wrongly."""
    validation = generator.uniform(0.9, 0.97, size=(6, 5))
    test = validation + generator.normal(0, 0.02, size=validation.shape)
    seeds = np.arange(5)
    return (
        validation,
        test,
        {
            RIGHT: test[validation.mean(1).argmax()],
            "this is the setting that is best on the test images: what is chosen by them is no longer tested by them": test[
                test.mean(1).argmax()
            ],
            "the test images have a say in the choice: what is chosen by them is no longer tested by them": test[
                (validation + test).mean(1).argmax()
            ],
            "this is the setting of the single best run: with many settings the luckiest seed wins; average first": test[
                validation.max(1).argmax()
            ],
            "each seed has a setting of its own: that reports the luck of every seed; choose one setting for all": test[
                validation.argmax(0), seeds
            ],
            "each seed has a setting of its own, chosen by the test images: choose one for all, by validation": test.max(
                0
            ),
            "this is chosen by the median over seeds; take the mean": test[np.median(validation, 1).argmax()],
            "these are validation accuracies: the images that chose the setting flatter it; report test accuracies": (
                validation[validation.mean(1).argmax()]
            ),
            "this takes the mean over the settings (axis 0); each setting has a mean over its seeds (axis 1)": test[
                validation.mean(0).argmax()
            ],
            "this is the setting whose worst seed is best; take the mean": test[validation.min(1).argmax()],
            "this is the worst setting on the validation images; accuracy is to be high": test[
                validation.mean(1).argmin()
            ],
            "this is always the first setting": test[0],
        },
    )

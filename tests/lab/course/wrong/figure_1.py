"""What goes wrong in the exercises on Figure 1."""

import numpy as np

PERCENT = (15, 50, 85)


def average_of_batches(batches):
    return np.mean([np.percentile(x, PERCENT, axis=0).T for x in batches], axis=0)


def last_batch(batches):
    return np.percentile(batches[-1], PERCENT, axis=0).T


def without_last(batches):
    return np.percentile(np.concatenate(batches[:-1]), PERCENT, axis=0).T


def fractions(batches):
    return np.percentile(np.concatenate(batches), [0.15, 0.5, 0.85], axis=0).T


def over_units(batches):
    return np.percentile(np.concatenate(batches), PERCENT, axis=1).T


def all_together(batches):
    return np.percentile(np.concatenate(batches), PERCENT)


def without_abs(gamma, beta):
    return np.stack([beta - 1.04 * gamma, beta, beta + 1.04 * gamma], 1)


def one_deviation(gamma, beta):
    return np.stack([beta - abs(gamma), beta, beta + abs(gamma)], 1)


def gamma_as_variance(gamma, beta):
    return np.stack([beta - 1.04 * abs(gamma) ** 0.5, beta, beta + 1.04 * abs(gamma) ** 0.5], 1)


def variance_as_width(gamma, beta):
    return np.stack([beta - 1.04 * gamma**2, beta, beta + 1.04 * gamma**2], 1)


def swapped(gamma, beta):
    return np.stack([gamma - 1.04 * abs(beta), gamma, gamma + 1.04 * abs(beta)], 1)


def by_test_images(validation, test):
    return test[test.mean(1).argmax()]


def luckiest_run(validation, test):
    return test[validation.max(1).argmax()]


def each_seed_its_own(validation, test):
    return test[validation.argmax(0), np.arange(validation.shape[1])]


def both_kinds(validation, test):
    return test[(validation + test).mean(1).argmax()]


def reports_validation(validation, test):
    return validation[validation.mean(1).argmax()]


def number_of_the_setting(validation, test):
    return validation.mean(1).argmax()


def over_the_settings(validation, test):
    return test[validation.mean(0).argmax()]


def worst_seed(validation, test):
    return test[validation.min(1).argmax()]


def both_sides_together(gamma, beta):
    return np.stack([beta - 1.44 * np.abs(gamma), beta, beta + 1.44 * np.abs(gamma)], 1)


def falling(gamma, beta):
    return np.stack([beta + 1.04 * np.abs(gamma), beta, beta - 1.04 * np.abs(gamma)], 1)


def weighted_average(batches):
    each = [np.percentile(batch, (15, 50, 85), axis=0).T for batch in batches]
    return sum(len(batch) * found for batch, found in zip(batches, each, strict=True)) / sum(map(len, batches))


def nearest(batches):
    return np.percentile(np.concatenate(batches), (15, 50, 85), axis=0, method="nearest").T


def by_place(batches):
    values = np.sort(np.concatenate(batches), 0)
    return np.stack([values[int(len(values) * share)] for share in (0.15, 0.5, 0.85)], 1)


WRONG = {
    "recorder": [
        ((average_of_batches,), "percentiles do not average"),
        ((last_batch,), "last batch alone"),
        ((fractions,), "np.percentile counts to 100"),
        ((over_units,), "percentiles over the units"),
        ((all_together,), "all units are thrown together"),
        ((without_last,), "which is smaller, is left out"),
        ((weighted_average,), "weighted by its size"),
        ((nearest,), "values that occur"),
        ((by_place,), "at the places 0.15 n"),
    ],
    "bands": [
        ((without_abs,), "a width is |γ|"),
        ((one_deviation,), "16th and 84th"),
        ((gamma_as_variance,), "γ is the standard deviation itself"),
        ((variance_as_width,), "γ² is the variance"),
        ((swapped,), "changed places"),
        ((both_sides_together,), "on both sides together"),
        ((falling,), "in this order"),
    ],
    "tune": [
        ((by_test_images,), "no longer tested by them"),
        ((luckiest_run,), "the luckiest seed wins"),
        ((each_seed_its_own,), "the luck of every seed"),
        ((both_kinds,), "have a say in the choice"),
        ((reports_validation,), "report test accuracies"),
        ((number_of_the_setting,), "the number of the setting"),
        ((over_the_settings,), "the mean over the settings"),
        ((worst_seed,), "whose worst seed is best"),
    ],
}

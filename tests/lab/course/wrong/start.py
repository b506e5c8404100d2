"""Wrong answers to the exercises of lesson 00."""

import numpy as np


def place(steps, accuracies, target):
    there = np.flatnonzero(accuracies >= target)
    return there[0] if there.size else None


def last(steps, accuracies, target):
    there = np.flatnonzero(accuracies >= target)
    return steps[there[-1]] if there.size else None


def never_is_first(steps, accuracies, target):
    return steps[(accuracies >= target).argmax()]


def above(steps, accuracies, target):
    there = np.flatnonzero(accuracies > target)
    return steps[there[0]] if there.size else None


def best(steps, accuracies, target):
    return steps[accuracies.argmax()] if accuracies.max() >= target else None


def says_nothing(steps, accuracies, target):
    there = np.flatnonzero(accuracies >= target)
    steps[there[0]] if there.size else None


def gives_up(steps, accuracies, target):
    for step, accuracy in zip(steps, accuracies, strict=True):
        return step if accuracy >= target else None


def first(steps, accuracies, target, never):
    there = np.flatnonzero(accuracies >= target)
    return steps[there[0]] if len(there) else never


WRONG = {
    "predictions": [
        ((0.6, 90, 3, "yes"), "looks like a fraction"),
        ((0, 90, 3, "yes"), "blind guessing alone"),
        ((60, "90 %", 3, "yes"), "one number, without a unit"),
        ((60, 90, 0, "no"), "1 means no difference"),
        ((60, 90, 3, "maybe"), "which a test can decide"),
    ],
    "reach": [
        ((place,), "is the place in the array"),
        ((says_nothing,), "is there a `return`?"),
        ((last,), "is the last step at or above"),
        ((never_is_first,), "argmax of all False is 0"),
        ((above,), "≥, not >"),
        ((gives_up,), "before it has seen the whole curve"),
        ((lambda steps, accuracies, target: first(steps, accuracies, target, "never"),), "it should be None"),
        ((lambda steps, accuracies, target: first(steps, accuracies, target, float("nan")),), "it should be None"),
        ((lambda steps, accuracies, target: first(steps, accuracies, target, steps[:0]),), "it should be None"),
        ((lambda steps, accuracies, target: first(steps, accuracies, target, {}),), "it should be one number"),
        ((best,), "the step of the highest accuracy"),
        ((lambda steps, accuracies, target: steps[accuracies >= target],), "it should be one number"),
        ((lambda steps, accuracies, target: list(steps[accuracies >= target]),), "it should be one number"),
    ],
}

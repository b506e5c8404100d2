"""What learners get wrong in lesson 11."""

import numpy as np


def lengths_add(start, gradients, lr):
    return start + lr * np.cumsum(gradients)


def does_not_change(start, gradients, lr):
    return np.full(len(gradients), start)


def rate_not_squared(start, gradients, lr):
    return np.sqrt(start**2 + lr * np.cumsum(gradients**2))


def from_the_start_again(start, gradients, lr):
    return np.sqrt(start**2 + lr**2 * gradients**2)


def with_the_start(start, gradients, lr):
    return np.sqrt(start**2 + lr**2 * np.cumsum([0, *gradients**2]))


def start_not_squared(start, gradients, lr):
    return np.sqrt(start + lr**2 * np.cumsum(gradients**2))


def before_each_step(start, gradients, lr):
    return np.sqrt(start**2 + lr**2 * np.cumsum([0, *gradients[:-1] ** 2]))


def square_of_the_sum(start, gradients, lr):
    return np.sqrt(start**2 + lr**2 * np.cumsum(gradients) ** 2)


def only_the_last(start, gradients, lr):
    return np.sqrt(start**2 + lr**2 * (gradients**2).sum())


def without_the_last_step(start, gradients, lr):
    return np.sqrt(start**2 + lr**2 * np.cumsum(gradients[:-1] ** 2))


def squares_in_place(start, gradients, lr):
    gradients **= 2
    return np.sqrt(start**2 + lr**2 * np.cumsum(gradients))


WRONG = {
    "matching_rate": [
        ((lambda lr, a: lr,), "the loss does not notice a, but the step does"),
        ((lambda lr, a: a * lr,), "the weights are also longer"),
        ((lambda lr, a: lr / a,), "already a times *shorter*"),
        ((lambda lr, a: lr / a**2,), "longer weights turn less"),
        ((lambda lr, a: a * a,), "the rate is missing"),
        ((lambda lr, a: (lr * a) ** 2,), "only a is squared"),
    ],
    "growth": [
        ((lengths_add,), "their *squares* add up"),
        ((does_not_change,), "leads away from 0"),
        ((rate_not_squared,), "the rate is squared too"),
        ((from_the_start_again,), "where the last one ended"),
        ((with_the_start,), "one number too many"),
        ((start_not_squared,), "the start is not squared"),
        ((before_each_step,), "*before* each step"),
        ((square_of_the_sum,), "squares the sum"),
        ((only_the_last,), "This is one number"),
        ((without_the_last_step,), "the last one, too"),
        ((squares_in_place,), "in place"),
    ],
    "equilibrium": [
        ((lambda lr, decay, squared: (lr * squared / (2 * decay)) ** 0.5,), "if the gradient did not shrink"),
        ((lambda lr, decay, squared: (lr * squared / decay) ** 0.25,), "the 2 is missing"),
        ((lambda lr, decay, squared: (squared / (2 * decay)) ** 0.25,), "the rate is missing"),
        ((lambda lr, decay, squared: (2 * decay / (lr * squared)) ** 0.25,), "upside down"),
        ((lambda lr, decay, squared: lr * squared / (2 * decay),), "take its fourth root"),
        ((lambda lr, decay, squared: (2 * lr * squared / decay) ** 0.25,), "on the wrong side"),
        ((lambda lr, decay, squared: (lr * squared / (4 * decay)) ** 0.25,), "not 4ηλ"),
    ],
}

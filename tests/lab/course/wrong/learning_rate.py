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


WRONG = {
    "matching_rate": [
        ((lambda lr, a: lr,), "the loss does not notice a, but the step does"),
        ((lambda lr, a: a * lr,), "the weights are also longer"),
        ((lambda lr, a: lr / a,), "already a times *shorter*"),
        ((lambda lr, a: lr / a**2,), "longer weights turn less"),
    ],
    "growth": [
        ((lengths_add,), "their *squares* add up"),
        ((does_not_change,), "leads away from 0"),
        ((rate_not_squared,), "the rate is squared too"),
        ((from_the_start_again,), "where the last one ended"),
        ((with_the_start,), "one number too many"),
    ],
    "equilibrium": [
        ((lambda lr, decay, squared: (lr * squared / (2 * decay)) ** 0.5,), "if the gradient did not shrink"),
        ((lambda lr, decay, squared: (lr * squared / decay) ** 0.25,), "the 2 is missing"),
        ((lambda lr, decay, squared: (squared / (2 * decay)) ** 0.25,), "the rate is missing"),
        ((lambda lr, decay, squared: (2 * decay / (lr * squared)) ** 0.25,), "upside down"),
        ((lambda lr, decay, squared: lr * squared / (2 * decay),), "take its fourth root"),
    ],
}

"""What goes wrong in the exercises on internal covariate shift."""

import numpy as np


def _changes(gradients, weights, lr, moves, divide=True):
    old, changes = gradients(weights), []
    for i in range(1, len(weights)):
        at = [w - lr * g if moves(i, j) else w for j, (w, g) in enumerate(zip(weights, old, strict=True))]
        new = gradients(at)[i]
        changes.append(np.linalg.norm(old[i] - new) / (np.linalg.norm(old[i]) if divide else 1))
    return changes


def all_move(gradients, weights, lr):
    return _changes(gradients, weights, lr, lambda i, j: True)


def itself_too(gradients, weights, lr):
    return _changes(gradients, weights, lr, lambda i, j: j <= i)


def only_the_one_before(gradients, weights, lr):
    return _changes(gradients, weights, lr, lambda i, j: j == i - 1)


def not_relative(gradients, weights, lr):
    return _changes(gradients, weights, lr, lambda i, j: j < i, divide=False)


def in_place(gradients, weights, lr):
    old, changes = gradients(weights), []
    for i in range(1, len(weights)):
        weights[i - 1] -= lr * old[i - 1]
        changes.append(np.linalg.norm(old[i] - gradients(weights)[i]) / np.linalg.norm(old[i]))
    return changes


def _word(mean, error):
    return "larger" if mean > error else "smaller" if mean < -error else "no difference"


def sign_alone(a, b):
    return _word((a - b).mean(), 0)


def unpaired(a, b):
    return _word(a.mean() - b.mean(), 2.78 * np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / len(a)))


def of_one_seed(a, b):
    return _word((a - b).mean(), 2.78 * (a - b).std(ddof=1))


def normal_quantile(a, b):
    return _word((a - b).mean(), 1.96 * (a - b).std(ddof=1) / np.sqrt(len(a)))


def wrong_way_round(a, b):
    return _word((b - a).mean(), 2.78 * (a - b).std(ddof=1) / np.sqrt(len(a)))


def fresh_gradients(gradients, weights, lr):
    old, at, changes = gradients(weights), list(weights), []
    for i in range(1, len(weights)):
        at[i - 1] = at[i - 1] - lr * gradients(at)[i - 1]
        changes.append(np.linalg.norm(old[i] - gradients(at)[i]) / np.linalg.norm(old[i]))
    return changes


def overlapping(a, b):
    error = 2.78 * (a.std(ddof=1) + b.std(ddof=1)) / np.sqrt(len(a))
    return _word(a.mean() - b.mean(), error)


def accumulated(gradients, weights, lr):
    old, at, found = gradients(weights), list(weights), []
    for i in range(1, len(weights)):
        at = [w - lr * g if j < i else w for j, (w, g) in enumerate(zip(at, old, strict=True))]
        found.append(np.linalg.norm(old[i] - gradients(at)[i]) / np.linalg.norm(old[i]))
    return found


def of_lengths(gradients, weights, lr):
    old, found = gradients(weights), []
    for i in range(1, len(weights)):
        at = [w - lr * g if j < i else w for j, (w, g) in enumerate(zip(weights, old, strict=True))]
        found.append(abs(np.linalg.norm(old[i]) - np.linalg.norm(gradients(at)[i])) / np.linalg.norm(old[i]))
    return found


def by_errors(count):
    return lambda a, b: _word((a - b).mean(), count * (a - b).std(ddof=1) / np.sqrt(len(a)))


def all_alike(a, b):
    return "larger" if (a > b).all() else "smaller" if (a < b).all() else "no difference"


def either_way(a, b):
    d = a - b
    return "larger" if abs(d.mean()) > 2.78 * d.std(ddof=1) / np.sqrt(len(d)) else "no difference"


ROWS = {  # what one says who believes that shift is what slows training
    "drift, BN against none": "smaller",
    "gradient change, BN against none": "smaller",
    "drift, noise against none": "larger",
    "accuracy, noise against none": "smaller",
    "accuracy, BN against noise": "larger",
}


WRONG = {
    "gradient change": [
        ((all_move,), "all layers move"),
        ((itself_too,), "the layer itself moves too"),
        ((fresh_gradients,), "each by a new gradient"),
        ((only_the_one_before,), "only the layer directly before it"),
        ((not_relative,), "not divided by ‖G‖"),
        ((in_place,), "argument number 2 in place"),
        ((accumulated,), "begin with the original weights"),
        ((of_lengths,), "compares the lengths"),
    ],
    "verdict": [
        ((sign_alone,), "Only the sign of the mean"),
        ((overlapping,), "whether the two intervals overlap"),
        ((unpaired,), "without regard to their seeds"),
        ((of_one_seed,), "the mean of five is surer"),
        ((normal_quantile,), "it takes 2.78"),
        ((wrong_way_round,), "the wrong way round"),
        ((by_errors(1),), "one standard error"),
        ((by_errors(2.13),), "5 % are left out at each end"),
        ((by_errors(2.78 / np.sqrt(5)),), "divides s by n"),
        ((all_alike,), "all five differences have the same sign"),
        ((either_way,), "far below 0 is called larger"),
    ],
    "table": [
        ((ROWS | {"drift, noise against none": "smaller"},), "The noise moves every band"),
        ((ROWS,), "more of it would cost accuracy"),
        ((ROWS | {"drift, BN against none": "yes"},), "it should be one of 'smaller', 'larger', 'no difference'"),
        (({"drift": "smaller"},), "there is no row 'drift'"),
        (({"drift, BN against none": "smaller"},), "it lacks the row"),
    ],
}

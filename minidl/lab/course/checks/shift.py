"""Checks of lesson 10 (covariate shift): the probe of 2018, a rule for verdicts, and the verdicts."""

from itertools import pairwise

import numpy as np

from minidl.lab.course._check import Wrong, ask, compare, exercise
from minidl.lab.course._setting import ledger
from minidl.lab.paper import ics
from minidl.lab.study.statistics import paired

WORDS = ("smaller", "larger", "no difference")
SIZES = (5, 6, 4, 7, 3)


@exercise(
    "gradient change",
    hints=(
        "Which layers move before you compute layer i's second gradient? And by which gradients?",
        "Make a new list of weights for each i: those before i are w − lr·g with the old g, the others as they were.",
        "G = gradients(weights)[i];  G′ = gradients(moved)[i];  ‖G − G′‖ / ‖G‖, for i = 1, 2, …",
    ),
)
def gradient_change(answer):
    """How much of a layer's gradient is out of date once the layers before it have moved."""
    weights, gradients = _network(np.random.default_rng())
    lr, old = 0.3, gradients(weights)
    count, got = len(weights), ask(answer, gradients, weights, lr)
    fresh, at = [], list(weights)
    for i in range(1, count):
        at[i - 1] = at[i - 1] - lr * gradients(at)[i - 1]
        fresh.append(np.linalg.norm(old[i] - gradients(at)[i]) / np.linalg.norm(old[i]))

    again, lengths = [], []
    for i in range(1, count):  # the steps for one layer are not taken back before those for the next
        at = [w - lr * g * max(0, i - j) for j, (w, g) in enumerate(zip(weights, old, strict=True))]
        again.append(np.linalg.norm(old[i] - gradients(at)[i]) / np.linalg.norm(old[i]))
        at = [w - lr * g * (j < i) for j, (w, g) in enumerate(zip(weights, old, strict=True))]
        lengths.append(abs(np.linalg.norm(old[i]) - np.linalg.norm(gradients(at)[i])) / np.linalg.norm(old[i]))

    def measured(moves, sign=1.0, size=lambda i, new: np.linalg.norm(old[i]), first=1):
        """The changes of all layers, where `moves(i)` are the layers that take their step for layer i."""
        changes = []
        for i in range(first, count):
            at = [w - sign * lr * g if j in moves(i) else w for j, (w, g) in enumerate(zip(weights, old, strict=True))]
            new = gradients(at)[i]
            changes.append(np.linalg.norm(old[i] - new) / size(i, new))
        return np.array(changes)

    misconceptions = {
        "all layers move, the layer itself and those after it too: that is how far the gradient can be trusted along a "
        "whole step; for the shift only the layers *before* it move": measured(lambda i: range(count)),
        "the layer itself moves too; its own step is not what shifts its input": measured(lambda i: range(i + 1)),
        "only the layer directly before it moves; all layers before it take their step": measured(lambda i: [i - 1]),
        "the layers *after* it move; its input is made by those before": measured(lambda i: range(i + 1, count)),
        "the step goes up the gradient: w − lr·g goes down": measured(range, sign=-1.0),
        "the layers move one after the other, each by a new gradient; all steps are with the gradients at the original "
        "weights": np.array(fresh),
        "the first layers step again for each further layer; begin with the original weights every time": np.array(
            again
        ),
        "this compares the lengths of the two gradients; their directions count, too: ‖G − G′‖ is the length of the "
        "difference": np.array(lengths),
        "this is the square of it: a norm has a root": measured(range) ** 2,
        "this is one number for all layers, their mean; each layer has its own": measured(range).mean(),
        "the change is not divided by ‖G‖, so that networks with large gradients look shifty": measured(
            range, size=lambda i, new: 1.0
        ),
        "the change is divided by ‖G′‖, the gradient after the move; ‖G‖ is the one before": measured(
            range, size=lambda i, new: np.linalg.norm(new)
        ),
        "the first layer has no layer before it, so it has no shift of this kind: leave it out": measured(
            range, first=0
        ),
    }
    compare("‖G − G′‖/‖G‖", got, measured(range), instead=misconceptions)


def _network(generator):
    """Weights of a small tanh network, and the function that gives the gradients of its loss (float64)."""
    x, target = generator.normal(size=(8, SIZES[0])), generator.normal(size=(8, SIZES[-1]))
    weights = [generator.normal(size=(a, b)) for a, b in pairwise(SIZES)]

    def gradients(weights):
        inputs = [x]
        for w in weights:
            inputs.append(np.tanh(inputs[-1] @ w))
        grad, found = (inputs[-1] - target) / len(x), []
        for w, before, after in zip(weights[::-1], inputs[-2::-1], inputs[:0:-1], strict=True):
            grad = grad * (1 - after**2)
            found.append(before.T @ grad)
            grad = grad @ w.T
        return found[::-1]

    return weights, gradients


def _rule(t=2.776, ddof=1, root=True, sign=1, mean_of_seeds=True):
    def judge(a, b):
        d = sign * (a - b)
        error = d.std(ddof=ddof) / (np.sqrt(len(d)) if root else 1)
        return "larger" if d.mean() > t * error else "smaller" if d.mean() < -t * error else "no difference"

    return judge


def _unpaired(a, b):
    error = np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / len(a))
    return "larger" if a.mean() - b.mean() > 2.776 * error else (
        "smaller" if a.mean() - b.mean() < -2.776 * error else "no difference"
    )  # fmt: skip


def _overlap(a, b):
    (one, by_one), (two, by_two) = ((x.mean(), 2.776 * x.std(ddof=1) / np.sqrt(len(x))) for x in (a, b))
    return "larger" if one - by_one > two + by_two else "smaller" if one + by_one < two - by_two else "no difference"


def _all_alike(a, b):
    return "larger" if (a > b).all() else "smaller" if (a < b).all() else "no difference"


def _either_way(a, b):
    return "no difference" if _rule()(a, b) == "no difference" else "larger"


RULES = {
    "the two are compared without regard to their seeds: each pair shares its weights and batches, so take differences "
    "first, and then their spread": _unpaired,
    "only the sign of the mean difference counts here: five seeds always differ somehow, so ask for 2.78 standard errors": (
        _rule(t=0.0)
    ),
    "this uses 1.96 standard errors; with five seeds the spread itself is uncertain, and it takes 2.78": _rule(t=1.96),
    "this uses one standard error, and chance alone exceeds that in about one case of three; it takes 2.78": _rule(
        t=1.0
    ),
    "this uses 2.13 standard errors, for which 5 % are left out at each end; with 2.5 % at each it takes 2.78": _rule(
        t=2.132
    ),
    "this asks whether all five differences have the same sign; how large they are beside their spread counts": _all_alike,
    "a difference that is far below 0 is called larger, too; its word is smaller": _either_way,
    "this divides s by n; the mean of five is surer by √5, not by 5": _rule(t=2.776 / np.sqrt(5)),
    "this asks whether the two intervals overlap; the interval of the differences must not contain 0": _overlap,
    "this compares with the standard deviation of one seed; the mean of five is surer, by √5": _rule(root=False),
    "this divides the squares by n; the spread of a sample needs n − 1 (ddof=1)": _rule(ddof=0),
    "larger and smaller are the wrong way round: it is a that is compared with b": _rule(sign=-1),
}


@exercise(
    "verdict",
    hints=(
        "What do a[i] and b[i] share, and how do you take it out before you look at the spread?",
        "d = a − b has five numbers. Its mean has the standard error s/√5, with s computed with n − 1.",
        "mean d > 2.78 s/√5: larger;  mean d < −2.78 s/√5: smaller;  otherwise no difference.",
    ),
)
def verdict(answer):
    """A difference counts when it exceeds what the seeds alone would make."""
    generator, cases = np.random.default_rng(), []
    while len(cases) < 400:
        luck, effect = generator.normal(0, generator.uniform(0, 3), size=5), generator.normal(0, 1.5)
        a, b = luck + effect + generator.normal(size=5), luck + generator.normal(size=5)
        if len({_rule(t)(a, b) for t in (2.7, 2.776, 2.85)}) == 1:  # 2.78 or 2.776 makes no difference
            cases.append((a, b))
    got, want = ([judge(*case) for case in cases] for judge in (lambda a, b: ask(answer, a, b), _rule()))
    if strange := [word for word in got if not isinstance(word, str) or word not in WORDS]:
        raise Wrong(f"Your function returns {strange[0]!r:.60}; it should return one of {', '.join(map(repr, WORDS))}.")
    alike = {
        m: np.mean([word == rule(*case) for word, case in zip(got, cases, strict=True)]) for m, rule in RULES.items()
    }
    misconception = max(alike, key=alike.get)
    if got != want and alike[misconception] > 0.98:  # not 1, as a slip with 2.776 in place of 2.78 is the same slip
        raise Wrong(misconception[0].upper() + misconception[1:] + ".")
    for (a, b), ours, right in zip(cases, got, want, strict=True):
        if ours != right:
            raise Wrong(f"For a − b = {np.round(a - b, 2).tolist()} you say {ours!r}; it should be {right!r}.")


ROWS = {  # row → (measure, arm, the arm it is compared with, what the story would have you say, and why it is not so)
    "drift, BN against none": (
        "drift", "with BN", "without BN", "This is the first definition, and the one that batch norm controls by design."),
    "gradient change, BN against none": (
        "gradient change", "with BN", "without BN", "Look at the interval of this pair at this very learning rate."),
    "drift, noise against none": (
        "drift", "noise after BN", "without BN", "The noise moves every band in every step: that is what it is for."),
    "accuracy, noise against none": (
        "test", "noise after BN", "without BN", "If drift slowed this network down, more of it would cost accuracy."),
    "accuracy, BN against noise": (
        "test", "with BN", "noise after BN", "A difference counts only if its interval excludes zero."),
}  # fmt: skip


@exercise(
    "table",
    hints=(
        "Which of the rows is about a mechanism, and which about accuracy? Decide each by its own numbers.",
        "verdict(recorded(measure, first arm), recorded(measure, second arm)) gives one row's word.",
        "The rule is the one of `verdict`: the mean difference of the five pairs against 2.78 of its standard errors.",
    ),
)
def table(answer):
    """Every verdict follows from the numbers of the ledger, and none from the story."""
    if not isinstance(answer, dict):
        raise Wrong(f"The table is a {type(answer).__name__}; it should be a dict with these rows: {_listed(ROWS)}.")
    for rows, what in ((set(answer) - set(ROWS), "there is no row"), (set(ROWS) - set(answer), "it lacks the row")):
        if rows:
            told = min(map(repr, rows))
            raise Wrong(f"The table should be a dict with these rows: {_listed(ROWS)}; {what} {told:.60}.")
    try:
        result = ledger("ics").result
    except FileNotFoundError as missing:
        raise Wrong(f"Nobody can judge your table without the ledger's numbers: {missing}.") from None
    lr = result.settings("lr", arm="without BN", **ics.FINAL)[0]
    for row, (measure, arm, other, hint) in ROWS.items():
        interval = paired(*(_over_training(result, measure, one, lr) for one in (arm, other)))
        word = "larger" if interval.above_zero else "smaller" if interval.below_zero else "no difference"
        if not isinstance(answer[row], str) or answer[row] not in WORDS:
            raise Wrong(f"{row}: you say {answer[row]!r}; it should be one of {', '.join(map(repr, WORDS))}.")
        if answer[row] != word:
            raise Wrong(
                f"{row}: you say {answer[row]!r}, and the paired interval is {interval.text(4, sign=True)}. {hint}"
            )


def _listed(rows):
    return "; ".join(rows)


def _over_training(result, measure, arm, lr):
    """One number for each seed: the mean over training, or the accuracy at the end."""
    values = result.values(measure, arm=arm, lr=lr, **ics.FINAL)
    return values if values.ndim == 1 else np.nanmean(values, axis=1)

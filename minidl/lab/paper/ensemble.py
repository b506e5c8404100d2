"""§4.2.3 of the paper: an ensemble of batch-normalised networks is better than each of them."""

import math
from itertools import combinations

import numpy as np

from minidl import functional as F
from minidl.lab.models import paper_mlp
from minidl.lab.paper._training import FINAL, draws, finals, score, split, train, tune
from minidl.lab.study.claim import Claim, Verdict
from minidl.lab.study.statistics import Interval, paired, t_interval
from minidl.tensor import Tensor
from minidl.train import predict_logits

__all__ = ["CLAIM", "together"]

MEMBERS = 6
ARMS = {"with BN": "batch", "without BN": "none"}
Z = 1.959964  # of a 95 % normal interval, for thousands of images


def plan(scale):
    """2 arms × (18 to tune + 5 ensembles × 6) × 10,000 steps × 1 ms = 16 minutes of one core."""
    arms = {arm: {"norm": norm, "steps": scale.pick(10_000, 400), "members": 1} for arm, norm in ARMS.items()}
    tuned = yield from tune(arms, scale)
    yield finals({arm: {**settings, "members": MEMBERS} for arm, settings in arms.items()}, tuned, range(scale.seeds))


def run(config, digits=None):
    """Train the members, each from its own weights on its own batches; accuracies of means of probabilities."""
    data = split(digits)
    scores, probabilities = [], []
    for member in range(config["members"]):
        seed = MEMBERS * config["seed"] + member
        model = paper_mlp(config["norm"], generator=np.random.default_rng(seed))
        diverged = train(model, draws(data, 60, seed), config["lr"], config["steps"])
        scores.append(score(model, data, diverged))
        with np.errstate(all="ignore"):
            logits = np.nan_to_num(predict_logits(model, data.x_test))
        probabilities.append(F.softmax(Tensor(logits)).data)
    return {
        "validation": np.mean([one["validation"] for one in scores]),
        "test": [one["test"] for one in scores],
        "diverged": [one["diverged"] for one in scores],
        **together(np.array(probabilities), data.y_test),
    }


def together(probabilities, labels):
    """Measure an ensemble whose members give these probabilities (members, images, classes); returns a part of a record.

    accuracy         of k members, averaged over all choices of k: the mean of their probabilities
    disagreement     the share of images on which two members disagree
    alone, together  for each image how many members are right, and whether all of them together are: text, a digit each
    """
    n = len(probabilities)
    accuracy = [
        np.mean([_accuracy(probabilities[list(chosen)].mean(0), labels) for chosen in combinations(range(n), k)])
        for k in range(1, n + 1)
    ]
    answers = probabilities.argmax(-1)
    pairs = [(answers[i] != answers[j]).mean() for i, j in combinations(range(n), 2)]
    right = probabilities.mean(0).argmax(-1) == labels
    return {
        "accuracy": accuracy,
        "disagreement": np.mean(pairs) if pairs else 0.0,
        "alone": _digits((answers == labels).sum(0)),
        "together": _digits(right),
    }


def _digits(numbers):
    return "".join(str(int(number)) for number in numbers)


def _accuracy(probabilities, labels):
    return (probabilities.argmax(-1) == labels).mean()


def over_both(differences):
    """Return mean and 95 % interval of a difference, for other ensembles and for other images.

    Ensembles that share one set of images vary too little among themselves: another set would move all of them. Half of the
    width is the root of the sum of squares of two: Student's over the means of the ensembles, the normal one over the
    images. It is a little too wide, as noise of single answers counts in both.
    Shape   (ensembles, images)
    """
    over_ensembles = t_interval(differences.mean(1))
    images = differences.mean(0)
    half = math.hypot(over_ensembles.half, Z * float(images.std(ddof=1)) / math.sqrt(images.size))
    return Interval(over_ensembles.mean, over_ensembles.mean - half, over_ensembles.mean + half)


def _answers(result, arm):
    """Shares of members that are right alone, and whether all together are: two arrays (ensembles, images)."""
    runs = result.where(arm=arm, **FINAL).runs
    alone, together = (
        np.array([[int(digit) for digit in run.record[entry]] for run in runs]) for entry in ("alone", "together")
    )
    return alone / runs[0].config["members"], together


def verdict(result):
    """Compare all members together with one of them, on average; and with an ensemble without batch norm."""
    answers = {arm: _answers(result, arm) for arm in ARMS}
    gains = {arm: over_both(together - alone) for arm, (alone, together) in answers.items()}
    gain = gains["with BN"]
    word = "reproduced" if gain.above_zero else "contradicted" if gain.below_zero else "not at this scale"
    more = over_both(answers["with BN"][1] - answers["without BN"][1])
    accuracy = result.values("accuracy", arm="with BN", **FINAL)
    narrow = paired(accuracy[:, -1], accuracy[:, 0])
    disagreement = t_interval(result.values("disagreement", arm="with BN", **FINAL))
    one, all_ = t_interval(accuracy[:, 0]), t_interval(accuracy[:, -1])
    fewer = gain.mean / (1 - one.mean) if one.mean < 1 else 0.0
    return Verdict(
        word,
        f"{gain.text(2, 100, sign=True)} points of test accuracy for {MEMBERS} networks over one; without BN "
        f"{gains['without BN'].text(2, 100, sign=True)}",
        f"One network reads {one.text(2, 100)} % of the test images, {MEMBERS} together {all_.text(2, 100)} %, "
        f"which is {100 * fewer:.0f} % fewer errors. Two of them disagree on {disagreement.text(2, 100)} % of the "
        f"images. Over the ensembles alone, which share their test images, the gain would be "
        f"{narrow.text(2, 100, sign=True)}. Ensembles without batch norm gain "
        f"{gains['without BN'].text(2, 100, sign=True)}; those with it are {more.text(2, 100, sign=True)} points better.",
        {"gain": gain, "gain without BN": gains["without BN"], "more than without BN": more, "one": one, "all": all_,
         "disagreement": disagreement},
    )  # fmt: skip


def figure(result):
    """Accuracy over the number of members, and the gains."""
    from minidl.lab import plot

    figure, (curve, gain) = plot.panels(2)
    accuracies = {arm: 100 * result.values("accuracy", arm=arm, **FINAL) for arm in ARMS}
    members = np.arange(1, accuracies["with BN"].shape[1] + 1)
    ends = {arm: values[:, [0, -1]].mean(0) for arm, values in accuracies.items()}
    one, all_ = ends["with BN"]
    title = f"{members[-1]} networks with BN together: {all_:.2f} %, one: {one:.2f} %"
    plot.lines(curve, {arm: (members, a) for arm, a in accuracies.items()}, title, "networks", "test accuracy (%)")
    gains = {f"{members[-1]} {arm}": accuracy[:, -1] - accuracy[:, 0] for arm, accuracy in accuracies.items()}
    plot.intervals(gain, gains, "Each ensemble against its own members", "points more than one network", zero=True)
    return figure


CLAIM = Claim(
    id="ensemble",
    section="§4.2.3",
    statement="""An ensemble of batch-normalised networks, whose class probabilities are averaged, is more accurate
        than a single one.""",
    method="""Five ensembles of six, with batch norm and without: the paper's network of Figure 1 on binary MNIST, 10,000
        steps, members with their own initial weights and batches, and a learning rate tuned for a single one. Accuracy
        of k members is averaged over all choices of k out of 6. Intervals of differences are for other ensembles and for
        other test images: five ensembles that share one test set vary too little.""",
    rule="""Gain: all six together minus the mean of the six. Reproduced if its 95 % interval over ensembles and images
        lies above 0, contradicted if below, otherwise not at this scale. The ensembles without batch norm are
        reported.""",
    limits="""That batch norm is needed for the gain: see the ensembles without it. The paper's members differed in more
        than the seed (initial scale, dropout, how batch norm is applied).""",
    plan=plan, run=run, verdict=verdict, figure=figure,
)  # fmt: skip

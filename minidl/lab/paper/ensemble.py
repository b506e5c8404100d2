"""§4.2.3 of the paper: an ensemble of batch-normalised networks is better than each of them."""

from itertools import combinations

import numpy as np

from minidl import functional as F
from minidl.lab.models import paper_mlp
from minidl.lab.paper._training import FINAL, draws, finals, score, split, train, tune
from minidl.lab.study.claim import Claim, Verdict
from minidl.lab.study.statistics import paired, t_interval
from minidl.tensor import Tensor
from minidl.train import predict_logits

__all__ = ["CLAIM", "together"]

MEMBERS = 6


def plan(scale):
    """(18 to tune + 5 ensembles × 6) × 10,000 steps × 1 ms = 8 minutes of one core."""
    arms = {"with BN": {"steps": scale.pick(10_000, 400), "members": 1}}
    tuned = yield from tune(arms, scale)
    arms["with BN"]["members"] = MEMBERS
    yield finals(arms, tuned, range(scale.seeds))


def run(config, digits=None):
    """Train the members, each from its own weights on its own batches; accuracies of means of probabilities."""
    data = split(digits)
    scores, probabilities = [], []
    for member in range(config["members"]):
        seed = MEMBERS * config["seed"] + member
        model = paper_mlp("batch", generator=np.random.default_rng(seed))
        diverged = train(model, draws(data, 60, seed), config["lr"], config["steps"])
        scores.append(score(model, data, diverged))
        probabilities.append(F.softmax(Tensor(predict_logits(model, data.x_test))).data)
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


def verdict(result):
    """Compare all members together with one of them, on average."""
    accuracy = result.values("accuracy", **FINAL)
    gain = paired(accuracy[:, -1], accuracy[:, 0])
    word = "reproduced" if gain.above_zero else "contradicted" if gain.below_zero else "not at this scale"
    disagreement = t_interval(result.values("disagreement", **FINAL))
    one, all_ = t_interval(accuracy[:, 0]), t_interval(accuracy[:, -1])
    fewer = gain.mean / (1 - one.mean) if one.mean < 1 else 0.0
    return Verdict(
        word,
        f"{gain.text(2, 100, sign=True)} points of test accuracy for {MEMBERS} networks over one",
        f"One network reads {one.text(2, 100)} % of the test images, {MEMBERS} together {all_.text(2, 100)} %, "
        f"which is {100 * fewer:.0f} % fewer errors. Two of them disagree on {disagreement.text(2, 100)} % of the "
        f"images.",
        {"gain": gain, "one": one, "all": all_, "disagreement": disagreement},
    )


def figure(result):
    """Accuracy over the number of members."""
    from minidl.lab import plot

    accuracy = 100 * result.values("accuracy", **FINAL)
    members = np.arange(1, accuracy.shape[1] + 1)
    figure, (curve, gain) = plot.panels(2)
    title = f"{members[-1]} networks together: {accuracy[:, -1].mean():.2f} %, one: {accuracy[:, 0].mean():.2f} %"
    plot.lines(curve, {"mean of probabilities": (members, accuracy)}, title, "networks", "test accuracy (%)")
    gains = {f"{k} networks": accuracy[:, k - 1] - accuracy[:, 0] for k in members[1:]}
    plot.intervals(gain, gains, "Each ensemble against its own members", "points more than one network", zero=True)
    return figure


CLAIM = Claim(
    id="ensemble",
    section="§4.2.3",
    statement="""An ensemble of batch-normalised networks, whose class probabilities are averaged, is more accurate
        than a single one.""",
    method="""Five ensembles of six: the paper's network of Figure 1 with batch norm on binary MNIST, 10,000 steps,
        members with their own initial weights and batches, and a learning rate tuned for a single one. Accuracy of k
        members is averaged over all choices of k out of 6.""",
    rule="""Gain: all six together minus the mean of the six. Reproduced if its 95 % interval over the ensembles lies
        above 0, contradicted if below, otherwise not at this scale.""",
    limits="""That batch norm is needed for the gain: ensembles of networks without it generally gain as well. The
        paper's members differed in more than the seed (initial scale, dropout, how batch norm is applied).""",
    plan=plan, run=run, verdict=verdict, figure=figure,
)  # fmt: skip

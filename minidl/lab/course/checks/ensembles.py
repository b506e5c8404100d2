"""Checks of lesson 14 (ensembles): averaging members, the gain without labels, and the gain of more members."""

import numpy as np

from minidl.lab.course import ensembles
from minidl.lab.course._check import ask, compare, exercise

__all__ = ["ambiguity", "averager", "expected_gain"]


@exercise(
    "averager",
    hints=(
        "A member hands over logits, which can be any numbers. What must you make of them before a mean over members says "
        "how likely a class is?",
        "Probabilities: a softmax over the classes, the last axis, for each member and image on its own. Its result does "
        "not change when the largest logit is subtracted from all of them first, and then no exponential is above 1.",
        "p̄ = (1/K) Σ softmax(zₖ), the sum over the K members, which are the first axis.",
    ),
)
def averager(answer):
    """The mean of the members' probabilities, also for logits whose exponentials are too large for a number."""
    generator = np.random.default_rng()
    for _ in range(3):
        members, images, classes = generator.permutation([3, 4, 5, 6, 7])[:3].tolist()
        logits = generator.normal(0, 2.5, (members, images, classes))
        compare(
            f"the mean for logits of the shape {logits.shape}",
            ask(answer, logits),
            ensembles.average(logits),
            instead=_other_means(logits),
            hint="Softmax over the last axis, then the mean over the first.",
        )
    logits = generator.normal(800, 2, (3, 4, 5))
    hint = "exp(800) is too large for a number; subtract each image's largest logit before you take exponentials."
    compare("the mean for logits near 800", ask(answer, logits), ensembles.average(logits), hint=hint)
    apart = generator.permutation(np.linspace(-1000, 1000, 20)).reshape(4, 5, 1)  # a level for each member's image
    steep = np.array([np.roll([0, 500, 1000, 1600], i) for i in range(4)])[:, None]  # a level for each member's class
    for levels, hint in ((apart, "its own largest logit, not one for all"), (steep, "its largest logit, and no other")):
        logits = levels + generator.normal(0, 2, (4, 5, 4))
        hint = f"Exponentials overflow here, or all of an image's are 0. Subtract from each member's image {hint}."
        compare("the mean for logits that lie far apart", ask(answer, logits), ensembles.average(logits), hint=hint)


def _other_means(logits):
    """Misconception → what it gives."""

    def softmax(z, axis=-1):
        e = np.exp(z - z.max(axis, keepdims=True))
        return e / e.sum(axis, keepdims=True)

    p, classes = softmax(logits), logits.shape[-1]
    return {
        "this averages the logits, and takes one softmax of the mean; average the probabilities": softmax(
            logits.mean(0)
        ),
        "these are the mean logits; they are no probabilities yet": logits.mean(0),
        "these are shares of votes; how sure each member is gets lost": np.eye(classes)[p.argmax(-1)].mean(0),
        "this is the sum over the members; divide by their number, so that it adds up to 1": p.sum(0),
        "this multiplies the members' probabilities; the mean of the paper is arithmetic": softmax(logits.sum(0)),
        "this is a geometric mean; the mean of the paper is arithmetic": np.exp(np.log(p).mean(0)),
        "the softmax runs over the members; it should run over the classes, the last axis": softmax(logits, 0).mean(0),
        "the softmax runs over the images; it should run over the classes, the last axis": softmax(logits, 1).mean(0),
        "this is the mean over the images; the members are the first axis": p.mean(1),
        "this is the mean over the classes; the members are the first axis": p.mean(-1),
        "these are the probabilities of each member; average them over the first axis": p,
        "these are classes; return the probabilities that they come from": p.mean(0).argmax(-1),
        "the mean of probabilities is taken through a softmax again; it adds up to 1 already": softmax(p.mean(0)),
        "this is the median of the members; take their mean": np.median(p, 0),
        "the exponentials are divided by their sum over all images; each image has a sum of its own": (
            np.exp(logits) / np.exp(logits).sum((1, 2), keepdims=True)
        ).mean(0),
        "these are divided by one sum for everything; each member's image has a sum of its own": (
            np.exp(logits) / np.exp(logits).sum()
        ).mean(0),
        "this has an axis too many, of size 1; leave out keepdims in the mean": p.mean(0, keepdims=True),
        "each class has a sigmoid of its own; the classes compete, in a softmax": (1 / (1 + np.exp(-logits))).mean(0),
    }


@exercise(
    "ambiguity",
    hints=(
        "For one image and one class, the members say p₁, …, p_K, and the truth is t. How do the mean of (pₖ − t)² and "
        "(p̄ − t)² differ?",
        "As the mean of squares and the square of the mean do, for any t: by the variance of p₁, …, p_K, which divides by "
        "K. So t is not needed.",
        "(1/K) Σ (pₖ − p̄)², added up over the classes, averaged over the images.",
    ),
)
def ambiguity(answer):
    """What averaging gains in squared error is known before anybody knows the labels."""
    generator = np.random.default_rng()
    for _ in range(3):
        members, images, classes = (int(generator.integers(*ends)) for ends in ((4, 7), (8, 12), (3, 6)))
        p = generator.dirichlet(np.ones(classes), (members, images))
        apart = np.square(p - p.mean(0))
        votes = p.argmax(-1)
        unlike = (votes[:, None] != votes).sum() / (members * (members - 1) * images)
        compare(
            f"the gain for {members} members",
            ask(answer, p),
            ensembles.ambiguity(p),
            instead={
                "this divides by members − 1; the members are all there are, not a sample": (
                    apart.sum() / (images * (members - 1))
                ),
                "this is the mean over the classes, too; the squared error adds them up": apart.mean(),
                "this is the variance of all numbers at once; each image and class has a mean of its own": p.var(),
                "this compares members with each other; compare them with their mean": (
                    2 * apart.sum() / (images * (members - 1))
                ),
                "this compares all pairs of members, which doubles it": 2 * apart.sum() / (images * members),
                "distances are squared here, without a root and without abs": np.abs(p - p.mean(0)).sum(-1).mean(),
                "this is a standard deviation, the gain is a variance": np.sqrt(apart.mean(0)).sum(-1).mean(),
                "take no root: the gain is a mean of squares": np.sqrt(apart.sum(-1).mean()),
                "this is the share of pairs that disagree about the class; use the probabilities": unlike,
                "this adds up the images, too; average them": apart.sum() / members,
                "this adds up the members; average them": apart.sum() / images,
                "this is the gain of each image; average them": apart.sum(-1).mean(0),
                "this takes the mean over the classes away; take that over the members": (
                    np.square(p - p.mean(-1, keepdims=True)).sum(-1).mean()
                ),
                "this takes the mean over the images away; take that over the members": (
                    np.square(p - p.mean(1, keepdims=True)).sum(-1).mean()
                ),
                "the sign is turned around: the error of the mean is the smaller one": -apart.sum(-1).mean(),
                "this is half of it": apart.sum(-1).mean() / 2,
                "members above and below their mean cancel; square first, then average": 0,
                "this counts one class of each image; the squared error adds up all": apart.max(-1).mean(),
            },
            tol=1e-6,  # float32 passes
            hint="Which mean is taken away from each member, and over which axes do you add up?",
        )


@exercise(
    "expected_gain",
    hints=(
        "Take members that are drawn from one large pool. How does the variance of a mean of k draws depend on k?",
        "One member is off the pool's mean by a variance v, a mean of k members by v/k. The difference is the gain. What is "
        "it for k = 2?",
        "gain(k) = v − v/k, so pair = v/2.",
    ),
)
def expected_gain(answer):
    """Two members tell what any number of them would gain, and two are half of all there is to gain."""
    generator = np.random.default_rng()
    for k in (*generator.permutation(np.arange(5, 13))[:3].tolist(), 1, 2):
        pair = float(generator.uniform(1, 3))
        compare(
            f"the gain of {k} members, where two gain {pair:.3f}",
            ask(answer, pair, k),
            ensembles.expected_gain(pair, k),
            instead={
                "each further member adds less than the one before; this adds the same for each": (k - 1) * pair,
                "this grows with k without end; the gain must level off": k / 2 * pair,
                "this grows at every doubling, without end; the gain must level off": np.log2(k) * pair,
                "for k = 2 this is half of what two gain; 1 − 1/2 is in `pair` already": (1 - 1 / k) * pair,
                "spreads fall as 1/√k; the squared error has variances, which fall as 1/k": (
                    pair * (1 - k**-0.5) / (1 - 2**-0.5)
                ),
                "this is the gain of two, whatever k is": pair,
                "this is the gain of infinitely many": 2 * pair,
                "this is what is still to gain beyond k members": 2 * pair / k,
                "each member adds the same here, and one alone gains already; for k = 1 it is 0": k * pair,
                "for k = 1 this is not 0": (2 - 1 / k) * pair,
                "k members have 1/k of the variance left, not 1/(k − 1)": 2 * pair * (1 - 1 / max(k - 1, 1)),
                "this counts the pairs, which do not add up": k * (k - 1) / 2 * pair,
                "what is left falls as 1/k; it is not halved by each further member": 2 * pair * (1 - 2.0 ** (1 - k)),
                "this adds 1/1 + 1/2 + …, which grows without end": pair * sum(1 / i for i in range(1, k)),
            },
            hint="Try k = 1 (0), k = 2 (the pair's gain) and a very large k (twice that).",
        )

"""What learners get wrong in lesson 14."""

import numpy as np


def softmax(z, axis=-1):
    e = np.exp(z - z.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def overflows(logits):
    e = np.exp(logits)
    return (e / e.sum(-1, keepdims=True)).mean(0)


def votes(logits):
    return np.eye(logits.shape[-1])[logits.argmax(-1)].mean(0)


def pairs(p):
    n = len(p)
    return np.mean([np.square(p[i] - p[j]).sum(-1).mean() for i in range(n) for j in range(i)])


def disagreement(p):
    answers, n = p.argmax(-1), len(p)
    return np.mean([(answers[i] != answers[j]).mean() for i in range(n) for j in range(i)])


def less(largest):
    def averager(z):
        e = np.exp(z - largest(z))
        return (e / e.sum(-1, keepdims=True)).mean(0)

    return averager


WRONG = {
    "averager": [
        ((lambda z: softmax(z.mean(0)),), "averages the logits"),
        ((votes,), "shares of votes"),
        ((lambda z: softmax(z, 0).mean(0),), "runs over the members"),
        ((lambda z: softmax(z).sum(0),), "divide by their number"),
        ((overflows,), "subtract each image's largest logit"),
        ((less(np.max),), "not one for all"),
        ((less(lambda z: z.mean(-1, keepdims=True)),), "and no other"),
        ((less(lambda z: z[..., :1]),), "and no other"),
        ((lambda z: softmax(softmax(z).mean(0)),), "through a softmax again"),
        ((lambda z: np.median(softmax(z), 0),), "the median"),
        ((lambda z: softmax(z).mean(0, keepdims=True),), "an axis too many"),
    ],
    "ambiguity": [
        ((lambda p: p.var(0, ddof=1).sum(-1).mean(),), "divides by members − 1"),
        ((lambda p: p.var(0).mean(),), "the squared error adds them up"),
        ((pairs,), "compare them with their mean"),
        ((disagreement,), "disagree about the class"),
        ((lambda p: p.std(0).sum(-1).mean(),), "the gain is a variance"),
        ((lambda p: np.square(p - p.mean(-1, keepdims=True)).sum(-1).mean(),), "the mean over the classes away"),
        ((lambda p: np.square(p - p.mean(1, keepdims=True)).sum(-1).mean(),), "the mean over the images away"),
        ((lambda p: (p.mean(0) ** 2 - (p**2).mean(0)).sum(-1).mean(),), "the sign is turned around"),
    ],
    "expected_gain": [
        ((lambda pair, k: (k - 1) * pair,), "adds the same for each"),
        ((lambda pair, k: k * pair / 2,), "grows with k without end"),
        ((lambda pair, k: (1 - 1 / k) * pair,), "in `pair` already"),
        ((lambda pair, k: pair * (1 - k**-0.5) / (1 - 0.5**0.5),), "variances, which fall as 1/k"),
        ((lambda pair, k: k * pair,), "one alone gains already"),
        ((lambda pair, k: 2 * pair * (1 - 1 / max(k - 1, 1)),), "not 1/(k − 1)"),
        ((lambda pair, k: pair * sum(1 / i for i in range(1, k)),), "grows without end"),
    ],
}

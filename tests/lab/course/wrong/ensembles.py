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


WRONG = {
    "averager": [
        ((lambda z: softmax(z.mean(0)),), "averages the logits"),
        ((votes,), "shares of votes"),
        ((lambda z: softmax(z, 0).mean(0),), "runs over the members"),
        ((lambda z: softmax(z).sum(0),), "divide by their number"),
        ((overflows,), "subtract each image's largest logit"),
    ],
    "ambiguity": [
        ((lambda p: p.var(0, ddof=1).sum(-1).mean(),), "divides by members − 1"),
        ((lambda p: p.var(0).mean(),), "the squared error adds them up"),
        ((pairs,), "compare them with their mean"),
        ((disagreement,), "disagree about the class"),
        ((lambda p: p.std(0).sum(-1).mean(),), "the gain is a variance"),
    ],
    "expected_gain": [
        ((lambda pair, k: (k - 1) * pair,), "adds the same for each"),
        ((lambda pair, k: k * pair / 2,), "grows with k without end"),
        ((lambda pair, k: (1 - 1 / k) * pair,), "in `pair` already"),
        ((lambda pair, k: pair * (1 - k**-0.5) / (1 - 0.5**0.5),), "variances, which fall as 1/k"),
    ],
}

"""Wrong answers to the exercises of lesson 02."""

import numpy as np


def forward(x, w, b):
    return x @ w + b


def backward(grad_y, x, w):
    return grad_y @ w.T, x.T @ grad_y, grad_y.sum(0)


def softmax(logits):
    p = np.exp(logits - logits.max(1, keepdims=True))
    return p / p.sum(1, keepdims=True)


def loss(logits, labels):
    shifted = logits - logits.max(1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return -log_p[np.arange(len(labels)), labels].mean()


def gradient(logits, labels):
    return (softmax(logits) - np.eye(logits.shape[1])[labels]) / len(labels)


def overflows(logits, labels):
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return -np.log(p[np.arange(len(labels)), labels]).mean()


def clips(logits, labels):
    return -np.log(softmax(logits)[np.arange(len(labels)), labels] + 1e-9).mean()


WRONG = {
    "linear": [
        ((lambda x, w, b: x @ w, backward), "the bias is missing"),
        ((forward, lambda g, x, w: (g @ w.T, g.T @ x, g.sum(0))), "it is transposed"),
        ((forward, lambda g, x, w: (g @ w.T, x.T @ g, g)), "it is not summed over the examples"),
        ((forward, lambda g, x, w: (g @ w.T, x.T @ g / len(x), g.mean(0))), "averaged over the examples"),
        ((forward, lambda g, x, w: (g @ w.T, x.T @ g, np.full(g.shape[1], len(x)))), "multiplies that by grad_y"),
    ],
    "cross-entropy": [
        ((overflows, gradient), "exp overflows, or log meets 0"),
        ((clips, gradient), "added inside the logarithm"),
        ((loss, lambda z, t: gradient(z, t) * len(t)), "the 1/N of the mean is missing"),
        ((loss, lambda z, t: softmax(z) / len(t)), "is not taken off"),
        ((lambda z, t: loss(z, t) * len(t), gradient), "take the mean"),
        ((loss, lambda z, t: -gradient(z, t)), "the sign is turned"),
    ],
}

"""Wrong answers to the exercises of lesson 02."""

import numpy as np

from minidl import Tensor
from minidl import functional as F


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


def one_constant(logits, labels):
    """Takes the largest of all logits off, not each row's."""
    shifted = logits - logits.max()
    log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return -log_p[np.arange(len(labels)), labels].mean()


def forgets_the_shift(logits, labels):
    """Takes the largest off inside the exponentials only."""
    log_sum = np.log(np.exp(logits - logits.max(1, keepdims=True)).sum(1))
    return (log_sum - logits[np.arange(len(labels)), labels]).mean()


def every_label_in_every_row(logits, labels):
    p = softmax(logits)
    p[:, labels] -= 1
    return p / len(labels)


def forgets_too_late(model, images, labels, steps, lr):
    losses = []
    for _ in range(steps):
        loss = F.cross_entropy(model(Tensor(images)), labels)
        loss.backward()
        losses.append(loss.item())
        for p in model.parameters():
            p.grad = None
            p.data -= lr * p.grad if p.grad is not None else 0
    return losses


def variants(model, images, labels, steps, lr, parameters=slice(None), softmax=False, item=True, order=1):
    losses = []
    for _ in range(steps):
        logits = model(Tensor(images))
        loss = F.cross_entropy(F.softmax(logits) if softmax else logits, labels)
        for p in model.parameters():
            p.grad = None
        loss.backward()
        for p in list(model.parameters())[parameters]:
            p.data -= lr * p.grad
        losses.append(loss.item() if item else loss)
    return losses[::order]


def descend(model, images, labels, steps, lr, forget=True, sign=-1, late=False, only=None):
    losses = []
    for step in range(steps):
        for p in model.parameters():
            p.grad = None if forget else p.grad
        loss = F.cross_entropy(model(Tensor(images)), labels)
        loss.backward()
        for p in model.parameters():
            p.data += sign * (lr * p.grad if only is None or step < only else 0 * p.grad)
        losses.append((F.cross_entropy(model(Tensor(images)), labels) if late else loss).item())
    return losses


def rebinds(model, images, labels, steps, lr):
    losses = []
    for _ in range(steps):
        loss = F.cross_entropy(model(Tensor(images)), labels)
        loss.backward()
        for p in model.parameters():
            p = p.data - lr * p.grad
        losses.append(loss.item())
    return losses


WRONG = {
    "linear": [
        ((lambda x, w, b: x @ w, backward), "the bias is missing"),
        ((forward, lambda g, x, w: (g @ w.T, g.T @ x, g.sum(0))), "it is transposed"),
        ((forward, lambda g, x, w: (g @ w.T, x.T @ g, g)), "it is not summed over the examples"),
        ((forward, lambda g, x, w: (g @ w.T, x.T @ g / len(x), g.mean(0))), "averaged over the examples"),
        ((forward, lambda g, x, w: (g @ w.T, x.T @ g, np.full(g.shape[1], len(x)))), "multiplies that by grad_y"),
        ((lambda x, w, b: np.maximum(x @ w + b, 0), backward), "the layer is linear"),
        ((lambda x, w, b: (x @ w + b).astype(np.float32), backward), "seven digits of float32"),
        ((lambda x, w, b: x @ w.T + b, backward), "given arrays of the shapes"),
    ],
    "cross-entropy": [
        ((overflows, gradient), "exp overflows, or log meets 0"),
        ((clips, gradient), "added inside the logarithm"),
        ((one_constant, gradient), "row's own largest"),
        ((loss, lambda z, t: gradient(z, t) * len(t)), "the 1/N of the mean is missing"),
        ((loss, lambda z, t: softmax(z) / len(t)), "is not taken off"),
        ((lambda z, t: loss(z, t) * len(t), gradient), "take the mean"),
        ((forgets_the_shift, gradient), "inside the exponentials only"),
        ((lambda z, t: -np.log(softmax(z)[:, t]).mean(), gradient), "take one of each row"),
        ((lambda z, t: -softmax(z)[np.arange(len(t)), t].mean(), gradient), "the logarithm is missing"),
        ((lambda z, t: loss(softmax(z), t), gradient), "there are two softmaxes"),
        ((lambda z, t: loss(z, t) / z.shape[1], gradient), "divided by the number of classes too"),
        ((loss, every_label_in_every_row), "take one of each row"),
        ((loss, lambda z, t: softmax(z) - np.eye(z.shape[1])[t] / len(t)), "only one of the two terms"),
        ((loss, lambda z, t: -np.eye(z.shape[1])[t] / softmax(z) / len(t)), "it is ∂L/∂p"),
        ((loss, lambda z, t: gradient(z, t) / z.shape[1]), "divided by the number of classes too"),
    ],
    "loop": [
        ((lambda *a: descend(*a, forget=False),), "set it to None before each backward()"),
        ((lambda *a: descend(*a, sign=1),), "they move uphill"),
        ((lambda *a: descend(*a, only=1),), "in the first step only"),
        ((lambda *a: descend(*a, late=True),), "computed after its step"),
        ((rebinds,), "only gives another array the name p"),
        ((forgets_too_late,), "not between it and the move"),
        ((lambda *a: variants(*a, parameters=slice(1)),), "Some of the parameters have not moved"),
        ((lambda *a: variants(*a, item=False),), ".item() makes a number"),
        ((lambda *a: variants(*a, softmax=True),), "there is a softmax before the loss"),
        ((lambda *a: variants(*a, order=-1),), "in reverse order"),
        ((lambda m, i, t, steps, lr: variants(m, i, t, steps - 1, lr),), "one step too few"),
    ],
}

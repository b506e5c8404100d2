"""Lesson 02: the linear layer, and softmax with cross-entropy."""

import numpy as np

from minidl.course._check import Wrong, ask, compare, exercise


@exercise("linear")
def linear(forward, backward):
    """y = xW + b and its three gradients, on shapes that you have not seen."""
    rng = np.random.default_rng()
    for _ in range(3):
        n, n_in, n_out = rng.permutation(np.arange(5, 12))[:3]
        x, w, b = rng.normal(size=(n, n_in)), rng.normal(size=(n_in, n_out)), rng.normal(size=n_out)
        _forward(ask(forward, x, w, b), x, w, b)
        grad_y = rng.normal(size=(n, n_out))
        _backward(ask(backward, grad_y, x, w), grad_y, x, w)


def _forward(got, x, w, b):
    instead = {"the bias is missing": x @ w, "the bias is subtracted": x @ w - b}
    compare("y", got, x @ w + b, instead=instead)


def _backward(result, grad_y, x, w):
    if not isinstance(result, tuple | list) or len(result) != 3:
        raise Wrong("backward must return three arrays: grad_x, grad_w, grad_b.")
    grad_x, grad_w, grad_b = result
    n = len(x)
    compare("grad_x", grad_x, grad_y @ w.T, hint="Its shape is x's: which product of grad_y and W has it?")
    want = x.T @ grad_y
    instead = {
        "it is transposed; the gradient has W's own shape, (in, out)": want.T,
        "it is averaged over the examples; they add up (the loss has its 1/N already)": want / n,
    }
    compare("grad_w", grad_w, want, instead=instead, hint="Its shape is W's: which product of x and grad_y has it?")
    instead = {
        "it is not summed over the examples; b is used once for each": grad_y,
        "it is averaged over the examples; they add up (the loss has its 1/N already)": grad_y.mean(0),
        "it is summed over the outputs; sum over the examples": grad_y.sum(1),
        "it is 1 for each example; the chain rule multiplies that by grad_y": np.full(grad_y.shape[1], float(n)),
    }
    compare("grad_b", grad_b, grad_y.sum(0), instead=instead)


@exercise("cross-entropy")
def cross_entropy(forward, backward):
    """Softmax and cross-entropy that stay finite for logits of a thousand, and the gradient (p − one-hot) / N."""
    rng = np.random.default_rng()
    for scale in (1.0, 1000.0):
        n, c = rng.integers(5, 9), rng.integers(10, 14)
        logits, labels = scale * rng.normal(size=(n, c)), rng.integers(0, c, n)
        log_p, p = _softmax(logits)
        _loss(ask(forward, logits, labels), logits, log_p, labels, scale)
        _gradient(ask(backward, logits, labels), p, labels, scale)


def _softmax(logits):
    shifted = logits - logits.max(1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return log_p, np.exp(log_p)


def _loss(got, logits, log_p, labels, scale):
    rows = np.arange(len(labels))
    losses = -log_p[rows, labels]
    other_axis = _softmax(logits.T)[0].T
    if scale > 1 and got is not None and not np.isfinite(np.asarray(got, dtype=float)).all():
        raise Wrong(
            f"For logits of about {scale:.0f} the loss is {got}: exp overflows, or log meets 0. "
            "Subtract each row's largest logit first, and take log Σ exp, not the log of a probability."
        )
    instead = {
        "it is not averaged: one loss for each example": losses,
        "it is the sum over the examples; take the mean": losses.sum(),
        "the sign is missing: −log p": -losses.mean(),
        "softmax runs over the examples; it must run over the classes of each": -other_axis[rows, labels].mean(),
        "all classes are averaged; only the true one counts": -log_p.mean(),
    }
    hint = "A small number added inside the logarithm, or a clipped probability, changes large losses." * (scale > 1)
    compare(f"the loss for logits of about {scale:.0f}", got, losses.mean(), tol=1e-6, instead=instead, hint=hint)


def _gradient(got, p, labels, scale):
    n, one_hot = len(labels), np.eye(p.shape[1])[labels]
    if scale > 1 and got is not None and not np.isfinite(np.asarray(got, dtype=float)).all():
        raise Wrong(
            f"For logits of about {scale:.0f} the gradient is not finite: exp overflows. Subtract each row's max."
        )
    instead = {
        "the 1/N of the mean is missing": p - one_hot,
        "it is p alone; the true class's own share, 1, is not taken off": p / n,
        "the sign is turned: the loss falls when the true logit grows": (one_hot - p) / n,
        "1 is taken off every class; only the true one loses it": (p - 1) / n,
        "only the true class has a gradient; all logits share in Σ exp": (p - 1) * one_hot / n,
    }
    compare("grad_logits", got, (p - one_hot) / n, instead=instead)

"""Checks of lesson 02 (layers): the linear layer, softmax with cross-entropy, and the loop."""

import numpy as np

from minidl import functional as F
from minidl import nn
from minidl.lab.course._check import Wrong, array, ask, compare, exercise, parts
from minidl.tensor import Tensor


@exercise(
    "linear",
    hints=(
        "What are the shapes of x, W and grad_y, and which products of two of them have the shape that you need?",
        "One element: yᵢⱼ = Σₖ xᵢₖ Wₖⱼ + bⱼ. Where does Wₖⱼ occur? In column j of y, once for each example;"
        " add those up.",
        "∂L/∂xᵢₖ = Σⱼ ∂L/∂yᵢⱼ Wₖⱼ;  ∂L/∂Wₖⱼ = Σᵢ xᵢₖ ∂L/∂yᵢⱼ;  ∂L/∂bⱼ = Σᵢ ∂L/∂yᵢⱼ. Write the sums as matrix products.",
    ),
)
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
    instead |= {"there is an activation in it; the layer is linear": np.maximum(x @ w + b, 0)}
    compare("y", got, x @ w + b, instead=instead)


def _backward(result, grad_y, x, w):
    grad_x, grad_w, grad_b = parts(result, ("grad_x", "grad_W", "grad_b"))
    n = len(x)
    compare("grad_x", grad_x, grad_y @ w.T, hint="Its shape is x's: which product of grad_y and W has it?")
    want = x.T @ grad_y
    instead = {
        "it is transposed; the gradient has W's own shape, (in, out)": want.T,
        "it is averaged over the examples; they add up (the loss has its 1/N already)": want / n,
    }
    compare("grad_W", grad_w, want, instead=instead, hint="Its shape is W's: which product of x and grad_y has it?")
    instead = {
        "it is not summed over the examples; b is used once for each": grad_y,
        "it is averaged over the examples; they add up (the loss has its 1/N already)": grad_y.mean(0),
        "it is summed over the outputs; sum over the examples": grad_y.sum(1),
        "it is 1 for each example; the chain rule multiplies that by grad_y": np.full(grad_y.shape[1], float(n)),
    }
    compare("grad_b", grad_b, grad_y.sum(0), instead=instead)


@exercise(
    "cross-entropy",
    hints=(
        "Which number can you subtract from all logits of a row so that no e^z is above 1, and p stays the same?",
        "log p comes straight from the shifted logits: log pₖ = zₖ − log Σ e^z. For the gradient: zₖ is in "
        "the sum for every k, and stands alone only if k is the label.",
        "L = −mean of log p[label];  ∂L/∂zₖ = (pₖ − [k is the label]) / N.",
    ),
)
def cross_entropy(forward, backward):
    """Softmax and cross-entropy that stay finite for logits of a thousand, and the gradient (p − one-hot) / N."""
    rng = np.random.default_rng()
    for scale in (1.0, 1000.0):
        n, c = rng.integers(5, 9), rng.integers(10, 14)
        logits, labels = scale * rng.normal(size=(n, c)), rng.integers(0, c, n)
        log_p, p = _softmax(logits)
        _loss(ask(forward, logits, labels), logits, log_p, labels, scale)
        _gradient(ask(backward, logits, labels), logits, p, labels, scale)
    logits = rng.normal(size=(n, c)) + 1000 * np.arange(n)[:, None]
    if not (_finite(ask(forward, logits, labels)) and _finite(ask(backward, logits, labels))):
        raise Wrong(
            "When one row's logits are 1,000 above another's, the loss or its gradient is not finite: taking the largest "
            "of all logits off leaves rows in which every e^z is 0. Subtract each row's own largest."
        )


def _finite(got):
    return bool(np.isfinite(array("The result", got)).all())


def _softmax(logits):
    shifted = logits - logits.max(1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return log_p, np.exp(log_p)


def _loss(got, logits, log_p, labels, scale):
    rows = np.arange(len(labels))
    losses = -log_p[rows, labels]
    other_axis, again = _softmax(logits.T)[0].T, _softmax(np.exp(log_p))[0]
    shifts = logits.max(1)
    if scale > 1 and not _finite(got):
        raise Wrong(
            f"For logits of about {scale:.0f} the loss is {got}: exp overflows, or log meets 0. "
            "Subtract each row's own largest logit first, and take log Σ exp, not the log of a probability."
        )
    instead = {
        "it is not averaged: one loss for each example": losses,
        "it is the sum over the examples; take the mean": losses.sum(),
        "the sign is missing: −log p": -losses.mean(),
        "softmax runs over the examples; it must run over the classes of each": -other_axis[rows, labels].mean(),
        "all classes are averaged; only the true one counts": -log_p.mean(),
        "p[:, labels] is a matrix, every label in every row; take one of each row, p[np.arange(N), labels]":
            -log_p[:, labels].mean(),
        "the row's constant is taken off inside the exponentials only; take it off zₖ too": (losses - shifts).mean(),
        "it is divided by the number of classes too; the mean is over the examples": losses.mean() / logits.shape[1],
        "the logarithm is missing: it is −p, not −log p": -np.exp(-losses).mean(),
        "the logarithm is of the mean probability; take the mean of the logarithms": -np.log(np.exp(-losses).mean()),
        "there are two softmaxes, one of the other": -again[rows, labels].mean(),
        "the logarithm is not the natural one": losses.mean() / np.log(2),
        "the other classes count too, with log(1 − p); here only the true one does":
            (losses - (np.log1p(-np.exp(log_p)) * (1 - np.eye(logits.shape[1])[labels])).sum(1)).mean(),
    }  # fmt: skip
    hint = (
        "A small number added inside the logarithm, a clipped probability, or taking off anything but each row's own "
        "largest logit changes large losses."
    ) * (scale > 1)
    compare(f"the loss for logits of about {scale:.0f}", got, losses.mean(), tol=1e-6, instead=instead, hint=hint)


def _gradient(got, logits, p, labels, scale):
    n, one_hot = len(labels), np.eye(p.shape[1])[labels]
    everywhere = one_hot.max(0)  # 1 for each class that is some example's label
    if scale > 1 and not _finite(got):
        raise Wrong(
            f"For logits of about {scale:.0f} the gradient is not finite: exp overflows. Subtract each row's max."
        )
    instead = {
        "the 1/N of the mean is missing": p - one_hot,
        "it is divided by the number of classes; the mean is over the examples": (p - one_hot) / p.shape[1],
        "it is p alone; the true class's own share, 1, is not taken off": p / n,
        "the sign is turned: the loss falls when the true logit grows": (one_hot - p) / n,
        "1 is taken off every class; only the true one loses it": (p - 1) / n,
        "only the true class has a gradient; all logits share in Σ exp": (p - 1) * one_hot / n,
        "p[:, labels] is every label in every row; take one of each row, p[np.arange(N), labels]": (p - everywhere) / n,
        "only one of the two terms is divided by N: (p − one-hot) / N": p - one_hot / n,
        "it is divided by the number of classes too; the mean is over the examples": (p - one_hot) / p.size,
        "softmax runs over the examples; it must run over the classes of each":
            (_softmax(logits.T)[1].T - one_hot) / n,
        "it has the logits where p belongs": (logits - one_hot) / n,
        "it is ∂L/∂p; one more factor, ∂p/∂z, leads to the logits": -one_hot / p / n,
    }  # fmt: skip
    compare("grad_logits", got, (p - one_hot) / n, tol=1e-6, instead=instead)


@exercise(
    "loop",
    hints=(
        "What is in p.grad when a step begins, and what should be?",
        "Four things in each step, in this order: forget, compute the loss (and keep its .item()), backward, move.",
        "W ← W − lr · ∂L/∂W, for each parameter, in place in p.data.",
    ),
)
def loop(answer):
    """The whole of gradient descent: forget, loss, backward, move, on a network that you have not seen."""
    rng = np.random.default_rng()
    n, seed, lr = int(rng.integers(8, 12)), int(rng.integers(1000)), float(rng.uniform(0.2, 0.4))
    images, labels = rng.normal(size=(n, 6)).astype(np.float32), rng.integers(0, 3, n)
    model, steps = _small_network(seed), int(rng.integers(4, 8))
    losses = ask(answer, model, images, labels, steps, lr)
    got, start = _numbers(model), _numbers(_small_network(seed))
    if np.array_equal(got, start):
        if all(p.grad is None for p in model.parameters()):
            raise Wrong(
                "No parameter has moved, and none has a gradient: forget the old ones before backward(), not between it "
                "and the move."
            )
        raise Wrong("No parameter has moved. (`p = p - …` only gives another array the name p: change p.data.)")
    if not all(
        (a.data != b.data).any() for a, b in zip(model.parameters(), _small_network(seed).parameters(), strict=True)
    ):
        raise Wrong("Some of the parameters have not moved: go through all of model.parameters() in every step.")
    if isinstance(losses, list) and any(isinstance(loss, Tensor) for loss in losses):
        raise Wrong("The list holds Tensors, which keep their whole graphs; .item() makes a number of a loss.")

    def run(**mistake):
        return _descend(_small_network(seed), images, labels, steps, lr, **mistake)

    want, want_losses, after = run()
    instead = {
        "earlier gradients are still in .grad; set it to None before each backward()": run(keep=True)[0],
        "they move uphill: the step is against the gradient, minus": run(factor=-lr)[0],
        "the gradient is not multiplied by the learning rate": run(factor=1.0)[0],
        "they are moved in the first step only": _descend(_small_network(seed), images, labels, 1, lr)[0],
        "there is one step too many": _descend(_small_network(seed), images, labels, steps + 1, lr)[0],
        "there is one step too few": _descend(_small_network(seed), images, labels, steps - 1, lr)[0],
        "there is a softmax before the loss; cross_entropy takes the logits": run(softmax=True)[0],
        "the gradient is divided by N once more; the loss is a mean already": run(factor=lr / n)[0],
    }
    compare(f"the parameters after {steps} steps", got, want, tol=1e-4, instead=instead)
    instead = {
        "each is computed after its step; return those that the steps began with": [*want_losses[1:], after],
        "they stand in reverse order; the first step's comes first": want_losses[::-1],
    }
    compare("the list of losses", losses, want_losses, tol=1e-4, instead=instead)


def _small_network(seed):
    generator = np.random.default_rng(seed)
    return nn.Sequential(nn.Linear(6, 5, generator=generator), nn.Tanh(), nn.Linear(5, 3, generator=generator))


def _numbers(model):
    return np.concatenate([p.data.ravel() for p in model.parameters()])


def _descend(model, images, labels, steps, lr, keep=False, factor=None, softmax=False):
    """The parameters, the losses before the steps, and the loss after the last one."""
    losses = []
    for _ in range(steps):
        logits = model(Tensor(images))
        loss = F.cross_entropy(F.softmax(logits) if softmax else logits, labels)
        for p in () if keep else model.parameters():
            p.grad = None
        loss.backward()
        for p in model.parameters():
            p.data -= np.float32(lr if factor is None else factor) * p.grad
        losses.append(loss.item())
    return _numbers(model), losses, F.cross_entropy(model(Tensor(images)), labels).item()

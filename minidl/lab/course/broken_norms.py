"""Batch norms whose gradient misses a path, on purpose, and what becomes of networks trained with them (lesson 04)."""

from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np

from minidl import functional as F
from minidl import nn, optim
from minidl.autograd import no_grad
from minidl.lab.models import paper_mlp
from minidl.lab.paper._norms import PathNorm, add_biases, normalise
from minidl.tensor import Tensor

__all__ = ["MovingNorm", "PathNorm", "normalise", "one_direction", "suspects", "watch"]


class MovingNorm(nn.Module):
    """Normalises by moving averages of earlier batches, in training too; rightly, the gradient takes them for constants."""

    def __init__(self, features: int):
        self.features = features
        self.register_buffer("running_mean", np.zeros(features, np.float32))
        self.register_buffer("running_var", np.ones(features, np.float32))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x (m, C)."""
        y = F.batch_norm(x, self.running_mean, self.running_var)
        if self.training:
            self.running_mean[:] += np.float32(0.1) * (x.data.mean(0) - self.running_mean)
            self.running_var[:] += np.float32(0.1) * (x.data.var(0) - self.running_var)
        return y


def one_direction(x: np.ndarray) -> float:
    """Measure how much of what a layer's units do they all do together: 1/C if they are unrelated, 1 if all do the same.

    The largest eigenvalue of the correlation matrix of the C units, over the sum of all; x (m, C). nan if some unit's
    numbers are not finite, or all equal.
    """
    x = np.asarray(x, dtype=np.float64)
    if not np.isfinite(x).all() or not np.ptp(x, axis=0).all():
        return float("nan")
    z = (x - x.mean(0)) / x.std(0)
    return float(np.linalg.eigvalsh(z.T @ z / len(z))[-1] / x.shape[1])


def watch(
    norm: Callable[[int], nn.Module], x: np.ndarray, labels: np.ndarray, lr: float, steps: int, every: int, seed: int = 0,
    last_lr: float | None = None, less_mean: bool = False,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Train the paper's network with biases and a normalisation before each sigmoid; batches of 60, plain SGD.

    last_lr    the learning rate of the output layer; by default that of all others
    less_mean  subtract from the inputs of each hidden layer their mean over the batch; the gradient ignores that
    Returns rows of one number every so many steps: "step"; "loss", the mean since the last one; "bias" and "weight", the
    root mean square of those before a normalisation; "one direction", that of the inputs of the last normalisation, for
    500 images; "common", the share of the gradient that reaches the last hidden layer which is the same for all examples
    of the batch (the square of its mean over the mean of its squares), the mean since the last one. A run that is no
    longer finite ends early; its remaining rows are nan.
    """
    model = add_biases(paper_mlp(norm, generator=np.random.default_rng(seed)))
    if less_mean:
        *below, above = model
        parts = [(_LessMean(), layer) if isinstance(layer, nn.Linear) else (layer,) for layer in below]
        model = nn.Sequential(*[layer for part in parts for layer in part], above)
    *hidden, last = [layer for layer in model if isinstance(layer, nn.Linear)]
    ours: dict[str, Any] = {"params": [p for layer in model if layer is not last for p in layer.parameters()]}
    of_the_last: dict[str, Any] = {"params": last.parameters(), "lr": lr if last_lr is None else last_lr}
    optimizer, rng = optim.SGD([ours, of_the_last], lr), np.random.default_rng([seed, 1])
    names = ("step", "loss", "bias", "weight", "one direction", "common")
    rows, losses, shares = np.full((steps // every, len(names)), np.nan), [], []
    rows[:, 0] = every * np.arange(1, len(rows) + 1)
    with np.errstate(all="ignore"):  # a network that diverges overflows first
        for step in count(1):
            chosen = rng.integers(0, len(x), 60)
            logits = model(Tensor(x[chosen]))
            logits.retain_grad()
            loss = F.cross_entropy(logits, labels[chosen])
            losses.append(loss.item())
            if step > steps or not np.isfinite(losses[-1]):
                break
            optimizer.zero_grad()
            loss.backward()
            shares.append(_common(logits.grad @ last.weight.data.T))
            optimizer.step()
            if step % every == 0:
                sizes = [_rms([getattr(layer, kind).data for layer in hidden]) for kind in ("bias", "weight")]
                together = _together(model, hidden[-1], x[:500])
                rows[step // every - 1, 1:] = np.mean(losses[-every:]), *sizes, together, np.mean(shares[-every:])
    return dict(zip(names, rows.T, strict=True))


class _LessMean(nn.Module):
    def forward(self, x):
        return x - x.data.mean(0)


def _common(grad):
    return np.square(grad.mean(0)).sum() / np.square(grad).sum(1).mean()


def _rms(arrays):
    return np.sqrt(np.mean([np.square(array).mean() for array in arrays]))


@no_grad()
def _together(model, last, x):
    seen = []
    model.eval()  # a moving average must not move
    with last.register_forward_hook(lambda module, inputs, output: seen.append(output.data)):
        model(Tensor(x))
    model.train()
    return one_direction(seen[0])


# ---- four batch norms by four people ---------------------------------------------------------------------------------
# The lesson asks you to find out by experiment which paths they miss. Read on after that. They are written as such norms
# are met, each in another way, and not by `normalise`.


def suspects() -> dict[str, Callable[[Tensor], Tensor]]:
    """Return four functions (m, C) → (m, C) that normalise alike; some of their gradients miss a path."""
    return {"A": _a, "B": _b, "C": _c, "D": _d}


def _a(x):
    with no_grad():
        var = ((x - x.mean(0)) ** 2).mean(0)
    return (x - x.mean(0)) / (var + 1e-5) ** 0.5


def _b(x):
    centred = x - x.mean(0)
    return centred / (((x - x.data.mean(0)) ** 2).mean(0) + 1e-5) ** 0.5


def _c(x):
    mean, std = x.data.mean(0), np.sqrt(x.data.var(0) + 1e-5)
    return (x - mean) / std


def _d(x):
    centred = x - x.data.mean(0)
    return centred / ((centred**2).mean(0) + 1e-5) ** 0.5

"""What a gradient step does to gradients and losses around it (Santurkar et al. 2018)."""

import contextlib
from typing import NamedTuple

import numpy as np

from minidl import nn
from minidl.autograd import no_grad
from minidl.lab.paper._norms import NoisyNorm
from minidl.lab.paper._training import loss_of

__all__ = ["STEPS", "Path", "along_gradient", "gradient_change", "loss_range"]

STEPS = (0.5, 1.0, 2.0, 4.0)  # in learning rates


class Path(NamedTuple):
    """What a batch meets on the way along its own gradient g, at each of K distances s·lr·‖g‖."""

    losses: np.ndarray  # (K + 1,), the first one before any step
    changes: np.ndarray  # (K,) ‖∇L(θ − s·lr·g) − g‖, over all parameters
    distances: np.ndarray  # (K,)

    @property
    def loss_range(self):
        """Largest less smallest loss after the steps."""
        return float(np.ptp(self.losses[1:]))

    @property
    def gradient_change(self):
        """The largest change of the gradient: how far g can be trusted."""
        return float(self.changes.max())

    @property
    def smoothness(self):
        """The largest change of the gradient for each unit of distance: the effective β of “β-smooth”."""
        return float((self.changes / self.distances).max())


def gradient_change(model, batch, lr):
    """Return the mean of ‖G − G′‖/‖G‖ over all layers but the first.

    G is the gradient of the layer's weights, G′ the same after all layers before it have taken their step with this batch.
    """
    layers, groups = _layers(model)
    with _as_found(model):
        gradients = _gradients(model, batch)
        changes = []
        for layer, group in zip(layers[1:], groups, strict=False):
            _move(group, gradients, lr)  # groups before this one have moved already
            ours, theirs = gradients[layer.weight], _gradients(model, batch)[layer.weight]
            size = np.linalg.norm(ours)
            changes.append(np.linalg.norm(ours - theirs) / size if size > 0 else 0.0)
    return float(np.mean(changes))


def loss_range(model, batch, lr):
    """Return the largest minus the smallest loss of the batch at several steps along its gradient."""
    with _as_found(model):
        start = {p: p.data.copy() for p in model.parameters()}
        gradients, losses = _gradients(model, batch), []
        for step in STEPS:
            for p, data in start.items():
                p.data = data.copy()
            _move(start, gradients, step * lr)
            with no_grad():
                losses.append(loss_of(model, *batch).item())
    return max(losses) - min(losses)


def along_gradient(model, batch, lr, steps=STEPS):
    """Return losses and gradients of a batch at several steps along its gradient, in learning rates: a Path."""
    with _as_found(model):
        start = {p: p.data.copy() for p in model.parameters()}
        gradients, losses, changes = _gradients(model, batch), [_loss(model, batch)], []
        for step in steps:
            for p, data in start.items():
                p.data = data.copy()
            _move(start, gradients, step * lr)
            losses.append(_loss(model, batch))
            there = _gradients(model, batch)
            changes.append(_size(there[p] - g for p, g in gradients.items()))
    distances = lr * np.asarray(steps) * _size(gradients.values())
    return Path(np.array(losses), np.array(changes), distances)


def _loss(model, batch):
    with no_grad():
        return loss_of(model, *batch).item()


def _size(arrays):
    """The length of several arrays as one vector."""
    return float(np.sqrt(sum(np.square(a, dtype=np.float64).sum() for a in arrays)))


def _layers(model):
    """The linear layers, and for each the parameters from it up to the next one."""
    layers = [layer for layer in model if isinstance(layer, nn.Linear)]
    starts = [i for i, layer in enumerate(model) if isinstance(layer, nn.Linear)]
    ends = [*starts[1:], len(model)]
    return layers, [list(model[a:b].parameters()) for a, b in zip(starts, ends, strict=True)]


def _gradients(model, batch):
    model.zero_grad()
    loss_of(model, *batch).backward()
    return {p: p.grad for p in model.parameters()}


def _move(parameters, gradients, lr):
    for p in parameters:
        p.data = p.data - p.data.dtype.type(lr) * gradients[p]


@contextlib.contextmanager
def _as_found(model):
    """Leave the model as it was: parameters, gradients, buffers; and let noise stay the same meanwhile.

    Parameters get back the very arrays that they had, which nothing here writes into: a graph may still need them.
    """
    parameters = [(p, p.data) for p in model.parameters()]
    buffers = [(buffer, buffer.copy()) for buffer in model.buffers()]
    noisy = [module for module in model.modules() if isinstance(module, NoisyNorm)]
    for module in noisy:
        module.hold = True
    try:
        yield
    finally:
        for p, data in parameters:
            p.data = data
        for buffer, copy in buffers:
            buffer[...] = copy
        model.zero_grad()
        for module in noisy:
            module.hold = False

"""Measurements of internal covariate shift (lesson 10): networks in training, observed by five instruments."""

from functools import partial

import numpy as np

from minidl import nn
from minidl.lab.models import paper_mlp
from minidl.lab.paper._drift import drift
from minidl.lab.paper._landscape import along_gradient, gradient_change
from minidl.lab.paper._norms import NoisyNorm, add_biases
from minidl.lab.paper._training import draws, marks, score, split, train
from minidl.probe import Probe
from minidl.tensor import Tensor
from minidl.train import evaluate

__all__ = ["ARMS", "MEASURES", "watch"]

ARMS = {
    "without BN": "none", "with BN": "batch",
    "noise after BN": "noisy", "noise, no BN": "noise", "noise in σ, no BN": "noise in σ",
}  # fmt: skip
MEASURES = {  # name → what it is, with its unit
    "drift": "change of the median (band widths)",
    "drift before": "change of the median (band widths)",
    "accuracy": "test accuracy",
    "gradient change": "‖G − G′‖ / ‖G‖",
    "loss range": "range of the loss",
    "gradient range": "largest ‖∇L′ − ∇L‖",
    "curvature": "largest ‖∇L′ − ∇L‖ / distance",
}
IMAGES = 1000


def watch(norm, lr, seed, digits, steps=2000, looks=20):
    """Train the network of Figure 1 and look at it `looks` times; all arms of a seed share weights and batches.

    norm     "none", "batch", "noisy": batch norm, and after it a factor and a shift for each unit, new in each step;
             "noise": that noise without batch norm; "noise in σ": the same, in standard deviations of the unit
    Returns  a dict: "steps" (T,); each of `MEASURES` (T,), drifts since the look before, so nan at first; "losses"
             (T, 5) at 0, ½, 1, 2 and 4 learning rates along the gradient; "test", the accuracy at the end, which has
             population statistics, where "accuracy" has running ones and fewer images
    """
    data, noise = split(digits), np.random.default_rng([seed, 3])
    makers = {"noisy": NoisyNorm, "noise": _Noise, "noise in σ": partial(_Noise, in_sigma=True)}
    kind = partial(makers[norm], generator=noise) if norm in makers else norm
    model, at = paper_mlp(kind, generator=np.random.default_rng(seed)), marks(steps, looks)
    if norm.startswith("noise"):
        add_biases(model)  # as in the network without batch norm
    others = draws(data, 60, seed + 500)  # batches that are not trained with
    places = {"drift": [], "drift before": []}
    seen = {name: [] for name in (*MEASURES, "losses") if name not in places}

    def look(step, loss):
        batch = next(others)
        for place, percentiles in zip(places.values(), _percentiles(model, data.x[:IMAGES]), strict=True):
            place.append(percentiles)
        path = along_gradient(model, batch, lr)
        accuracy = evaluate(model, data.x_test[:IMAGES], data.y_test[:IMAGES]).accuracy
        change = gradient_change(model, batch, lr)
        found = (accuracy, change, path.loss_range, path.gradient_change, path.smoothness, path.losses)
        for values, value in zip(seen.values(), found, strict=True):
            values.append(value)

    diverged = train(model, draws(data, 60, seed), lr, steps, look, at)
    if diverged is not None:
        raise FloatingPointError(f"watch: the loss is not finite at step {diverged}; try a smaller lr than {lr:g}")
    drifts = {name: np.array([np.nan, *drift(percentiles)]) for name, percentiles in places.items()}
    measured = {name: np.array(values) for name, values in seen.items()}
    return {"steps": np.array(at), **drifts, **measured, "test": score(model, data)["test"]}


class _Noise(NoisyNorm):
    """The noise of NoisyNorm, and no batch norm before it; with `in_sigma` the shift is in standard deviations."""

    def __init__(self, features, generator, in_sigma=False):
        super().__init__(features, generator)
        self.norm, self.in_sigma = nn.Identity(), in_sigma

    def forward(self, x):
        y = super().forward(x)
        if not (self.training and self.in_sigma):
            return y
        mean, sigma = x.data.mean(0), x.data.std(0)
        factor, shift = self.noise
        # as after a batch norm: the factor stretches about the mean, the shift is counted in σ
        return (x - mean) * factor + (mean + shift * sigma)


def _percentiles(model, images):
    """Return percentiles of all hidden units in training mode: of the sigmoids' inputs, and the linear layers' outputs."""
    names = {kind: [n for n, m in model.named_modules() if isinstance(m, kind)] for kind in (nn.Sigmoid, nn.Linear)}
    sigmoids, linears = names[nn.Sigmoid], names[nn.Linear][:-1]
    buffers = [(buffer, buffer.copy()) for buffer in model.buffers()]
    with Probe(model, [*sigmoids, *linears], per_unit=True) as probe:
        model(Tensor(images))
        probe.step()
    for buffer, before in buffers:
        buffer[...] = before
    return [
        np.concatenate([probe.series(name, what, "unit_percentiles")[1][0] for name in layers])
        for layers, what in ((sigmoids, "input"), (linears, "output"))
    ]

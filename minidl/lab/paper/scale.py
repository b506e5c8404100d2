"""§3.3 of the paper: batch norm does not see the scale of the weights before it; larger weights get smaller gradients."""

import numpy as np

from minidl import functional as F
from minidl.lab.paper._checks import deviation
from minidl.lab.study.claim import Claim, Verdict
from minidl.tensor import Tensor

__all__ = ["CLAIM"]

SCALES = (1e-3, 1e-2, 0.1, 0.3, 3.0, 10.0, 100.0, 1e3)
PARTS = ("output", "∂/∂u", "a·∂/∂(aW)")
BOUND = 1e-12


def plan(scale):
    """A run for each seed and ε."""
    yield [{"seed": seed, "eps": eps, "scales": list(SCALES)} for eps in (0.0, 1e-5) for seed in range(scale.seeds)]


def run(config, digits=None):
    """For each factor a: how far the output, ∂/∂u, and a times the gradient of aW are from those at a = 1."""
    generator = np.random.default_rng(config["seed"])
    u, weight = generator.standard_normal((60, 30)), generator.standard_normal((30, 20)) / np.sqrt(30)
    gamma, beta = generator.standard_normal((2, 20))
    grad_y = generator.standard_normal((60, 20))

    def through(a):
        x, w = Tensor(u, requires_grad=True), Tensor(a * weight, requires_grad=True)
        y = F.batch_norm(x @ w, None, None, Tensor(gamma), Tensor(beta), training=True, eps=config["eps"])
        y.backward(grad_y)
        return y.data, x.grad, a * w.grad

    ours = through(1.0)
    rows = [[deviation(x, y) for x, y in zip(through(a), ours, strict=True)] for a in config["scales"]]
    return dict(zip(PARTS, map(list, zip(*rows, strict=True)), strict=True))


def verdict(result):
    """All deviations at ε = 0 within rounding."""
    exact = max(float(result.values(part, eps=0.0).max()) for part in PARTS)
    broken = {part: float(result.values(part, eps=1e-5)[:, 0].mean()) for part in PARTS}
    return Verdict(
        "reproduced" if exact <= BOUND else "contradicted",
        f"largest deviation {exact:.0e} at ε = 0; with ε = 1e-5 and a = 0.001, {100 * broken['∂/∂u']:.0f} % in ∂/∂u",
        f"Without ε the three identities hold to {exact:.0e} for factors from 0.001 to 1,000. With the usual ε = "
        "1e-5 they break for small weights: at a = 0.001, where the variance before normalisation is 1e-6, the "
        f"output is off by {100 * broken['output']:.0f} % of its largest number and ∂/∂u by "
        f"{100 * broken['∂/∂u']:.0f} %.",
        {"deviation without ε": exact, **{f"{part} at a = 0.001, ε = 1e-5": value for part, value in broken.items()}},
    )


def figure(result):
    """Deviation against the factor, without and with ε."""
    from minidl.lab import plot

    figure, axes = plot.panels(2, title="How far BN((aW)u) and its gradients are from those of BN(Wu)")
    for ax, eps in zip(axes, (0.0, 1e-5), strict=True):
        title = f"ε = {eps:g}: at most {max(result.values(part, eps=eps).max() for part in PARTS):.0e}"
        lines = {part: (SCALES, np.maximum(result.values(part, eps=eps), 1e-17)) for part in PARTS}
        plot.lines(ax, lines, title, "a", "largest relative deviation", log="xy")
    return figure


CLAIM = Claim(
    id="scale",
    section="§3.3, scale",
    statement="""Scaling the weights before batch norm changes neither its output nor the gradient passed to earlier
        layers, and the gradient of the weights shrinks as they grow: BN((aW)u) = BN(Wu), the same for ∂/∂u, and
        ∂/∂(aW) = 1/a · ∂/∂W.""",
    method="""A linear map of 60 × 30 random numbers to 20 features, then batch norm with random γ, β and cotangent,
        in float64; a from 0.001 to 1,000, at ε = 0 and at the usual ε = 1e-5. The variance before normalisation is
        about 1.""",
    rule="""Reproduced if at ε = 0 every deviation, relative to the largest number, is at most 1e-12; otherwise
        contradicted. What ε = 1e-5 does is reported.""",
    limits="""That training is therefore stable at large learning rates: see lr. Weight decay, which keeps the scale of
        such weights finite, is not part of this study.""",
    plan=plan, run=run, verdict=verdict, figure=figure, data=None,
)  # fmt: skip

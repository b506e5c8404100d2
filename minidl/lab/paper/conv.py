"""§3.2 of the paper: batch norm of feature maps takes one mean and one variance for each map, over batch and positions."""

import numpy as np

from minidl import functional as F
from minidl.lab.paper._checks import deviation, largest
from minidl.lab.study.claim import Claim, Verdict
from minidl.tensor import Tensor

__all__ = ["CLAIM"]

SHAPES = ((4, 5, 6, 3), (1, 7, 2, 5), (32, 14, 14, 16))
ALLOWED = {"forward": 0.0, "gradients": 0.0, "running statistics": 0.0, "m′ = m·p·q": 1e-5}


def plan(scale):
    """A run for each shape and seed."""
    yield [{"seed": seed, "shape": list(shape)} for shape in SHAPES for seed in range(scale.seeds)]


def run(config, digits=None):
    """Numbers that differ between batch norm of (N, H, W, C) and of (N·H·W, C); and whether m′ counts positions."""
    generator = np.random.default_rng(config["seed"])
    shape = tuple(config["shape"])
    x, grad_y = generator.standard_normal((2, *shape)).astype(np.float32)
    gamma, beta = generator.standard_normal((2, shape[-1])).astype(np.float32)
    maps, columns = (_batch_norm(a, g, gamma, beta) for a, g in ((x, grad_y), (_flat(x), _flat(grad_y))))
    return {
        "forward": _different(maps[0], columns[0]),
        "gradients": sum(_different(a, b) for a, b in zip(maps[1:4], columns[1:4], strict=True)),
        "running statistics": sum(_different(a, b) for a, b in zip(maps[4:], columns[4:], strict=True)),
        "m′ = m·p·q": deviation(maps[5], _flat(x.astype(np.float64)).var(0, ddof=1)),
    }


def _flat(x):
    return x.reshape(-1, x.shape[-1])


def _batch_norm(x, grad_y, gamma, beta):
    x, gamma, beta = (Tensor(a, requires_grad=True) for a in (x, gamma, beta))
    mean, var = np.zeros(gamma.shape), np.ones(gamma.shape)
    y = F.batch_norm(x, mean, var, gamma, beta, training=True, momentum=1.0)
    y.backward(grad_y)
    return y.data, x.grad, gamma.grad, beta.grad, mean, var


def _different(a, b):
    return int((a.ravel() != b.ravel()).sum())


def verdict(result):
    """Reproduced only if no bit differs."""
    rows = largest(result, ALLOWED)
    different = int(sum(result.values(name).sum() for name in ("forward", "gradients", "running statistics")))
    right = all(measured <= bound for measured, bound in rows.values())
    return Verdict(
        "reproduced" if right else "contradicted",
        f"{different} numbers differ; unbiased variance to {rows['m′ = m·p·q'][0]:.0e}",
        f"Over {len(SHAPES)} shapes, outputs, gradients and running statistics of the two forms differ in "
        f"{different} numbers, and the stored variance divides by m·p·q − 1.",
        {name: measured for name, (measured, _) in rows.items()},
    )


def figure(result):
    """Numbers that differ, and the deviation of the stored variance against what is allowed."""
    from minidl.lab import plot

    figure, (counts, ax) = plot.panels(2, size=(6, 2.6))
    rows = largest(result, ALLOWED)
    variance = rows.pop("m′ = m·p·q")
    total = sum(measured for measured, _ in rows.values())
    title = f"Maps and a tall matrix: {total:.0f} numbers differ"
    plot.checks(counts, {name: (measured, 0.0) for name, (measured, _) in rows.items()}, title, "numbers that differ")
    title = f"The stored variance divides by m·p·q − 1, to {variance[0]:.0e}"
    plot.checks(ax, {"m′ = m·p·q": variance}, title)
    return figure


CLAIM = Claim(
    id="conv",
    section="§3.2, convolutions",
    statement="""For convolutional layers, all activations of a feature map are normalised together, over the batch
        and all positions: the effective batch size is m′ = m·p·q, and each map has one γ and one β.""",
    method="""Batch norm of (N, H, W, C) against batch norm of the same numbers as (N·H·W, C), float32, random γ, β
        and cotangent, three shapes; outputs, all gradients and running statistics are compared bit by bit. The
        stored variance is compared with Σ(x − mean)²/(m′ − 1), computed in float64.""",
    rule="""Reproduced if no number differs and the stored variance agrees to 1e-5, the rounding of float32 (a single
        missing position would make 1e-4 or more); otherwise contradicted.""",
    limits="""That it is the best choice. The study shows that it is computed as the paper says; normalising each
        position by itself is not trained here.""",
    plan=plan, run=run, verdict=verdict, figure=figure, data=None,
)  # fmt: skip

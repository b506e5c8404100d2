"""Algorithm 1 of the paper: the batch normalising transform, and the six equations of its gradient."""

import numpy as np

from minidl import functional as F
from minidl.gradcheck import gradcheck, jacobian
from minidl.lab.paper._checks import deviation, largest, worst
from minidl.lab.study.claim import Claim, Verdict
from minidl.tensor import Tensor

__all__ = ["CLAIM"]

ALLOWED = {
    "forward: Algorithm 1, step by step": 1e-12,
    "gradients: the paper's six equations": 1e-12,
    "gradients: autograd through elementary steps": 1e-12,
    "gradients: finite differences": 1e-7,
    "∂x as γ/σ times a projection of ∂y (ε = 0)": 1e-12,
    "Σ ∂x": 1e-12,
    "Σ ∂x·x̂ (ε = 0)": 1e-12,
    "Jacobian/(γ/σ): P² − P (ε = 0)": 1e-12,
    "Jacobian/(γ/σ): P − Pᵀ (ε = 0)": 1e-12,
    "rank of P, less m − 2": 0.0,
}
M, FEATURES, EPS = 16, 6, 1e-5


def plan(scale):
    """A run for each seed."""
    yield [{"seed": seed} for seed in range(scale.seeds)]


def run(config, digits=None):
    """Deviations between five ways to the gradient, in float64."""
    generator = np.random.default_rng(config["seed"])
    x, grad_y = 2 * generator.standard_normal((M, FEATURES)) + 1, generator.standard_normal((M, FEATURES))
    gamma, beta = generator.standard_normal((2, FEATURES))
    y, *ours = _library(x, gamma, beta, grad_y)
    y_steps, *composed = _elementary(x, gamma, beta, grad_y)
    staged = _six_equations(x, gamma, grad_y)
    bare = _library(x, gamma, beta, grad_y, eps=0.0)[1]
    x_hat = (x - x.mean(0)) / x.std(0)
    measured = (
        deviation(y, y_steps),
        max(deviation(a, b) for a, b in zip(ours, staged, strict=True)),
        max(deviation(a, b) for a, b in zip(ours, composed, strict=True)),
        gradcheck(_transform, x, gamma, beta, tol=np.inf, generator=generator),
        deviation(bare, gamma / x.std(0) * (grad_y - grad_y.mean(0) - x_hat * (x_hat * grad_y).mean(0))),
        float(np.abs(ours[0].sum(0)).max()),
        float(np.abs((bare * x_hat).sum(0)).max()),
        *_projection(x[:, :1], gamma[:1], beta[:1]),
    )
    return dict(zip(ALLOWED, measured, strict=True))


def _transform(x, gamma, beta, eps=EPS):
    return F.batch_norm(x, None, None, gamma, beta, training=True, eps=eps)


def _library(x, gamma, beta, grad_y, eps=EPS):
    tensors = [Tensor(a, requires_grad=True) for a in (x, gamma, beta)]
    y = _transform(*tensors, eps)
    y.backward(grad_y)
    return y.data, *(tensor.grad for tensor in tensors)


def _elementary(x, gamma, beta, grad_y):
    """The four lines of Algorithm 1 on tensors; autograd finds the way back."""
    x, gamma, beta = tensors = [Tensor(a, requires_grad=True) for a in (x, gamma, beta)]
    mean = x.mean(0)
    var = ((x - mean) * (x - mean)).mean(0)
    x_hat = (x - mean) / (var + EPS) ** 0.5
    y = gamma * x_hat + beta
    y.backward(grad_y)
    return y.data, *(tensor.grad for tensor in tensors)


def _six_equations(x, gamma, grad_y):
    """∂x, ∂γ and ∂β by the equations of §3, in their order."""
    m, mean, var = len(x), x.mean(0), x.var(0)
    x_hat = (x - mean) / np.sqrt(var + EPS)
    grad_x_hat = grad_y * gamma
    grad_var = (grad_x_hat * (x - mean) * (-1 / 2) * (var + EPS) ** (-3 / 2)).sum(0)
    grad_mean = (grad_x_hat * -1 / np.sqrt(var + EPS)).sum(0) + grad_var * (-2 * (x - mean)).sum(0) / m
    grad_x = grad_x_hat / np.sqrt(var + EPS) + grad_var * 2 * (x - mean) / m + grad_mean / m
    grad_gamma = (grad_y * x_hat).sum(0)
    grad_beta = grad_y.sum(0)
    return grad_x, grad_gamma, grad_beta


def _projection(x, gamma, beta):
    """How far the Jacobian of one feature, over γ/σ, is from a symmetric projection, and its rank from m − 2."""
    whole = jacobian(lambda x: _transform(x, Tensor(gamma), Tensor(beta), 0.0), x).reshape(M, M)
    p = whole * x.std() / gamma
    rank = np.linalg.matrix_rank(p, tol=1e-6)
    return float(np.abs(p @ p - p).max()), float(np.abs(p - p.T).max()), int(abs(rank - (M - 2)))


def verdict(result):
    """All within rounding, some, or none."""
    rows = largest(result, ALLOWED)
    within, name = worst(rows)
    word = "reproduced" if within == len(rows) else "partly" if within else "contradicted"
    analytic = max(measured for name, (measured, _) in rows.items() if "finite" not in name)
    return Verdict(
        word,
        f"{within} of {len(rows)} identities hold; largest deviation {analytic:.0e}, of finite differences "
        f"{rows['gradients: finite differences'][0]:.0e}",
        f"{within} of {len(rows)} identities hold within rounding of float64. Nearest to its bound is “{name}”: "
        f"{rows[name][0]:.1e}, where {rows[name][1]:.0e} is allowed.",
        {name: measured for name, (measured, _) in rows.items()},
    )


def figure(result):
    """Deviations against what is allowed."""
    from minidl.lab import plot

    figure, (ax,) = plot.panels(1, size=(9, 4.2))
    rows = largest(result, ALLOWED)
    plot.checks(ax, rows, f"{worst(rows)[0]} of {len(rows)} identities of Algorithm 1 hold")
    return figure


CLAIM = Claim(
    id="alg1",
    section="§3, Algorithm 1",
    statement="""The transform normalises each feature of a batch, scales it by γ and shifts it by β, and is
        differentiable: six equations give the gradients of x, γ and β.""",
    method=f"""A batch of {M} examples with {FEATURES} features, float64, random γ, β and cotangent. minidl's closed
        form is compared with the six equations as printed, with autograd through the four lines of Algorithm 1, with
        finite differences, and with γ/σ times the projection that removes the mean and the part along x̂. The
        Jacobian of one feature, divided by γ/σ, is tested: it must be a symmetric projection of rank m − 2.""",
    rule="""Reproduced if every deviation is within its bound: 1e-12, for finite differences 1e-7, for the rank 0.
        Partly if some are; contradicted if none is.""",
    limits="""That normalising this way helps training. The rank m − 2 and the projection are not in the paper; they
        follow from its equations at ε = 0.""",
    plan=plan, run=run, verdict=verdict, figure=figure, data=None,
)  # fmt: skip

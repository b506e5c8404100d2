"""§2 of the paper: what happens if the mean is subtracted, but the gradient ignores that."""

from functools import partial

import numpy as np

from minidl import nn
from minidl.lab.models import paper_mlp
from minidl.lab.paper._norms import PathNorm, add_biases
from minidl.lab.paper._training import draws, marks, split, train
from minidl.lab.study.claim import Claim, Verdict
from minidl.lab.study.statistics import paired, t_interval
from minidl.tensor import Tensor

__all__ = ["CLAIM"]

ALONE = {"part": "alone", "steps": 1000, "lr": 0.1, "seed": 0}
BOUND = 1e-12
RATES = (0.1, 2.0)  # in the network
MARKS = 20


def plan(scale):
    """The bias alone; then in the network: 5 seeds × 2 gradients × 2 rates × 5,000 steps × 1 ms = 2 minutes."""
    yield [{**ALONE, "gradient": gradient} for gradient in ("stopped", "true")]
    steps = scale.pick(5000, 400)
    yield [
        {"part": "network", "gradient": gradient, "seed": seed, "lr": lr, "steps": steps}
        for lr in RATES
        for gradient in ("stopped", "true")
        for seed in range(scale.seeds)
    ]


def run(config, digits=None):
    """Size of the biases, and the loss, over training."""
    return _alone(config) if config["part"] == "alone" else _network(config, digits)


def _alone(config):
    """Train b alone: x = u + b, x̂ = x − E[x]; the loss pulls x̂ to 1, which its mean cannot reach; ∂loss/∂x̂ sums to −1."""
    u = np.random.default_rng(config["seed"]).standard_normal(50)
    b = Tensor(np.zeros(1), requires_grad=True)
    sizes, losses = [], []
    for step in range(config["steps"] + 1):
        x = Tensor(u) + b
        mean = x.mean().detach() if config["gradient"] == "stopped" else x.mean()
        distance = x - mean - 1.0
        loss = (distance * distance).mean() / 2
        losses.append(loss.item())
        if step % (config["steps"] // MARKS) == 0:
            sizes.append(b.data[0])
        if step < config["steps"]:
            b.grad = None
            loss.backward()
            b.data -= config["lr"] * b.grad
    return {"b": sizes, "change of the loss": max(losses) - min(losses)}


def _network(config, digits):
    stopped = partial(PathNorm, mean=False, variance=False)
    norm = stopped if config["gradient"] == "stopped" else partial(nn.BatchNorm, affine=False)
    model = add_biases(paper_mlp(norm, generator=np.random.default_rng(config["seed"])))
    hidden = [layer for layer in model if isinstance(layer, nn.Linear)][:-1]
    sizes, losses = [], []

    def look(step, loss):
        sizes.append(np.sqrt(np.mean([np.square(layer.bias.data).mean() for layer in hidden])))
        losses.append(loss)

    at = marks(config["steps"], MARKS)
    diverged = train(model, draws(split(digits), 60, config["seed"]), config["lr"], config["steps"], look, at)
    missing = [None] * (len(at) - len(sizes))
    return {"b": sizes + missing, "loss": losses + missing, "diverged": diverged}


def verdict(result):
    """The bias alone exactly; in the network, larger than with the true gradient, still growing, at a loss that rests."""
    stopped, true = (result.where(part="alone", gradient=g).runs[0] for g in ("stopped", "true"))
    expected = stopped.config["lr"] * stopped.config["steps"]
    wander = max(abs(b) for b in true.record["b"])
    exact = (
        abs(stopped.record["b"][-1] - expected) <= 1e-9
        and stopped.record["change of the loss"] <= BOUND
        and wander <= BOUND
    )
    found = {lr: _in_the_network(result, lr) for lr in RATES}
    holds = [exact, *(one["grows"] and one["rests"] for one in found.values())]
    word = "reproduced" if all(holds) else "partly" if any(holds) else "contradicted"
    steps = result.settings("steps", part="network")[0]
    return Verdict(
        word,
        f"alone: b = {stopped.record['b'][-1]:.4g} after {stopped.config['steps']:,} steps, loss changed by "
        f"{stopped.record['change of the loss']:.0e}; in the network after {steps:,} steps: "
        + "; ".join(f"at rate {lr:g} biases {one['apart'].text(3)} larger, {one['loss']}" for lr, one in found.items()),
        f"With the mean outside the gradient, the bias alone goes to {stopped.record['b'][-1]:.6g} while the loss "
        f"moves by {stopped.record['change of the loss']:.1e}; with the true gradient b moves by {wander:.1e}. In "
        f"the network: {' '.join(one['text'] for one in found.values())}",
        {
            "b alone": stopped.record["b"][-1],
            **{f"biases less those with the true gradient, rate {lr:g}": one["apart"] for lr, one in found.items()},
            **{f"loss at the end less that at the start, rate {lr:g}": one["rise"] for lr, one in found.items()},
        },
    )


def _in_the_network(result, lr):
    """Whether biases grow beyond those of the true gradient, and whether the loss ends no higher than it began."""
    sizes, losses = (
        {
            g: np.nan_to_num(result.values(entry, part="network", gradient=g, lr=lr), nan=np.inf)
            for g in ("stopped", "true")
        }
        for entry in ("b", "loss")
    )
    apart = paired(sizes["stopped"][:, -1], sizes["true"][:, -1])
    growth = t_interval(sizes["stopped"][:, -1] - sizes["stopped"][:, MARKS // 2])
    ends = {g: t_interval(values[:, -5:].mean(1)) for g, values in losses.items()}
    rise = paired(losses["stopped"][:, -5:].mean(1), losses["stopped"][:, 0])
    half, end = (sizes["stopped"][:, i].mean() for i in (MARKS // 2, -1))
    power = np.log2(end / half) if half > 0 and end > 0 else np.nan
    loss = f"loss {ends['stopped'].text(2)} at the end, {ends['true'].text(2)} with the true gradient"
    return {
        "grows": apart.above_zero and growth.above_zero,
        "rests": rise.high <= 0,
        "apart": apart,
        "rise": rise,
        "loss": loss,
        "text": (
            f"At learning rate {lr:g} the root mean square of the biases is {t_interval(sizes['stopped'][:, -1]).text(3)} "
            f"at the end; {growth.text(3)} of that came in the second half, which is growth as step^{power:.2f}. With the "
            f"true gradient it is {sizes['true'][:, -1].mean():.0e}. {loss[0].upper()}{loss[1:]}; it was "
            f"{losses['stopped'][:, 0].mean():.2f} at first."
        ),
    }


def figure(result):
    """The bias alone; biases and loss in the network, at both rates."""
    from minidl.lab import plot

    figure, axes = plot.panels(3, 2, title="Statistics held constant in the gradient, and not", size=(4.6, 3.3))
    names = {"stopped": "statistics held constant", "true": "true gradient"}
    steps = marks(ALONE["steps"], MARKS)
    lines = {name: (steps, result.values("b", part="alone", gradient=g)) for g, name in names.items()}
    change = result.values("change of the loss", part="alone", gradient="stopped")[0]
    plot.lines(axes[0], lines, f"One bias, alone: the loss changes by {change:.0e}", "training step", "b")
    axes[3].set_axis_off()
    steps = marks(result.settings("steps", part="network")[0], MARKS)
    for (sizes, losses), lr in zip((axes[1:3], axes[4:]), RATES, strict=True):
        for ax, entry, ylabel in ((sizes, "b", "root mean square of the biases"), (losses, "loss", "loss of a batch")):
            values = {g: result.values(entry, part="network", gradient=g, lr=lr) for g in names}
            stopped, true = (found[:, -5:].mean() for found in values.values())
            what = "biases" if entry == "b" else "loss"
            title = f"Learning rate {lr:g}: {what} {stopped:.2g} at the end, true gradient {true:.2g}"
            plot.lines(ax, {names[g]: (steps, found) for g, found in values.items()}, title, "training step", ylabel)
    return figure


CLAIM = Claim(
    id="drift-b",
    section="§2, example",
    statement="""If the gradient step ignores that the mean depends on the parameters, the bias before the
        normalisation grows without bound while the loss stays where it is.""",
    method="""Alone: x = u + b for 50 numbers u, x̂ = x − E[x], a squared loss whose ∂loss/∂x̂ sums to −1, 1,000 steps
        at learning rate 0.1, float64; E[x] is held constant in the gradient, or not. In the network: the paper's
        network on binary MNIST with biases, normalisation without γ and β, learning rates 0.1 and 2, 5,000 steps; mean
        and variance are held constant in the gradient, or not.""",
    rule="""Alone, exact: b = 100 to 1e-9 with a loss that changes by at most 1e-12, and with the true gradient b
        moves by at most 1e-12. In the network, at each learning rate: the biases' root mean square at the end is larger
        than with the true gradient, and grew in the second half of training (95 % intervals above 0), while the loss,
        the mean of the last five measurements, is not higher than it was before training (the whole interval of the
        difference at or below 0). Reproduced if all three hold, alone and at both rates; partly if any does;
        contradicted if none.""",
    limits="""Alone, growth without bound is seen only as far as it was run. In the network, at the small rate, growth
        slows, much as a random walk would (a steady push gives step^1, a random walk step^½), and the loss keeps falling
        meanwhile. Mean and variance are held constant together there, so their effects cannot be told apart. There is no
        γ and no β; a β after the normalisation would take part of the gradient that drives b.""",
    plan=plan, run=run, verdict=verdict, figure=figure,
)  # fmt: skip

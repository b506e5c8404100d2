"""§3.3 of the paper, a conjecture: batch norm brings the singular values of layer Jacobians near 1."""

import math
from itertools import pairwise

import numpy as np

from minidl import nn
from minidl.lab.models import paper_mlp
from minidl.lab.paper._training import FINAL, draws, finals, score, settle, split, train, tune
from minidl.lab.study.claim import Claim, Verdict
from minidl.lab.study.statistics import paired, t_interval
from minidl.tensor import Tensor
from minidl.train import predict_logits

__all__ = ["CLAIM"]

SUITED = "without BN, 4 × Xavier"  # the start that suits a sigmoid, whose slope is 1/4 at most
ARMS = {
    "with BN": {"norm": "batch", "start": "std 0.1"},
    "without BN": {"norm": "none", "start": "std 0.1"},
    SUITED: {"norm": "none", "start": "4 × Xavier"},
}
IMAGES, TIMES = 20, 3
NEAR = 2.0  # a singular value from 1/2 to 2 counts as near 1
MOST = 0.9
GAUSSIAN = {"stage": "gaussian", "size": 256}


def plan(scale):
    """Random matrices; then 3 arms × (18 to tune + 5) × 5,000 steps × 1 ms = 6 minutes of one core."""
    yield [{**GAUSSIAN, "seed": seed} for seed in range(scale.seeds)]
    arms = {arm: {**settings, "steps": scale.pick(5000, 300)} for arm, settings in ARMS.items()}
    tuned = yield from tune(arms, scale)
    yield finals(arms, tuned, range(scale.seeds))


def run(config, digits=None):
    """Singular values of a random matrix, or of a network's layers at three times."""
    generator = np.random.default_rng(config["seed"])
    if config["stage"] == "gaussian":
        return _gaussian(generator, config["size"])
    data, steps = split(digits), config["steps"]
    model = paper_mlp(config["norm"], generator=generator)
    if config["start"] == "4 × Xavier":
        for layer in model:
            if isinstance(layer, nn.Linear):
                layer.weight.data *= np.float32(4 * math.sqrt(2 / sum(layer.weight.shape)) / 0.1)
    spectra = []

    def look(step, loss):
        if config["stage"] == "final":
            spectra.append(_spectra(model, data))

    diverged = train(model, draws(data, 60, config["seed"]), config["lr"], steps, look, (0, steps // 10, steps))
    record = score(model, data, diverged)
    if not spectra:
        return record
    spectra += [np.full_like(spectra[0], np.nan)] * (TIMES - len(spectra))  # where it diverged
    values = np.array(spectra)  # (times, layers, images, units)
    near = np.abs(np.log(values)) <= np.log(NEAR)
    logs = np.log10(values)
    return record | {
        "near 1": near.mean((1, 2, 3)), "distance": np.abs(logs).mean((1, 2, 3)),
        "median": np.median(values, (1, 2, 3)), "spectrum": logs.mean((1, 2)),
    }  # fmt: skip


def _gaussian(generator, size):
    """A layer whose every output has variance 1 for uncorrelated inputs of variance 1: rows of length 1."""
    rows = generator.standard_normal((size, size))
    values = np.linalg.svd(rows / np.linalg.norm(rows, axis=1, keepdims=True), compute_uv=False)
    near = np.abs(np.log(values)) <= np.log(NEAR)
    return {"mean square": np.mean(values**2), "least": values[-1], "largest": values[0], "near 1": near.mean()}


def _spectra(model, data):
    """Singular values of ∂(input of the next sigmoid)/∂(input of a sigmoid) in evaluation: (layers, images, units)."""
    settle(model, data)
    images, layers = data.x_validation[:IMAGES], list(model)
    sigmoids = [i for i, layer in enumerate(layers) if isinstance(layer, nn.Sigmoid)]
    found = []
    for here, following in pairwise(sigmoids):
        inputs = predict_logits(model[:here], images)
        found.append([np.linalg.svd(_jacobian(model[here:following], x), compute_uv=False) for x in inputs])
    return np.maximum(found, 1e-12)


def _jacobian(block, x):
    """∂block(x)/∂x, (out, in): in evaluation rows do not mix, so one backward over copies of x gives all of its rows."""
    block.eval()
    size = block(Tensor(x[None])).shape[-1]
    copies = Tensor(np.tile(x, (size, 1)), requires_grad=True)
    block(copies).backward(np.eye(size, dtype=x.dtype))
    block.train()
    return copies.grad


def verdict(result):
    """After training: how many singular values are near 1 with batch norm, and are they nearer than without?"""
    last = {arm: result.values("near 1", arm=arm, **FINAL)[:, -1] for arm in ARMS}
    distance = {arm: result.values("distance", arm=arm, **FINAL)[:, -1] for arm in ARMS}
    share = t_interval(last["with BN"])
    nearer, than_suited = (paired(distance[arm], distance["with BN"]) for arm in ("without BN", SUITED))
    if nearer.above_zero:
        word = "reproduced" if share.low >= MOST and than_suited.above_zero else "partly"
    else:
        word = "contradicted" if nearer.below_zero else "not at this scale"
    start, suited = (t_interval(result.values("near 1", arm=arm, **FINAL)[:, 0]) for arm in ("with BN", SUITED))
    random = result.where(stage="gaussian")
    factor = {arm: 10 ** values.mean() for arm, values in distance.items()}
    far = "" if share.low >= MOST else "not near 1: "
    return Verdict(
        word,
        f"{far}{share.text(0, 100)} % of singular values from ½ to 2 with BN after training "
        f"({start.text(0, 100)} % before), {t_interval(last['without BN']).text(0, 100)} % without; from a start that suits "
        f"sigmoids {t_interval(last[SUITED]).text(0, 100)} % without ({suited.text(0, 100)} % before)",
        f"With batch norm {start.text(0, 100)} % of the singular values lie from ½ to 2 at the start and "
        f"{share.text(0, 100)} % after training. On (geometric) average they are a factor of "
        f"{factor['with BN']:.1f} away from 1, without batch norm {factor['without BN']:.1f} (difference of log10: "
        f"{nearer.text(2)}). Without batch norm, but from four times Xavier's weights, {suited.text(0, 100)} % lie there at "
        f"the start and {t_interval(last[SUITED]).text(0, 100)} % after training, a factor of {factor[SUITED]:.1f} away "
        f"(difference from batch norm: {than_suited.text(2, sign=True)}). Normalising variances is not enough: a random "
        f"layer of {GAUSSIAN['size']} units "
        f"with rows of length 1 has a mean squared singular value of {random.values('mean square').mean():.3f}, "
        f"but values from {random.values('least').mean():.3f} to {random.values('largest').mean():.2f}.",
        {"share near 1 with BN": share, "distance without less with": nearer, "the same from 4 × Xavier": than_suited},
    )


def figure(result):
    """Spectra at the start and at the end."""
    from minidl.lab import plot

    steps = result.settings("steps", **FINAL)[0]
    figure, axes = plot.panels(3, title="Singular values of ∂(input of the next sigmoid)/∂(input of a sigmoid)")
    for ax, time, step in zip(axes, range(TIMES), (0, steps // 10, steps), strict=True):
        lines = {}
        for arm in ARMS:
            spectrum = 10 ** result.values("spectrum", arm=arm, **FINAL)[:, time]
            lines[arm] = np.arange(1, spectrum.shape[1] + 1), spectrum
        share = result.values("near 1", arm="with BN", **FINAL)[:, time].mean()
        title = f"Step {step:,}: with BN {100 * share:.0f} % lie from ½ to 2"
        plot.lines(ax, lines, title, "number, in falling order", "singular value", log="y")
        ax.axhspan(1 / NEAR, NEAR, color="0.9", zorder=0)
    return figure


CLAIM = Claim(
    id="jacobian",
    section="§3.3, Jacobians",
    statement="""Conjecture: batch norm may lead layer Jacobians to have singular values close to 1, which is known
        to be good for training.""",
    method="""The paper's network on binary MNIST, with and without batch norm, learning rate tuned for each (5,000
        steps); without it also from four times Xavier's weights, the start that suits sigmoids. For 20
        validation images, the Jacobian from the input of a sigmoid to that of the next one (100 × 100,
        in evaluation mode, two layers) at steps 0, 500 and 5,000. In addition, a random 256 × 256 matrix with rows of
        length 1.""",
    rule="""Distance: the mean of abs(log10 s). Reproduced if after training it is smaller with batch norm than
        without, from either start, and at
        least 90 % of the singular values lie from ½ to 2 (lower end of the interval); partly if it is
        smaller than without from std 0.1; contradicted if it is larger; otherwise not at this scale.""",
    limits="""Other networks: these are sigmoid layers of 100 units. The paper argues for Gaussian, uncorrelated
        inputs and a linear layer; neither holds here, and batch norm does not make features uncorrelated.""",
    plan=plan, run=run, verdict=verdict, figure=figure,
)  # fmt: skip

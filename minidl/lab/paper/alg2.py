"""Algorithm 2 of the paper: statistics of the population take the place of the batch's, and a linear map is left."""

import numpy as np

from minidl import functional as F
from minidl import nn
from minidl.lab.models import paper_mlp
from minidl.lab.paper._checks import deviation, largest
from minidl.lab.paper._training import draws, score, split, train
from minidl.lab.study.claim import Claim, Verdict
from minidl.lab.study.statistics import paired, t_interval
from minidl.tensor import Tensor
from minidl.train import evaluate

__all__ = ["CLAIM"]

SIZES = (2, 4, 8, 32)
VARIANCE = {"m": 0, "features": 2000, "batches": 200}
TOLERANCE = 0.02  # of the two variances, whose estimates here are good to about 0.3 %
FOLDED = {"float32": 1e-5, "float64": 1e-12}


def plan(scale):
    """Exact parts; then a network: 5 seeds × 2,000 steps × 1 ms = 10 s."""
    seeds = range(scale.seeds)
    exact = [{"part": "variance", **VARIANCE, "m": m, "seed": seed} for m in SIZES for seed in seeds]
    exact += [{"part": "fold", "dtype": kind, "seed": seed} for kind in FOLDED for seed in seeds]
    yield exact
    yield [{"part": "network", "seed": seed, "lr": 0.5, "steps": scale.pick(2000, 300)} for seed in seeds]


def run(config, digits=None):
    """One of three parts."""
    generator = np.random.default_rng(config["seed"])
    if config["part"] == "variance":
        return _variance(generator, config["m"], config["features"], config["batches"])
    if config["part"] == "fold":
        return {"deviation": max(_fold(net, x, generator, config["dtype"]) for net, x in _foldable(generator))}
    return _network(config, split(digits))


def _variance(generator, m, features, batches):
    """Means of the variance that normalises and of the one that is stored, over σ² = 4."""
    used, stored = [], []
    for _ in range(batches):
        x = 3 + 2 * generator.standard_normal((m, features))
        running_mean, running_var = np.zeros(features), np.ones(features)
        y = F.batch_norm(Tensor(x), running_mean, running_var, training=True, momentum=1.0, eps=0.0).data
        used.append(np.mean(((x[0] - x[1]) / (y[0] - y[1])) ** 2))  # y is x over the root of the variance
        stored.append(running_var.mean())
    return {"used": np.mean(used) / 4, "stored": np.mean(stored) / 4}


def _foldable(generator):
    yield nn.Sequential(nn.Linear(30, 20), nn.BatchNorm(20)), generator.standard_normal((50, 30))
    yield nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm(8)), generator.standard_normal((10, 9, 9, 3))


def _fold(net, x, generator, dtype):
    """How far a network in evaluation is from the same with its batch norm folded into the layer before."""
    norm = net[1]
    for array in (norm.weight.data, norm.bias.data, norm.running_mean, norm.running_var):
        array[...] = generator.uniform(0.5, 2, array.shape)
    net.to(dtype).eval()
    x = Tensor(x.astype(dtype))
    return deviation(net(x).data, nn.fold_batch_norm(net)(x).data)


def _network(config, data):
    """Test accuracy by the moving average of training, and by an exact pass over training images."""
    model = paper_mlp("batch", generator=np.random.default_rng(config["seed"]))
    diverged = train(model, draws(data, 60, config["seed"]), config["lr"], config["steps"])
    moving = evaluate(model, data.x_test, data.y_test).accuracy
    return {"moving": moving, "population": score(model, data, diverged)["test"]}


def verdict(result):
    """Three parts: the variance that normalises is biased, the stored one is not, and folding changes nothing."""
    ratios = {m: t_interval(result.values("used", part="variance", m=m)) for m in SIZES}
    biased = max(abs(ratio.mean / ((m - 1) / m) - 1) for m, ratio in ratios.items())
    stored = max(abs(t_interval(result.values("stored", part="variance", m=m)).mean - 1) for m in SIZES)
    folded = {
        kind: largest(result, {"deviation": bound}, part="fold", dtype=kind)["deviation"]
        for kind, bound in FOLDED.items()
    }
    right = biased <= TOLERANCE, stored <= TOLERANCE, all(measured <= bound for measured, bound in folded.values())
    word = "reproduced" if all(right) else "partly" if any(right) else "contradicted"
    apart = paired(*(result.values(name, part="network") for name in ("population", "moving")))
    found = ", ".join(f"{ratio.mean:.3f}" for ratio in ratios.values())
    return Verdict(
        word,
        f"E[σ²_B]/σ² = {found} for m = {', '.join(map(str, SIZES))}; folding to {folded['float32'][0]:.0e} (float32)",
        f"The batch's variance is (m − 1)/m of the population's to {100 * biased:.1f} %, and the stored one is "
        f"unbiased to {100 * stored:.1f} %. Folding batch norm into the layer before it changes outputs by "
        f"{folded['float64'][0]:.0e} in float64. In the network, an exact pass instead of the moving average "
        f"changes test accuracy by {apart.text(2, 100, sign=True)} points.",
        {"E[σ²_B]/σ²": {str(m): ratio for m, ratio in ratios.items()}, "population less moving average": apart},
    )


def figure(result):
    """The two variances over m, and the folding."""
    from minidl.lab import plot

    figure, (variance, fold) = plot.panels(2, size=(5.2, 3.9))
    seeds = {
        "of the batch": np.transpose([result.values("used", part="variance", m=m) for m in SIZES]),
        "stored for evaluation": np.transpose([result.values("stored", part="variance", m=m) for m in SIZES]),
        "(m − 1)/m": [(m - 1) / m for m in SIZES],
    }
    lines = {name: (SIZES, values) for name, values in seeds.items()}
    used, stored = (np.mean(values[:, 0]) for values in list(seeds.values())[:2])
    title = f"At m = {SIZES[0]} the batch's variance is {used:.3f} σ², the stored one {stored:.3f} σ²"
    plot.lines(variance, lines, title, "m, examples in a batch", "mean variance / σ²", log="x", inks=(0, 2, 1))
    rows = {f"folded, {kind}": largest(result, {"deviation": bound}, part="fold", dtype=kind)["deviation"]
            for kind, bound in FOLDED.items()}  # fmt: skip
    plot.checks(fold, rows, "Folded into the linear or conv layer before")
    return figure


CLAIM = Claim(
    id="alg2",
    section="§3.1, Algorithm 2",
    statement="""For inference, means and variances of the population replace those of the batch, with the unbiased
        variance m/(m − 1)·E[σ²_B]; batch norm is then one linear map, which can be merged with the layer before it.""",
    method="""Batches of m = 2, 4, 8, 32 from a normal distribution of variance 4 (2,000 features, 200 batches for
        each seed): the variance that the forward pass divides by, read off its output, and the one that it stores.
        Linear and conv layers with batch norm of random statistics, against the same folded into one layer. The
        paper's network on binary MNIST (2,000 steps, learning rate 0.5): test accuracy by an exact pass over 10,000
        training images, and by the moving average of training.""",
    rule="""Three parts: the mean of the batch's variance is (m − 1)/m·σ² within 2 %; that of the stored one is σ²
        within 2 %; folding changes no output by more than 1e-5 of the largest (float32) and 1e-12 (float64).
        Reproduced if all hold, partly if some do, contradicted if none does. The two accuracies are reported.""",
    limits="""Here the moving average is within half a point of the exact pass, which takes 10,000 of 55,000 images.
        Soon after a change, or with a large momentum, it would not be. A convolution with zero padding *after* a
        batch norm cannot be merged with it exactly.""",
    plan=plan, run=run, verdict=verdict, figure=figure,
)  # fmt: skip

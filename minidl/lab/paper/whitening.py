"""§2 and §3 of the paper: whitening all features together costs too much, and is impossible for small batches."""

import time

import numpy as np

from minidl import functional as F
from minidl.lab.study.claim import Claim, Verdict
from minidl.lab.study.statistics import t_interval
from minidl.tensor import Tensor

__all__ = ["CLAIM"]

COSTLY = 10.0
COSTLY_LAYER = 2.0  # where the linear map before it is counted, too
NORMS = {"batch norm": lambda x: F.batch_norm(x, None, None, training=True), "whitening": F.zca_whiten}
FLAT = 0.5  # this far from 1 a covariance is not white in some direction
REPEATS = 5
RANKS = {"features": 64, "batches": [16, 32, 64, 65, 66, 128]}


def plan(scale):
    """Ranks; then times: 5 seeds × 3 sizes × 5 repeats, at 1,024 features about a second each: 1 minute."""
    seeds, sizes = range(scale.seeds), scale.pick((64, 256, 1024), (64, 256))
    yield [{"part": "rank", **RANKS, "seed": seed} for seed in seeds]
    yield [
        {"part": "time", "features": d, "batch": 2 * d, "repeats": REPEATS, "seed": seed}
        for d in sizes
        for seed in seeds
    ]


def run(config, digits=None):
    """Ranks of covariances, or times of forward and backward."""
    generator = np.random.default_rng(config["seed"])
    if config["part"] == "rank":
        batches = [generator.standard_normal((m, config["features"])) for m in config["batches"]]
        return {"rank": [_rank(x) for x in batches], "off": [_off(x) for x in batches]}
    d, m = config["features"], config["batch"]
    x = (generator.standard_normal((m, d)) @ (np.eye(d) + generator.standard_normal((d, d)) / d)).astype(np.float32)
    grad_y = generator.standard_normal((m, d)).astype(np.float32)
    weight = Tensor((generator.standard_normal((d, d)) / d**0.5).astype(np.float32), requires_grad=True)
    seconds = {f"{name}{layer}": [] for name in NORMS for layer in ("", ", layer")}
    for _ in range(config["repeats"] + 1):  # in turns, so that a busy machine slows all down
        for name, normalise in NORMS.items():
            seconds[name].append(_time(normalise, x, grad_y))
            seconds[f"{name}, layer"].append(_time(lambda x, f=normalise: f(F.linear(x, weight)), x, grad_y))
    return {name: float(np.median(times[1:])) for name, times in seconds.items()}  # the first one warms up


def _rank(x):
    return int(np.linalg.matrix_rank(np.cov(x.T)))


def _off(x):
    """How far the covariance of the whitened batch is from 1, in the worst direction: 0 if it is white, 1 if flat."""
    y = F.zca_whiten(Tensor(x)).data
    return float(np.linalg.norm(y.T @ y / len(y) - np.eye(y.shape[1]), 2))


def _time(normalise, x, grad_y):
    x = Tensor(x, requires_grad=True)
    start = time.perf_counter()
    normalise(x).backward(grad_y)
    return time.perf_counter() - start


def _ratios(result, d, layer=""):
    """How many times as long whitening takes, alone or with the linear map before it; one number a seed."""
    return np.divide(*(result.values(name + layer, part="time", features=d) for name in ("whitening", "batch norm")))


def verdict(result):
    """Judge whether whitening costs ten times as much at the largest size, and whether it fails for batches m ≤ d."""
    d = max(result.settings("features", part="time"))
    ratio, layer = t_interval(_ratios(result, d)), t_interval(_ratios(result, d, ", layer"))
    batches, (ranks, off) = np.array(RANKS["batches"]), (result.values(name, part="rank") for name in ("rank", "off"))
    small = batches <= RANKS["features"]
    singular = bool((ranks[:, small] <= batches[small] - 1).all())
    fails = singular and bool((off[:, small] >= FLAT).all())
    costly = ratio.low >= COSTLY and layer.low >= COSTLY_LAYER
    word = "reproduced" if costly and fails else "partly" if costly or fails else "contradicted"
    found = ", ".join(
        f"{m}: {rank:.0f} and {worst:.2g}" for m, rank, worst in zip(batches, ranks.max(0), off.max(0), strict=True)
    )
    return Verdict(
        word,
        f"at {d} features whitening takes {ratio.text(0)} times as long as batch norm, a whole layer with it "
        f"{layer.text(1)} times as long as one with batch norm; for m ≤ {RANKS['features']} the rank is "
        f"{'always' if singular else 'not always'} at most m − 1, and the whitened covariance is off by "
        f"{off[:, small].min():.2g} or more",
        f"Forward and backward of whitening {d} features take {ratio.text(0)} times as long as batch norm. With the "
        f"linear map from {d} to {d} features before it, it is {layer.text(1)} times. "
        f"For batches of m, the largest rank of the covariance of {RANKS['features']} features, "
        f"and how far the whitened covariance is "
        f"from 1 in its worst direction: {found}.",
        {
            "ratio of times": ratio,
            "ratio of times of a layer": layer,
            "off for small batches": float(off[:, small].min()),
        },
    )


def figure(result):
    """Times over the number of features, and ranks over the size of the batch."""
    from minidl.lab import plot

    figure, (times, ranks) = plot.panels(2)
    sizes = result.settings("features", part="time")
    lines = {
        name: (sizes, 1000 * np.transpose([result.values(name, part="time", features=d) for d in sizes]))
        for name in ("whitening", "batch norm", "whitening, layer", "batch norm, layer")
    }
    alone, layer = (_ratios(result, sizes[-1], name).mean() for name in ("", ", layer"))
    title = f"At {sizes[-1]} features {alone:,.0f} times the time, of a layer {layer:,.1f} times"
    plot.lines(times, lines, title, "features (the batch is twice as large)", "ms, forward and backward", log="xy")
    batches = RANKS["batches"]
    lines = {"rank": (batches, result.values("rank", part="rank")), "m − 1": (batches, [m - 1 for m in batches])}
    off = result.values("off", part="rank").min(0)
    flat = max((m for m, worst in zip(batches, off, strict=True) if worst >= FLAT), default=0)
    title = f"Up to {flat} examples no whitening: a direction has no variance"
    plot.lines(ranks, lines, title, "m, examples in a batch", "rank of a 64 × 64 covariance")
    return figure


CLAIM = Claim(
    id="whitening",
    section="§2 and 3, whitening",
    statement="""Whitening all inputs of a layer together is costly, because each step needs the covariance, its
        inverse square root and their derivatives. It also fails for batches no larger than the number of features,
        whose covariance is singular; so each feature is normalised by itself.""",
    method="""ZCA whitening with its exact gradient (`F.zca_whiten`) against batch norm, float32, one thread, for 64,
        256 and 1,024 features with batches twice as large: medians of forward and backward, in turns; alone, and after a
        linear map that keeps the number of features. For batches of
        16 to 128 random examples with 64 features: the rank of the covariance, and how white the result is (ε =
        1e-5, float64). This is the largest eigenvalue of abs(covariance − 1), which is 1 if some direction has no
        variance.""",
    rule="""Costly: at the largest size whitening takes at least 10 times as long as batch norm, and a layer with it
        at least twice as long as one with batch norm (lower ends of the 95 % intervals).
        Fails: in every batch of m ≤ 64 the rank is at most m − 1 and the whitened covariance is off by ½ or more.
        Reproduced if both, partly if one, contradicted if neither.""",
    limits="""Times are those of this implementation on this machine. Later
        work makes whitening cheaper, by groups of features and by iterations (Huang et al. 2018).
        Whether whitening would train better is not tested.""",
    plan=plan, run=run, verdict=verdict, figure=figure, data=None,
)  # fmt: skip

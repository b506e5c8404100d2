"""§4.2.1 of the paper: with batch norm it helps if examples do not always share a batch with the same others."""

import numpy as np

from minidl.lab.models import paper_mlp
from minidl.lab.paper._training import FINAL, epochs, score, split, subset, train
from minidl.lab.study.claim import Claim, Verdict
from minidl.lab.study.statistics import paired, t_interval

__all__ = ["CLAIM"]

ARMS = {
    "with BN, reshuffled": ("batch", True),
    "with BN, fixed batches": ("batch", False),
    "without BN, reshuffled": ("none", True),
    "without BN, fixed batches": ("none", False),
}
RATES = (0.5, 2.0)  # the same for all arms
IMAGES, BATCH = 10_000, 60


def plan(scale):
    """4 arms × 2 rates × 20 seeds × 5,000 steps × 0.9 ms = 12 minutes; four times the seeds, as the effect is small."""
    yield [
        {
            "norm": norm, "reshuffled": reshuffled, "images": IMAGES, "steps": scale.pick(5000, 400), "arm": arm, **FINAL,
            "lr": lr, "seed": seed,
        }
        for lr in RATES
        for arm, (norm, reshuffled) in ARMS.items()
        for seed in range(scale.pick(4, 1) * scale.seeds)
    ]  # fmt: skip


def run(config, digits=None):
    """Accuracies after training on a part of the images, again and again."""
    seed = config["seed"]
    data = subset(split(digits), config["images"], seed)
    model = paper_mlp(config["norm"], generator=np.random.default_rng(seed))
    return score(model, data, train(model, _batches(data, config["reshuffled"], seed), config["lr"], config["steps"]))


def _batches(data, reshuffled, seed):
    """Epochs without end. Fixed: batches keep their members, and come in a new order each epoch."""
    size = min(BATCH, len(data.y) // 2)
    for batch in epochs(len(data.y), size, reshuffled, np.random.default_rng([seed, 1])):
        yield data.x[batch], data.y[batch]


def _gains(result, lr):
    """Reshuffled less fixed, one per seed, with batch norm and without."""
    tests = {arm: result.values("test", arm=arm, lr=lr, **FINAL) for arm in ARMS}
    return {name: tests[f"{name}, reshuffled"] - tests[f"{name}, fixed batches"] for name in ("with BN", "without BN")}


def verdict(result):
    """At each learning rate: the gain with batch norm, and how much more it is than without."""
    gains = {lr: _gains(result, lr) for lr in RATES}
    gain = {lr: t_interval(found["with BN"]) for lr, found in gains.items()}
    plain_gain = {lr: t_interval(found["without BN"]) for lr, found in gains.items()}
    interaction = {lr: paired(*found.values()) for lr, found in gains.items()}
    if all(gain[lr].above_zero and interaction[lr].above_zero for lr in RATES):
        word = "reproduced"
    elif any(interval.above_zero for interval in gain.values()):
        word = "partly"
    else:
        word = "contradicted" if any(interval.below_zero for interval in gain.values()) else "not at this scale"

    def points(interval):
        return interval.text(2, 100, sign=True)

    return Verdict(
        word,
        "; ".join(
            f"at rate {lr:g} with BN {points(gain[lr])} points, minus the gain without BN {points(interaction[lr])}"
            for lr in RATES
        ),
        " ".join(
            f"At learning rate {lr:g} reshuffling changes test accuracy by {points(gain[lr])} points with batch norm and by "
            f"{points(plain_gain[lr])} without; the difference of the two is {points(interaction[lr])}."
            for lr in RATES
        ),
        {
            f"{name}, rate {lr:g}": found[lr]
            for lr in RATES
            for name, found in (("gain with BN", gain), ("gain without BN", plain_gain), ("interaction", interaction))
        },
    )


def figure(result):
    """The four arms, and the gains, at both rates."""
    from minidl.lab import plot

    figure, axes = plot.panels(2, 2, size=(5.4, 3.0))
    for (arms, gains), lr in zip((axes[:2], axes[2:]), RATES, strict=True):
        rows = {arm: 100 * result.values("test", arm=arm, lr=lr, **FINAL) for arm in ARMS}
        title = f"Learning rate {lr:g}: test accuracy of the four arms"
        plot.intervals(arms, rows, title, "test accuracy (%), a small dot a seed")
        rows = {name: 100 * values for name, values in _gains(result, lr).items()}
        rows["difference"] = rows["with BN"] - rows["without BN"]
        title = f"Learning rate {lr:g}: reshuffling gives {rows['with BN'].mean():+.2f} points with BN".replace(
            "-", "−"
        )
        plot.intervals(gains, rows, title, "points of test accuracy, reshuffled less fixed", zero=True)
    return figure


CLAIM = Claim(
    id="shuffle",
    section="§4.2.1, shuffling",
    statement="""Shuffling more thoroughly, so that the same examples do not always appear in a batch together, helps
        networks with batch norm (by about 1 % on ImageNet), since their batch-mates regularise them.""",
    method="""The paper's network of Figure 1 on 10,000 binary MNIST images, 30 epochs of batches of 60, twenty seeds
        (each with its own images, weights and batches). Batches are drawn anew each epoch, or fixed once and visited
        in a new order each epoch; with batch norm and without; learning rates 0.5 and 2, the same for all four.""",
    rule="""Gain: reshuffled minus fixed. Reproduced if, at both rates, the gain with batch norm and its excess over the
        gain without are above 0; partly if at one of them only, or only the gain with batch norm is; contradicted if no
        gain with batch norm is above 0 and one is below; otherwise not at this scale.""",
    limits="""What a harder task would gain: MNIST leaves little to improve. ImageNet's batches came from few shards,
        which is worse than random fixed batches. At rates that are tuned apart the gain would mix with that of the
        rate: so it was done before, with ten seeds, which could show nothing.""",
    plan=plan, run=run, verdict=verdict, figure=figure,
)  # fmt: skip

"""§4.2.1 of the paper: with batch norm it helps if examples do not always share a batch with the same others."""

import numpy as np

from minidl.lab.models import paper_mlp
from minidl.lab.paper._training import FINAL, epochs, finals, score, split, subset, train, tune
from minidl.lab.study.claim import Claim, Verdict
from minidl.lab.study.statistics import paired, t_interval

__all__ = ["CLAIM"]

ARMS = {
    "with BN, reshuffled": ("batch", True),
    "with BN, fixed batches": ("batch", False),
    "without BN, reshuffled": ("none", True),
    "without BN, fixed batches": ("none", False),
}
IMAGES, BATCH = 10_000, 60


def plan(scale):
    """4 arms × (18 to tune + 10) × 5,000 steps × 0.9 ms = 9 minutes; twice the seeds, as the effect is small."""
    arms = {
        arm: {"norm": norm, "reshuffled": reshuffled, "images": IMAGES, "steps": scale.pick(5000, 400)}
        for arm, (norm, reshuffled) in ARMS.items()
    }
    tuned = yield from tune(arms, scale)
    yield finals(arms, tuned, range(scale.pick(2, 1) * scale.seeds))


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


def _gains(result):
    """Reshuffled less fixed, one a seed, with batch norm and without."""
    tests = {arm: result.values("test", arm=arm, **FINAL) for arm in ARMS}
    return {name: tests[f"{name}, reshuffled"] - tests[f"{name}, fixed batches"] for name in ("with BN", "without BN")}


def verdict(result):
    """The gain with batch norm, and how much more it is than without."""
    gains = _gains(result)
    gain, plain_gain = (t_interval(gains[name]) for name in ("with BN", "without BN"))
    interaction = paired(gains["with BN"], gains["without BN"])
    if gain.above_zero:
        word = "reproduced" if interaction.above_zero else "partly"
    else:
        word = "contradicted" if gain.below_zero else "not at this scale"
    return Verdict(
        word,
        f"with BN {gain.text(2, 100, sign=True)} points; minus the gain without BN "
        f"{interaction.text(2, 100, sign=True)}",
        f"Reshuffling changes test accuracy by {gain.text(2, 100, sign=True)} points with batch norm and by "
        f"{plain_gain.text(2, 100, sign=True)} without; the difference of the two is "
        f"{interaction.text(2, 100, sign=True)}.",
        {"gain with BN": gain, "gain without BN": plain_gain, "interaction": interaction},
    )


def figure(result):
    """The four arms, and the two gains."""
    from minidl.lab import plot

    figure, (arms, gains) = plot.panels(2, size=(5.4, 3.4))
    rows = {arm: 100 * result.values("test", arm=arm, **FINAL) for arm in ARMS}
    plot.intervals(arms, rows, "Test accuracy of the four arms", "test accuracy (%), a small dot a seed")
    found = _gains(result)
    rows = {name: 100 * values for name, values in found.items()}
    rows["difference"] = rows["with BN"] - rows["without BN"]
    title = f"Reshuffling gives {rows['with BN'].mean():+.2f} points with BN".replace("-", "−")
    plot.intervals(gains, rows, title, "points of test accuracy, reshuffled less fixed", zero=True)
    return figure


CLAIM = Claim(
    id="shuffle",
    section="§4.2.1, shuffling",
    statement="""Shuffling more thoroughly, so that the same examples do not always appear in a batch together, helps
        networks with batch norm (by about 1 % on ImageNet), since their batch-mates regularise them.""",
    method="""The paper's network of Figure 1 on 10,000 binary MNIST images, 30 epochs of batches of 60, ten seeds
        (each with its own images, weights and batches). Batches are drawn anew each epoch, or fixed once and visited
        in a new order each epoch; with batch norm and without; learning rate tuned for each of the four.""",
    rule="""Gain: reshuffled minus fixed. Reproduced if the gain with batch norm and its excess over the gain without
        are both above 0; partly if only the gain with batch norm is; contradicted if that is below 0; otherwise not
        at this scale.""",
    limits="""What a harder task would gain: MNIST leaves little to improve. ImageNet's batches came from few shards,
        which is worse than random fixed batches.""",
    plan=plan, run=run, verdict=verdict, figure=figure,
)  # fmt: skip

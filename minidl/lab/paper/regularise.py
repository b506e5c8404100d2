"""§3.4 of the paper: batch norm regularises, because a batch's statistics are noisy; dropout can be reduced or removed."""

from functools import partial

import numpy as np

from minidl import functional as F
from minidl import nn
from minidl.lab.models import paper_mlp
from minidl.lab.paper._training import FINAL, best_arm, draws, finals, loss_of, score, split, subset, train, tune
from minidl.lab.study.claim import Claim, Verdict
from minidl.lab.study.statistics import paired, t_interval
from minidl.tensor import Tensor

__all__ = ["CLAIM"]

IMAGES, EPOCHS = 2000, 60
DROPS = (0.2, 0.4)
OTHERS = (10, 250)  # sizes of batches, besides 60
STUCK = 0.2  # of test accuracy
ARMS = {
    "no BN": {"norm": "none", "batch": 60, "dropout": 0.0},
    **{f"no BN, dropout {p}": {"norm": "none", "batch": 60, "dropout": p} for p in DROPS},
    "BN": {"norm": "batch", "batch": 60, "dropout": 0.0},
    **{f"BN, dropout {p}": {"norm": "batch", "batch": 60, "dropout": p} for p in DROPS},
    "BN, statistics of all images": {"norm": "whole", "batch": 60, "dropout": 0.0},
    **{
        f"{name}, batches of {m}": {"norm": norm, "batch": m, "dropout": 0.0}
        for m in OTHERS
        for name, norm in (("no BN", "none"), ("BN", "batch"))
    },
}


def plan(scale):
    """2,000 steps, or 12,000 of batches of 10, × (18 to tune + 20), for 11 arms: 48 minutes.

    Four times the seeds, as the effects are small: five could not tell them from 0.
    """
    epochs, least = scale.pick((EPOCHS, 2000), (4, 130))
    arms = {
        arm: {**settings, "images": IMAGES, "steps": max(least, epochs * IMAGES // settings["batch"])}
        for arm, settings in ARMS.items()
    }
    tuned = yield from tune(arms, scale)
    yield finals(arms, tuned, range(scale.pick(4, 1) * scale.seeds))


def run(config, digits):
    """Accuracies on the few images of training, and on others."""
    seed, p = config["seed"], config["dropout"]
    data = subset(split(digits), config["images"], seed)
    generator = np.random.default_rng([seed, 3])

    def activation():
        return nn.Sequential(nn.Sigmoid(), nn.Dropout(p, generator)) if p else nn.Sigmoid()

    norm = "none" if config["norm"] == "none" else "batch"
    model = paper_mlp(norm, generator=np.random.default_rng(seed), activation=activation)
    batches, loss = draws(data, config["batch"], seed), loss_of
    if config["norm"] == "whole":
        # the same batches, as numbers of images; all images go through, and the batch's own have a loss
        numbered = data._replace(x=np.arange(len(data.y)))
        batches, loss = draws(numbered, config["batch"], seed), partial(_loss_among_all, data.x)
    record = score(model, data, train(model, batches, config["lr"], config["steps"], loss_of=loss))
    return record | {"gap": record["train"] - record["test"]}


def _loss_among_all(images, model, chosen, labels):
    return F.cross_entropy(model(Tensor(images))[chosen], labels)


def _tests(result, arm):
    return result.values("test", arm=arm, **FINAL)


def _without_stuck(result):
    """The comparisons with batch norm at other batch sizes, over the seeds of which no run was stuck, where some was."""
    found = []
    for m in OTHERS:
        both = np.array([_tests(result, f"{name}, batches of {m}") for name in ("BN", "no BN")])
        fine = (both >= STUCK).all(0)
        if not fine.all() and fine.any():
            found.append(f"{m}: {paired(*both[:, fine]).text(2, 100, sign=True)}")
    return f"; leaving their seeds out, batch norm minus none, batches of {', '.join(found)}" if found else ""


def _dropped(result, name):
    """The dropout of an arm that is best on the validation images, at its own learning rate."""
    return best_arm(result, [f"{name}, dropout {p}" for p in DROPS])


def _stuck(result):
    """Arms with runs of the results that stayed near chance, and how many did."""
    return {arm: n for arm in ARMS if (n := int((_tests(result, arm) < STUCK).sum()))}


def verdict(result):
    """Is it the noise that helps; and does dropout help where there is no batch norm, and only there?"""
    best = {name: _dropped(result, name) for name in ("no BN", "BN")}
    noise = paired(_tests(result, "BN"), _tests(result, "BN, statistics of all images"))
    gain = {name: paired(_tests(result, best[name]), _tests(result, name)) for name in best}
    instead = paired(_tests(result, "BN"), _tests(result, best["no BN"]))
    regularises = noise.above_zero
    spares = gain["no BN"].above_zero and not gain["BN"].above_zero and not instead.below_zero
    if regularises and spares:
        word = "reproduced"
    elif regularises or spares:
        word = "partly"
    else:
        word = "contradicted" if noise.below_zero and gain["BN"].above_zero else "not at this scale"
    gaps = {arm: t_interval(result.values("gap", arm=arm, **FINAL)) for arm in ARMS}
    sizes = {m: paired(_tests(result, f"BN, batches of {m}"), _tests(result, f"no BN, batches of {m}")) for m in OTHERS}
    narrower = paired(*(result.values("gap", arm=arm, **FINAL) for arm in ("BN, statistics of all images", "BN")))
    replaced = gain["BN"].above_zero and instead.below_zero
    stuck = "; ".join(f"{n} of “{arm}”" for arm, n in _stuck(result).items())
    points = partial(_points, 2)
    return Verdict(
        word,
        f"noise of the batch's statistics {points(noise)} points of test accuracy; dropout {points(gain['no BN'])} "
        f"without BN, {points(gain['BN'])} with",
        f"On {IMAGES:,} images, using the batch's statistics rather than those of all images changes test accuracy by "
        f"{points(noise)} points. The better dropout changes it by {points(gain['no BN'])} without batch norm and "
        f"by {points(gain['BN'])} with it. Batch norm without dropout minus dropout without batch norm: "
        f"{points(instead)}. The gap between training and test accuracy is {_points(2, gaps['no BN'])} points "
        f"without batch norm, {_points(2, gaps['BN'])} with it, and "
        f"{_points(2, gaps['BN, statistics of all images'])} with the statistics of all images, so the noise narrows "
        f"it by {narrower.text(2, 100)}. {'Batch norm did not replace dropout here. ' if replaced else ''}Batch norm "
        f"minus none: {', '.join(f'{points(i)} points with batches of {m}' for m, i in sizes.items())}, "
        f"{points(paired(_tests(result, 'BN'), _tests(result, 'no BN')))} with batches of 60. "
        f"Runs that stayed near chance, which are counted too: {stuck or 'none'}{_without_stuck(result)}.",
        {
            "noise": noise,
            "dropout without BN": gain["no BN"],
            "dropout with BN": gain["BN"],
            "BN less dropout": instead,
            **{f"BN less none, batches of {m}": interval for m, interval in sizes.items()},
        },
    )


def _points(digits, interval):
    return interval.text(digits, 100, sign=True)


def figure(result):
    """Test accuracy and gap of all arms."""
    from minidl.lab import plot

    figure, (tests, gaps) = plot.panels(2, size=(5.8, 4.8))
    rows = {arm: 100 * _tests(result, arm) for arm in ARMS}
    noise = rows["BN"].mean() - rows["BN, statistics of all images"].mean()
    title = f"The noise of a batch's statistics: {noise:+.2f} points".replace("-", "−")
    plot.intervals(tests, rows, title, "test accuracy (%), a small dot a seed")
    medians = [np.median(values) for values in rows.values()]
    tests.set_xlim(min(medians) - 2, max(medians) + 2)
    if stuck := sum(_stuck(result).values()):
        figure.supxlabel(f"runs that stayed near chance, to the left of the left panel: {stuck}", fontsize=8)
    rows = {arm: 100 * result.values("gap", arm=arm, **FINAL) for arm in ARMS}
    least, most = (choose(rows, key=lambda arm: np.median(rows[arm])) for choose in (min, max))
    title = f"The gap is smallest for “{least}”,\nlargest for “{most}”"
    plot.intervals(gaps, rows, title, "training less test accuracy (points)")
    medians = [np.median(values) for values in rows.values()]
    gaps.set_xlim(min(medians) - 2, max(medians) + 2)
    return figure


CLAIM = Claim(
    id="regularise",
    section="§3.4",
    statement="""Batch norm regularises, because its output for an example depends on the rest of the batch; dropout
        can be reduced or removed.""",
    method="""The paper's network of Figure 1 on 2,000 binary MNIST images (others for each of twenty seeds), 60 epochs
        and at least 2,000 steps. Arms: no batch norm, batch norm, and batch norm by the statistics of all 2,000
        images. The gradient flows through these too, so only the noise is missing. Further arms: dropout of 0.2 and
        0.4 after each sigmoid, and batches of 10 and 250 instead of 60. The learning rate is tuned for each arm, and
        the better dropout is chosen on the same validation images.""",
    rule="""Noise: batch norm minus batch norm by the statistics of all images, in test accuracy. Replaces dropout:
        dropout helps without batch norm, does not help with it (interval not above 0), and batch norm alone is not
        worse than dropout alone. Reproduced if the noise helps and batch norm replaces dropout; partly if one of the
        two; contradicted if the noise hurts and dropout helps with batch norm; otherwise not at this scale.""",
    limits="""Narrow layers and two dropout rates on digits. A network this small may need no dropout at all, and
        then there is nothing to replace.""",
    plan=plan, run=run, verdict=verdict, figure=figure,
)  # fmt: skip

"""Most of what batch norm gains is the larger learning rate: a gain in accuracy, split into two parts."""

import numpy as np

from minidl.lab.after._small_photos import BATCH, GRID, STEPS, train_small
from minidl.lab.paper._training import FINAL, finals, rate, tune
from minidl.lab.study.claim import Claim, Verdict
from minidl.lab.study.statistics import paired, t_interval

__all__ = ["CLAIM"]

ARMS = {"with BN": {"norm": "batch"}, "without BN": {"norm": "none"}}
WITH, WITHOUT = ARMS


def plan(scale):
    """2 arms × 20 runs to tune + 3 × 10, of 600 steps of 10 ms = 7 minutes."""
    arms = {arm: {**settings, "steps": scale.pick(STEPS, 20)} for arm, settings in ARMS.items()}
    tuned = yield from tune(arms, scale, GRID)
    configs = finals(arms, tuned, range(scale.pick(2, 1) * scale.seeds))
    same = [{**config, "lr": rate(tuned, WITHOUT)} for config in configs if config["arm"] == WITH]
    yield configs + [config for config in same if config not in configs]


def run(config, photos):
    """Accuracies after training."""
    return train_small(config, photos)


def _parts(result):
    """The gain in test accuracy, one a seed: at the plain network's rate, by batch norm's own rate, and both together."""
    rates = rate(result, WITHOUT), rate(result, WITH)
    plain = result.values("test", arm=WITHOUT, lr=rates[0], **FINAL)
    same, own = (result.values("test", arm=WITH, lr=lr, **FINAL) for lr in rates)
    return rates, {"at the same rate": same - plain, "by its own rate": own - same, "together": own - plain}


def verdict(result):
    """Whether the larger rate makes more than half of the gain."""
    (none, batch), parts = _parts(result)
    same, larger, whole = (t_interval(values) for values in parts.values())
    excess = paired(parts["by its own rate"], parts["at the same rate"])  # above 0: more than half of the whole
    if whole.above_zero and excess.above_zero and batch > none:
        word = "reproduced"
    elif whole.below_zero or (whole.above_zero and excess.below_zero):
        word = "contradicted"
    elif whole.above_zero and larger.above_zero and batch > none:
        word = "partly"
    else:
        word = "not at this scale"
    share = 100 * larger.mean / whole.mean if whole.mean > 0 else np.nan
    said = f"{share:.0f} %" if np.isfinite(share) else "no share"
    tests = {
        f"{arm} at rate {lr:g}": t_interval(result.values("test", arm=arm, lr=lr, **FINAL))
        for arm, lr in dict.fromkeys([(WITHOUT, none), (WITH, none), (WITH, batch)])
    }
    fitted = {arm: t_interval(result.values("train", arm=arm, lr=lr, **FINAL)) for arm, lr in _own(none, batch)}
    return Verdict(
        word,
        f"of {whole.text(1, 100, sign=True)} points {larger.text(1, 100, sign=True)} come with the larger rate ({said}), "
        f"{same.text(1, 100, sign=True)} with BN alone",
        f"Test accuracies: {', '.join(f'{arm} {interval.text(1, 100)} %' for arm, interval in tests.items())}. Batch norm "
        f"at the rate of the network without it gains {same.text(1, 100, sign=True)} points, and its own rate, "
        f"{batch / none:g} times that, {larger.text(1, 100, sign=True)} more; the second less the first is "
        f"{excess.text(1, 100, sign=True)}. On images that were trained with, accuracies are "
        f"{', '.join(f'{arm} {interval.text(1, 100)} %' for arm, interval in fitted.items())}, each at its own rate.",
        {
            "at the same rate": same,
            "by its own rate": larger,
            "together": whole,
            "second part less first": excess,
            "rates": [none, batch],
        },
    )


def _own(none, batch):
    return (WITHOUT, none), (WITH, batch)


def figure(result):
    """Validation accuracy over the learning rate, from the tuning; the two parts of the gain."""
    from minidl.lab import plot

    figure, (left, right) = plot.panels(2, size=(5.4, 3.8))
    (none, batch), parts = _parts(result)
    tried = result.where(stage="tune")
    lines = {}
    for arm in ARMS:
        rates = sorted(tried.settings("lr", arm=arm))
        lines[arm] = (rates, [100 * tried.values("validation", arm=arm, lr=lr).mean() for lr in rates])
    title = f"With BN the best rate is {batch / none:g} times as large"
    plot.lines(left, lines, title, "learning rate", "validation accuracy (%)", log="x")
    rows = {name: 100 * values for name, values in parts.items()}
    share = rows["by its own rate"].mean() / rows["together"].mean()
    title = (
        f"{100 * share:.0f} % of the gain comes with the larger rate" if share > 0 else "The larger rate gains nothing"
    )
    plot.intervals(right, rows, title, "gain in test accuracy (points)", zero=True)
    return figure


CLAIM = Claim(
    id="large-rates",
    section="learning rate",
    part="after",
    statement="""Most of what batch norm gains comes from the larger learning rates that it permits. (Bjorck et al. 2018,
        “Understanding Batch Normalization”; of the paper only the abstract was read.)""",
    method=f"""A stack of eight 3×3 convolutions (16 to 64 channels, ReLU; He's weights; no shortcuts) on 10,000 photographs
        of CIFAR-10 at 16×16 pixels, {STEPS} steps of plain SGD at a constant rate, batches of {BATCH}, with batch norm
        before each ReLU and without. The rate of each is chosen on validation images among {len(GRID)} from {GRID[0]:g} to
        {GRID[-1]:g}. Then ten seeds of the network without batch norm, and of the one with it at the same rate and at its
        own. So the gain in test accuracy has two parts: batch norm at the other network's best rate less that network; and
        batch norm at its own best rate less batch norm at the other's. Single trials with other seeds came before the rule,
        to see that the grid has the best rates in it.""",
    rule="""Reproduced if the whole gain is above 0, batch norm's own rate is the larger one, and the second part less the
        first is above 0, so that the second is more than half; contradicted if the whole is below 0, or above 0 with the
        second part less the first below 0; partly if only the whole and the second part are above 0, at a larger rate;
        otherwise not at this scale.""",
    limits="""How the split comes out after long training, with a rate that falls, or with momentum. It is a split at one
        point: the other network's best rate. Rates a factor of two apart are not told from each other, and the smaller one
        is taken where they are about equal. Bjorck et al. studied a residual network of 110 layers, as cited elsewhere (*not
        read*); this one has eight layers and no shortcuts.""",
    plan=plan, run=run, verdict=verdict, figure=figure, data="cifar10",
)  # fmt: skip

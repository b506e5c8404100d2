"""Figure 1(b, c) of the paper (§4.1): with batch norm the input of a sigmoid is distributed more stably."""

from types import SimpleNamespace

import numpy as np

from minidl.lab.paper._drift import drift
from minidl.lab.paper._training import raw
from minidl.lab.paper.fig1 import Settings, run_arm, typical_unit
from minidl.lab.study.claim import Claim, Verdict
from minidl.lab.study.statistics import paired, t_interval

__all__ = ["CLAIM"]

RATES = (0.1, 2.0)
PLACES = {  # what is watched: norm, entry of the record
    "without BN, input of the sigmoid": ("none", "inputs"),
    "with BN, input of the sigmoid": ("batch", "inputs"),
    "with BN, before normalising": ("batch", "before"),
}
NONE, AFTER, BEFORE = PLACES


def plan(scale):
    """2 arms × 2 rates × 5 seeds × (50,000 steps × 0.9 ms + 10 s of measuring) = 18 minutes of one core."""
    yield [
        {"norm": norm, "lr": lr, "seed": seed, "steps": scale.pick(50_000, 2000), "whole": seed == 0 and lr == RATES[0]}
        for norm in ("none", "batch")
        for lr in scale.pick(RATES, RATES[:1])
        for seed in range(scale.seeds)
    ]


def run(config, digits):
    """Drift of the last hidden layer's 100 inputs between measurements; for one run all their percentiles."""
    settings = Settings(**{name: config[name] for name in ("steps", "lr", "seed")})
    trained, _, test = raw(digits)
    arm = run_arm(settings, config["norm"], (trained, test), quiet=True, replay=True)
    record = {"steps": arm.steps, "test": arm.accuracy[-1]}
    for entry in ("inputs", "before"):
        percentiles = getattr(arm, entry)
        if percentiles is not None:
            record[entry] = drift(percentiles)
            if config["whole"]:
                record[f"all {entry}"] = percentiles[::2].round(3)
    return record


def _drifts(result, lr, first=0):
    """Place → mean drift between measurements, one per seed; from the interval number `first` on."""
    return {place: result.values(entry, norm=norm, lr=lr)[:, first:].mean(1) for place, (norm, entry) in PLACES.items()}


def _beginning(result, lr):
    """What the very first interval does: its share of the drift without batch norm, and the comparison without it."""
    drifts = result.values("inputs", norm="none", lr=lr)
    later = _drifts(result, lr, 1)
    share = 100 * drifts[:, 0].mean() / drifts.sum(1).mean()
    return f"{share:.0f} % and {paired(later[NONE], later[BEFORE]).text(4, sign=True)} at learning rate {lr:g}"


def _late(result, lr):
    """The last tenth of training: drift without batch norm, and with it after and before the normalisation."""
    count = result.values("inputs", lr=lr).shape[1]
    last = _drifts(result, lr, count - max(1, count // 10))
    none, after, before = (t_interval(last[place]).text(4) for place in (NONE, AFTER, BEFORE))
    return f"{none} without, {after} with ({before} before normalising) at learning rate {lr:g}"


def verdict(result):
    """At every learning rate: is it calmer after the normalisation, and before it, than without batch norm?"""
    drifts = {lr: _drifts(result, lr) for lr in result.settings("lr")}
    after = {lr: paired(d[NONE], d[AFTER]) for lr, d in drifts.items()}
    before = {lr: paired(d[NONE], d[BEFORE]) for lr, d in drifts.items()}
    later = {lr: paired(d[NONE], d[BEFORE]) for lr in drifts for d in [_drifts(result, lr, 1)]}
    if all(interval.above_zero for interval in (*after.values(), *before.values(), *later.values())):
        word = "reproduced"
    elif all(interval.above_zero for interval in after.values()):
        word = "partly"
    else:
        word = "contradicted" if all(i.below_zero for i in after.values()) else "not at this scale"
    every = int(np.diff(result.runs[0].record["steps"])[0])
    number = "; ".join(
        f"learning rate {lr:g}: {t_interval(d[AFTER]).text(3)} with BN ({t_interval(d[BEFORE]).text(3)} before "
        f"normalising), {t_interval(d[NONE]).text(3)} without"
        for lr, d in drifts.items()
    )
    return Verdict(
        word,
        f"drift in band widths per {every} steps, {number}",
        f"Mean drift of the 100 inputs in widths of their own band, per {every:,} steps: {number}. The layer's real "
        "input distribution is the one before the normalisation; after it, γ and β alone can move the "
        f"bands. Drift without batch norm minus drift before normalising with it, paired: "
        f"{', '.join(f'{i.text(4, sign=True)} at learning rate {lr:g}' for lr, i in before.items())}. The first "
        f"interval's share of the drift without batch norm, and that difference when the first interval is left out: "
        f"{'; '.join(_beginning(result, lr) for lr in drifts)}. In the last tenth of training: "
        f"{'; '.join(_late(result, lr) for lr in drifts)}.",
        {
            f"{name}, learning rate {lr:g}": interval
            for name, group in (
                ("without less with", after),
                ("without less before normalising", before),
                ("the same after the first interval", later),
            )
            for lr, interval in group.items()
        },
    )


def figure(result):
    """One unit and all 100 of them at three places, and the drifts."""
    from minidl.lab import plot

    figure, axes = plot.panels(
        4, 2, size=(4.4, 3.5), note="upper row: the band goes from the 15th to the 85th percentile"
    )
    whole = {
        place: np.array(result.where(norm=norm, whole=True).runs[0].record[f"all {entry}"])
        for place, (norm, entry) in PLACES.items()
    }
    unit = typical_unit(SimpleNamespace(inputs=whole[NONE]))  # one unit for all, whose initial weights are the same
    steps = result.values("steps")[0]
    for i, (place, percentiles) in enumerate(whole.items()):
        x = steps[::2][: len(percentiles)]
        one, all_ = axes[i], axes[4 + i]
        plot.percentile_bands(x, percentiles[:, unit], one, name=f"input of unit {unit}")
        spans = one.get_title(loc="left").replace("The median moves", "the median spans")
        one.set_title(f"{place}:\n{spans}", loc="left", fontsize=10)
        path = np.abs(np.diff(percentiles[:, :, 1], axis=0)).sum(0).mean()
        title = f"All units: a median travels {path:.2g} in all"
        plot.strands(all_, x, percentiles[:, :, 1], title, "training step", "median of the input", ink=i)
    for row in (axes[:3], axes[4:7]):  # alike, so that they can be compared
        ends = np.array([ax.get_ylim() for ax in row])
        for ax in row:
            ax.set_ylim(ends[:, 0].min(), ends[:, 1].max())
    for ax, lr in zip(axes[3::4], RATES, strict=True):
        if lr in result.settings("lr"):
            drifts = _drifts(result, lr)
            batch, none = drifts[BEFORE].mean(), drifts[NONE].mean()
            title = f"Learning rate {lr:g}: before normalising\n{batch:.2g} with BN, {none:.2g} without"
            plot.intervals(ax, drifts, title, "drift, band widths between measurements")
        else:
            ax.set_axis_off()
    return figure


CLAIM = Claim(
    id="fig1bc",
    section="§4.1, Figure 1(b, c)",
    statement="""With batch norm the distribution of a typical sigmoid's input in the last hidden layer is more
        stable as training goes on.""",
    method="""The network of Figure 1 with std 0.1 and learning rates 0.1 and 2, the same for both arms, 5 seeds.
        Every 500 steps, the 15th, 50th and 85th percentiles of each of the 100 inputs of the last hidden layer's
        sigmoids are taken over 2,000 test images, in evaluation mode. With batch norm this is also done before the
        normalisation, a panel that the paper leaves out. Drift: the mean over units of abs(change of the median) /
        (p85 − p15) from one measurement to the next, averaged over training. The unit shown is the one whose median
        travels the median distance without batch norm.""",
    rule="""Reproduced if, at both learning rates, the drift with batch norm is smaller than without (95 % paired
        intervals) both after the normalisation and before it, and before it also when the first interval, in which the
        networks leave their initial weights, is left out; partly if this holds only after it, where it is nearly true by
        construction; contradicted if at both learning rates it is larger after it; otherwise not at this scale.""",
    limits="""Stability after the normalisation is close to a tautology: for near-Gaussian inputs the bands are β ±
        1.04γ whatever happens before. Whether stability makes training faster is another claim: see ics.""",
    plan=plan, run=run, verdict=verdict, figure=figure,
)  # fmt: skip

"""Batch norm makes residual branches small beside the skip path; a factor that starts at 0 does the same without it."""

import math

import numpy as np

from minidl.autograd import no_grad
from minidl.lab.after._residual import residual_stack, sizes
from minidl.lab.paper._training import FINAL, draws, finals, rate, score, split, train, tune
from minidl.lab.study.claim import Claim, Result, Verdict
from minidl.lab.study.statistics import paired, t_interval

__all__ = ["CLAIM"]

ARMS = {
    "no norm": {"norm": False, "gate": None},
    "batch norm": {"norm": True, "gate": None},
    "factor from 0": {"norm": False, "gate": 0.0},
    "factor from 1": {"norm": False, "gate": 1.0},
}
NONE, BATCH, SKIP, ONE = ARMS
SHALLOW, DEEP, WIDTH = 8, 64, 50
GRID = (0.0005, 0.002, 0.008, 0.03, 0.125, 0.5)
TINY = tuple(10.0**-k for k in range(13, 8, -1))  # where nothing holds 2^64 back
WIDE, IMAGES, POPULATION = 200, 1000, 10_000  # of the networks that are only looked at
NEAR = {"slope": (1, 0.1), "growth": (2, 0.1)}  # what is claimed, and how far off an interval may reach
TRAINED, UNTRAINED = 0.8, 0.2
BATCH_SIZE = 60


def plan(scale):
    """Looks: 2 arms × 40 seeds × 0.7 s. Training: 8 arms × (16 or 18 + 5) × 250 steps, 0.8 or 4 s: 8 minutes."""
    looks = [
        {"stage": "look", "arm": arm, **ARMS[arm], "blocks": DEEP, "width": WIDE, "steps": 0, "seed": seed}
        for arm in (NONE, BATCH)
        for seed in range(scale.pick(8, 1) * scale.seeds)
    ]
    yield looks
    arms = {
        f"{arm}, {blocks} blocks": {**settings, "blocks": blocks, "width": WIDTH, "steps": scale.pick(250, 60)}
        for blocks in (SHALLOW, DEEP)
        for arm, settings in ARMS.items()
    }
    wild = {name: settings for name, settings in arms.items() if _needs_tiny_rates(settings)}
    tame = yield from tune({name: arms[name] for name in arms if name not in wild}, scale, GRID)
    tiny = yield from tune(wild, scale, TINY)
    yield finals(arms, Result(tame.runs + tiny.runs), range(scale.seeds))


def _needs_tiny_rates(settings):
    return settings["blocks"] == DEEP and not settings["norm"] and settings["gate"] != 0


def run(config, digits=None):
    """Sizes on the skip path and in the branches at the start, or accuracies after training."""
    data, seed = split(digits), config["seed"]
    # equal seeds: equal weights, with any norm and gate
    model = residual_stack(config["blocks"], config["norm"], width=config["width"], seed=seed, gate=config["gate"])
    first = next(model.children())
    first.weight.data *= np.float32(1 / math.sqrt(np.square(data.x[:POPULATION]).mean()))  # its output: mean square 1
    if config["stage"] == "look":
        chosen = np.random.default_rng([seed, 4]).permutation(len(data.y))[:IMAGES]
        return _look(model, data.x[chosen])
    batches = draws(data, BATCH_SIZE, seed)
    return score(model, data, train(model, batches, config["lr"], config["steps"]))


@no_grad()
def _look(model, x):
    skip, branch = sizes(model, x)
    return {
        "skip": skip,
        "branch": branch,
        "share": branch / skip[1:],
        "slope": np.polyfit(np.arange(len(skip)), skip, 1)[0],
        "growth": (skip[-1] / skip[0]) ** (1 / len(branch)),
    }


def _tests(result, arm, blocks):
    return result.values("test", arm=f"{arm}, {blocks} blocks", **FINAL)


def _within(name, interval):
    wanted, off = NEAR[name]
    return wanted - off <= interval.low and interval.high <= wanted + off


def verdict(result):
    """Do the sizes follow the two rules; and does a factor from 0 train what does not train without?"""
    slope = t_interval(result.values("slope", stage="look", arm=BATCH))
    growth = t_interval(result.values("growth", stage="look", arm=NONE))
    tests = {(arm, blocks): _tests(result, arm, blocks) for arm in ARMS for blocks in (SHALLOW, DEEP)}
    deep = {arm: t_interval(tests[arm, DEEP]) for arm in ARMS}
    gain = paired(tests[SKIP, DEEP], tests[NONE, DEEP])
    rest = paired(tests[SKIP, DEEP], tests[BATCH, DEEP])
    shrinks = _within("slope", slope) and _within("growth", growth)
    cures = gain.above_zero and deep[SKIP].mean >= TRAINED and deep[NONE].mean <= UNTRAINED
    off = slope.high < NEAR["slope"][0] - NEAR["slope"][1] or slope.low > sum(NEAR["slope"])
    if shrinks and cures:
        word = "reproduced"
    elif shrinks or cures:
        word = "partly"
    else:
        word = "contradicted" if off and not gain.above_zero else "not at this scale"
    share = {arm: result.values("share", stage="look", arm=arm)[:, -1] for arm in (NONE, BATCH)}
    last = {arm: t_interval(values) for arm, values in share.items()}
    trained = "; ".join(
        f"{blocks} blocks: " + ", ".join(f"{arm} {t_interval(tests[arm, blocks]).text(1, 100)} %" for arm in ARMS)
        for blocks in (SHALLOW, DEEP)
    )
    return Verdict(
        word,
        f"each block adds {slope.text(3)} with batch norm, and multiplies by {growth.text(3)} without; of {DEEP} blocks, a "
        f"factor from 0 gives {gain.text(1, 100, sign=True)} points",
        f"Of what leaves block {DEEP}, the branch has a share of {last[BATCH].text(4)} with batch norm, where the rule "
        f"says {1 / (DEEP + 1):.4f}, and of {last[NONE].text(3)} without, where it says 0.5. Test accuracy after training: "
        f"{trained}. At {DEEP} blocks the factor from 0 minus batch norm: {rest.text(1, 100, sign=True)} points.",
        {"slope": slope, "growth": growth, "factor from 0 less none": gain, "factor from 0 less BN": rest}
        | {f"share of the last branch, {arm}": interval for arm, interval in last.items()},
    )


def figure(result):
    """The sizes along the skip path, the shares of the branches, and what trains."""
    from minidl.lab import plot

    figure, axes = plot.panels(3, size=(5.0, 3.9))
    looks = {arm: result.where(stage="look", arm=arm) for arm in (BATCH, NONE)}
    blocks = np.arange(DEEP + 1)
    skip = {arm: (blocks, found.values("skip")) for arm, found in looks.items()}
    last = skip[BATCH][1][:, -1].mean()
    title = f"The skip path: {last:.0f} after {DEEP} blocks with BN"
    plot.lines(axes[0], skip, title, "blocks", "mean square", log="y")
    share = {arm: (blocks[1:], found.values("share")) for arm, found in looks.items()}
    title = f"The last branch: a share of {share[BATCH][1][:, -1].mean():.3f} with BN"
    share["1 / (l + 1)"] = blocks[1:], 1 / (blocks[1:] + 1.0)
    ticks = 2 ** np.arange(int(math.log2(DEEP)) + 1)
    plot.lines(axes[1], share, title, "block l", "share of what leaves the block", log="xy", xticks=ticks)
    rows = {f"{arm}, {n} blocks": 100 * _tests(result, arm, n) for n in (SHALLOW, DEEP) for arm in ARMS}
    gain = rows[f"{SKIP}, {DEEP} blocks"].mean() - rows[f"{NONE}, {DEEP} blocks"].mean()
    title = f"{DEEP} blocks: the factor from 0 gives {gain:+.0f} points".replace("-", "−")
    plot.intervals(axes[2], rows, title, "test accuracy (%), a small dot a seed")
    return figure


def tables(result):
    """The rates that validation chose for each arm, and what it saw there."""
    tuned = result.where(stage="tune")
    rows = ["| arm | rates tried | chosen | validation (%) |", "|---|---|---|---|"]
    for arm in tuned.settings("arm"):
        rates, chosen = tuned.settings("lr", arm=arm), rate(tuned, arm)
        seen = 100 * tuned.values("validation", arm=arm, lr=chosen).mean()
        rows.append(f"| {arm} | {min(rates):g} to {max(rates):g} | {chosen:g} | {seen:.1f} |")
    return "\n\nLearning rates, tuned for each arm:\n\n" + "\n".join(rows)


CLAIM = Claim(
    id="residual-branches",
    section="residual branches",
    part="after",
    statement="""With batch norm in their branches, the late blocks of a deep residual network start close to the identity:
        the variance on the skip path is about l + 1 after l blocks, so that branch l has a share of 1 / (l + 1). Without a
        norm that variance doubles with each block. A deep residual network without batch norm trains if each branch is
        multiplied by a learned factor that starts at 0 (De and Smith 2020; *not read* in its text).""",
    method=f"""Residual blocks x + Linear(ReLU(x)) between a first and a last layer, initial weights as He says, with batch
        norm before each ReLU or without. At the start: {DEEP} blocks of {WIDE} units, 40 networks; the mean square on the
        skip path of {IMAGES:,} binary MNIST images, which begins near 1, as the first layer is scaled for it. (A mean square
        over examples and units is the variance over random weights, which have mean 0.) The slope is that of a straight line
        through the {DEEP + 1} places; the growth is the geometric mean. After training: {SHALLOW} and {DEEP} blocks of
        {WIDTH} units, 250 steps of plain SGD, batches of {BATCH_SIZE}, 5 seeds; no norm, batch norm, a factor on each branch
        that starts at 0 (SkipInit), and, as a control, one that starts at 1. The rate is tuned for each arm; without a norm
        and with a factor from 1, at {DEEP} blocks, among five from 1e-13 to 1e-9. Trials with one or two seeds came before
        the rule.""",
    rule=f"""Sizes: the interval of the slope with batch norm lies within 1 ± {NEAR["slope"][1]}, and that of the growth
        without a norm within 2 ± {NEAR["growth"][1]}. Cure, at {DEEP} blocks: the factor from 0 ends with at least
        {100 * TRAINED:.0f} % test accuracy, no norm with at most {100 * UNTRAINED:.0f} %, and their difference is above 0.
        Reproduced if both hold; partly if one does; contradicted if neither does, the slope's interval lies outside those
        bounds, and the difference is not above 0; otherwise not at this scale.""",
    limits="""The order batch norm, ReLU, weights; where batch norm comes last in a branch, its variance is exactly γ².
        Dense layers, not convolutions, and a short training on digits: that a network trains is not that it ends as well.
        At the start only: training changes all sizes. Other ways to hold the growth back, such as smaller weights, are in
        lesson 12. At 8 blocks the largest rate tried was chosen with batch norm and with a factor from 0.""",
    plan=plan, run=run, verdict=verdict, figure=figure, tables=tables,
)  # fmt: skip

"""With weight decay, weights before batch norm forget how long they were: rate, decay and gradient set their length."""

import math

import numpy as np

from minidl import nn
from minidl.lab.after._balance import equilibrium
from minidl.lab.after._small_photos import BATCH, network, small
from minidl.lab.paper._training import draws, loss_of, marks, score
from minidl.lab.study.claim import Claim, Verdict
from minidl.lab.study.statistics import paired, t_interval
from minidl.optim import SGD

__all__ = ["CLAIM"]

STARTS = (0.25, 1.0, 4.0)  # what He's weights are multiplied by
RATE, DECAY = 0.4, 0.02
REST = 0.1  # the rate of what is not scale-invariant, which has no decay; times 1 − momentum
BN, PAIR, MOMENTUM, NONE = "with BN", "with BN, 4 × rate, ¼ × decay", "with BN, momentum 0.9", "without BN"
ARMS = {
    BN: {"norm": "batch", "lr": RATE, "decay": DECAY, "momentum": 0.0},
    PAIR: {"norm": "batch", "lr": 4 * RATE, "decay": DECAY / 4, "momentum": 0.0},
    MOMENTUM: {"norm": "batch", "lr": RATE / 10, "decay": DECAY, "momentum": 0.9},
    NONE: {"norm": "none", "lr": RATE / 4, "decay": DECAY / 2, "momentum": 0.0},
}
STEPS, LAST, LOOKS = 1000, 4, 50  # it is judged over the last fourth
NEAR, RIGHT = 0.05, 0.01  # allowed: of the lengths, and of the growth that right angles give


def plan(scale):
    """(3 starts + 3 other arms) × 5 seeds × 1,000 steps of 13 ms (on a busy machine) = 7 minutes."""
    kinds = [(BN, start) for start in STARTS] + [(arm, 1.0) for arm in ARMS if arm != BN]
    yield [
        {"arm": arm, **ARMS[arm], "start": start, "steps": scale.pick(STEPS, 20), "seed": seed}
        for arm, start in kinds
        for seed in range(scale.seeds)
    ]


def run(config, photos):
    """For each convolution: its weights' length over training, at the end, and where the balance would be; accuracies.

    Record  "lengths" (51, layers); over the last fourth of the steps, (layers,) each: "measured" and "balance"; "gain", by
            how much gradient steps changed ‖w‖², over what they would if all were at right angles to w; "effective", the
            effective rate
    """
    (training, measured), seed, lr = small(photos), config["seed"], config["lr"]
    model = network(config["norm"], seed)
    weights = [layer.weight for layer in model if isinstance(layer, nn.Conv2d)]
    for weight in weights:
        weight.data *= np.float32(config["start"])
    ids = {id(weight) for weight in weights}
    others = {"params": [p for p in model.parameters() if id(p) not in ids], "lr": REST * (1 - config["momentum"])}
    optimizer = SGD([{"params": weights, "weight_decay": config["decay"]}, others], lr=lr, momentum=config["momentum"])
    batches, seen, diverged = draws(training, BATCH, seed), [], None
    with np.errstate(all="ignore"):  # a network that diverges overflows first
        for step in range(config["steps"] + 1):
            loss = loss_of(model, *next(batches))
            if not math.isfinite(loss.item()):
                diverged = step
                break
            optimizer.zero_grad()
            loss.backward()
            seen.append([_products(weight) for weight in weights])
            if step < config["steps"]:
                optimizer.step()
    record = score(model, measured, diverged)
    if diverged is not None:
        return record | dict.fromkeys(("lengths", "measured", "balance", "gain", "effective"), [None] * len(weights))
    ww, gg, wg = np.moveaxis(np.array(seen), 2, 0)  # (steps + 1, layers) each
    last = slice(len(ww) - max(1, len(ww) // LAST), None)
    return record | {
        "lengths": np.sqrt(ww[marks(config["steps"], LOOKS)]),
        "measured": (ww[last] ** 2).mean(0) ** 0.25,
        "balance": equilibrium(lr, config["decay"], (ww[last] * gg[last]).mean(0), config["momentum"]),
        "gain": 1 - 2 * wg[last].sum(0) / (lr * gg[last].sum(0)),
        "effective": lr / (1 - config["momentum"]) / ww[last].mean(0),
    }


def _products(weight):
    """⟨w, w⟩, ⟨g, g⟩ and ⟨w, g⟩ in float64."""
    w, g = weight.data.astype(np.float64).ravel(), weight.grad.astype(np.float64).ravel()
    return w @ w, g @ g, w @ g


def _off(result, arm, start=1.0):
    """How far measured lengths are from the balance, as a mean over layers, one per seed."""
    measured, balance = (result.values(name, arm=arm, start=start) for name in ("measured", "balance"))
    return np.abs(measured / balance - 1).mean(1)


def _bent(result, arm):
    """How far the growth of ‖w‖² is from that of steps at right angles to w, as a mean over layers, one per seed."""
    return np.abs(result.values("gain", arm=arm, start=1.0) - 1).mean(1)


def _apart(result, name="measured"):
    """The largest over the smallest of three starts, less 1, one per seed and layer: of lengths, or of effective rates."""
    values = np.array([result.values(name, arm=BN, start=start) for start in STARTS])
    return values.max(0) / values.min(0) - 1


def _grown(result, start):
    """By how much lengths grow over the last fourth of the steps, as a mean over layers, one per seed."""
    lengths = result.values("lengths", arm=BN, start=start)
    return (lengths[:, -1] / lengths[:, -1 - lengths.shape[1] // LAST] - 1).mean(1)


def verdict(result):
    """Do starts end at the same lengths, are these where the balance is, and are steps at right angles with BN alone?"""
    off, bent = ({arm: t_interval(measure(result, arm)) for arm in ARMS} for measure in (_off, _bent))
    starts = {start: _off(result, BN, start) for start in STARTS}
    apart, rates = (t_interval(_apart(result, name).mean(1)) for name in ("measured", "effective"))
    grown = [t_interval(_grown(result, start)) for start in STARTS]
    worst = t_interval(np.max(list(starts.values()), axis=0))
    forgets, balanced = apart.high <= NEAR, worst.high <= NEAR
    if forgets and balanced and bent[BN].high <= RIGHT < bent[NONE].low:
        word = "reproduced"
    elif forgets or balanced:
        word = "partly"
    else:
        word = "contradicted" if min(apart.low, worst.low) > NEAR else "not at this scale"
    effective = {arm: np.log(result.values("effective", arm=arm, start=1.0)).mean(1) for arm in (BN, PAIR)}
    knob = paired(effective[PAIR], effective[BN])
    tests = {arm: t_interval(result.values("test", arm=arm, start=1.0)) for arm in ARMS}

    def percent(interval, digits=1, sign=False):
        return f"{interval.text(digits, 100, sign)} %"

    return Verdict(
        word,
        f"starts {STARTS[-1] / STARTS[0]:g} times apart end {percent(apart)} apart, {percent(worst)} from the formula; "
        f"‖w‖² grows {percent(bent[BN], 2)} off what right angles give, without BN {percent(bent[NONE])}",
        f"Means over {len(result.runs[0].record['measured'])} layers, over the last fourth of the steps. With batch norm, "
        f"starts of {', '.join(f'{start:g}' for start in STARTS)} times He's weights end with lengths within "
        f"{percent(apart)} of each other, so that effective rates are {percent(rates)} apart. The last fourth of the steps "
        f"still changes lengths by {', '.join(percent(interval, sign=True) for interval in grown)}. They are "
        f"{', '.join(percent(t_interval(values)) for values in starts.values())} from "
        f"(η·E‖g̃‖²/2λ)^¼, each with its own E‖g̃‖². Other arms, from a start of 1, are as far from it: with four times the "
        f"rate and a fourth of the decay {percent(off[PAIR])}, with momentum {percent(off[MOMENTUM])}, without batch norm "
        f"{percent(off[NONE])}. The first of them has the same η·λ as before, and its effective rate η/‖w‖² is "
        f"{math.exp(knob.mean):.3f} times that one ({math.exp(knob.low):.3f} to {math.exp(knob.high):.3f}). Gradient steps "
        f"change ‖w‖² by η²‖g‖² if they are at right angles to w: this is off by {percent(bent[BN], 2)} with batch norm "
        f"and by {percent(bent[NONE])} without. Test accuracies: "
        f"{', '.join(f'{arm} {percent(interval)}' for arm, interval in tests.items())}.",
        {
            "three starts, apart": apart,
            "three starts, effective rates apart": rates,
            "off the balance, worst of three starts": worst,
            **{f"off the balance, {arm}": interval for arm, interval in off.items()},
            **{f"off right angles, {arm}": bent[arm] for arm in (BN, NONE)},
            "log of the effective rates' quotient": knob,
        },
    )


def figure(result):
    """The length of a layer's weights from three starts; measured lengths against the balance, with and without BN."""
    from minidl.lab import plot

    figure, (left, middle, right) = plot.panels(3, size=(4.9, 4.0))
    steps = result.settings("steps")[0]
    layer = len(result.runs[0].record["measured"]) // 2
    lines = {
        f"start × {start:g}": (marks(steps, LOOKS), result.values("lengths", arm=BN, start=start)[:, :, layer])
        for start in STARTS
    }
    ends = 100 * _apart(result)[:, layer].mean()
    title = "In this layer, three starts end at the same length"
    if ends > 100 * NEAR:
        title = f"In this layer, three starts end {ends:.0f} % apart"
    plot.lines(left, lines, title, "training step", f"‖w‖ of convolution {layer + 1}, with BN", log="y")
    names = "‖w‖ by the formula, a dot a layer and seed", "‖w‖ measured"
    for ax, arms in ((middle, (BN, PAIR, MOMENTUM)), (right, (NONE,))):
        groups = {
            arm: tuple(result.values(name, arm=arm, start=1.0).ravel() for name in ("balance", "measured"))
            for arm in arms
        }
        off = np.max([_off(result, arm).mean() for arm in arms])
        whose = "The worst arm with BN is" if BN in arms else "Without BN lengths are"
        title = f"{whose} {100 * off:.0f} % off the formula"
        if not np.isfinite(off):
            plot.label(ax, "Without BN not all seeds trained", *names)
            continue
        inks = (0, 2, 3) if BN in arms else (1,)
        plot.dots(ax, groups, title, *names, inks=inks, diagonal=True)
    return figure


def tables(result):
    """Measured lengths and those of the balance, layer by layer."""
    arms = (BN, NONE)
    rows = [
        "| convolution | " + " | ".join(f"{arm}: measured | balance | measured / balance" for arm in arms) + " |",
        "|---" * (1 + 3 * len(arms)) + "|",
    ]
    pairs = [[result.values(name, arm=arm, start=1.0) for name in ("measured", "balance")] for arm in arms]
    for layer in range(pairs[0][0].shape[1]):
        cells = []
        for measured, balance in pairs:
            ours, theirs = measured[:, layer], balance[:, layer]
            cells += [f"{ours.mean():.2f}", f"{theirs.mean():.2f}", t_interval(ours / theirs).text(3)]
        rows.append(f"| {layer + 1} | {' | '.join(cells)} |")
    return "\n\nLengths of the weights of each layer, over the last fourth of the steps:\n\n" + "\n".join(rows)


CLAIM = Claim(
    id="equilibrium",
    section="weight decay",
    part="after",
    statement="""With weight decay λ and learning rate η, the length of weights before batch norm goes to an equilibrium,
        ‖w‖⁴ = η·E‖g̃‖²/2λ, where g̃ is the gradient at length 1; with it the effective rate η/‖w‖² settles, wherever it
        began. (van Laarhoven 2017, “L2 Regularization versus Batch and Weight Normalization”, of which the abstract was
        read; the formula also, as cited elsewhere, in Li and Arora 2020 and Wan et al. 2021: *not read*.)""",
    method=f"""A stack of eight 3×3 convolutions, each with batch norm and ReLU, on 10,000 photographs of CIFAR-10 at 16×16
        pixels; {STEPS:,} steps of plain SGD with batches of {BATCH}, five seeds; η = {RATE:g} and λ = {DECAY:g} on the
        convolutions' weights, {REST:g} and no decay for all else. The loss does not see the length of w, so its gradient g
        is at right angles to w, and ‖g‖ = ‖g̃‖/‖w‖. In one step ‖w‖² loses 2ηλ‖w‖², by decay, and gains η²‖g̃‖²/‖w‖², by
        Pythagoras; both are equal at that ‖w‖⁴. From anywhere the way there takes about 1/4ηλ = {1 / (4 * RATE * DECAY):.0f}
        steps, and more from far outside. Weights start at ¼, 1 and 4 times He's. For each layer the length over the last
        fourth of the steps is compared with that of the formula, with E‖g̃‖² as the mean of ‖w‖²‖g‖² over the same steps.
        Other arms, from a start of 1: four times the rate with a fourth of the decay; momentum 0.9 at a tenth of the rate,
        where the formula gets a factor 1/(1 − 0.9) if gradients do not correlate with the steps before them; and no batch
        norm, with a fourth of the rate and half of the decay, at which it trains. There the loss sees the length, and a step
        changes ‖w‖² by η²‖g‖² − 2η⟨w, g⟩; at rest the formula would be off by the fourth root of this over η²‖g‖². No rate
        is tuned: the formula is to hold at any. Rates and decays were set after single trials with other seeds, in which
        lengths were within 1 % of the formula; with half of this decay the largest start was not at rest after 1,000 steps.
        The smallest start ended with shorter weights than the others, as its gradients were smaller.""",
    rule="""Three things, as means over layers: how far the three starts with batch norm end from each other (longest over
        shortest); how far measured lengths are from the formula, in the worst of these starts; and how far gradient steps
        change ‖w‖² by other than η²‖g‖², with batch norm and without. Reproduced if the 95 % intervals of the first two lie
        below 5 %, and that of the third below 1 % with batch norm and above 1 % without; partly if at least one of the first
        two lies below 5 %; contradicted if both lie above; otherwise not at this scale. The other arms are reported.""",
    limits="""That starts are forgotten within 1,000 steps: the two longer ones end close to each other, the shortest
        does not, and five seeds do not say whether it still grows. It is near the formula all the same, as that is a
        balance with the gradients of the moment. Nor that they are never forgotten: longer runs were not made. That
        all starts lead to the same gradients: at a fourth of the length the first steps turn weights 16 times as far,
        which may leave another network. That the formula foretells anything before training: E‖g̃‖² is measured in
        the same run. The decay is larger than is usual, so that 1,000 steps are enough; with η·λ = 5e-5 the way would
        take thousands. Without batch norm 1,000 steps at the smaller rate are not enough to come to rest, so how far
        its lengths are from the formula is reported, and not judged.""",
    plan=plan, run=run, verdict=verdict, figure=figure, data="cifar10", tables=tables,
)  # fmt: skip

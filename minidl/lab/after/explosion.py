"""With batch norm, gradients explode with depth before training: per layer by π/(π − 1) with ReLU."""

import math

import numpy as np

from minidl.lab.after._residual import residual_stack
from minidl.lab.after._stacks import explosion, explosion_in_batches, squared_gradients, stack
from minidl.lab.study.claim import Claim, Verdict
from minidl.lab.study.statistics import Interval, paired, t_interval

__all__ = ["CLAIM"]

RELU = math.pi / (math.pi - 1)
WIDEST, WIDE, LARGE = 1024, 512, 512
WIDTHS, BATCHES = (64, 128, 256, WIDE, WIDEST), (8, 16, 32, 64, 128, 256, LARGE)
ARMS = {
    "BN, ReLU": {"kind": "stack", "activation": "ReLU", "norm": True},
    "BN, tanh": {"kind": "stack", "activation": "tanh", "norm": True},
    "BN, no activation": {"kind": "stack", "activation": "identity", "norm": True},
    "no norm, ReLU": {"kind": "stack", "activation": "ReLU", "norm": False},
    "BN, ReLU, residual": {"kind": "residual", "activation": "ReLU", "norm": True},
}
JUDGED = "BN, ReLU"
FORMULA = {
    "BN, ReLU": RELU,
    "BN, tanh": explosion(np.tanh, lambda x: 1 - np.tanh(x) ** 2),
    "BN, no activation": 1.0,
    "no norm, ReLU": 1.0,
}
DEPTH, EDGE = 30, 5  # layers; those that do not count at either end
NEAR, EVEN = 0.02, 0.05  # allowed: of the factor, and between the two halves of the depth
FLAT = 1.05  # a factor below this is no explosion


def plan(scale):
    """10 seeds × 15 networks, of at most 4 s (width 1,024, batch 512) and 1 s on average: two or three minutes."""
    depth, seeds = scale.pick(DEPTH, 14), range(scale.pick(2, 1) * scale.seeds)
    sizes = [(width, LARGE) for width in WIDTHS] + [(WIDE, batch) for batch in BATCHES[:-1]]
    sizes = scale.pick(sizes, [(64, LARGE), (WIDEST // 8, LARGE), (WIDE // 8, 16), (WIDE // 8, 64)])
    wide = scale.pick((WIDE, LARGE), (64, LARGE))
    chosen = [(JUDGED, *size) for size in sizes] + [(arm, *wide) for arm in ARMS if arm != JUDGED]
    yield [
        {"arm": arm, **ARMS[arm], "width": width, "batch": batch, "depth": depth, "seed": seed}
        for arm, width, batch in chosen
        for seed in seeds
    ]


def run(config, data=None):
    """The mean square of the gradient at each layer, and by how much a layer multiplies it, going back."""
    width, seed, depth = config["width"], config["seed"], config["depth"]
    if config["kind"] == "stack":
        gain = 1.0 if config["norm"] else math.sqrt(2)  # batch norm does not see it; without it, He's
        model = stack(depth, gain, config["activation"], config["norm"], width, seed, inputs=width)
    else:
        model = residual_stack(depth, config["norm"], 1.0, width, seed, inputs=width)
    generator = np.random.default_rng([seed, 1])
    x, cotangent = (generator.standard_normal((config["batch"], width), np.float32) for _ in range(2))
    squares = squared_gradients(model[:-1], x, cotangent)[-depth:]
    middle = depth // 2
    return {
        "squares": squares / squares[-1],
        "growth": _growth(squares, EDGE, depth - EDGE),
        "deep half": _growth(squares, middle, depth - EDGE),
        "shallow half": _growth(squares, EDGE, middle),
    }


def _growth(squares, first, last):
    """The factor for each layer between two of them, counted from 1."""
    return (squares[first - 1] / squares[last - 1]) ** (1 / (last - first))


def _sizes(result):
    """The widest stack, and the largest batch in it: what is judged."""
    found = result.where(arm=JUDGED)
    width = max(found.settings("width"))
    return {"width": width, "batch": max(found.settings("batch", width=width))}


def verdict(result):
    """The factor of the widest stack with batch norm and ReLU against π/(π − 1), and whether it is the same at any depth."""
    judged = result.where(arm=JUDGED, **_sizes(result))
    growth = t_interval(judged.values("growth"))
    halves = {name: judged.values(name) for name in ("shallow half", "deep half")}
    between = paired(np.log(halves["shallow half"]), np.log(halves["deep half"]))
    right = _inside(growth, RELU * (1 - NEAR), RELU * (1 + NEAR))
    even = _inside(between, math.log(1 - EVEN), math.log(1 + EVEN))
    if right and even:
        word = "reproduced"
    elif growth.low > FLAT:
        word = "partly"
    else:
        word = "contradicted" if growth.high < FLAT else "not at this scale"
    others = {arm: t_interval(result.values("growth", arm=arm)) for arm in ARMS if arm != JUDGED}
    size = _sizes(result)
    in_batch = {name: explosion_in_batches(name, size["batch"]) for name in ("ReLU", "identity")}
    linear = [t_interval(result.values(half, arm="BN, no activation")) for half in halves]
    both = result.where(arm="BN, ReLU, residual")
    alike = {name: both.settings(name)[0] for name in ("width", "batch")}
    total, stacked = (
        t_interval(result.values("squares", arm=arm, **alike)[:, 0]) for arm in ("BN, ReLU, residual", JUDGED)
    )
    return Verdict(
        word,
        f"a layer multiplies the mean square of the gradient by {growth.text(3)} on average, and π/(π − 1) is {RELU:.3f}",
        f"In stacks of {size['width']:,} units with a batch of {size['batch']} the factor is {growth.text(3)}; the formula "
        f"for a batch of that size, and very wide stacks, gives {in_batch['ReLU']:.3f}. In the half near the input it is "
        f"{t_interval(halves['shallow half']).text(3)}, in the other {t_interval(halves['deep half']).text(3)}. With tanh "
        f"it is {others['BN, tanh'].text(3)} (formula {FORMULA['BN, tanh']:.3f}), and without batch norm, from He's "
        f"weights, {others['no norm, ReLU'].text(3)} (1). Without an activation it is "
        f"{others['BN, no activation'].text(3)} (formula for that batch {in_batch['identity']:.3f}) on average, "
        f"{linear[0].text(3)} in the half near the input and {linear[1].text(3)} in the other. From the last to the first "
        f"of {judged.settings('depth')[0]} residual blocks with batch norm the gradient's mean square grows "
        f"{total.text(1)} times; in the stack of so many layers, of the same width, {stacked.text(0)} times.",
        {
            "growth": growth,
            "log of the shallow half's over the deep half's": between,
            **{f"growth, {arm}": interval for arm, interval in others.items()},
        },
    )


def _inside(interval: Interval, low: float, high: float) -> bool:
    return low <= interval.low and interval.high <= high


def _by(result, setting, **fixed):
    """The factors of stacks with batch norm and ReLU: value of the setting → (seeds,)."""
    found = result.where(arm=JUDGED, **fixed)
    return {value: found.values("growth", **{setting: value}) for value in sorted(found.settings(setting))}


def _in_table(result):
    """The width at which batches differ, and the batch at which widths do."""
    found = result.where(arm=JUDGED)
    width = max(found.settings("width"), key=lambda w: len(found.settings("batch", width=w)))
    return width, max(found.settings("batch"))


def figure(result):
    """Gradients over the depth; the factor over the batch and over the width."""
    from minidl.lab import plot

    figure, (depths, batches, widths) = plot.panels(3, size=(4.9, 4.0))
    depth, size = result.settings("depth")[0], _sizes(result)
    lines = {
        arm: (range(1, depth + 1), result.values("squares", arm=arm, **(size if arm == JUDGED else {}))) for arm in ARMS
    }
    factor = result.values("growth", arm=JUDGED, **size).mean()
    title = f"With BN and ReLU a layer multiplies the gradient's mean square by {factor:.2f}"
    plot.lines(
        depths, lines, title, "layer, or residual block", "mean square of the gradient / that at the end", log="y"
    )
    width, batch = _in_table(result)
    measured = _by(result, "batch", width=width)
    sizes = list(measured)
    lines = {
        f"measured, {width} units": (sizes, np.transpose(list(measured.values()))),
        "formula for that batch": (sizes, [explosion_in_batches("ReLU", b) for b in sizes]),
        "π/(π − 1)": (sizes, [RELU] * len(sizes)),
    }
    plot.lines(
        batches,
        lines,
        "In smaller batches gradients explode faster",
        "examples in the batch",
        "factor of a layer",
        log="x",
    )
    measured = _by(result, "width", batch=batch)
    lines = {
        f"measured, batches of {batch}": (list(measured), np.transpose(list(measured.values()))),
        "formula for that batch": (list(measured), [explosion_in_batches("ReLU", batch)] * len(measured)),
        "π/(π − 1)": (list(measured), [RELU] * len(measured)),
    }
    off = max(abs(growth.mean() / RELU - 1) for growth in measured.values())
    title = f"At no width tried is the mean more than {100 * off:.1f} % off π/(π − 1)"
    plot.lines(widths, lines, title, "units in a layer", "factor of a layer", log="x")
    return figure


def tables(result):
    """The factor for each width and for each batch, beside what was foretold."""
    width, batch = _in_table(result)
    rows = [
        "| units | examples in the batch | factor of a layer | formula for that batch | for large ones |",
        "|---|---|---|---|---|",
    ]
    for setting, fixed in (("width", {"batch": batch}), ("batch", {"width": width})):
        for value, growth in _by(result, setting, **fixed).items():
            sizes = {setting: value, **fixed}
            foretold = explosion_in_batches("ReLU", sizes["batch"])
            cells = f"{sizes['width']:,}", f"{sizes['batch']:,}", t_interval(growth).text(3), f"{foretold:.3f}"
            rows.append(f"| {' | '.join(cells)} | {RELU:.3f} |")
    return "\n\nBatch norm and ReLU, by width and by batch:\n\n" + "\n".join(rows)


CLAIM = Claim(
    id="explosion",
    section="depth, before training",
    part="after",
    statement="""In deep networks with batch norm gradients explode before training: each layer multiplies their mean square
        by the same factor, which for ReLU is π/(π − 1). (Yang et al. 2019, “A Mean Field Theory of Batch Normalization”; the
        abstract was read, which says that gradients explode; the factor is as cited elsewhere: *not read*.)""",
    method="""Stacks of 30 fully connected layers, each followed by batch norm with γ = 1 and β = 0, and ReLU; independent
        normal weights, normal inputs, and a normal random gradient at the top; ten seeds. The gradient is taken at the
        output of each linear layer. The factor is the geometric mean from layer 25 back to layer 5: near the top and near
        the input it has not settled. Widths from 64 to 1,024 with batches of 512; batches from 8 to 512 with 512 units; the
        same with tanh, without an activation, without batch norm (He's weights), and residual blocks x + W·ReLU(BN(x)). In
        words: on the way forward W multiplies the variance of the activations; on the way back it multiplies the gradient's
        mean square by the same number. Batch norm divides what it has multiplied by σ², and f′ lets a part of it through. So
        the factor is E[f′²] / Var[f], and for ReLU ½ / (½ − 1/2π). In a batch of B examples σ differs from unit to unit,
        and batch norm takes two of B directions out of the gradient: its mean, and its share along x̂. That gives the
        formula for finite batches, for example (B − 2)/(B − 3) without an activation. It was derived here; whether the
        paper has it was *not read*. Prototypes with a batch of 64 (factor 1.49), and lesson 12, came before the rule.""",
    rule="""For the widest stack. Reproduced if the 95 % interval of the factor lies within 2 % of π/(π − 1), and the
        interval of the quotient of the factors in both halves of the depth within 5 % of 1; partly if the factor's
        interval lies above 1.05, but not that; contradicted if it lies below 1.05; otherwise not at this scale. Everything
        else is reported.""",
    limits="""What training makes of it: lesson 12 looks at that. Convolutions, other initial weights, and inputs with
        classes. That every layer has the very same factor: the halves differ by less than the rule allows, but by more than
        chance. Without an activation, 1 is an average over layers that multiply by more and by less. The first layer has
        another factor, as its inputs come from no activation. That the formulas are right in narrow networks: they have no
        finite width in them, and with batches of 512 all factors measured with ReLU are below them.""",
    plan=plan, run=run, verdict=verdict, figure=figure, data=None, tables=tables,
)  # fmt: skip

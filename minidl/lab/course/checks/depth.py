"""Checks of lesson 12 (depth): how deep a signal gets, scaled branches, and the gradient that batch norm makes grow."""

import math

import numpy as np

from minidl.lab.course import depth
from minidl.lab.course._check import Wrong, ask, compare, exercise

__all__ = ["branch_scale", "deepest", "explosion"]


@exercise(
    "deepest",
    hints=(
        "By which factor does one layer change the size (not its square)? And two layers?",
        "The size after L layers is (g/√2)^L. For g > √2 it must not exceed r, for g < √2 it must not fall below 1/r.",
        "L·|log(g/√2)| ≤ log r; L is a whole number.",
    ),
)
def deepest(answer):
    """A gain that is off by a little is off by a lot in a deep network, in both directions."""
    generator = np.random.default_rng()
    for sign in (1, 1, -1, -1):
        numbers: list[int] = []
        while len(set(numbers)) < 9:  # so that each misconception has a number of its own
            gain = math.sqrt(2) * float(generator.uniform(1.1, 1.7)) ** sign
            ratio = float(generator.uniform(200, 5000))
            reach, step = math.log(ratio), math.log(gain / math.sqrt(2))
            if abs(reach / step - round(reach / step)) < 0.02:  # too close to the next layer
                continue
            want = math.floor(reach / abs(step))
            wrong = {
                "this is for a factor of g in each layer, without the half that ReLU cuts off": abs(math.log(gain)),
                "g²/2 is the factor of the *square* of the size; the size itself changes by its root": 2 * abs(step),
                "this divides g by 2; the mean square is halved, so the size is divided by √2": abs(math.log(gain / 2)),
                "with g < √2 the size shrinks; there it must stay above 1/r": math.inf,
                "the range is counted twice; from 1 it is a factor of r either way, not r²": abs(step) / 2,
                "the two logarithms have different bases": abs(step) * math.log(10),
            }
            layers = {name: math.floor(reach / change) for name, change in wrong.items()}
            numbers = [want - 1, want, want + 1, *layers.values()]
        got, case = ask(answer, gain, ratio), f"g = {gain:.3g} and r = {ratio:.4g}"
        if isinstance(got, float) and not got.is_integer():
            raise Wrong(f"For {case} you say {got:.4g}; layers come in whole numbers, so round down.")
        if isinstance(got, int | float | np.number) and got == want + 1:
            raise Wrong(f"For {case} this is one too many: the last layer has left the range.")
        if isinstance(got, int | float | np.number) and got == want - 1:
            raise Wrong(f"For {case} this is one too few: one more layer is still within the range.")
        if isinstance(got, int | float | np.number) and got < 0 and math.isfinite(got):
            raise Wrong(
                f"For {case} you say {got:.4g}: with g < √2 the logarithm is below 0; take it without its sign."
            )
        compare(f"the depth for {case}", got, want, instead=layers, hint="Take logarithms.")


@exercise(
    "branch_scale",
    hints=(
        "The branch is multiplied by α. What is its variance then, if that of x is v?",
        "x and its branch are uncorrelated, so one block makes v + α²v of v. What do L blocks make?",
        "(1 + α²)^L = growth",
    ),
)
def branch_scale(answer):
    """Scaled branches keep a residual network's variance in bounds at any depth, without batch norm."""
    generator = np.random.default_rng()
    for blocks, growth in zip(
        generator.integers(3, 40, 4).tolist(), generator.uniform(1.5, 9, 4).tolist(), strict=True
    ):
        each = growth ** (1 / blocks)
        compare(
            f"α for {blocks} blocks and growth {growth:.3g}",
            ask(answer, blocks, growth),
            depth.branch_scale(blocks, growth),
            tol=1e-6,
            instead={
                "this is α²: variances go with the square of a scale": each - 1,
                "this adds up what each block adds, as if each added to the *first* variance; they multiply": (
                    (growth - 1) / blocks
                )
                ** 0.5,
                "this adds up and forgets the root, too; each block multiplies by 1 + α²": (growth - 1) / blocks,
                "this is the factor of a whole block in size; the branch is only a part of it": math.sqrt(each),
                "this is 1 + α², what a block does to the variance": each,
                "this treats scales as if they multiplied: 1 + α; variances are what adds up in a block": math.sqrt(
                    each
                )
                - 1,
                "1/√L makes the variance grow by (1 + 1/L)^L, about e; `growth` must count": 1 / math.sqrt(blocks),
                "`growth` is the factor of the variance, not of the size": math.sqrt(growth ** (2 / blocks) - 1),
                "this lets one block do all the growth; take the root for the number of blocks": math.sqrt(growth - 1),
                "this takes 1 off before the root for the blocks, and it comes off after": math.sqrt(
                    (growth - 1) ** (1 / blocks)
                ),
                "log(growth)/L is only near α², for many blocks": math.sqrt(math.log(growth) / blocks),
                "this is for one block less: there are as many roots as blocks": math.sqrt(
                    growth ** (1 / (blocks - 1)) - 1
                ),
            },
            hint="With this α, L blocks must multiply the variance by `growth`.",
        )


@exercise(
    "explosion",
    hints=(
        "By what does BN divide the gradient? It is the standard deviation of the sums, over the batch.",
        "Sums of n weights of variance s² have the variance n·s²·Var[f] over the batch. Back through the weights the mean "
        "square of the gradient is multiplied by n·s², back through the activation by E[f′²].",
        "Write the three factors down: of BN, of the weights, of the activation. Which letters cancel? Two averages over z "
        "are left, one of the slope and one of f.",
    ),
)
def explosion(answer):
    """Batch norm itself makes the gradient grow through every layer that bends, whatever the weights' scale."""
    generator = np.random.default_rng()
    z = generator.standard_normal(50_000)
    shift, a = generator.uniform(0.6, 0.8), generator.uniform(0.28, 0.32)  # so that no mistake looks like another
    for name, f, slope in (
        ("a leaky ReLU with a shift", lambda x: np.where(x > 0, x, a * x) + shift, lambda x: np.where(x > 0, 1.0, a)),
        (
            "ReLU",
            lambda x: np.maximum(x, 0),
            lambda x: (x > 0).astype(float),
        ),  # not first: slope and its square are one
        ("tanh(x + c)", lambda x: np.tanh(x + shift), lambda x: 1 - np.tanh(x + shift) ** 2),
    ):
        y, d = f(z), slope(z)
        compare(
            f"the factor for {name}",
            ask(answer, f, slope, z),
            (d**2).mean() / y.var(),
            tol=2e-3,  # so that a variance with n − 1 passes
            instead={
                "the mean of f is not subtracted: BN subtracts it, so what it divides by is Var[f], not E[f²]": (
                    (d**2).mean() / (y**2).mean()
                ),
                "this is the square of the mean slope; each image has its own slope, and squares are averaged": (
                    d.mean() ** 2 / y.var()
                ),
                "the slope is squared in a mean square": d.mean() / y.var(),
                "upside down: BN *divides* the gradient by the standard deviation": y.var() / (d**2).mean(),
                "this leaves out the division by BN": (d**2).mean(),
                "this is the factor of the size; the question is for its mean square": ((d**2).mean() / y.var()) ** 0.5,
                "this divides by the standard deviation; its square goes with squares": (d**2).mean() / y.std(),
                "this is the variance of the slope; its mean square counts": d.var() / y.var(),
                "this has the mean square of f itself above; it should be that of its slope": (y**2).mean() / y.var(),
                "this is the slope where f(z) is; it should be at z": (slope(y) ** 2).mean() / y.var(),
                "this adds up the squares; average them": (d**2).sum() / y.var(),
                "this is the factor of each sample; average the squares of the slope": d**2 / y.var(),
            },
            hint="E[f′(z)²] over Var[f(z)].",
        )

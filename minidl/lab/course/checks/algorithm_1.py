"""Checks of lesson 05 (Algorithm 1): how far a number can stand out of its batch, γ and β that undo BN, BN's forward."""

import math

import numpy as np

from minidl.lab.course._check import Wrong, array, ask, compare, exercise, parts

__all__ = ["bn_forward", "stand_out", "undo"]


@exercise(
    "stand_out",
    hints=(
        "Put the one at a. The others have the sum −a; how large is each, if all are equal?",
        "Each of the m − 1 others is at −a/(m − 1). What is the sum of all squares, and what must it be?",
        "a² + (m − 1)·(a/(m − 1))² = m. Solve it for a.",
    ),
)
def stand_out(answer):
    """You know how far one number can stand out of its batch: the batch's own statistics hold it back."""
    for m in np.random.default_rng().integers(6, 500, 5):
        got = ask(answer, int(m))
        if isinstance(got, float) and math.isinf(got):
            raise Wrong("There is a bound: the number stretches the standard deviation that it is divided by.")
        compare(
            f"the largest x̂ for m = {m}",
            got,
            math.sqrt(m - 1),
            tol=1e-6,
            instead={
                "it has a bound on the other side too, but the question is for the largest": -math.sqrt(m - 1),
                "it is right for m = 5 only; it depends on m": 2,
                "it is right for m = 5, but it is not proportional to m: add up the squares": (m - 1) / 2,
                "this is its square": m - 1,
                "this would need all others to sit at exactly 0, and then the mean would not be 0": math.sqrt(m),
                "this is the bound for a variance that is divided by m − 1; Algorithm 1 divides by m": (m - 1)
                / math.sqrt(m),
                "this is where the others are driven (with the other sign)": 1 / math.sqrt(m - 1),
            },
            hint="With the others at −a/(m − 1) each, let the squares sum to m.",
        )


@exercise(
    "undo",
    hints=(
        "BN subtracts a number and divides by another. In which order, and with which numbers, must you undo it?",
        "x̂ was divided by the root of the variance and ε, and γ multiplies; then β is added. Each column "
        "has its own pair.",
        "γ x̂ + β = x, with x̂ = (x − μ)/√(σ² + ε). Compare what multiplies x̂, and what is left.",
    ),
)
def undo(answer):
    """You can undo BN for one batch: γ is its standard deviation, with the ε, and β its mean."""
    generator = np.random.default_rng()
    m, features = generator.integers(5, 12, 2)
    eps = generator.uniform(0.1, 1)
    x = generator.uniform(0.5, 2, features) * generator.standard_normal((m, features)) + generator.uniform(2, 4)
    gamma, beta = parts(ask(answer, x, eps), ("γ", "β"))
    mean, var = x.mean(0), x.var(0)
    gamma = array("γ", gamma, mean.shape)
    if gamma.shape == mean.shape and np.allclose(gamma, mean):
        raise Wrong("γ: this is the mean, which is what β must be; return γ first, then β.")
    compare(
        "γ",
        gamma,
        np.sqrt(var + eps),
        instead={
            "this leaves out ε: x̂ was divided by √(σ² + ε), so multiply by that": np.sqrt(var),
            "ε is added to the variance, inside the root, not to the standard deviation": np.sqrt(var) + eps,
            "this is the variance; x̂ was divided by its root": var + eps,
            "this is the variance alone; x̂ was divided by the root of it and ε": var,
            "this is 1, which leaves the batch normalised; γ must put back what x̂ was divided by": np.ones(features),
            "it takes ε to be 1e-5; it is an argument": np.sqrt(var + 1e-5),
            "it divides by m − 1, and leaves out ε; Algorithm 1 has √(σ² + ε), with σ² divided by m": x.std(0, ddof=1),
            "this divides once more; γ must multiply what was divided": 1 / np.sqrt(var + eps),
            "the batch's variance is divided by m in Algorithm 1, not by m − 1": np.sqrt(x.var(0, ddof=1) + eps),
            "this is one number for all features; each column has its own": np.sqrt(x.var() + eps),
            "the root is of the sum of variance and ε, not the sum of two roots": np.sqrt(var) + np.sqrt(eps),
            "this goes along the rows; a feature is a column": np.sqrt(x.var(1) + eps),
            "it is a row (1, C); return (C,), without keepdims": np.sqrt(var + eps)[None],
        },
    )
    compare(
        "β",
        beta,
        mean,
        instead={
            "the sign is wrong: β puts back what was subtracted": -mean,
            "this is one number for all features; each column has its own": x.mean(),
            "it is a row (1, C); return (C,), without keepdims": mean[None],
            "γ multiplies x̂ alone; β is added after it, so it is the mean itself": mean / np.sqrt(var + eps),
            "γ multiplies x̂ alone; β is added after it, so it is the mean itself, and positive where that is": -mean
            / np.sqrt(var + eps),
            "γ does not multiply β; it is the mean itself": mean * np.sqrt(var + eps),
        },
    )


@exercise(
    "bn_forward",
    hints=(
        "Which of the numbers in the four lines are one for each column, and over which axis is the mean taken?",
        "First the distances from the mean, then their mean square; never the mean of x² less the square of"
        " the mean. Last, the type of x.",
        "μ = mean of x;  σ² = mean of (x − μ)²;  y = γ (x − μ)/√(σ² + ε) + β, all along axis 0.",
    ),
)
def bn_forward(answer):
    """Your forward is right for both types, for random shapes, γ and β, and at a mean of 1,000 in float32."""
    generator = np.random.default_rng()
    for kind, offset, tol in ((np.float64, 0, 1e-9), (np.float32, 0, 1e-4), (np.float32, 1000, 0.02)):
        m, features = generator.integers(6, 40), generator.integers(2, 9)
        x = (offset + generator.uniform(0.2, 0.4, features) * generator.standard_normal((m, features))).astype(kind)
        gamma, beta = (generator.uniform(1, 2, (2, features)) * [[1], [-1]]).astype(kind)
        eps = 1e-5 if offset else generator.uniform(0.01, 0.1)
        y = ask(answer, x, gamma, beta, eps)
        where = f"y in {np.dtype(kind)}" + (f" at a mean of {offset:,}" if offset else "")
        want, wrong = _forwards(x.astype(np.float64), gamma, beta, eps)
        hint = "The formula may be right, but here it loses its digits: first the mean, then the distances from it."
        compare(where, y, want, tol, wrong, hint if offset else "Go through the four lines of Algorithm 1.")
        if getattr(y, "dtype", None) != kind:
            raise Wrong(f"{where} comes back as {getattr(y, 'dtype', type(y).__name__)}; keep the type of x.")


def _forwards(x, gamma, beta, eps):
    """The right y, and misconception → y."""

    def finish(centred, scale):
        return gamma * centred / scale + beta

    centred, var, scale = x - x.mean(0), x.var(0), np.sqrt(x.var(0) + eps)
    rows = x.mean(1, keepdims=True), x.var(1, keepdims=True)
    return finish(centred, np.sqrt(var + eps)), {
        "the variance is divided by m − 1; Algorithm 1's forward divides by m": finish(
            centred, np.sqrt(x.var(0, ddof=1) + eps)
        ),
        "this normalises each example over its features (axis 1): that is layer normalization": finish(
            x - rows[0], np.sqrt(rows[1] + eps)
        ),
        "one mean and variance for the whole table; each column has its own": finish(
            x - x.mean(), np.sqrt(x.var() + eps)
        ),
        "ε is added to the standard deviation; it belongs inside the root, to the variance": finish(
            centred, np.sqrt(var) + eps
        ),
        "this divides by the variance; its root is missing": finish(centred, var + eps),
        "γ and β are missing": centred / np.sqrt(var + eps),
        "β is missing": gamma * centred / scale,
        "γ is missing": centred / scale + beta,
        "β is subtracted": gamma * centred / scale - beta,
        "it divides by γ; it multiplies": centred / scale / gamma + beta,
        "the mean is not subtracted": finish(x, scale),
        "the mean is subtracted after the division, when it is no longer that of these numbers": gamma
        * (x / scale - x.mean(0))
        + beta,
        "the variance is the mean of (x − μ)², not of x²": finish(centred, np.sqrt((x**2).mean(0) + eps)),
        "the squares are added up; their mean is the variance": finish(centred, np.sqrt(len(x) * var + eps)),
        "this is the mean size of the distances; the variance is the mean of their squares": finish(
            centred, np.abs(centred).mean(0) + eps
        ),
        "γ multiplies β too; it belongs to x̂ alone": gamma * (centred / np.sqrt(var + eps) + beta),
        "γ and β are swapped": beta * centred / np.sqrt(var + eps) + gamma,
        "ε is missing": finish(centred, np.sqrt(var)),
        "it takes ε to be 1e-5; it is an argument": finish(centred, np.sqrt(var + 1e-5)),
    }

"""Checks of lesson 08 (inference): running statistics, backward in evaluation mode, and folding into a linear layer."""

import numpy as np

from minidl.lab.course._check import ask, compare, exercise, parts

__all__ = ["eval_backward", "fold", "running"]


@exercise(
    "running",
    hints=(
        "Which of the two numbers, old or new, has the weight α = momentum here?",
        "The batch's variance with 1/(m − 1) goes into the buffer, and it is taken about the batch's own mean.",
        "new = (1 − α) · old + α · batch, for the mean and for the variance.",
    ),
)
def running(answer):
    """One step of the moving average: the newest batch weighs α, and the variance that is stored is the unbiased one."""
    rng = np.random.default_rng()
    for momentum in (0.1, float(rng.uniform(0.15, 0.4))):
        m, features = rng.integers(5, 10), rng.integers(3, 8)
        x = rng.normal(1, 3, (m, features))
        mean, var = rng.normal(size=features), rng.uniform(0.5, 2, features)
        got_mean, got_var = parts(ask(answer, x, mean, var, momentum), ("the new mean", "the new variance"))
        _compare_running(got_mean, got_var, x, mean, var, momentum)


def _compare_running(got_mean, got_var, x, mean, var, momentum):
    def mixed(old, new, share=momentum):
        return (1 - share) * old + share * new

    swapped = "the two shares are swapped: momentum weighs the newest batch, 1 − momentum what was there before"
    compare(
        "running_mean", got_mean, mixed(mean, x.mean(0)),
        instead={
            swapped: mixed(mean, x.mean(0), 1 - momentum),
            "only the new batch is left: what was known before must count too": x.mean(0),
            "this is one mean for all features; each has its own": mixed(mean, x.mean()),
            "this is the variance: return the mean first": mixed(var, x.var(0, ddof=1)),
            "the batch is added, but the old value does not shrink: the two shares must add up to one":
                mean + momentum * x.mean(0),
        },
    )  # fmt: skip
    compare(
        "running_var", got_var, mixed(var, x.var(0, ddof=1)),
        instead={
            swapped: mixed(var, x.var(0, ddof=1), 1 - momentum),
            "this is the biased variance, divided by m, which normalises in training; what is stored divides by m − 1":
                mixed(var, x.var(0)),
            "this averages standard deviations; average variances": mixed(var, x.std(0, ddof=1)),
            "m/(m − 1) is on the old value too, which is unbiased already":
                mixed(var, x.var(0)) * len(x) / (len(x) - 1),
            "this is one variance for all features; each has its own": mixed(var, x.var(ddof=1)),
            "the variance is taken about the running mean; it must be about the batch's own":
                mixed(var, ((x - mean) ** 2).sum(0) / (len(x) - 1)),
            "the variance is taken about the new running mean; it must be about the batch's own":
                mixed(var, ((x - mixed(mean, x.mean(0))) ** 2).sum(0) / (len(x) - 1)),
            "this multiplies by (m − 1)/m; the correction is m/(m − 1)":
                mixed(var, x.var(0) * (len(x) - 1) / len(x)),
        },
    )  # fmt: skip


@exercise(
    "eval-backward",
    hints=(
        "Which quantities in y = γ(x − mean)·s + β depend on the batch now?",
        "Only x itself: mean and s are constants, so each example is alone. γ and β still get a sum over all rows.",
        "∂L/∂x = ∂L/∂y · γ s;  ∂L/∂γ = Σ ∂L/∂y · x̂;  ∂L/∂β = Σ ∂L/∂y, with x̂ made from the running statistics.",
    ),
)
def eval_backward(answer):
    """In evaluation mode the statistics are constants: ∂x is ∂y·γ/√(σ² + ε), each example by itself."""
    rng = np.random.default_rng()
    for _ in range(2):
        m, features = rng.integers(5, 10), rng.integers(3, 8)
        grad_y, x = rng.normal(size=(2, m, features))
        gamma, mean = rng.normal(size=(2, features))
        var, eps = rng.uniform(0.2, 3, features), 0.1
        got = ask(answer, grad_y, x, gamma, mean, var, eps)
        got = parts(got, ("grad_x", "grad_gamma", "grad_beta"))
        _compare_eval_backward(got, grad_y, x, gamma, mean, var, eps)


def _compare_eval_backward(got, grad_y, x, gamma, mean, var, eps):
    s, m = 1 / np.sqrt(var + eps), len(x)
    x_hat = (x - mean) * s
    own_s = 1 / np.sqrt(x.var(0) + eps)
    own = (x - x.mean(0)) * own_s
    means = (
        "that is the backward of training mode: the means of ∂y and ∂y·x̂ are taken away, but here nothing depends on the "
        "batch"
    )
    compare(
        "grad_x", got[0], gamma * s * grad_y,
        instead={
            means: gamma * s * (grad_y - grad_y.mean(0) - x_hat * (grad_y * x_hat).mean(0)),
            f"{means} (and the batch's own statistics are used)":
                gamma * own_s * (grad_y - grad_y.mean(0) - own * (grad_y * own).mean(0)),
            "the mean of ∂y is taken away, as if the running mean depended on the batch":
                gamma * s * (grad_y - grad_y.mean(0)),
            "γ is missing": s * grad_y,
            "ε is missing under the root": gamma * grad_y / np.sqrt(var),
            "ε is outside the root": gamma * grad_y / (np.sqrt(var) + eps),
            "this multiplies by the root, and should divide": gamma * grad_y / s,
            "this divides by the variance; it should be by its root": gamma * grad_y * s**2,
            "this divides by the batch's deviation; evaluation uses running_var": gamma * own_s * grad_y,
        },
    )  # fmt: skip
    compare(
        "grad_gamma", got[1], (grad_y * x_hat).sum(0),
        instead={
            "x is not normalised; it is Σ ∂y·x̂": (grad_y * x).sum(0),
            "x − mean is not divided by the root; it is Σ ∂y·x̂": (grad_y * (x - mean)).sum(0),
            "x̂ is made with the batch's statistics; evaluation uses the running ones": (grad_y * own).sum(0),
            "this is a mean over the batch; it is a sum": (grad_y * x_hat).sum(0) / m,
            "only mean and variance are frozen; γ still learns": 0 * gamma,
            "γ is in it; ∂y/∂γ is x̂": gamma * (grad_y * x_hat).sum(0),
            "this is the gradient of β": grad_y.sum(0),
        },
    )  # fmt: skip
    compare(
        "grad_beta", got[2], grad_y.sum(0),
        instead={
            "this is a mean over the batch; it is a sum": grad_y.mean(0),
            "only mean and variance are frozen; β still learns": 0 * gamma,
        },
    )  # fmt: skip


@exercise(
    "fold",
    hints=(
        "Multiply out γ(xW + b − mean)/√(var + ε) + β. What stands in front of x?",
        "Let s = γ/√(var + ε), one number for each output, that is for each column of W.",
        "x(W·s) + (b − mean)·s + β.",
    ),
)
def fold(answer):
    """A linear layer and its batch norm are one linear layer, with W·s and (b − mean)·s + β."""
    rng = np.random.default_rng()
    for n_in, n_out in ((5, 5), (rng.integers(6, 9), rng.integers(3, 6))):  # square: rows and columns can be confused
        w = rng.normal(size=(n_in, n_out))
        b, gamma, beta, mean = rng.normal(size=(4, n_out))
        var, eps = rng.uniform(0.2, 3, n_out), 0.1
        got_w, got_b = parts(ask(answer, w, b, gamma, beta, mean, var, eps), ("the weight", "the bias"))
        s = gamma / np.sqrt(var + eps)
        bare = gamma / np.sqrt(var)
        compare(
            "the weight", got_w, w * s,
            instead={
                "the scale is on the rows, the inputs; s belongs to the outputs, the columns of W":
                    w * s[:, None] if n_in == n_out else np.nan,
                "ε is missing under the root": w * bare,
                "ε is outside the root": w * gamma / (np.sqrt(var) + eps),
                "γ is missing": w / np.sqrt(var + eps),
                "this divides by the variance; it should be by its root": w * gamma / (var + eps),
                "W is unchanged; the scale has to go into it": w,
            },
        )  # fmt: skip
        compare(
            "the bias", got_b, (b - mean) * s + beta,
            instead={
                "the layer's old bias is forgotten": beta - mean * s,
                "the old bias is not scaled; batch norm scales all that it gets": b - mean * s + beta,
                "the mean is added; batch norm takes it away": (b + mean) * s + beta,
                "β is scaled too; batch norm adds it last": (b - mean + beta) * s,
                "the mean is not scaled; it is taken away before the scaling": b * s - mean + beta,
                "β is missing": (b - mean) * s,
                "the mean is forgotten; batch norm takes it away": b * s + beta,
                "γ is missing": (b - mean) / np.sqrt(var + eps) + beta,
                "ε is missing under the root": (b - mean) * bare + beta,
            },
        )  # fmt: skip

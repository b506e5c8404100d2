"""Checks of lesson 04 (wrong ways): where a bias runs to, and which paths a batch norm's gradient misses."""

import numpy as np

from minidl import functional as F
from minidl.lab.course._check import Wrong, ask, compare, exercise
from minidl.lab.course.broken_norms import normalise, suspects
from minidl.tensor import Tensor

_TRUTH = {"A": {"variance"}, "B": set(), "C": {"mean", "variance"}, "D": {"mean"}}


@exercise(
    "runaway",
    hints=(
        "What is the mean of x̂, whatever b is? So what is ∂loss/∂b in the second step, and in the hundredth?",
        "With the mean as a constant, the slope of x̂ᵢ toward b is 1. The loss is the mean of ½(x̂ᵢ − tᵢ)².",
        "∂loss/∂b = mean(x̂ − t) = −mean(t) in every step, and b ← b − lr · ∂loss/∂b.",
    ),
)
def runaway(predict):
    """With the mean outside the gradient, b moves by the same amount in every step, without end."""
    rng = np.random.default_rng()
    for _ in range(3):
        m, steps, lr = int(rng.integers(5, 40)), int(rng.integers(20, 2000)), float(rng.uniform(0.01, 0.5))
        u, t = rng.normal(rng.uniform(2, 4), 2, m), rng.normal(rng.choice([-1.5, 1.5]), 1, m)
        right, pull = lr * steps * t.mean(), t.mean() - u.mean()
        compare(
            "b",
            ask(predict, u, t, lr, steps),
            right,
            tol=1e-6,
            hint="b is one number: each step takes the mean over the m examples.",
            instead={
                "it goes the wrong way: a step goes against the gradient, b ← b − lr·∂loss/∂b": -right,
                "it is m times too far: the loss is a mean over the m examples": m * right,
                "it is m times too near: there is one 1/m, and it makes the mean of t": right / m,
                "the learning rate is missing: each step is lr times the gradient": right / lr,
                "this is what the true gradient does, which knows that the mean moves along with b. Here it does not": 0,
                "this settles where the loss would have its minimum, if b could change x̂. But the mean takes b out again,"
                " so the gradient is the same in every step": t.mean() * (1 - (1 - lr) ** steps),
                "this pulls u + b to t. It is x̂ that is compared with t, and the mean of x̂ is 0, not that of u": lr
                * steps
                * pull,
                "this is one step; the question is where b is after all of them": lr * t.mean(),
                "it takes t to be 1, as it was above; here t is any array": lr * steps,
                "it is twice too far: the loss has a factor of ½": 2 * right,
                "it is half as far as it should be: the square brings a factor of 2, which cancels the ½": right / 2,
                "this is one step too many; before the first step b is 0": right + lr * t.mean(),
                "this is one step too few": right - lr * t.mean(),
                "it is the mean of t that pulls, not that of u, which is subtracted": lr * steps * u.mean(),
            },
        )


@exercise(
    "detective",
    hints=(
        "Which two sums over the batch must be 0 for a right gradient of a normalisation, and which path "
        "makes each of them 0?",
        "Send a random gradient back through bn(x), with m of 5 or more. Compute x̂ yourself from x; γ and "
        "β do not matter for it.",
        "Σᵢ ∂xᵢ ≠ 0: the mean's path is missing. Σᵢ ∂xᵢ x̂ᵢ ≠ 0: the variance's is. “≠ 0” means above a "
        "thousandth of Σ |∂x|.",
    ),
)
def detective(missing_paths):
    """A detective that needs no right gradient to compare with: two sums tell which path is missing."""
    rng = np.random.default_rng()
    for missing in (set(), {"mean"}, {"variance"}, {"mean", "variance"}):
        for sign in (0, 1, -1) * 2:  # of γ, which turns those of the sums; at 0 there is no γ. Twice, against luck
            gamma, beta = sign * rng.uniform(0.5, 2, 300), rng.normal(0, 2, 300)
            spy = _Spy("mean" not in missing, "variance" not in missing, (gamma, beta) if sign else None)
            _compare_paths(ask(missing_paths, spy), missing, spy)
    got = ask(missing_paths, lambda x: F.batch_norm(x, None, None, training=True))
    if _as_set(got):
        raise Wrong(
            f"It finds {_named(_as_set(got))} missing in F.batch_norm, which has both paths. Rounding and ε leave about "
            "1e-5 of the sums: compare them with the size of the gradient, not with exactly 0."
        )


class _Spy:
    """A normalisation with or without paths, which remembers the gradient that arrives at its output."""

    def __init__(self, mean, variance, affine):
        self.mean, self.variance, self.affine, self.seen = mean, variance, affine or (1.0, 0.0), []
        self.learns = affine is not None

    def __call__(self, x):
        if not isinstance(x, Tensor):
            raise Wrong(f"bn got a {type(x).__name__}; give it a Tensor (m, C) that has requires_grad=True.")
        if x.ndim != 2:
            raise Wrong(f"bn got a tensor {x.shape}; give it one of (m, C), a row for each example.")
        gamma, beta = (np.resize(a, x.shape[1]).astype(x.dtype) for a in self.affine)
        y = normalise(x, self.mean, self.variance) * gamma + beta
        y.register_hook(self.seen.append)
        return y


def _compare_paths(got, missing, spy):
    found = _as_set(got)
    if found == missing:
        return
    if not spy.seen:
        raise Wrong("No gradient has gone through bn: call y.backward(g), with y = bn(x) and x.requires_grad True.")
    grad = spy.seen[-1].astype(np.float64)
    if len(grad) < 5:
        raise Wrong(
            f"You feed it a batch of {len(grad)}. With two examples x̂ is always ±1, and the true ∂x is nearly 0; with three "
            "or four it can be. Then its sums are not small compared with it: take five or more."
        )
    if np.ptp(grad, axis=0).max() <= 1e-6 * np.abs(grad).max():
        raise Wrong(
            "Your gradient at the output is the same for all examples (a loss like y.sum() has ones). A loss that only "
            "moves all outputs together makes the true ∂x zero, and hides what is wrong: take a random one."
        )
    if np.abs(grad.mean(0)).max() <= 3e-7 * np.abs(grad).max():
        raise Wrong(
            "Your gradient at the output sums to 0 over the examples, so it shows nothing of the path through the mean "
            "(a loss of squares does this): take a random one."
        )
    accused, spared = found - missing, missing - found
    if accused and spared:
        raise Wrong(
            f"It accuses {_named(accused)} where {_named(spared)} is missing. Σ ∂x tells about the path through the mean, "
            "Σ ∂x·x̂ about the path through the variance. (And name what is missing, not what is there.)"
        )
    if spared == {"variance"}:
        raise Wrong(
            "It does not see that the path through the variance is missing. Σ ∂x is 0 there all the same; the other sum, "
            "Σ ∂x·x̂, is not. (A sum below 0 is as bad as one above: compare its size.)"
        )
    if spared:
        raise Wrong(
            f"It does not see that the path through {_named(spared)} is missing. (A sum below 0 is as bad as one above: "
            "compare its size. And a hundredth of Σ |∂x| is more than rounding.)"
        )
    if accused == {"variance"} and missing == {"mean"}:
        raise Wrong(
            "Where only the path through the mean is missing, it accuses the variance too. Take x̂ itself for "
            "Σ ∂x·x̂, each column with its own mean 0: neither x nor γ·x̂ + β."
        )
    if accused == {"mean", "variance"} and not missing and spy.learns:
        raise Wrong(
            "It accuses a batch norm that misses nothing, but has γ and β, and so another gradient than the one without. "
            "A comparison with a right gradient does not say where a wrong one comes from; the two sums do."
        )
    raise Wrong(
        f"It accuses {_named(accused)} where {'nothing' if not missing else _named(missing)} is missing. Rounding and ε "
        "leave about 1e-5 of the sums: compare them with the size of the gradient, not with exactly 0."
    )


def _as_set(got):
    if not isinstance(got, set | frozenset):
        raise Wrong(
            f'Return a set, with "mean", "variance", both or none in it: {{"mean"}}, or set(); got {got!r:.60}.'
        )
    if got - {"mean", "variance"}:
        raise Wrong(f'The set may hold "mean" and "variance"; it holds {sorted(map(str, got))}.')
    return set(got)


def _named(paths):
    return " and ".join(sorted(f"the {path}" for path in paths))


@exercise(
    "suspects",
    hints=(
        'Your detective is a function of a batch norm. What are people["A"] to people["D"]?',
        "Call it for each of them, and look at the sets. If two runs disagree, look at the size that you "
        "compare the sums with.",
        "Σ ∂x tells about the mean, Σ ∂x·x̂ about the variance; a person whose sums are both 0 misses nothing.",
    ),
)
def verdicts(found):
    """Three are guilty, one is innocent, and none of them showed it in its outputs."""
    if not isinstance(found, dict) or set(found) != set(suspects()):
        raise Wrong(f"Give a dict with a set for each of {', '.join(suspects())}.")
    for name, missing in _TRUTH.items():
        got = _as_set(found[name])
        if got == missing:
            continue
        if not missing:
            raise Wrong(
                f"{name} is innocent. It takes a mean as a constant, but in the variance only, where that changes nothing: "
                "Σ (x − μ) is 0, so the variance does not react to a small change of μ."
            )
        if not got:
            raise Wrong(f"{name} is not innocent: one of the sums is not 0. Use a random gradient at the output.")
        if got < missing:
            raise Wrong(f"{name} misses {_named(got)}, and that is not all: look at both sums.")
        raise Wrong(f"{name} does not miss {_named(got - missing)}; look at which of the two sums is not 0.")

"""§3.2 of the paper: a bias before batch norm does nothing."""

import numpy as np

from minidl import functional as F
from minidl import nn
from minidl.lab.models import paper_mlp
from minidl.lab.paper._checks import deviation, largest
from minidl.lab.paper._norms import add_biases
from minidl.lab.paper._training import draws, score, split, train
from minidl.lab.study.claim import Claim, Verdict
from minidl.lab.study.statistics import paired, t_interval
from minidl.tensor import Tensor

__all__ = ["CLAIM"]

SHIFT = 1000.0
ALLOWED = {"output": 1e-10, "gradient of the bias": 1e-12, "gradient of the weights": 1e-9}
SAME = 0.005  # half a point of accuracy
ARMS = {  # name → biases before batch norm, and β after it
    "bias and β": {"bias": True, "beta": True},
    "β alone": {"bias": False, "beta": True},
    "bias alone": {"bias": True, "beta": False},
    "neither": {"bias": False, "beta": False},
}


def plan(scale):
    """The identity; then training: 5 seeds × 4 arms × 3,000 steps × 1 ms = 1 minute."""
    yield [
        {"part": "exact", "seed": seed, "dtype": kind} for kind in ("float64", "float32") for seed in range(scale.seeds)
    ]
    steps = scale.pick(3000, 300)
    yield [
        {"part": "network", "arm": name, **arm, "seed": seed, "lr": 0.5, "steps": steps}
        for name, arm in ARMS.items()
        for seed in range(scale.seeds)
    ]


def run(config, digits=None):
    """Deviations under a shift; or the accuracy of a network with or without biases, and how far its own have moved."""
    if config["part"] == "exact":
        return _exact(np.random.default_rng(config["seed"]), config["dtype"])
    data = split(digits)
    model = paper_mlp("batch", generator=np.random.default_rng(config["seed"]))
    hidden = [layer for layer in add_biases(model) if isinstance(layer, nn.Linear)][:-1] if config["bias"] else []
    generator = np.random.default_rng([config["seed"], 3])
    for layer in hidden:  # not 0 at first, as then they would differ from none by rounding alone
        layer.bias.data[:] = generator.standard_normal(layer.bias.shape)
    if not config["beta"]:
        for layer in model:
            if isinstance(layer, nn.BatchNorm):
                layer.bias = None
    before = [layer.bias.data.copy() for layer in hidden]
    record = score(model, data, train(model, draws(data, 60, config["seed"]), config["lr"], config["steps"]))
    moved = [np.abs(layer.bias.data - b).max() for layer, b in zip(hidden, before, strict=True)]
    return record | {"bias moved": max(moved, default=None)}


def _exact(generator, dtype):
    """What a shift of the bias by 1,000 changes, and the bias's own gradient in units of the largest of the weights'."""
    x, weight, bias = (generator.standard_normal(shape).astype(dtype) for shape in ((60, 30), (30, 20), 20))
    gamma, beta = generator.standard_normal((2, 20)).astype(dtype)
    grad_y = generator.standard_normal((60, 20)).astype(dtype)

    def through(shift):
        w, b = Tensor(weight, requires_grad=True), Tensor(bias + np.asarray(shift, dtype), requires_grad=True)
        y = F.batch_norm(F.linear(Tensor(x), w, b), None, None, Tensor(gamma), Tensor(beta), training=True)
        y.backward(grad_y)
        return y.data, w.grad, b.grad

    (y, w, b), (y_shifted, w_shifted, b_shifted) = through(0), through(SHIFT)
    measured = (
        deviation(y, y_shifted),
        float(max(np.abs(b).max(), np.abs(b_shifted).max()) / np.abs(w).max()),
        deviation(w, w_shifted),
    )
    return dict(zip(ALLOWED, measured, strict=True))


def verdict(result):
    """Nothing changes in float64; and training with and without ends within half a point."""
    rows = largest(result, ALLOWED, part="exact", dtype="float64")
    exact = all(measured <= bound for measured, bound in rows.values())
    single = largest(result, ALLOWED, part="exact", dtype="float32")
    tests = {arm: result.values("test", part="network", arm=arm) for arm in ARMS}
    apart, spare = (
        paired(tests[f"bias{end}"], tests[less]) for end, less in ((" and β", "β alone"), (" alone", "neither"))
    )
    same = max(-apart.low, apart.high) < SAME
    moved = result.values("bias moved", part="network", arm="bias and β").max()
    worth = paired(tests["β alone"], tests["neither"])
    word = "contradicted" if not exact else "reproduced" if same else "partly"
    ends = ", ".join(f"{arm} {t_interval(values).text(2, 100)} %" for arm, values in tests.items())
    return Verdict(
        word,
        f"output changes by {rows['output'][0]:.0e}; gradient of the bias {rows['gradient of the bias'][0]:.0e} of the "
        f"weights'; test accuracy with biases minus without {apart.text(2, 100, sign=True)} points",
        f"A shift of the bias by 1,000 changes the output by {rows['output'][0]:.1e} of its largest number in "
        f"float64, and by {single['output'][0]:.1e} in float32, where large means cost digits. Networks with biases, "
        f"random at first, and without differ by {apart.text(2, 100, sign=True)} points of test accuracy at the end; "
        f"in 3 layers of 100 no bias has moved by more than {moved:.0e}. Without β: {spare.text(2, 100, sign=True)} points. "
        f"That β takes the bias's part rests on the algebra: what the bias would add, the mean takes away, and β adds "
        f"something anew. It is not that β does nothing: β itself is worth {worth.text(2, 100, sign=True)} points here. "
        f"Test accuracies: {ends}.",
        {
            **{name: measured for name, (measured, _) in rows.items()},
            "difference of test accuracy": apart,
            "the same without β": spare,
            "β against neither": worth,
        },
    )


def figure(result):
    """Deviations, and final accuracies."""
    from minidl.lab import plot

    figure, (exact, trained) = plot.panels(2, size=(6, 2.9))
    rows = largest(result, ALLOWED, part="exact", dtype="float64")
    plot.checks(exact, rows, "The bias shifted by 1,000 (float64)")
    accuracies = {arm: 100 * result.values("test", part="network", arm=arm) for arm in ARMS}
    apart = paired(accuracies["bias and β"], accuracies["β alone"])
    title = f"Trained: the bias changes {apart.text(2, sign=True)} points"
    plot.intervals(trained, accuracies, title, "test accuracy (%), a small dot a seed")
    return figure


CLAIM = Claim(
    id="bias",
    section="§3.2, bias",
    statement="""A bias before batch norm can be left out: subtracting the mean removes it, and β takes its part.""",
    method="""60 × 30 random numbers through a linear map with bias and batch norm (ε = 1e-5). The bias is shifted by
        1,000, and output and gradients are compared, in float64 and float32. Then the paper's network on binary
        MNIST, learning rate 0.5, 3,000 steps, from the same weights: with biases before batch norm, which are normal
        random numbers at first, and without. Both also run without the β after it.""",
    rule="""Contradicted if in float64 the output changes by more than 1e-10 of its largest number, the gradient of
        the weights by more than 1e-9, or the bias's gradient exceeds 1e-12 of the weights'. Otherwise reproduced if
        the 95 % interval of the difference of test accuracies, with β, lies within ± 0.5 points, and partly if it
        does not. The networks without β are reported.""",
    limits="""With and without biases the networks differ by rounding alone, so the identity predicts equal accuracies.
        Training adds that running statistics and float32 do not break it. Whether a network needs β is another
        question, to which the arms with and without it give one network's answer.""",
    plan=plan, run=run, verdict=verdict, figure=figure,
)  # fmt: skip

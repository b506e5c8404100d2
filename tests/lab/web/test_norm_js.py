"""The arithmetic in the pages is minidl's: both get the same random batches, in float64."""

import numpy as np
import pytest

from minidl import Tensor
from minidl import functional as F
from minidl.lab.web import source
from tests.lab.web.node import evaluate, needs_node

CALLS = {
    "xHat": "normalise(x, eps).xHat", "mean": "normalise(x, eps).mean", "variance": "normalise(x, eps).variance",
    "y": "forward(x, gamma, beta, eps)", "evaluated": "evaluate(x, fixed[0], fixed[1], gamma, beta, eps)",
    "backward": "backward(g, x, gamma, eps)", "backwardEvaluate": "backwardEvaluate(g, fixed[1], gamma, eps)",
}  # fmt: skip
ALL = f"({{{', '.join(f'{name}: {call}' for name, call in CALLS.items())}}})"


def cases(seed, count=20):
    generator = np.random.default_rng(seed)
    for m in [2, 3, 8, *generator.integers(2, 300, count - 3)]:
        x = generator.normal(generator.uniform(-50, 50), 10.0 ** generator.uniform(-2, 2), m)
        gamma, beta = generator.normal(size=2)
        yield {
            "x": x, "g": generator.normal(size=m), "gamma": gamma, "beta": beta, "eps": 10.0 ** generator.uniform(-8, 1),
            "fixed": [generator.normal(), generator.uniform(0.1, 4)],
        }  # fmt: skip


def by_minidl(x, g, gamma, beta, eps, fixed):
    column, cotangent = x[:, None], g[:, None]
    mean, var = np.zeros(1), np.ones(1)
    tensors = [Tensor(a, requires_grad=True) for a in (column, np.array([gamma]), np.array([beta]))]
    y = F.batch_norm(tensors[0], mean, var, *tensors[1:], training=True, momentum=1.0, eps=eps)
    y.backward(cotangent)
    again = [Tensor(a, requires_grad=True) for a in (column, np.array([gamma]), np.array([beta]))]
    constants = [np.array([value]) for value in fixed]
    evaluated = F.batch_norm(again[0], *constants, *again[1:], training=False, eps=eps)
    evaluated.backward(cotangent)
    hat = F.batch_norm(Tensor(column), None, None, training=True, eps=eps)
    return {
        "xHat": hat.data[:, 0], "mean": mean[0], "variance": var[0] * (len(x) - 1) / len(x), "y": y.data[:, 0],
        "evaluated": evaluated.data[:, 0],
        "backward": {"x": tensors[0].grad[:, 0], "gamma": tensors[1].grad[0], "beta": tensors[2].grad[0]},
        "backwardEvaluate": again[0].grad[:, 0],
    }  # fmt: skip


def plain(case):
    return {name: np.asarray(value).tolist() for name, value in case.items()}


def deviation(a, b, scale):
    return np.abs(np.asarray(a) - np.asarray(b)).max() / scale


def worst(javascript):
    """name → the largest deviation over all cases, in units of what the case allows to cancel."""
    found = dict.fromkeys([*CALLS], 0.0)
    given = list(cases(0))
    answers = evaluate(
        javascript, f"cases.map(({{x, g, gamma, beta, eps, fixed}}) => ({ALL}))", cases=[plain(c) for c in given]
    )
    for case, answer in zip(given, answers, strict=True):
        ours = by_minidl(**case)
        size = np.abs(case["x"]).max() / np.sqrt(case["x"].var() + case["eps"])  # digits that x − μ loses
        for name in CALLS:
            pairs = (
                [(ours[name], answer[name])]
                if name != "backward"
                else [(ours[name][k], answer[name][k]) for k in ("x", "gamma", "beta")]
            )
            for a, b in pairs:
                scale = max(np.abs(a).max(), np.abs(case["g"]).max() if "ackward" in name else 0) * (1 + size)
                found[name] = max(found[name], deviation(a, b, scale))
    return found


@needs_node
def test_the_pages_compute_what_minidl_computes():
    found = worst(source("norm.js"))
    assert max(found.values()) < 1e-12, found


@needs_node
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("- xHat[i] * ofGx", ""),
        ("- ofG -", "-"),
        ("values.length;", "(values.length - 1);"),
        ("Math.sqrt(variance + eps)", "Math.sqrt(variance)"),
        ("ofGx * g.length", "ofGx"),
    ],
)
def test_wrong_arithmetic_is_found(right, wrong):
    text = source("norm.js")
    assert right in text
    assert max(worst(text.replace(right, wrong)).values()) > 1e-9


@needs_node
def test_three_numbers_and_their_picture():
    points = np.random.default_rng(1).normal(size=(10, 3)).tolist()
    back = evaluate(source("norm.js"), "points.map(p => lift(flatten(p), average(p)))", points=points)
    assert np.abs(np.array(back) - points).max() < 1e-12

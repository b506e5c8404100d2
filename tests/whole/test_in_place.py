"""No operation walks back over numbers that were changed: it refuses, or its gradients do not depend on them."""

import contextlib

import numpy as np
import pytest

import minidl
from minidl import Tensor, cat, nn
from minidl import functional as F
from tests.whole.test_gradients import cases_of

pytestmark = pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning")

POSITIVE = np.random.default_rng(0).uniform(0.5, 2, (3, 3))
OF_TENSORS = {
    "add": lambda x, w: x + w, "sub": lambda x, w: x - w, "mul": lambda x, w: x * w, "div": lambda x, w: x / w,
    "pow": lambda x, w: x**w, "square": lambda x, w: x**2, "neg": lambda x, w: -x + w, "matmul": lambda x, w: x @ w,
    "transposed": lambda x, w: x @ w.T, "stacks": lambda x, w: x.reshape(1, 3, 3) @ w.reshape(1, 3, 3),
    "a row": lambda x, w: x * w[0], "chosen": lambda x, w: x[[0, 0, 2]] * w[w.data > 1].sum(),
    "exp": lambda x, w: x.exp() + w, "log": lambda x, w: x.log() * w, "max": lambda x, w: x.max(0) + w.max(),
    "cat": lambda x, w: cat([x, w]) * cat([w, x]), "sum": lambda x, w: x.sum(0) * w.mean(1),
    "other type": lambda x, w: x.to(np.float32) * w.to(np.float32), "handed on": lambda x, w: F.dropout(x, 0.5, False) * w,
    "view of a view": lambda x, w: x.reshape(9)[3:] * w.T.reshape(9)[:6],
}  # fmt: skip
CASES = [(name, i) for name in F.__all__ for i in range(len(cases_of(name)))] + [(name, None) for name in OF_TENSORS]


def case_of(name, i):
    if i is None:
        return OF_TENSORS[name], [POSITIVE, POSITIVE.T + 0.1]
    return cases_of(name)[i]


def gradients(name, i, change=None, watched=False):
    """Of all operands, or None where the walk was refused; `change(operands, result)` comes before it."""
    function, arrays = case_of(name, i)
    operands = [Tensor(array.copy(), requires_grad=True) for array in arrays]
    with minidl.detect_anomaly() if watched else contextlib.nullcontext():
        y = function(*operands)
        if change:
            change(operands, y)
        try:
            y.backward(np.random.default_rng(1).standard_normal(y.shape))
        except RuntimeError as error:
            assert "changed" in str(error)  # noqa: PT017  refused is one of two right answers
            return None
    return [operand.grad for operand in operands]


def assert_refused_or_the_same(got, expected):
    if got is None:
        return
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def other_numbers(array):
    return np.random.default_rng(2).permutation(array.reshape(-1)).reshape(array.shape) * 0.75


@pytest.mark.parametrize(("name", "i"), CASES)
def test_after_a_change_by_minidl(name, i):
    """As an optimizer's step does it."""
    expected = gradients(name, i)
    for k in range(len(expected)):
        changed = gradients(
            name, i, lambda operands, y, k=k: nn.init.constant_(operands[k], other_numbers(operands[k].data))
        )
        assert_refused_or_the_same(changed, expected)


@pytest.mark.parametrize(("name", "i"), CASES)
def test_after_a_change_by_anybody_under_detect_anomaly(name, i):
    expected = gradients(name, i)
    for k in range(len(expected) + 1):

        def change(operands, y, k=k):
            array = [*operands, y][k].data
            if array.flags.writeable:
                array[...] = other_numbers(array)

        assert_refused_or_the_same(gradients(name, i, change, watched=True), expected)

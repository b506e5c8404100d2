"""F.embedding against loops and PyTorch's numbers; repeated numbers; what cannot be looked up."""

import numpy as np
import pytest

import minidl
from minidl import Tensor
from minidl import functional as F
from minidl.gradcheck import GradientError, gradcheck
from minidl.kernels.reduce import TERMS
from tests import reference_layers as reference
from tests.helpers import DTYPES, JIT, assert_close, assert_golden, golden, run

GOLDEN = golden("embedding")


def table(rows=7, width=3, dtype=np.float64):
    return np.random.default_rng(0).standard_normal((rows, width)).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (1,), (9,), (4, 6), (2, 3, 2)], ids=str)
@pytest.mark.parametrize("padding", [None, 2, -1])
def test_agrees_with_loops(shape, padding, dtype):
    rng = np.random.default_rng(1)
    numbers, weight = rng.integers(0, 7, shape), table(dtype=dtype)
    grad_y = rng.standard_normal((*shape, 3)).astype(dtype)
    y, (grad,) = run(lambda w: F.embedding(numbers, w, padding), weight, grad_y=grad_y)
    assert_close(y, reference.embedding(numbers, weight), dtype)
    assert_close(grad, reference.embedding_grad(numbers, grad_y, 7, padding), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", GOLDEN)
def test_agrees_with_pytorch(name, dtype):
    case = GOLDEN[name]
    padding = int(case["padding_idx"]) if "padding_idx" in case else None
    assert_golden(lambda weight: F.embedding(case["input"], weight, padding), case, ("weight",), dtype)


def wrong_embedding(add):
    """Not `add`: the last use of a row wins, as with NumPy's `grad[input] += grad_y`."""
    numbers = np.array([1, 4, 1, 1, 0])

    def op(weight):
        def backward(grad_y):
            grad = np.zeros(weight.shape)
            if add:
                np.add.at(grad, numbers, grad_y)
            else:
                grad[numbers] += grad_y
            return (grad,)

        return Tensor._from_op(weight.data[numbers], (weight,), backward)

    return op


def test_the_check_rejects_a_gradient_that_does_not_add_up():
    gradcheck(wrong_embedding(add=True), table(), generator=np.random.default_rng(0))
    with pytest.raises(GradientError):
        gradcheck(wrong_embedding(add=False), table(), generator=np.random.default_rng(0))


@pytest.mark.parametrize("form", [np.int64, np.int8, np.uint8, np.uint64, "tensor", "list", "strided"])
def test_whole_numbers_of_any_form(form):
    numbers, weight = np.array([[1, 0, 6], [2, 2, 5]]), Tensor(table())
    forms = {"tensor": Tensor(numbers), "list": numbers.tolist(), "strided": np.repeat(numbers, 2, axis=1)[:, ::2]}
    given = forms[form] if isinstance(form, str) else numbers.astype(form)
    np.testing.assert_array_equal(F.embedding(given, weight).data, weight.data[numbers])


def test_numbers_that_change_later_do_not_change_the_gradient():
    numbers, weight = np.array([1, 1, 2]), Tensor(table(), requires_grad=True)
    y = F.embedding(numbers, weight)
    numbers[:] = 5
    y.backward(np.ones((3, 3)))
    np.testing.assert_array_equal(weight.grad[:, 0], [0, 2, 1, 0, 0, 0, 0])


def test_the_weight_may_change_before_backward():
    """The gradient does not depend on it: a step in between is no mistake."""
    weight = Tensor(table(), requires_grad=True)
    y = F.embedding(np.array([1]), weight)
    weight.data += 1
    minidl.autograd.changed_in_place([weight])
    y.backward(np.ones((1, 3)))
    assert weight.grad.sum() == 3


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 4)], ids=str)
def test_nothing_to_look_up(shape):
    y, (grad,) = run(lambda w: F.embedding(np.zeros(shape, int), w), table(), grad_y=np.ones((*shape, 3)))
    assert y.shape == (*shape, 3)
    assert grad.shape == (7, 3)
    assert not grad.any()


def test_nan_in_one_row():
    weight = table()
    weight[2, 1] = np.nan
    y, (grad,) = run(lambda w: F.embedding(np.array([1, 2, 3]), w), weight, grad_y=np.ones((3, 3)))
    assert np.isnan(y).sum() == 1
    assert not np.isnan(grad).any()


def test_one_row_used_very_often_is_added_up_accurately():
    """0.1 added 200,000 times in float32, one after another, gives 20,184."""
    count = 200_000 if JIT else 3 * TERMS
    weight = Tensor(np.zeros((3, 2), np.float32), requires_grad=True)
    F.embedding(np.ones(count, int), weight).backward(np.full((count, 2), 0.1, np.float32))
    np.testing.assert_allclose(weight.grad, [[0, 0], [count / 10] * 2, [0, 0]], rtol=1e-5)


@pytest.mark.skipif(not JIT, reason="has no threads without")
def test_the_same_bits_on_any_number_of_threads():
    rng, before = np.random.default_rng(0), minidl.get_num_threads()
    numbers, grad_y = rng.integers(0, 700, 5000), rng.standard_normal((5000, 33)).astype(np.float32)
    weight, results = rng.standard_normal((1000, 33)).astype(np.float32), []
    try:
        for threads in {1, before}:
            minidl.set_num_threads(threads)
            y, (grad,) = run(lambda w: F.embedding(numbers, w), weight, grad_y=grad_y)
            results.append((y.tobytes(), grad.tobytes()))
    finally:
        minidl.set_num_threads(before)
    assert len(set(results)) == 1


@pytest.mark.parametrize("numbers", [[7], [-1], [0, 2**40], np.array([2**64 - 1], np.uint64)], ids=str)
def test_numbers_outside_of_the_table(numbers):
    with pytest.raises(
        ValueError, match=r"embedding: input runs from .* but weight has 7 rows; input must be from 0 to 6"
    ):
        F.embedding(numbers, Tensor(table()))


@pytest.mark.parametrize("numbers", [[1.0], np.array([True]), Tensor([1, 2]), None, "1", [[1], [2, 3]]], ids=str)
def test_what_is_no_whole_number(numbers):
    with pytest.raises((TypeError, ValueError), match=r"embedding: input|inhomogeneous"):
        F.embedding(numbers, Tensor(table()))

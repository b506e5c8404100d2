"""Sums, means and maxima: of narrow integers, of millions of numbers, of nothing; the rest is in test_tensor_shapes.py."""

import numpy as np
import pytest

from minidl import Tensor
from minidl._arrays import mean_over, reduce_to, sum_over
from tests.helpers import JIT, run

NARROW = [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32]
ULP = np.finfo(np.float32).eps


# ---- integers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", NARROW)
def test_sums_of_narrow_integers_are_int64(dtype):
    largest = np.iinfo(dtype).max
    x = Tensor(np.full((10, 3), largest, dtype))
    for y, expected in [(x.sum(), 30 * int(largest)), (x.sum(0), [10 * int(largest)] * 3), (x.sum(()), x.data)]:
        assert y.dtype == np.int64
        np.testing.assert_array_equal(y.data, expected)
    np.testing.assert_allclose(x.mean(0).data, [largest] * 3, rtol=ULP)
    assert x.mean().dtype == np.float32


def test_sums_of_bools_and_of_the_widest_integers():
    assert Tensor(np.ones(300, bool)).sum().item() == 300
    assert Tensor(np.ones(3, bool)).sum().dtype == np.int64
    assert Tensor(np.full(2, 2**62, np.uint64)).sum().item() == 2**63
    assert Tensor(np.full(2, 2**62, np.uint64)).sum().dtype == np.uint64


# ---- millions of float32 numbers -------------------------------------------------------------------------------------

MANY = [
    ((1_000_000, 3), 0),
    ((1_000_000, 3), (0,)),
    ((1_000_000, 3), None),
    ((3, 1_000_000), 1),
    ((1000, 3, 1000), (0, 2)),
    ((1000, 1000, 3), (0, 1)),
    ((1000, 1000, 3), (0, -2)),
    ((5000, 50), 0),
]


@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize(("shape", "dim"), MANY, ids=str)
def test_sums_and_means_of_many_numbers(shape, dim, keepdim):
    x = np.full(shape, 0.1, np.float32)
    exact = x.sum(dim, np.float64, keepdims=keepdim)
    for layout in (x, np.asfortranarray(x), np.repeat(x, 2, -1)[..., ::2]):
        for y, expected in [(Tensor(layout).sum(dim, keepdim), exact), (Tensor(layout).mean(dim, keepdim), x.flat[0])]:
            assert y.dtype == np.float32
            assert y.shape == exact.shape
            np.testing.assert_allclose(y.data, np.broadcast_to(expected, y.shape), rtol=40 * ULP)


def test_a_sum_does_not_stop_at_two_to_the_24():
    ones = np.broadcast_to(np.float32(1), (20_000_000, 2))
    np.testing.assert_array_equal(Tensor(ones).sum(0).data, [2e7, 2e7])
    np.testing.assert_array_equal(Tensor(ones).mean(0).data, [1, 1])


@pytest.mark.parametrize("shape", [(3,), (1, 3), (1, 1), ()], ids=str)
def test_gradients_of_what_was_broadcast_over_many_rows(shape):
    x = Tensor(np.zeros((1_000_000, 3), np.float32))
    b = Tensor(np.zeros(shape, np.float32), requires_grad=True)
    (x + b).backward(np.full(x.shape, 0.1, np.float32))
    expected = np.full(x.shape, np.float32(0.1), np.float64).sum() / max(b.data.size, 1)
    np.testing.assert_allclose(b.grad, np.full(shape, expected), rtol=40 * ULP)


@pytest.mark.parametrize(
    ("shape", "dims"), [((60, 784), (0,)), ((60, 100), (0,)), ((60, 784), None), ((5000, 60), (1,))]
)
def test_what_numpy_adds_well_keeps_its_bits(shape, dims):
    x = np.random.default_rng(0).standard_normal(shape, np.float32)
    np.testing.assert_array_equal(sum_over(x, dims), x.sum(dims))
    np.testing.assert_array_equal(mean_over(x, dims), x.mean(dims))
    np.testing.assert_array_equal(reduce_to(x, shape[1:]), x.sum(0) if shape[0] <= 1024 else sum_over(x, (0,)))


@pytest.mark.skipif(not JIT, reason="nothing of it is compiled")
def test_the_equal_maxima_of_many_are_all_counted():
    x = np.zeros((1 << 24) + 2, np.float32)
    _, (grad,) = run(lambda t: t.max(), x, grad_y=np.float32(1) * x.size)
    assert abs(grad[0] - 1) <= ULP


# ---- nothing ---------------------------------------------------------------------------------------------------------

NOTHING = [
    ((0, 3), 1, (0,)),
    ((0, 3), (1,), (0,)),
    ((0, 2, 3), (1, 2), (0,)),
    ((2, 0, 3), -1, (2, 0)),
    ((0, 3), (), (0, 3)),
]


@pytest.mark.parametrize("name", ["sum", "mean", "max"])
@pytest.mark.parametrize(("shape", "dim", "after"), NOTHING, ids=str)
def test_reductions_of_an_empty_batch(name, shape, dim, after):
    y, (grad,) = run(lambda t: getattr(t, name)(dim), np.zeros(shape, np.float32), grad_y=np.zeros(after, np.float32))
    assert (y.shape, y.dtype, grad.shape, grad.dtype) == (after, np.float32, shape, np.float32)


def test_the_sum_of_nothing_is_zero():
    y, (grad,) = run(lambda t: t.sum(0), np.zeros((0, 3), np.float32), grad_y=np.ones(3, np.float32))
    np.testing.assert_array_equal(y, [0, 0, 0])
    assert grad.shape == (0, 3)


# ---- lists of dimensions ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sum", "mean", "max"])
def test_dimensions_in_a_list(name):
    x = np.random.default_rng(0).standard_normal((2, 3, 4))
    for dims in ([0, 1], [-1, 0], [2], []):
        expected, grads = run(lambda t, d=dims: getattr(t, name)(tuple(d)), x, grad_y=ones(x, dims))
        for call in (lambda t, d=dims: getattr(t, name)(d), lambda t, d=dims: getattr(t, name)(axis=d)):
            y, grad = run(call, x, grad_y=ones(x, dims))
            np.testing.assert_array_equal(y, expected)
            np.testing.assert_array_equal(grad, grads)


def ones(x, dims):
    return np.ones_like(x.sum(tuple(dims)))

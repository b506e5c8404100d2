"""Batch norm, ReLU and max-pooling in one: the same bits as one after the other."""

import numpy as np
import pytest

from minidl import Tensor
from minidl import functional as F
from tests.helpers import sizes

SHAPES = sizes((2, 2, 2, 1), (3, 7, 9, 5), (2, 9, 4, 33), (70, 28, 28, 32), (40, 15, 14, 64), tiny=((3, 5, 4, 2),))


def one_after_the_other(*args):
    return F.max_pool2d(F.relu(F.batch_norm(*args)), 2)


def outcome(op, shape, training, dtype, spoil=lambda x: None):
    rng = np.random.default_rng(0)
    x, weight, bias = rng.standard_normal(shape), rng.standard_normal(shape[-1]), rng.standard_normal(shape[-1])
    spoil(x)
    tensors = [Tensor(a.astype(dtype), requires_grad=True) for a in (x, weight, bias)]
    mean, var = np.full(shape[-1], 0.3, dtype), np.full(shape[-1], 1.7, dtype)
    y = op(tensors[0], mean, var, *tensors[1:], training, 0.1, 1e-5)
    y.backward(rng.standard_normal(y.shape).astype(dtype))
    return [y.data, *(t.grad for t in tensors), mean, var]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_same_bits_as_one_after_the_other(shape, training, dtype):
    for a, b in zip(
        outcome(F.batch_norm_relu_max_pool2d, shape, training, dtype),
        outcome(one_after_the_other, shape, training, dtype),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


def test_equal_numbers_infinities_and_nan():
    def spoil(x):
        x[0] = 1.0
        x[1, 0, 0], x[1, 2, 2], x[1, 3, 3], x[2, 1, 1] = np.inf, np.inf, -np.inf, np.nan

    args = ((3, 6, 6, 4), False, np.float32, spoil)
    for a, b in zip(outcome(F.batch_norm_relu_max_pool2d, *args), outcome(one_after_the_other, *args), strict=True):
        np.testing.assert_array_equal(a, b)

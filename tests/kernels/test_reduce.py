"""Sums over rows: the order of the chunks while they are few, groups of chunks when they are many; and all who use them."""

import numpy as np
import pytest

from minidl import Tensor
from minidl import functional as F
from minidl.kernels.reduce import TERMS, add_up, column_sums
from tests.helpers import JIT

compiled = pytest.mark.skipif(not JIT, reason="millions of steps in plain Python")
TENTH = np.float32(0.1)


def one_after_another(parts):
    total = parts[0].copy()
    for part in parts[1:]:
        total += part
    return total


@pytest.mark.parametrize("n", [1, 2, 3, 100, TERMS])
def test_few_chunks_are_added_in_their_order(n):
    parts = np.random.default_rng(n).standard_normal((n, 2, 3), np.float32)
    expected = one_after_another(parts)
    add_up(parts)
    np.testing.assert_array_equal(parts[0], expected)


@pytest.mark.parametrize("n", [TERMS + 1, 2 * TERMS, 2 * TERMS + 7])
def test_many_chunks_are_added_in_groups(n):
    parts = np.random.default_rng(n).standard_normal((n, 3), np.float32)
    groups = [one_after_another(parts[i : i + TERMS]) for i in range(0, n, TERMS)]
    add_up(parts)
    np.testing.assert_array_equal(parts[0], one_after_another(groups))


@compiled
def test_groups_of_groups():
    parts = np.ones((2 * TERMS**2 + 3, 1))
    add_up(parts)
    assert parts[0] == len(parts)


@pytest.mark.parametrize("shape", [(0, 3), (1, 3), (3, 0), (0, 0), (7, 1)], ids=str)
def test_column_sums_of_few_and_no_rows(shape):
    np.testing.assert_array_equal(column_sums(np.ones(shape, np.float32)), np.full(shape[1], shape[0]))


@compiled
@pytest.mark.parametrize("shape", [(20_000_000, 1), (2_000_000, 7), (30_000, 1500)], ids=str)
def test_column_sums_of_many_rows(shape):
    np.testing.assert_allclose(column_sums(np.full(shape, TENTH)), np.full(shape[1], shape[0] * 0.1), rtol=2e-4)


@compiled
@pytest.mark.parametrize("operation", [F.layer_norm, lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True)])
def test_gradients_of_scale_and_shift_over_many_rows(operation):
    x = np.random.default_rng(0).standard_normal((4_000_000, 2), np.float32)
    scale, shift = (Tensor(np.ones(2, np.float32), requires_grad=True) for _ in range(2))
    operation(Tensor(x), scale, shift).backward(np.full(x.shape, TENTH))
    np.testing.assert_allclose(shift.grad, [4e5, 4e5], rtol=2e-4)
    np.testing.assert_allclose(scale.grad, [0, 0], atol=4e5 * 1e-3)


@compiled
def test_layer_norm_over_a_million_features():
    x, results = np.repeat(np.array([[1.0, 0.2, 0.0]], np.float32), [1, 5e5, 5e5], axis=1), []
    for dtype in (np.float32, np.float64):
        leaf = Tensor(x.astype(dtype), requires_grad=True)
        y = F.layer_norm(leaf, Tensor(np.ones(x.size, dtype)), Tensor(np.zeros(x.size, dtype)))
        y.backward(leaf.data + TENTH)
        results.append((y.data, leaf.grad))
    for single, double in zip(*results, strict=True):
        np.testing.assert_allclose(single, double, atol=4e-6)


@compiled
@pytest.mark.parametrize("shape", [(1, 1500, 1000, 2), (2, 1, 1_000_000, 1), (1, 1_000_000, 1, 3)], ids=str)
def test_global_averages_of_many_pixels(shape):
    y = F.global_avg_pool2d(Tensor(np.full(shape, TENTH)))
    np.testing.assert_array_equal(y.data, np.full(y.shape, TENTH))


def test_windows_of_more_numbers_than_are_added_in_float32():
    x = np.random.default_rng(0).standard_normal((2, 36, 35, 3)).astype(np.float32)
    y = F.avg_pool2d(Tensor(x), (34, 33), stride=(2, 1)).data
    for i in range(2):
        for j in range(3):
            window = x[:, 2 * i : 2 * i + 34, j : j + 33].mean((1, 2), np.float64)
            np.testing.assert_allclose(y[:, i, j], window, atol=1e-8)


@compiled
def test_softmax_of_many_classes():
    logits = Tensor(np.zeros((1, 20_000_000), np.float32))
    np.testing.assert_allclose(F.cross_entropy(logits, np.array([0])).item(), np.log(2e7), rtol=1e-6)
    np.testing.assert_allclose(F.softmax(logits).data[0, :2], 5e-8, rtol=2e-5)


@compiled
def test_the_mean_squared_error_of_many_numbers():
    ones = np.broadcast_to(np.float32(1), (20_000_000, 2))
    assert F.mse_loss(Tensor(ones), np.zeros(ones.shape, np.float32)).item() == 1

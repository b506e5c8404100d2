"""F.dropout: what it drops is random, what it does with a drop is not."""

import numpy as np
import pytest

import minidl
from minidl import Tensor
from minidl import functional as F
from tests import reference
from tests.helpers import DTYPES, assert_close, run, sizes


def dropout(p, training=True, seed=0):
    return lambda x: F.dropout(x, p, training, generator=np.random.default_rng(seed))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("shape", [(1000,), (20, 50), (2, 5, 10, 10)], ids=str)
def test_keeps_and_scales_or_drops(shape, p, dtype):
    rng = np.random.default_rng(1)
    x = (1 + rng.random(shape)).astype(dtype)  # no zeros: a zero in y was dropped
    grad_y = (1 + rng.random(shape)).astype(dtype)
    y, (grad_x,) = run(dropout(p), x, grad_y=grad_y)
    mask = y != 0
    assert_close(y, reference.dropout(x, mask, p), dtype)
    assert_close(grad_x, reference.dropout(grad_y, mask, p), dtype)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_drops_a_share_of_p(p):
    n = sizes(100_000, tiny=(2000,))[-1]
    y = dropout(p)(Tensor(np.ones(n))).data
    assert abs(np.mean(y == 0) - p) < 5 * np.sqrt(p * (1 - p) / n)


def test_drops_independently():
    """Neighbours, and rows at any distance, agree as often as independent coins do."""
    n = sizes(100_000, tiny=(2000,))[-1]
    kept = dropout(0.5)(Tensor(np.ones(n))).data != 0
    for lag in (1, 2, 8, 64, 1000):
        agreement = np.mean(kept[lag:] == kept[:-lag])
        assert abs(agreement - 0.5) < 5 * 0.5 / np.sqrt(n - lag)


@pytest.mark.parametrize("size", sizes(8191, 8193, 3 * 8192 + 5, tiny=(83, 8200)))
def test_sizes_that_no_chunk_divides(size):
    rng = np.random.default_rng(0)
    x, grad_y = 1 + rng.random((2, size))
    y, (grad_x,) = run(dropout(0.3), x, grad_y=grad_y)
    assert_close(y, reference.dropout(x, y != 0, 0.3))
    assert_close(grad_x, reference.dropout(grad_y, y != 0, 0.3))


def test_the_generator_decides():
    x = Tensor(np.ones(500))
    np.testing.assert_array_equal(dropout(0.5, seed=3)(x).data, dropout(0.5, seed=3)(x).data)
    assert np.any(dropout(0.5, seed=3)(x).data != dropout(0.5, seed=4)(x).data)
    generator = np.random.default_rng(0)
    first = F.dropout(x, 0.5, True, generator=generator).data
    assert np.any(first != F.dropout(x, 0.5, True, generator=generator).data)


def test_the_default_generator_follows_manual_seed():
    x = Tensor(np.ones(500))
    minidl.manual_seed(7)
    first = F.dropout(x, 0.5, True).data
    minidl.manual_seed(7)
    np.testing.assert_array_equal(F.dropout(x, 0.5, True).data, first)


def test_numpys_global_generator_is_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    F.dropout(Tensor(np.ones(50)), 0.5, True)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("p", "training"), [(0.5, False), (0.0, True)])
def test_does_nothing_in_evaluation_or_at_zero(p, training, dtype):
    rng = np.random.default_rng(0)
    x, grad_y = rng.standard_normal((2, 5, 7)).astype(dtype)
    y, (grad_x,) = run(lambda t: 1 * dropout(p, training)(t), x, grad_y=grad_y)
    assert y.dtype == grad_x.dtype == dtype
    np.testing.assert_array_equal(y, x)
    np.testing.assert_array_equal(grad_x, grad_y)


def test_the_input_is_left_alone():
    x = np.random.default_rng(0).standard_normal((5, 7))
    copy = x.copy()
    run(dropout(0.5), x, grad_y=np.ones((5, 7)))
    np.testing.assert_array_equal(x, copy)


def test_memory_layout_does_not_matter():
    x = np.random.default_rng(0).standard_normal((6, 8))
    expected = dropout(0.5)(Tensor(x)).data
    np.testing.assert_array_equal(dropout(0.5)(Tensor(np.asfortranarray(x))).data, expected)
    np.testing.assert_array_equal(dropout(0.5)(Tensor(np.repeat(x, 2, axis=1)[:, ::2])).data, expected)


def test_nan_is_not_hidden_where_it_is_kept():
    y = dropout(0.5)(Tensor(np.full(200, np.nan))).data
    assert np.isnan(y).any()


@pytest.mark.parametrize("p", [-0.1, 1.5, np.nan])
def test_impossible_probabilities_are_explained(p):
    with pytest.raises(ValueError, match="dropout"):
        F.dropout(Tensor(np.ones(5)), p, True)

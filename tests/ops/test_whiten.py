"""ZCA whitening: white, symmetric, and honest about singular covariances. Its gradient: test_gradcheck_all.py."""

import numpy as np
import pytest

from minidl import Tensor
from minidl import functional as F
from tests.helpers import assert_gradients_only_where_asked, assert_layout_does_not_matter


def correlated(rng, m=50, features=6, dtype=np.float64):
    mixing = np.eye(features) + 0.4 * rng.standard_normal((features, features))
    return (rng.standard_normal((m, features)) @ mixing + 3).astype(dtype)


@pytest.mark.parametrize(("dtype", "close"), [(np.float64, 1e-10), (np.float32, 1e-4)])
def test_the_result_is_white(dtype, close):
    x = correlated(np.random.default_rng(0), dtype=dtype)
    y = F.zca_whiten(Tensor(x), eps=0.0).data
    assert y.dtype == dtype
    np.testing.assert_allclose(y.mean(0), 0, atol=close)
    np.testing.assert_allclose(y.T @ y / len(y), np.eye(6), atol=close)


def test_it_is_the_symmetric_one_of_all_whitenings():
    x = correlated(np.random.default_rng(1))
    centred = x - x.mean(0)
    whitener = np.linalg.lstsq(centred, F.zca_whiten(Tensor(x), eps=0.0).data, rcond=None)[0]
    np.testing.assert_allclose(whitener, whitener.T, atol=1e-10)
    assert (np.linalg.eigvalsh(whitener) > 0).all()


def test_uncorrelated_features_are_batch_normalised():
    x = np.array([[1, 2], [1, -2], [-1, 2], [-1, -2]]) * np.array([3.0, 5.0]) + 7
    normalised = F.batch_norm(Tensor(x), None, None, training=True, eps=0.0)
    np.testing.assert_allclose(F.zca_whiten(Tensor(x), eps=0.0).data, normalised.data, atol=1e-12)


def test_layouts_and_gradients_only_where_asked():
    rng = np.random.default_rng(2)
    x = correlated(rng)
    assert_layout_does_not_matter(F.zca_whiten, x, rng=rng)
    assert_gradients_only_where_asked(F.zca_whiten, x, rng=rng)


@pytest.mark.parametrize(
    ("shape", "eps", "word"),
    [((6, 6), 0.0, "rank 5"), ((1, 4), 1e-5, "two examples"), ((2, 3, 4), 1e-5, "must be"), ((9, 4), -1.0, "eps")],
)
def test_errors(shape, eps, word):
    with pytest.raises(ValueError, match=word):
        F.zca_whiten(Tensor(np.ones(shape)), eps)

"""The norm and the formulas of lesson 13, against plain loops and draws."""

import numpy as np
import pytest

from minidl import Tensor
from minidl import functional as F
from minidl.lab.course import regulariser

GENERATOR = np.random.default_rng(3)


def test_groups_are_normalised_each_by_itself():
    x = GENERATOR.normal(2, 3, (12, 4)).astype(np.float32)
    norm = regulariser.GroupedNorm(4)
    norm.weight.data[...], norm.bias.data[...] = GENERATOR.uniform(1, 2, (2, 4))
    norm.group = 3
    rows = x.reshape(4, 3, 4)
    x_hat = (rows - rows.mean(1, keepdims=True)) / np.sqrt(rows.var(1, keepdims=True) + norm.eps)
    want = x_hat.reshape(12, 4) * norm.weight.data + norm.bias.data
    np.testing.assert_allclose(norm(Tensor(x)).data, want, rtol=1e-4, atol=1e-5)
    norm.group = 12
    whole = norm(Tensor(x)).data
    norm.group = None
    np.testing.assert_allclose(whole, norm(Tensor(x)).data, rtol=1e-5, atol=1e-6)
    norm.eval()
    norm.group = 5  # does not matter in evaluation
    assert norm(Tensor(x)).shape == (12, 4)
    norm.train()
    for group in (5, 0):
        norm.group = group
        with pytest.raises(ValueError, match=f"GroupedNorm: the batch has 12 examples and a group {group}"):
            norm(Tensor(x))


def test_noise_of_the_mean():
    values = GENERATOR.standard_normal(30)
    for m in (1, 10, 30):
        means = [GENERATOR.permutation(values)[:m].mean() for _ in range(4000)]
        assert np.std(means) / values.std() == pytest.approx(regulariser.mean_noise(m, 30), rel=0.06, abs=1e-9)


def test_variance_under_dropout():
    x, weights = GENERATOR.uniform(0, 2, (500, 20)), GENERATOR.standard_normal((20, 3))
    dropped = F.dropout(Tensor(np.tile(x, (40, 1))), 0.4, training=True, generator=np.random.default_rng(1)).data
    measured = (dropped @ weights).var(0) / (x @ weights).var(0)
    np.testing.assert_allclose(regulariser.variance_ratio(x, weights, 0.4), measured, rtol=0.05)

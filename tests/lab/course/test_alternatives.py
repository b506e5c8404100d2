"""The norms, the whitening layer and the changes of lesson 16, against NumPy and the library."""

import numpy as np
import pytest

from minidl import Tensor, nn
from minidl import functional as F
from minidl.gradcheck import gradcheck
from minidl.lab.course import alternatives

GENERATOR = np.random.default_rng(16)


def test_three_norms_are_the_librarys():
    x = GENERATOR.normal(2, 3, (4, 3, 2, 6))
    batch, layer, group = (y.data for y in alternatives.three_norms(Tensor(x), 2, 1e-3))
    np.testing.assert_allclose(batch, F.batch_norm(Tensor(x), None, None, training=True, eps=1e-3).data, atol=1e-9)
    np.testing.assert_allclose(layer, F.group_norm(Tensor(x), 1, eps=1e-3).data, atol=1e-9)
    np.testing.assert_allclose(group, F.group_norm(Tensor(x), 2, eps=1e-3).data, atol=1e-9)


def test_their_gradient_is_right():
    cotangent = GENERATOR.standard_normal((3, 4, 2, 3, 4))

    def together(x):
        return sum(y * u for y, u in zip(alternatives.three_norms(x, 2, 0.1), cotangent, strict=True))

    gradcheck(together, GENERATOR.normal(2, 3, (4, 2, 3, 4)))


def test_whitening_in_evaluation_is_that_of_the_statistics_it_was_given():
    x = (GENERATOR.standard_normal((300, 5)) @ GENERATOR.standard_normal((5, 5)) + 3).astype(np.float32)
    layer = alternatives.Whitening(5, momentum=1.0)
    layer.weight.data[...], layer.bias.data[...] = GENERATOR.uniform(1, 2, (2, 5))
    trained = layer(Tensor(x)).data
    x_hat = (trained - layer.bias.data) / layer.weight.data
    np.testing.assert_allclose(x_hat.T @ x_hat / 300, np.eye(5), atol=1e-2)
    layer.eval()
    np.testing.assert_allclose(layer(Tensor(x)).data, trained, atol=1e-2)
    np.testing.assert_allclose(layer(Tensor(x[:1])).data, trained[:1], atol=1e-2)  # an example on its own


def test_running_statistics_move_by_momentum():
    x = GENERATOR.normal(2, 3, (50, 3)).astype(np.float32)
    layer = alternatives.Whitening(3, momentum=0.25)
    layer(Tensor(x))
    np.testing.assert_allclose(layer.running_mean, 0.25 * x.mean(0), rtol=1e-5)
    want = 0.75 * np.eye(3) + 0.25 * np.cov(x.T, bias=True)
    np.testing.assert_allclose(layer.running_cov, want, rtol=1e-4, atol=1e-5)


def test_a_shift_is_a_bias_that_is_trained():
    layer = alternatives.Shift(3)
    layer(Tensor(np.ones((2, 3), np.float32))).sum().backward()
    np.testing.assert_array_equal(layer.bias.grad, [2, 2, 2])
    assert isinstance(layer.bias, nn.Parameter)


@pytest.mark.parametrize("m", [2, 5, 9])
def test_whitened_examples_are_equally_far_apart(m):
    y = F.zca_whiten(Tensor(GENERATOR.standard_normal((m, 12))), eps=1e-9).data
    apart = np.linalg.norm(y[:, None] - y, axis=-1)[~np.eye(m, dtype=bool)]
    np.testing.assert_allclose(apart, alternatives.whitened_distance(m), rtol=1e-5)


SEEN = {  # change → norms that leave the first example's outputs as they were; by the algebra of each
    "all weights × 3": "BN LN GN whitening",
    "one unit's weights × 3": "BN",
    "the weights of the first 8 units × 3": "BN GN",
    "the same vector added to every unit's weights": "LN GN",
    "all inputs × 3": "BN LN GN whitening",
    "the same vector added to every input": "BN whitening",
    "one example × 3": "LN GN",
    "the other examples replaced": "LN GN",
}


def test_what_each_norm_cannot_see():
    norms = {
        "BN": lambda s: F.batch_norm(Tensor(s), None, None, training=True).data,
        "LN": lambda s: F.group_norm(Tensor(s), 1).data,
        "GN": lambda s: F.group_norm(Tensor(s), 2).data,
        "whitening": lambda s: F.zca_whiten(Tensor(s)).data,
    }
    x, w = GENERATOR.normal(1, 1, (90, 20)), GENERATOR.standard_normal((20, 16))
    assert list(SEEN) == list(alternatives.CHANGES)
    for change, how in alternatives.CHANGES.items():
        before = x.copy(), w.copy()
        blind = [name for name, norm in norms.items() if alternatives.unchanged(norm, how, x, w)]
        assert " ".join(blind) == SEEN[change], change
        np.testing.assert_array_equal(before[0], x)
        np.testing.assert_array_equal(before[1], w)

"""The formulas of lesson 11, against descents on a loss that does not see the length of its weights."""

import numpy as np
import pytest

from minidl.lab.course import invariance
from minidl.lab.course.checks.learning_rate import _descent


def test_norms_are_those_of_a_descent():
    start, gradients, norms, lr = _descent(np.random.default_rng(1))
    np.testing.assert_allclose(invariance.norms_ahead(start, gradients, lr), norms, rtol=1e-12)
    many = invariance.norms_ahead(np.array([start, 2.0]), np.stack([gradients, gradients], 1), lr)
    np.testing.assert_allclose(many[:, 0], norms, rtol=1e-12)


@pytest.mark.parametrize("start", [0.2, 5.0])
def test_decay_comes_to_rest_from_either_side(start):
    generator, lr, decay = np.random.default_rng(2), 0.1, 0.02
    w, norms = start * np.eye(20)[0], []
    for _ in range(4000):
        noise = generator.standard_normal(20)
        u = w / np.linalg.norm(w)
        w = w - lr * ((noise - u * (u @ noise)) / np.linalg.norm(w) + decay * w)  # a gradient of noise: E‖g̃‖² is 19
        norms.append(np.linalg.norm(w))
    assert np.mean(norms[2000:]) == pytest.approx(invariance.equilibrium(lr, decay, 19), rel=0.02)

"""The formulas of lesson 14, against plain loops and draws."""

from itertools import combinations

import numpy as np
import pytest

from minidl.lab.course import ensembles

GENERATOR = np.random.default_rng(14)


def probabilities(members, images=6, classes=4):
    return GENERATOR.dirichlet(np.ones(classes), (members, images))


def test_probabilities_are_averaged_not_logits():
    logits = np.log(np.array([[[0.99, 0.01]], [[0.3, 0.7]], [[0.3, 0.7]]]))
    np.testing.assert_allclose(ensembles.average(logits), [[0.53, 0.47]])
    assert np.isfinite(ensembles.average(logits + 1e3)).all()


def test_squared_error_by_a_loop():
    p, labels = probabilities(3), GENERATOR.integers(0, 4, 6)
    want = np.mean([sum((p[k, i, c] - (labels[i] == c)) ** 2 for c in range(4)) for k in range(3) for i in range(6)])
    assert ensembles.squared_error(p, labels) == pytest.approx(want)


@pytest.mark.parametrize("members", [1, 2, 5])
def test_ambiguity_is_what_the_mean_gains_whatever_the_labels(members):
    p = probabilities(members)
    for _ in range(3):
        labels = GENERATOR.integers(0, 4, 6)
        gain = ensembles.squared_error(p, labels) - ensembles.squared_error(p.mean(0), labels)
        assert ensembles.ambiguity(p) == pytest.approx(gain, abs=1e-12)


def test_two_members_tell_what_more_gain():
    p = probabilities(6)
    gains = {k: np.mean([ensembles.ambiguity(p[list(c)]) for c in combinations(range(6), k)]) for k in range(1, 7)}
    for k, gain in gains.items():
        assert ensembles.expected_gain(gains[2], k) == pytest.approx(gain, abs=1e-12)

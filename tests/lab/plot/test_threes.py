"""Batches of three are drawn where they are, and arrows as long as they are."""

import numpy as np
import pytest

from minidl.lab import plot

X = np.random.default_rng(0).standard_normal((3, 20))


def test_normalised_batches_lie_on_the_circle(readable):
    hats = (X - X.mean(0)) / X.std(0)
    figure = plot.batches_of_three(X, hats, X, X - X.mean(0))
    left, right = figure.axes
    readable(left)
    (points,) = [line for line in left.lines if line.get_label() == "x̂"]
    np.testing.assert_allclose(np.hypot(*points.get_data()), np.sqrt(3))
    first, second = right.collections
    np.testing.assert_allclose(first.U, second.U, atol=1e-12)  # what all three share is not seen


@pytest.mark.parametrize("shape", [(3,), (2, 20), (3, 19)])
def test_other_shapes_are_refused(no_figure, shape):
    with pytest.raises(ValueError, match=r"each must be \(3, batches\)"):
        plot.batches_of_three(X, X, X, np.zeros(shape))

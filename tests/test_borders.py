"""Gradients at the border of what an operation is defined for; the values are PyTorch's."""

import operator

import numpy as np

from minidl import Tensor
from minidl import functional as F
from tests.helpers import run


def test_the_slopes_of_powers_of_zero_are_pytorchs():
    """∂/∂b 0ᵇ is 0 for b ≥ 0, and not 0 · log 0; for b < 0 nothing is finite."""
    bases, exponents = np.zeros(4), np.array([2.0, 1.0, 0.5, 0.0])
    with np.errstate(divide="ignore"):
        _, grads = run(operator.pow, bases, exponents, grad_y=np.ones(4))
    np.testing.assert_array_equal(grads, [[0, 1, np.inf, 0], [0, 0, 0, 0]])
    _, (_, grad) = run(operator.pow, np.array([0.0, 2.0]), np.array([3.0]), grad_y=np.ones(2))
    np.testing.assert_allclose(grad, [8 * np.log(2)])
    _, (grad,) = run(lambda b: 0.0**b, exponents, grad_y=np.ones(4))
    np.testing.assert_array_equal(grad, [0, 0, 0, 0])
    with np.errstate(all="ignore"):
        _, grads = run(operator.pow, np.zeros(1), np.array([-1.0]), grad_y=np.ones(1))
    np.testing.assert_array_equal(grads, [[-np.inf], [-np.inf]])


def test_a_base_that_asks_for_no_gradient_is_not_differentiated():
    exponent = Tensor(np.array([0.5]), requires_grad=True)
    (Tensor(np.zeros(1)) ** exponent).sum().backward()  # the base's slope would be infinite, with a warning
    assert exponent.grad == 0


def test_slopes_at_other_borders_are_pytorchs():
    x = np.array([0.0, 4.0])
    with np.errstate(divide="ignore"):
        for function, slope in [(lambda t: t**0.5, [np.inf, 0.25]), (lambda t: t.log(), [np.inf, 0.25])]:
            np.testing.assert_array_equal(run(function, x, grad_y=np.ones(2))[1], [slope])
        _, grads = run(operator.truediv, np.array([1.0]), np.array([0.0]), grad_y=np.ones(1))
    np.testing.assert_array_equal(grads, [[np.inf], [-np.inf]])
    for function in (F.relu, lambda t: t.max()):  # at 0 ReLU is flat; equal maxima share
        (grad,) = run(function, np.zeros(2), grad_y=np.ones_like(function(Tensor(np.zeros(2))).data))[1]
        np.testing.assert_array_equal(grad, [0, 0] if function is F.relu else [0.5, 0.5])

"""Of the suspects the sound ones are sound, and every defect is where it says: in the gradient, or in the function."""

import numpy as np
import pytest

from minidl import Tensor
from minidl import functional as F
from minidl.gradcheck import GradientError, gradcheck
from minidl.lab.course.defects import DEFECTS, SOUND, WRONG_FUNCTION


def x():
    return np.random.default_rng(0).normal(size=(6, 3))


def gradient(operation, u):
    t = Tensor(x(), requires_grad=True)
    y = operation(t)
    y.backward(np.resize(u, y.shape))
    return t.grad


@pytest.mark.parametrize("name", [*SOUND, *WRONG_FUNCTION])
def test_right_gradients(name):
    gradcheck((SOUND | WRONG_FUNCTION)[name], x(), tol=1e-6, generator=np.random.default_rng(1))


@pytest.mark.parametrize("name", DEFECTS)
def test_wrong_gradients(name):
    with pytest.raises(GradientError):
        gradcheck(DEFECTS[name], x(), tol=1e-3, generator=np.random.default_rng(1))  # one in 500 sees nothing


def test_a_defect_is_in_the_gradient_alone():
    values = {name: operation(Tensor(x())).data for name, operation in (SOUND | DEFECTS).items()}
    for name in DEFECTS:
        assert any(np.array_equal(values[name], values[sound]) for sound in SOUND), name


def test_the_wrong_functions_are_wrong():
    right = F.batch_norm(Tensor(x()), None, None, training=True).data
    np.testing.assert_allclose(SOUND["batch norm"](Tensor(x())).data, right)
    for name, operation in WRONG_FUNCTION.items():
        assert np.abs(operation(Tensor(x())).data - right).max() > 0.01, name


def test_a_plain_sum_cannot_tell_a_batch_norm_without_a_gradient():
    np.testing.assert_allclose(gradient(SOUND["batch norm"], 1.0), 0, atol=1e-12)
    assert np.abs(gradient(SOUND["batch norm"], x() ** 2)).max() > 0.01

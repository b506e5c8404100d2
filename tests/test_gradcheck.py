"""gradcheck itself: it accepts right gradients, rejects wrong ones, and says which argument and by how much.

`test_checks_reject.py` has the mistakes that people make in real operations.
"""

import numpy as np
import pytest

import minidl.random
from minidl import Tensor
from minidl.gradcheck import GradientError, gradcheck, jacobian


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def op(forward, *slopes):
    """An operation on tensors whose backward multiplies grad by a function of all inputs, one for each input."""

    def call(*tensors):
        arrays = [tensor.data for tensor in tensors]
        return Tensor._from_op(forward(*arrays), tensors, lambda grad: tuple(s(grad, *arrays) for s in slopes))

    return call


def test_accepts_right_gradients_and_returns_the_largest_disagreement(rng):
    x, w = rng.standard_normal((2, 4, 3))
    for f in (lambda x, w: x * w, lambda x, w: x.exp() @ w.T, lambda x, w: (x + w).sum(), lambda x, w: x[0] - w[1, 1]):
        assert 0 <= gradcheck(f, x, w, generator=rng) <= 1e-7
    assert gradcheck(lambda x: x * x, np.array(3.0), generator=rng) <= 1e-7


def test_a_linear_function_disagrees_by_rounding_only(rng):
    for eps in (1e-6, 1e-3, 1):
        assert gradcheck(lambda x: 3 * x, rng.standard_normal(5), eps=eps, generator=rng) < 1e-9


def test_the_step_has_length_eps_whatever_the_size(rng):
    points = []
    x = rng.standard_normal((100, 100))
    gradcheck(lambda t: points.append(t.data) or t * 1, x, eps=1e-3, generator=rng)
    assert {round(np.linalg.norm(point - x), 9) for point in points} == {0, 1e-3}


def test_returns_the_worst_of_all_arguments(rng):
    slopes = (lambda grad, a, b: 2 * grad, lambda grad, a, b: grad)
    assert gradcheck(op(lambda a, b: a + b, *slopes), *rng.standard_normal((2, 5)), tol=10, generator=rng) > 1e-3


@pytest.mark.parametrize(
    "slope",
    [
        lambda grad, x: grad * x * x,  # a factor forgotten
        lambda grad, x: -3 * grad * x * x,
        lambda grad, x: 3 * grad * x,
        lambda grad, x: 3 * x * x,  # the incoming gradient forgotten
        lambda grad, x: 3 * grad.sum() * x * x,
        lambda grad, x: 3 * grad[::-1] * x * x,
        lambda grad, x: 0 * x,
        lambda grad, x: 3 * grad * x * x * (1 + 1e-5),
        lambda grad, x: np.where(np.arange(x.size) == 2, 0, 3 * grad * x * x),  # one element of many
        lambda grad, x: np.full_like(x, np.nan),
    ],
)
def test_rejects_wrong_gradients(slope, rng):
    x = rng.uniform(0.5, 2, 20)
    gradcheck(op(lambda x: x**3, lambda grad, x: 3 * grad * x * x), x, generator=rng)
    for _ in range(3):
        with pytest.raises(
            GradientError, match=r"argument 0 the gradient says .*, and a step of 1e-06 says .* differ by"
        ):
            gradcheck(op(lambda x: x**3, slope), x, generator=rng)


def test_names_the_argument_that_is_wrong(rng):
    arrays = rng.standard_normal((3, 5))
    right = [lambda g, a, b, c: g * b, lambda g, a, b, c: g * a, lambda g, a, b, c: g]
    gradcheck(op(lambda a, b, c: a * b + c, *right), *arrays, generator=rng)
    for wrong in range(3):
        slopes = [*right]
        slopes[wrong] = lambda *args, slope=right[wrong]: 2 * slope(*args)
        with pytest.raises(GradientError, match=f"random direction of argument {wrong} "):
            gradcheck(op(lambda a, b, c: a * b + c, *slopes), *arrays, generator=rng)


def test_rejects_a_gradient_of_wrong_shape_or_type_or_none(rng):
    x = rng.standard_normal((3, 1))
    for slope, got in [
        (lambda grad, x: grad[:, 0], r"\(\(3,\), dtype\('float64'\)\)"),
        (lambda grad, x: grad.astype(np.float32), r"\(\(3, 1\), dtype\('float32'\)\)"),
        (lambda grad, x: None, "None"),
    ]:
        with pytest.raises(GradientError, match=rf"argument 0 is \(3, 1\) float64, but its gradient is {got}"):
            gradcheck(op(np.copy, slope), x, generator=rng)
    with pytest.raises(GradientError, match=r"argument 1 is .* its gradient is None"):
        gradcheck(lambda a, b: a * 2, x, x, generator=rng)  # b takes no part


def test_checks_in_float64_whatever_it_gets_and_leaves_it_alone(rng):
    seen = []

    def f(x, w):
        seen.append((x.dtype, w.dtype))
        y = x.exp() - 2 * w.exp()
        x.data[...] = w.data[...] = 0  # an f that writes into its inputs
        return y

    for dtype in (np.float32, np.float64):
        arrays = rng.standard_normal((2, 4)).astype(dtype)
        before = arrays.copy()
        gradcheck(f, *arrays, generator=rng)
        np.testing.assert_array_equal(arrays, before)
    gradcheck(f, [1, 2], [3, 4], generator=rng)
    assert set(seen) == {(np.dtype(np.float64),) * 2}


def test_step_tolerance_and_number_of_directions_can_be_chosen(rng):
    calls = []

    def cube(x):
        calls.append(1)
        return x**3

    x = np.array([1.0, 2.0])
    with pytest.raises(GradientError, match=r"a step of 0\.5 says"):
        gradcheck(cube, x, eps=0.5, generator=rng)
    gradcheck(cube, x, eps=0.5, tol=1, generator=rng)
    calls.clear()
    gradcheck(cube, x, directions=5, generator=rng)
    assert len(calls) == 1 + 2 * 5


def test_the_generator_decides_the_directions(rng, monkeypatch):
    x = rng.standard_normal(10)

    def check(**options):
        return gradcheck(lambda t: t.exp(), x, **options)

    worst = [check(generator=np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert worst[0] == worst[1] != worst[2]
    monkeypatch.setattr(minidl.random, "_generator", np.random.default_rng(1))
    assert check() == worst[0]


def test_a_function_that_depends_on_nothing_is_an_error(rng):
    with pytest.raises(RuntimeError, match="does not depend on anything"):
        gradcheck(lambda x: x.detach(), rng.standard_normal(3), generator=rng)


def test_jacobian_is_the_matrix_of_all_derivatives():
    rng = np.random.default_rng(3)
    matrix, x = rng.standard_normal((4, 3)), rng.standard_normal(4)
    np.testing.assert_allclose(jacobian(lambda x: x @ Tensor(matrix), x), matrix.T)
    assert jacobian(lambda x: x.reshape(2, 2) * x.reshape(2, 2), x).shape == (2, 2, 4)
    np.testing.assert_allclose(jacobian(lambda x: x * x, x), np.diag(2 * x))

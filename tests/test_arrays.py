"""Types and shapes: what a tensor can hold, and how broadcasting is undone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import mutually_broadcastable_shapes

from minidl._arrays import as_array, float_type, reduce_to, spread
from tests.helpers import modest


def test_as_array_keeps_arrays_and_numpy_scalars():
    for dtype in (np.float32, np.float64, np.int16, np.uint64, np.bool_):
        array = np.ones(3, dtype)
        assert as_array(array) is array
        assert as_array(dtype(1)).dtype == dtype


def test_as_array_makes_python_numbers_float32_and_leaves_python_bools():
    for data in (1, 1.5, [1, 2], [[1.5]], [np.float64(1)]):
        assert as_array(data).dtype == np.float32
    assert as_array(True).dtype == as_array([True]).dtype == bool


@pytest.mark.parametrize(
    "data", [np.ones(2, np.float16), np.ones(2, ">f4"), np.longdouble(1), np.ones(2, complex), 1j, "a", {}, b"1"]
)
def test_as_array_refuses_other_types(data):
    with pytest.raises(TypeError, match=f"Tensor: got {np.asarray(data).dtype}; convert it"):
        as_array(data)


def test_float_type():
    assert float_type(np.ones(2)) == np.float64
    assert float_type(np.ones(2, np.float32)) == np.float32
    assert float_type(np.ones(2, np.int64)) == float_type(np.ones(2, bool)) == np.float32


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((2, 3), [[0, 1, 2], [3, 4, 5]]),
        ((3,), [3, 5, 7]),
        ((1, 3), [[3, 5, 7]]),
        ((2, 1), [[3], [12]]),
        ((1, 1), [[15]]),
        ((1,), [15]),
        ((), 15),
    ],
    ids=str,
)
def test_reduce_to_adds_up_what_was_repeated(shape, expected):
    for dtype in (np.float32, np.float64):
        reduced = reduce_to(np.arange(6, dtype=dtype).reshape(2, 3), shape)
        assert (reduced.shape, reduced.dtype) == (shape, dtype)
        np.testing.assert_array_equal(reduced, expected)


@given(shapes=mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=4, min_side=0))
@modest
def test_reduce_to_is_the_transpose_of_broadcasting(shapes):
    """⟨g, broadcast(a)⟩ = ⟨reduce_to(g), a⟩ for all a and g: that is what a gradient of broadcasting is."""
    rng = np.random.default_rng(0)
    a = rng.standard_normal(shapes.input_shapes[0])
    grad = rng.standard_normal(shapes.result_shape)
    reduced = reduce_to(grad, a.shape)
    assert reduced.shape == a.shape
    np.testing.assert_allclose(np.sum(grad * np.broadcast_to(a, grad.shape)), np.sum(reduced * a), atol=1e-10)


@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("dim", [None, 0, -1, (0, 2), (-1, -3), ()], ids=str)
def test_spread_undoes_the_loss_of_dimensions(dim, keepdim):
    x = np.random.default_rng(0).standard_normal((2, 3, 4))
    spread_out = spread(x.sum(dim, keepdims=keepdim), x.shape, dim, keepdim)
    np.testing.assert_array_equal(spread_out, np.broadcast_to(x.sum(dim, keepdims=True), x.shape))
    assert spread_out.shape == x.shape

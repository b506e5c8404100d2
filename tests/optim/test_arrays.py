"""Arrays that kernels cannot take: a step refuses them in short before anything moves, or moves them all the same."""

import warnings

import numpy as np
import pytest

from minidl import Tensor, optim
from minidl.nn import Parameter

f32 = np.float32


def read_only(array):
    array.flags.writeable = False
    return array


def two(**settings):
    """An optimizer of two parameters that both have a gradient, and have taken a step."""
    parameters = [Parameter(np.ones((2, 3), f32)) for _ in range(2)]
    optimizer = optim.SGD([{"params": [p]} for p in parameters], lr=0.1, **settings)
    for p in parameters:
        p.grad = np.ones((2, 3), f32)
    optimizer.step()
    return parameters, optimizer


def assert_refused(parameters, optimizer, error, words):
    before, buffers = parameters[0].data.copy(), optimizer.state_dict()["buffers"]
    with pytest.raises(error, match=words) as caught:
        optimizer.step()
    assert len(str(caught.value)) < 200
    np.testing.assert_array_equal(parameters[0].data, before)
    for i, buffer in optimizer.state_dict()["buffers"].items():
        np.testing.assert_array_equal(buffer, buffers[i])


@pytest.mark.parametrize("momentum", [0, 0.9])
@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        (lambda a: read_only(a), ValueError, r"array of a parameter \(2, 3\) is read-only; it must be a copy"),
        (lambda a: np.broadcast_to(a[0], (2, 3)), ValueError, "is read-only; it must be a copy"),
        (lambda a: a.astype(">f4"), TypeError, "a parameter's array is of >f4; it must be of float32 or float64"),
        (lambda a: a.astype(np.float16), TypeError, "array is of float16; it must be"),
        (lambda a: a.astype(int), TypeError, "array is of int64; it must be"),
        (lambda a: a.astype(object), TypeError, "array is of object; it must be"),
        (lambda a: a.tolist(), TypeError, "a parameter's array is a list; it must be a NumPy array"),
        (lambda a: Tensor(a), TypeError, "a parameter's array is a Tensor; it must be a NumPy array"),
        (lambda a: None, TypeError, "a parameter's array is a NoneType; it must be a NumPy array"),
        (lambda a: a[:1], ValueError, r"a parameter is \(1, 3\) but its gradient is \(2, 3\)"),
    ],
)
def test_arrays_that_cannot_be_moved(data, error, words, momentum):
    parameters, optimizer = two(momentum=momentum)
    try:
        parameters[1].data = data(np.ones((2, 3), f32))
    except (TypeError, ValueError):
        return  # refused as soon as that
    assert_refused(parameters, optimizer, error, words)


@pytest.mark.parametrize("momentum", [0, 0.9])
@pytest.mark.parametrize(
    ("grad", "error", "words"),
    [
        (lambda g: Tensor(g), TypeError, "a parameter's gradient is a Tensor; it must be a NumPy array"),
        (lambda g: g.tolist(), TypeError, "a parameter's gradient is a list; it must be a NumPy array"),
        (lambda g: 1.0, TypeError, "a parameter's gradient is a float; it must be"),
        (lambda g: g.T, ValueError, r"a parameter is \(2, 3\) but its gradient is \(3, 2\); they must be equal"),
        (lambda g: g[0], ValueError, r"its gradient is \(3,\)"),
        (lambda g: g.astype(complex), TypeError, "gradient is of complex128; it must be of real numbers"),
        (lambda g: g.astype(object), TypeError, "gradient is of object; it must be"),
    ],
)
def test_gradients_that_are_none(grad, error, words, momentum):
    parameters, optimizer = two(momentum=momentum)
    try:
        parameters[1].grad = grad(np.ones((2, 3), f32))
    except (TypeError, ValueError):
        return  # refused as soon as that
    assert_refused(parameters, optimizer, error, words)


@pytest.mark.parametrize(
    ("setting", "value"),
    [("lr", np.nan), ("lr", "0.1"), ("lr", None), ("lr", -1), ("momentum", np.inf), ("weight_decay", np.nan),
     ("dampening", 2), ("dampening", "a"), ("nesterov", True), ("nesterov", "no")],
)  # fmt: skip
def test_settings_that_were_spoilt_since(setting, value):
    parameters, optimizer = two()
    optimizer.param_groups[1][setting] = value
    assert_refused(parameters, optimizer, ValueError, f"SGD: {setting} ")


@pytest.mark.parametrize("momentum", [0, 0.9])
@pytest.mark.parametrize(
    "layout",
    [
        lambda a: np.asfortranarray(a),
        lambda a: np.zeros((4, 6), a.dtype)[::2, ::-2],
        lambda a: np.ndarray(a.shape, a.dtype, bytearray(a.nbytes + 1), 1),  # does not begin where a number may
        lambda a: a.view(np.memmap),
    ],
)
def test_arrays_of_any_layout_are_moved_where_they_are(layout, momentum):
    parameter, plain = Parameter(np.ones((2, 3), f32)), Parameter(np.arange(6, dtype=f32).reshape(2, 3))
    array = layout(np.ones((2, 3), f32))
    array[...] = plain.data
    parameter.data = array
    optimizer = optim.SGD([parameter, plain], lr=0.1, momentum=momentum)
    for _ in range(3):
        parameter.grad = plain.grad = np.arange(6, dtype=f32).reshape(2, 3)
        optimizer.step()
    np.testing.assert_array_equal(parameter.data, plain.data)
    np.testing.assert_array_equal(array, plain.data)


@pytest.mark.parametrize(
    "grad",
    [lambda g: g.astype(">f4"), lambda g: g.astype(np.float64), lambda g: g.astype(int), lambda g: read_only(g),
     lambda g: np.asfortranarray(g), lambda g: np.broadcast_to(g[:1, :1], (2, 3)), lambda g: g.astype(np.float16)],
)  # fmt: skip
def test_gradients_of_any_real_type_and_layout(grad):
    parameters, optimizer = two()
    parameters[0].grad = grad(np.ones((2, 3), f32))
    optimizer.step()
    np.testing.assert_array_equal(parameters[0].data, parameters[1].data)


@pytest.mark.parametrize("momentum", [0, 0.9])
def test_a_parameter_without_dimensions_that_numpy_made_a_number(momentum):
    w = Parameter(np.array(1, f32))
    optimizer = optim.SGD([w], lr=0.1, momentum=momentum)
    w.data, w.grad = w.data * 1, np.array(1, f32) * 1
    optimizer.step()
    assert w.data == f32(0.9)
    assert w.data.shape == ()


def test_momentum_goes_on_in_another_type():
    (p, _), optimizer = two(momentum=0.9)
    p.data, p.grad = p.data.astype(np.float64), np.zeros((2, 3))
    optimizer.step()
    np.testing.assert_allclose(p.data, 0.9 - 0.09, rtol=1e-6)


def test_a_gradient_of_integers_raises_no_warning():
    (p, _), optimizer = two()
    p.grad = np.ones((2, 3), int)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        optimizer.step()

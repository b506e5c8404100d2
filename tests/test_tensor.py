"""Arithmetic of Tensor against NumPy, with gradients; which types come out; how a tensor looks.

Matrices, reductions and shapes: `test_tensor_shapes.py`.
"""

import operator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import mutually_broadcastable_shapes

from minidl import Tensor, cat
from minidl.gradcheck import gradcheck
from tests.helpers import DTYPES, assert_close, modest, run

BINARY = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "pow": operator.pow,
}
SHAPES = [
    ((3, 4), (3, 4)),
    ((3, 4), (4,)),
    ((4,), (3, 4)),
    ((3, 1), (1, 4)),
    ((1, 1), (3, 4)),
    ((2, 3, 4), (3, 1)),
    ((2, 1, 4), (5, 1)),
    ((), (3, 4)),
    ((3, 4), ()),
    ((1,), (5,)),
    ((), ()),
    ((0, 3), (3,)),
]
UNARY = {
    "neg": operator.neg,
    "exp": lambda x: x.exp(),
    "log": lambda x: x.log(),
    "x to itself": lambda x: x**x,
    "to": lambda x: x.to(x.dtype),
}


def positive(rng, shape, dtype=np.float64):
    """Numbers for which every operator is smooth; negative bases of powers have a test of their own."""
    return rng.uniform(0.5, 2, shape).astype(dtype)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


# --- arithmetic -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize("name", BINARY)
def test_binary_operators_agree_with_numpy(name, shapes, dtype, rng):
    a, b = (positive(rng, shape, dtype) for shape in shapes)
    expected = BINARY[name](a, b)
    y, grads = run(BINARY[name], a, b, grad_y=np.ones_like(expected))
    assert_close(y, expected, dtype)
    assert [(grad.shape, grad.dtype) for grad in grads] == [(a.shape, dtype), (b.shape, dtype)]


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize("name", BINARY)
def test_gradients_of_binary_operators(name, shapes, rng):
    gradcheck(BINARY[name], *[positive(rng, shape) for shape in shapes], generator=rng)


@given(shapes=mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3), name=st.sampled_from(sorted(BINARY)))
@modest
def test_any_shapes_that_broadcast(shapes, name):
    rng = np.random.default_rng(0)
    a, b = (positive(rng, shape) for shape in shapes.input_shapes)
    assert_close(BINARY[name](Tensor(a), Tensor(b)).data, BINARY[name](a, b))
    gradcheck(BINARY[name], a, b, directions=1, generator=rng)


def test_shapes_that_do_not_broadcast_are_an_error():
    for f in BINARY.values():
        with pytest.raises(ValueError, match=r"\(3,\).*\(4,\)"):
            f(Tensor(np.ones(3)), Tensor(np.ones(4)))


@pytest.mark.parametrize("name", UNARY)
@pytest.mark.parametrize("shape", [(), (5,), (3, 4), (2, 0)], ids=str)
def test_unary_functions(name, shape, rng):
    for dtype in DTYPES:
        x = positive(rng, shape, dtype)
        expected = {"exp": np.exp, "log": np.log, "to": np.array}.get(name, UNARY[name])(x)
        assert_close(UNARY[name](Tensor(x)).data, np.asarray(expected), dtype)
    gradcheck(UNARY[name], positive(rng, shape), generator=rng)


def test_powers_of_negative_numbers(rng):
    x = -positive(rng, (4, 3))
    for exponent in (-3, -2, -1, 1, 2, 3, np.array([[1, 2, 3]])):
        assert_close((Tensor(x) ** exponent).data, x**exponent)
        gradcheck(lambda t, exponent=exponent: t**exponent, x, generator=rng)


def test_powers_of_zero():
    x = np.array([0.0, 0.0, 0.0, 2.0])
    _, (grad,) = run(lambda t: t ** np.array([0.0, 1.0, 2.0, 0.0]), x, grad_y=np.ones(4))
    np.testing.assert_array_equal(grad, [0, 1, 0, 0])  # x⁰ is 1 everywhere, so its slope at 0 is 0 and not NaN


def test_an_exponent_gets_a_gradient_only_if_it_asks():
    x = Tensor(np.array([-2.0, 3.0]), requires_grad=True)  # whose logarithm would be NaN, with a warning
    (x**2).sum().backward()
    np.testing.assert_array_equal(x.grad, [-4, 6])


def test_sum_builtin_and_augmented_assignment():
    x = Tensor(np.array([1.0, 2.0]), requires_grad=True)
    y = before = sum([x, x, x])
    y += 1
    y *= 2
    np.testing.assert_array_equal(y.data, [8, 14])
    np.testing.assert_array_equal(before.data, [3, 6])
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, [6, 6])


# --- numbers and arrays on either side ----------------------------------------------------------------------------------

OTHERS = {
    "int": 2,
    "float": 2.5,
    "bool": True,
    "float64 scalar": np.float64(2.5),
    "float32 scalar": np.float32(2.5),
    "int64 scalar": np.int64(2),
    "bool scalar": np.bool_(True),
    "float64 array": np.array([0.5, 1.5, 2.5]),
    "float32 array": np.array([0.5, 1.5, 2.5], np.float32),
    "int array": np.array([1, 2, 3]),
    "uint8 array": np.array([1, 2, 3], np.uint8),
    "bool array": np.array([True, True, True]),
    "0-d array": np.array(2.5),
    "bigger array": np.array([[0.5], [1.5]]),
    "list": [0.5, 1.5, 2.5],
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("name", BINARY)
def test_other_numbers_take_the_tensors_type(name, other, dtype, rng):
    f, other, x = BINARY[name], OTHERS[other], positive(rng, (3,), dtype)
    as_array = np.asarray(other).astype(dtype)
    for g, expected in [(lambda t: f(t, other), f(x, as_array)), (lambda t: f(other, t), f(as_array, x))]:
        tensor = Tensor(x, requires_grad=True)
        y = g(tensor)
        assert isinstance(y, Tensor)
        assert_close(y.data, np.asarray(expected), dtype)
        y.backward(np.ones(y.shape))
        assert tensor.grad.dtype == dtype
        assert tensor.grad.shape == (3,)


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("name", BINARY)
def test_gradients_beside_other_numbers(name, other, rng):
    f, other = BINARY[name], OTHERS[other]
    for shape in [(3,), (2, 3), ()]:
        gradcheck(lambda t: f(t, other), positive(rng, shape), generator=rng)
        gradcheck(lambda t: f(other, t), positive(rng, shape), generator=rng)


@pytest.mark.parametrize("other", [None, "2", 1j, object(), [None]])
@pytest.mark.parametrize("name", BINARY)
def test_what_is_no_number_is_refused(name, other):
    x = Tensor([1.0])
    for f in (lambda: BINARY[name](x, other), lambda: BINARY[name](other, x)):
        with pytest.raises(TypeError, match=f"{name}: a tensor and {type(other).__name__} do not mix"):
            f()


# --- types ------------------------------------------------------------------------------------------------------------


def test_types_are_kept_and_python_numbers_become_float32():
    for dtype in (np.float32, np.float64, np.int8, np.int32, np.int64, np.uint8, np.bool_):
        for data in (np.ones(3, dtype), np.array(1, dtype), dtype(1)):
            assert Tensor(data).dtype == dtype
    for data in (1, 2.5, [1, 2], [[1.5], [2]], (1.0,), []):
        assert Tensor(data).dtype == np.float32
    assert Tensor([True, False]).dtype == bool


def test_a_tensor_holds_the_array_that_it_was_given():
    array = np.ones(3)
    assert Tensor(array).data is array
    assert Tensor(Tensor(array)).data is array
    assert type(Tensor(3.0).data) is np.ndarray
    assert Tensor(3.0).data.shape == ()


@pytest.mark.parametrize("data", [np.float16(1), np.ones(2, complex), np.array(["a"]), "a", None, [None], 1j])
def test_types_that_no_tensor_can_hold(data):
    with pytest.raises(TypeError, match=r"Tensor: got .*; convert it to float32, float64 or an integer type"):
        Tensor(data)


@pytest.mark.parametrize("data", [np.array([1, 2]), np.array([True])])
def test_only_floats_have_gradients(data):
    with pytest.raises(TypeError, match=r"only floats have gradients, and this is (int|bool).*float32"):
        Tensor(data, requires_grad=True)


def test_two_float_types_do_not_mix():
    single, double = Tensor(np.ones(3, np.float32)), Tensor(np.ones(3))
    for name, f in {**BINARY, "matmul": operator.matmul}.items():
        for a, b in [(single, double), (double, single)]:
            with pytest.raises(TypeError, match=rf"{name}: {a.dtype} and {b.dtype} do not mix; .*\.to\(dtype\)"):
                f(a, b)
    with pytest.raises(TypeError, match="do not mix"):
        Tensor(np.float32(1)) + Tensor(np.float64(1))
    with pytest.raises(TypeError, match=r"cat: .*float32.*float64.*\.to\(dtype\)"):
        cat([single, double])


def test_a_single_number_takes_the_other_tensors_type():
    for array_type, number_type in [(np.float32, np.float64), (np.float64, np.float32)]:
        x, number = Tensor(np.ones(3, array_type), True), Tensor(number_type(2), requires_grad=True)
        for y in (x * number, number * x):
            x.grad = number.grad = None
            assert y.dtype == array_type
            y.sum().backward()
            assert number.grad == 3
            assert (x.grad.dtype, number.grad.dtype) == (array_type, number_type)


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64, np.uint8])
def test_integers_stay_integers(dtype):
    a = np.array([[1, 2], [3, 4]], dtype)
    x = Tensor(a)
    same = [
        x + 2,
        2 + x,
        x - 1,
        9 - x,
        x * 2,
        2 * x,
        x**2,
        x @ x,
        x.max(),
        x.max(1),
        x.T,
        x.reshape(4),
    ]
    same += [x[0], x[x.data > 1], cat([x, x]), x + True, x + x]
    assert {y.dtype for y in same} == {np.dtype(dtype)}
    np.testing.assert_array_equal((9 - x).data, 9 - a)
    np.testing.assert_array_equal((x @ x).data, a @ a)
    assert not any(y.requires_grad for y in same)


def test_integers_become_floats_where_results_are_no_whole_numbers():
    a = np.array([1, 2, 4])
    x = Tensor(a)
    for y, expected in [
        (x / 2, a / 2),
        (2 / x, 2 / a),
        (x / x, a / a),
        (x * 0.5, a * 0.5),
        (0.5 - x, 0.5 - a),
        (x ** np.array([0.5]), a**0.5),
        (x.mean(), a.mean()),
        (x.exp(), np.exp(a)),
        (x.log(), np.log(a)),
    ]:
        assert_close(y.data, np.asarray(expected), np.float32)


def test_integers_beside_float_tensors_take_their_type():
    for dtype in DTYPES:
        x, count = Tensor(np.array([1.0, 2.0], dtype), requires_grad=True), Tensor(np.array([3, 4]))
        for y in (x * count, count * x):
            x.grad = None
            y.sum().backward()
            assert y.dtype == x.grad.dtype == dtype
            np.testing.assert_array_equal(x.grad, [3, 4])


def test_integers_and_bools_lose_nothing_beside_each_other():
    assert (Tensor(np.array([True, True])) + 1).data.tolist() == [2, 2]
    assert (Tensor(np.array([True])) * np.array([7])).data.tolist() == [7]
    assert (Tensor(np.array([100], np.int8)) + np.array([1000])).data.tolist() == [1100]
    assert (Tensor(np.array([100], np.int8)) + Tensor(np.array([1000]))).data.tolist() == [1100]
    with pytest.raises(OverflowError):
        Tensor(np.array([1], np.uint8)) + 300


def test_to_changes_the_type_and_the_gradient_comes_back_in_the_old_one():
    x = Tensor(np.array([1.5, 2.5], np.float32), requires_grad=True)
    y = x.to(np.float64)
    assert y.dtype == np.float64
    (y * y).sum().backward()
    assert x.grad.dtype == np.float32
    np.testing.assert_array_equal(x.grad, [3, 5])
    whole = x.to(np.int64)
    assert whole.data.tolist() == [1, 2]
    assert not whole.requires_grad
    with pytest.raises(TypeError, match="float16"):
        x.to(np.float16)


# --- out of the graph, and how it looks -----------------------------------------------------------------------------------


def test_numpy_is_the_data_of_tensors_without_gradient():
    x = Tensor(np.ones(3))
    assert x.numpy() is x.data
    for tensor in (Tensor(np.ones(3), requires_grad=True), Tensor(np.ones(3), requires_grad=True) * 2):
        with pytest.raises(RuntimeError, match=r"numpy: .*\.detach\(\)\.numpy\(\)"):
            tensor.numpy()
        assert tensor.detach().numpy() is tensor.data


def test_item_float_and_bool():
    assert Tensor(2.5).item() == 2.5
    assert type(Tensor(np.array([[2.5]])).item()) is float
    assert type(Tensor(np.array([3])).item()) is int
    assert float(Tensor(np.array([2.5]), requires_grad=True) * 2) == 5
    assert bool(Tensor(1.0))
    assert not Tensor(np.array([0]))
    for f in (Tensor.item, float):
        with pytest.raises(ValueError, match=r"item: .*\(2,\)"):
            f(Tensor(np.ones(2)))
    with pytest.raises(ValueError, match="bool: the tensor has shape"):
        bool(Tensor(np.ones(2)))


def test_shape_len_and_numel():
    x = Tensor(np.ones((3, 4), np.float32))
    assert (x.shape, x.ndim, x.dtype, len(x), x.numel()) == ((3, 4), 2, np.float32, 3, 12)
    with pytest.raises(TypeError):
        len(Tensor(1.0))


def test_repr_says_what_matters():
    assert repr(Tensor([1.5, 2.0])) == "Tensor([1.5, 2. ], shape=(2,), dtype=float32)"
    x = Tensor(np.array([1.0]), requires_grad=True)
    assert repr(x) == "Tensor([1.], shape=(1,), dtype=float64, requires_grad=True)"
    assert repr(x * 2) == "Tensor([2.], shape=(1,), dtype=float64, op=mul)"
    assert len(repr(Tensor(np.zeros((1000, 1000))))) < 500


def test_numpys_functions_do_not_swallow_tensors():
    x = Tensor(np.ones(2), requires_grad=True)
    with pytest.raises(TypeError, match="ufunc"):
        np.exp(x)
    array = np.ones(2)
    with pytest.raises(TypeError):
        array += x


def test_as_an_array():
    x = Tensor(np.arange(3.0))
    assert np.asarray(x) is x.data or np.shares_memory(np.asarray(x), x.data)
    assert np.asarray(x, np.float32).dtype == np.float32
    with pytest.raises(RuntimeError, match="detach"):
        np.asarray(Tensor([1.0], requires_grad=True))

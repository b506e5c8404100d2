"""Matrix products, reductions, reshaping and indexing of Tensor against NumPy, with their gradients."""

import copy
import operator

import numpy as np
import pytest

from minidl import Tensor, cat, concatenate
from minidl.gradcheck import gradcheck
from tests.helpers import DTYPES, assert_close, run


@pytest.fixture
def rng():
    return np.random.default_rng(0)


# --- matrices ---------------------------------------------------------------------------------------------------------

PRODUCTS = [
    ((4,), (4,)),
    ((3, 4), (4,)),
    ((4,), (4, 5)),
    ((3, 4), (4, 5)),
    ((1, 1), (1, 1)),
    ((33, 7), (7, 5)),
    ((2, 3, 4), (4, 5)),
    ((3, 4), (2, 4, 5)),
    ((2, 3, 4), (2, 4, 5)),
    ((2, 1, 3, 4), (5, 4, 2)),
    ((1, 3, 4), (2, 4, 1)),
    ((2, 3, 4), (4,)),
    ((4,), (2, 4, 5)),
    ((2, 0), (0, 3)),
    ((0, 2), (2, 3)),
]


@pytest.mark.parametrize("shapes", PRODUCTS, ids=str)
def test_matmul(shapes, rng):
    for dtype in DTYPES:
        a, b = (rng.standard_normal(shape).astype(dtype) for shape in shapes)
        for product in (Tensor(a) @ Tensor(b), Tensor(a) @ b, a @ Tensor(b)):
            assert_close(product.data, np.asarray(a @ b), dtype)
    gradcheck(operator.matmul, *[rng.standard_normal(shape) for shape in shapes], generator=rng)


def test_matmul_gradient_goes_only_where_asked(rng):
    for shapes in [((3, 4), (4, 5)), ((2, 3, 4), (4, 5)), ((4,), (4,))]:
        arrays = [rng.standard_normal(shape) for shape in shapes]
        for asked in (0, 1):
            tensors = [Tensor(a, requires_grad=i == asked) for i, a in enumerate(arrays)]
            (tensors[0] @ tensors[1]).sum().backward()
            assert tensors[asked].grad.shape == shapes[asked]
            assert tensors[1 - asked].grad is None


@pytest.mark.parametrize(
    "shapes", [((3, 4), (3, 4)), ((), (3,)), ((3,), ()), ((3,), (4,)), ((2, 3, 4), (3, 4))], ids=str
)
def test_matmul_of_shapes_that_do_not_fit(shapes):
    a, b = (Tensor(np.ones(shape)) for shape in shapes)
    with pytest.raises(ValueError, match=r"matmul: .*last size of the left") as error:
        a @ b
    assert f"{shapes[0]} @ {shapes[1]}" in str(error.value)


# --- reductions -------------------------------------------------------------------------------------------------------

DIMS = [None, 0, 1, -1, (0, 2), (-1, 0), (0, 1, 2), ()]


def distinct(rng, *shape):
    """No two numbers are nearer than 0.01, so that a small step changes no maximum."""
    return 0.01 * rng.permutation(np.prod(shape)).reshape(shape) - 0.1


@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("dim", DIMS, ids=str)
@pytest.mark.parametrize("name", ["sum", "mean", "max"])
def test_reductions(name, dim, keepdim, rng):
    x = distinct(rng, 2, 3, 4)
    for dtype in DTYPES:
        expected = np.asarray(getattr(np, name)(x.astype(dtype), axis=dim, keepdims=keepdim))
        for y in (
            getattr(Tensor(x.astype(dtype)), name)(dim, keepdim),
            getattr(Tensor(x.astype(dtype)), name)(dim=dim, keepdim=keepdim),
            getattr(Tensor(x.astype(dtype)), name)(axis=dim, keepdims=keepdim),
        ):
            assert_close(y.data, expected, dtype)
    gradcheck(lambda t: getattr(t, name)(dim, keepdim), x, generator=rng)


@pytest.mark.parametrize("name", ["sum", "mean", "max"])
def test_reductions_of_a_number_and_over_an_unknown_dimension(name):
    y, (grad,) = run(lambda t: getattr(t, name)(), np.array(3.0), grad_y=np.array(2.0))
    assert (y, grad) == (3, 2)
    with pytest.raises(ValueError, match="dim is 2 but the tensor is"):
        getattr(Tensor(np.ones((2, 3))), name)(2)


def test_mean_divides_by_the_number_of_elements_that_it_takes_together():
    _, (grad,) = run(lambda t: t.mean(1), np.ones((2, 4), np.float32), grad_y=np.array([1, 8], np.float32))
    np.testing.assert_array_equal(grad, [[0.25] * 4, [2] * 4])


def test_ties_of_max_share_the_gradient():
    x = np.array([[1, 5, 5], [5, 0, 5]], np.float32)
    _, (grad,) = run(lambda t: t.max(1), x, grad_y=np.array([2, 4], np.float32))
    np.testing.assert_array_equal(grad, [[0, 1, 1], [2, 0, 2]])
    _, (grad,) = run(lambda t: t.max(), x, grad_y=np.array(8, np.float32))
    np.testing.assert_array_equal(grad, [[0, 2, 2], [2, 0, 2]])
    assert grad.dtype == np.float32


# --- shapes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(6, 4), (4, -1), (-1,), (2, 1, 12), (1, 2, 3, 4)], ids=str)
def test_reshape(shape, rng):
    x = rng.standard_normal((2, 3, 4))
    for y in (Tensor(x).reshape(*shape), Tensor(x).reshape(shape)):
        assert_close(y.data, x.reshape(shape))
    gradcheck(lambda t: t.reshape(shape), x, generator=rng)


def test_reshape_of_a_number_and_of_too_few_elements():
    assert Tensor(np.array(3.0)).reshape(1, 1).shape == (1, 1)
    assert Tensor(np.array([3.0])).reshape(()).shape == ()
    with pytest.raises(ValueError, match="cannot reshape"):
        Tensor(np.ones(3)).reshape(2, 2)


def test_transpose_of_two_dimensions_swaps_them(rng):
    x = rng.standard_normal((2, 3, 4))
    for dims in [(0, 1), (1, 2), (0, 2), (2, 0), (-1, 0), (-1, -2), (1, 1)]:
        assert_close(Tensor(x).transpose(*dims).data, x.swapaxes(*dims))
        gradcheck(lambda t, dims=dims: t.transpose(*dims), x, generator=rng)


def test_transpose_of_none_reverses_and_of_all_permutes(rng):
    x = rng.standard_normal((2, 3, 4))
    t = Tensor(x)
    for y in (t.T, t.transpose(), t.transpose(2, 1, 0), t.transpose((2, 1, 0)), t.permute([2, 1, 0])):
        assert_close(y.data, x.T)
    for order in [(0, 1, 2), (1, 2, 0), (2, 0, 1), (-1, 0, 1), (1, -1, -3)]:
        for y in (t.transpose(order), t.transpose(*order), t.permute(order), t.permute(*order)):
            assert_close(y.data, x.transpose(order))
        gradcheck(lambda s, order=order: s.permute(order), x, generator=rng)
    gradcheck(lambda s: s.T, x, generator=rng)
    matrix = rng.standard_normal((2, 3))
    assert_close(Tensor(matrix).transpose((0, 1)).data, matrix)  # a tuple permutes, also one of two
    assert_close(Tensor(matrix).transpose(0, 1).data, matrix.T)


def test_transpose_of_few_dimensions(rng):
    for x in (np.array(3.0), np.array([1.0, 2.0])):
        assert_close(Tensor(x).T.data, x)
        gradcheck(lambda t: t.T, x, generator=rng)


def test_transpose_of_wrong_dimensions():
    with pytest.raises(IndexError):
        Tensor(np.ones((2, 3))).transpose(0, 2)
    with pytest.raises(ValueError, match="permute: dim is"):
        Tensor(np.ones((2, 3))).permute(0, 1, 2)


INDICES = {
    "integer": 1,
    "negative": -1,
    "slice": slice(1, 3),
    "steps backwards": slice(None, None, -2),
    "empty slice": slice(2, 2),
    "two": (1, 2),
    "column": (slice(None), -1),
    "ellipsis": (..., 0),
    "ellipsis alone": ...,
    "None": None,
    "None between": (slice(None), None, 1),
    "empty tuple": (),
    "list": [2, 0],
    "repeated": [1, 1, 0, 1],
    "repeated, negative": [0, -3, 2, -1],
    "pairs, repeated": ([0, 0, 2], [1, 1, 3]),
    "pairs that broadcast": (np.array([[0], [2]]), np.array([1, 1])),
    "array and slice": (slice(1, None), [0, 0, 3]),
    "array of two dimensions": np.array([[0, 1], [1, 1]]),
    "unsigned": np.array([0, 2, 2], np.uint8),
    "mask of rows": np.array([True, False, True]),
    "mask": np.arange(12).reshape(3, 4) % 5 < 2,
    "mask of nothing": np.zeros((3, 4), bool),
    "all": (1, 3),
}


@pytest.mark.parametrize("name", INDICES)
def test_indexing(name, rng):
    index, x = INDICES[name], rng.standard_normal((3, 4))
    for dtype in DTYPES:
        assert_close(Tensor(x.astype(dtype))[index].data, np.asarray(x.astype(dtype)[index]), dtype)
    gradcheck(lambda t: t[index], x, generator=rng)


def test_an_element_taken_twice_collects_both_gradients():
    x = np.zeros(4)
    _, (grad,) = run(lambda t: t[[0, 2, 2, -1, 2]], x, grad_y=np.array([1.0, 10.0, 100.0, 1000.0, 10000.0]))
    np.testing.assert_array_equal(grad, [1, 0, 10110, 1000])


def test_integer_and_bool_tensors_as_indices(rng):
    x, rows, columns = rng.standard_normal((3, 4)), np.array([0, 2, 2]), np.array([1, 3, 3])
    assert_close(Tensor(x)[Tensor(rows)].data, x[rows])
    assert_close(Tensor(x)[Tensor(rows), Tensor(columns)].data, x[rows, columns])
    assert_close(Tensor(x)[:, Tensor(columns)].data, x[:, columns])
    assert_close(Tensor(x)[Tensor(x > 0)].data, x[x > 0])
    gradcheck(lambda t: t[Tensor(rows), Tensor(columns)], x, generator=rng)


CHANGING = {
    "an array": (np.array([0, 2]), lambda i: i),
    "a list": ([0, 2], lambda i: i),
    "arrays in a tuple": (np.array([0, 2]), lambda i: (i, i)),
    "a tensor": (Tensor(np.array([0, 2])), lambda i: i),
    "a tensor in a tuple": (Tensor(np.array([0, 2])), lambda i: (slice(None), i)),
    "a mask": (np.array([True, False, True]), lambda i: i),
    "a number in an array": (np.array(2), lambda i: (i, slice(None))),
    "the end of a slice": (np.array(2), lambda i: slice(None, i)),
}


@pytest.mark.parametrize("name", CHANGING)
def test_an_index_that_changes_later_changes_no_gradient(name, rng):
    source, index_of = CHANGING[name]
    x, index = Tensor(rng.standard_normal((3, 3)), requires_grad=True), index_of(copy.deepcopy(source))
    changing = copy.deepcopy(source)
    x[index].sum().backward()
    expected, x.grad = x.grad, None
    y = x[index_of(changing)]
    array = changing.data if isinstance(changing, Tensor) else changing
    array[slice(None) if isinstance(array, list) else ...] = [0, 0] if isinstance(array, list) else 0
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, expected)


def test_indexing_out_of_bounds_and_iteration():
    x = Tensor(np.arange(3.0))
    with pytest.raises(IndexError):
        x[3]
    assert [float(element) for element in x] == [0, 1, 2]


@pytest.mark.parametrize("dim", [0, 1, 2, -1, -3])
def test_cat(dim, rng):
    shapes = [[2, 3, 4], [2, 3, 4], [2, 3, 4]]
    for shape, size in zip(shapes, (1, 4, 2), strict=True):
        shape[dim] = size
    arrays = [rng.standard_normal(shape) for shape in shapes]
    for dtype in DTYPES:
        parts = [a.astype(dtype) for a in arrays]
        assert_close(cat([Tensor(parts[0]), parts[1], Tensor(parts[2])], dim).data, np.concatenate(parts, dim), dtype)
    gradcheck(lambda *tensors: cat(tensors, dim=dim), *arrays, generator=rng)


def test_cat_of_one_of_empty_ones_and_of_the_same(rng):
    x = rng.standard_normal((2, 3))
    gradcheck(lambda t: cat([t]), x, generator=rng)
    gradcheck(lambda a, b: cat([a, b], dim=-1), x, np.ones((2, 0)), generator=rng)
    gradcheck(lambda t: cat([t, t * 2, t], dim=-1), x, generator=rng)
    assert concatenate is cat


def test_cat_of_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match="all sizes but the one of dim must be equal"):
        cat([Tensor(np.ones((2, 3))), Tensor(np.ones((2, 4)))])

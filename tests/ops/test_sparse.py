"""Products with sparse matrices, and what is computed on the edges of a graph: against loops, dense matrices and PyTorch."""

import numpy as np
import pytest

import minidl
from minidl import CSR, Tensor
from minidl import functional as F
from minidl.gradcheck import GradientError, gradcheck
from minidl.kernels.reduce import TERMS
from tests import reference_layers as reference
from tests.helpers import (
    DTYPES,
    JIT,
    assert_close,
    assert_gradients_only_where_asked,
    assert_layout_does_not_matter,
    run,
)


def graph(edges=40, rows=9, columns=7, seed=0):
    """Random edges, some of them twice; the last row and column have none."""
    rng = np.random.default_rng(seed)
    return CSR.from_coo(rng.integers(0, rows - 1, edges), rng.integers(0, columns - 1, edges), (rows, columns))[0]


def normal(*shape, dtype=np.float64, seed=1):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def dense(csr, values):
    matrix = np.zeros(csr.shape)
    np.add.at(matrix, (csr.row_indices, csr.col_indices), values)
    return matrix


# ---- where the entries are


def test_entries_are_sorted_and_keep_their_values():
    rows, columns, values = [2, 0, 2, 2], [1, 3, 0, 1], np.array([10.0, 20, 30, 40])
    csr, order = CSR.from_coo(rows, columns, (3, 4))
    assert csr.crow_indices.tolist() == [0, 1, 1, 4]
    assert csr.col_indices.tolist() == [3, 0, 1, 1]
    assert csr.row_indices.tolist() == [0, 2, 2, 2]
    assert values[order].tolist() == [20, 30, 10, 40]
    assert (csr.shape, csr.nnz, repr(csr)) == ((3, 4), 4, "CSR(3 × 4, 4 entries)")


def test_by_column_is_the_transposed_matrix():
    csr, values = graph(), normal(40)
    starts, rows, places = csr.by_column
    flipped = CSR(starts, rows, csr.shape[::-1])
    np.testing.assert_array_equal(dense(flipped, values[places]), dense(csr, values).T)


def test_what_was_checked_cannot_change():
    given = np.array([0, 1, 2])
    csr = CSR(given, [0, 1], (2, 2))
    given[:] = 9
    assert csr.crow_indices.tolist() == [0, 1, 2]
    for array in (csr.crow_indices, csr.col_indices, csr.row_indices, csr.places, *csr.by_column):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


@pytest.mark.parametrize("form", [np.int8, np.uint64, list, Tensor, "strided"])
def test_whole_numbers_of_any_form(form):
    numbers = np.array([0, 2, 3])
    given = (
        np.repeat(numbers, 2)[::2]
        if form == "strided"
        else numbers.astype(form)
        if isinstance(form, type) and issubclass(form, np.generic)
        else form(numbers)
    )
    assert CSR(given, [0, 1, 1], (2, 2)).crow_indices.tolist() == [0, 2, 3]


# ---- against loops


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("heads", [(), (3,)], ids=str)
def test_the_product_agrees_with_loops(heads, dtype):
    csr = graph()
    values, x, grad_y = (normal(n, *heads, *more, dtype=dtype, seed=n) for n, more in ((40, ()), (7, (5,)), (9, (5,))))
    y, (grad_values, grad_x) = run(lambda v, x: F.sparse_matmul(csr, v, x), values, x, grad_y=grad_y)
    rows, columns = csr.row_indices, csr.col_indices
    assert_close(y, reference.sparse_matmul(rows, columns, values, x, 9), dtype)
    assert_close(grad_x, reference.sparse_matmul(columns, rows, values, grad_y, 7), dtype)
    assert_close(grad_values, (grad_y[rows] * x[columns]).sum(-1), dtype)


def test_the_product_is_that_of_the_dense_matrix():
    csr, values, x = graph(), normal(40), normal(7, 3)
    np.testing.assert_allclose(F.sparse_matmul(csr, Tensor(values), Tensor(x)).data, dense(csr, values) @ x, atol=1e-13)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("more", [(), (3,), (2, 3)], ids=str)
def test_edges_agree_with_loops(more, dtype):
    csr = graph()
    x, grad_e, grad_y = (normal(n, *more, dtype=dtype, seed=i) for i, n in enumerate((40, 40, 9)))
    y, (grad,) = run(lambda x: F.edge_softmax(csr, x), x, grad_y=grad_e)
    expected = reference.edge_softmax(csr.row_indices, x)
    assert_close(y, expected, dtype)
    inner = reference.edge_sum(csr.row_indices, expected * grad_e, 9)[csr.row_indices]
    assert_close(grad, expected * (grad_e - inner), dtype)
    y, (grad,) = run(lambda x: F.edge_sum(csr, x), x, grad_y=grad_y)
    assert_close(y, reference.edge_sum(csr.row_indices, x, 9), dtype)
    assert_close(grad, grad_y[csr.row_indices], dtype)
    row, column = normal(9, *more, dtype=dtype), normal(7, *more, dtype=dtype)
    y, (grad_row, grad_column) = run(lambda r, c: F.edge_add(csr, r, c), row, column, grad_y=grad_e)
    assert_close(y, row[csr.row_indices] + column[csr.col_indices], dtype)
    assert_close(grad_row, reference.edge_sum(csr.row_indices, grad_e, 9), dtype)
    assert_close(grad_column, reference.edge_sum(csr.col_indices, grad_e, 7), dtype)


def test_shares_sum_to_one_where_there_are_edges():
    csr = graph()
    total = F.edge_sum(csr, F.edge_softmax(csr, Tensor(30 * normal(40)))).data
    np.testing.assert_allclose(total, np.diff(csr.crow_indices) > 0, atol=1e-14)


def test_large_numbers_do_not_overflow():
    csr = CSR([0, 2, 3], [0, 1, 0], (2, 2))
    shares = F.edge_softmax(csr, Tensor(np.array([1e4, 1e4 + 1, -1e4], np.float32))).data
    np.testing.assert_allclose(shares, [1 / (1 + np.e), np.e / (1 + np.e), 1], rtol=1e-6)


def test_nan_stays_at_its_node():
    csr = CSR([0, 2, 4], [0, 1, 0, 1], (2, 2))
    shares = F.edge_softmax(csr, Tensor(np.array([0, np.nan, 0, 0]))).data
    assert np.isnan(shares).tolist() == [True, True, False, False]
    y = F.sparse_matmul(csr, Tensor(np.array([0, 1.0, np.nan, 1])), Tensor(np.ones((2, 3)))).data
    assert np.isnan(y).all(1).tolist() == [False, True]


def test_each_layout_and_each_choice_of_gradients():
    csr, rng = graph(), np.random.default_rng(0)
    cases = [
        (lambda v, x: F.sparse_matmul(csr, v, x), normal(40, 2), normal(7, 2, 3)),
        (lambda r, c: F.edge_add(csr, r, c), normal(9, 2), normal(7, 2)),
        (lambda x: F.edge_softmax(csr, x), normal(40, 2)),
        (lambda x: F.edge_sum(csr, x), normal(40, 2)),
    ]
    for f, *arrays in cases:
        assert_layout_does_not_matter(f, *arrays, rng=rng)
        assert_gradients_only_where_asked(f, *arrays, rng=rng)


@pytest.mark.parametrize(
    ("edges", "rows", "columns", "width"), [(0, 3, 2, 4), (0, 0, 0, 0), (5, 3, 2, 0), (0, 0, 2, 3)]
)
def test_nothing_to_add_up(edges, rows, columns, width):
    rng = np.random.default_rng(0)
    csr = CSR.from_coo(rng.integers(0, max(1, rows), edges), rng.integers(0, max(1, columns), edges), (rows, columns))[
        0
    ]
    y, (grad_values, grad_x) = run(
        lambda v, x: F.sparse_matmul(csr, v, x), normal(edges), normal(columns, width), grad_y=np.ones((rows, width))
    )
    assert not y.any()
    assert (grad_values.shape, grad_x.shape) == ((edges,), (columns, width))
    for op, size in ((F.edge_softmax, edges), (F.edge_sum, rows)):
        y, (grad,) = run(lambda x, op=op: op(csr, x), normal(edges, width), grad_y=np.ones((size, width)))
        assert (y.shape, grad.shape) == ((size, width), (edges, width))
    y, _ = run(lambda r, c: F.edge_add(csr, r, c), normal(rows), normal(columns), grad_y=np.ones(edges))
    assert y.shape == (edges,)


def test_a_node_with_very_many_edges_is_added_up_accurately():
    """0.1 added 200,000 times in float32, one after another, gives 20,184."""
    count = 200_000 if JIT else 3 * TERMS
    csr = CSR([0, count, count], np.zeros(count, int), (2, 1))
    tenth = Tensor(np.full(count, 0.1, np.float32), requires_grad=True)
    x = Tensor(np.ones((1, 1), np.float32), requires_grad=True)
    y = F.sparse_matmul(csr, tenth, x)
    y.backward(np.ones((2, 1), np.float32))
    np.testing.assert_allclose(y.data, [[count / 10], [0]], rtol=1e-5)
    np.testing.assert_allclose(x.grad, [[count / 10]], rtol=1e-5)
    np.testing.assert_allclose(F.edge_sum(csr, tenth).data, [count / 10, 0], rtol=1e-5)
    np.testing.assert_allclose(F.edge_softmax(csr, tenth).data, 1 / count, rtol=1e-4)


@pytest.mark.skipif(not JIT, reason="has no threads without")
def test_the_same_bits_on_any_number_of_threads():
    rng, before = np.random.default_rng(0), minidl.get_num_threads()
    csr = CSR.from_coo(rng.integers(0, 900, 20_000) ** 2 // 900, rng.integers(0, 700, 20_000), (900, 700))[0]
    values, x, grad_y = (rng.standard_normal(s).astype(np.float32) for s in ((20_000, 2), (700, 2, 9), (900, 2, 9)))
    row, column = rng.standard_normal((900, 2)).astype(np.float32), rng.standard_normal((700, 2)).astype(np.float32)
    results = []
    try:
        for threads in {1, before}:
            minidl.set_num_threads(threads)
            found = [run(lambda v, x: F.sparse_matmul(csr, v, x), values, x, grad_y=grad_y)]
            found.append(run(lambda v: F.edge_softmax(csr, v), values, grad_y=values[::-1].copy()))
            found.append(run(lambda v: F.edge_sum(csr, v), values, grad_y=row))
            found.append(run(lambda r, c: F.edge_add(csr, r, c), row, column, grad_y=values))
            results.append(b"".join(a.tobytes() for y, grads in found for a in (y, *grads)))
    finally:
        minidl.set_num_threads(before)
    assert len(set(results)) == 1


# ---- checks that can fail


def wrong_product(transposed):
    """Not `transposed`: the gradient of x goes along rows, as the result does; right only for symmetric matrices."""
    csr, values = graph(12, 5, 5, seed=3), normal(12)
    matrix = dense(csr, values)

    def op(x):
        return Tensor._from_op(matrix @ x.data, (x,), lambda g: ((matrix.T if transposed else matrix) @ g,))

    return op


def wrong_softmax(own_row):
    """Not `own_row`: the mean over all edges is taken off, not that over the node's."""
    csr = graph(12, 5, 5, seed=3)

    def op(x):
        y = reference.edge_softmax(csr.row_indices, x.data)

        def backward(g):
            inner = reference.edge_sum(csr.row_indices, y * g, 5)[csr.row_indices] if own_row else (y * g).sum()
            return (y * (g - inner),)

        return Tensor._from_op(y, (x,), backward)

    return op


@pytest.mark.parametrize(("make", "shape"), [(wrong_product, (5, 3)), (wrong_softmax, (12,))])
def test_the_check_rejects_a_wrong_gradient(make, shape):
    gradcheck(make(True), normal(*shape), generator=np.random.default_rng(0))
    with pytest.raises(GradientError):
        gradcheck(make(False), normal(*shape), generator=np.random.default_rng(0))


# ---- against PyTorch


@pytest.mark.filterwarnings(
    "ignore:Sparse CSR tensor support:UserWarning", "ignore:Sparse invariant checks:UserWarning"
)
def test_the_product_agrees_with_pytorch():
    torch = pytest.importorskip("torch")
    csr, values, x, grad_y = graph(), normal(40), normal(7, 3), normal(9, 3)
    rows, columns = (torch.tensor(np.array(a)) for a in (csr.row_indices, csr.col_indices))
    theirs = torch.tensor(values, requires_grad=True), torch.tensor(x, requires_grad=True)
    torch.sparse.mm(torch.sparse_coo_tensor(torch.stack((rows, columns)), theirs[0], csr.shape), theirs[1]).backward(
        torch.tensor(grad_y)
    )
    _, grads = run(lambda v, x: F.sparse_matmul(csr, v, x), values, x, grad_y=grad_y)
    for mine, other in zip(grads, theirs, strict=True):
        np.testing.assert_allclose(mine, other.grad.numpy(), atol=1e-13)


def test_shares_agree_with_a_masked_softmax_of_pytorch():
    """Each edge once: a dense matrix has one place for it."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    there = rng.random((9, 7)) < 0.4
    csr, _ = CSR.from_coo(*np.nonzero(there), there.shape)
    x, grad_y = normal(csr.nnz), normal(csr.nnz, seed=2)
    given = torch.tensor(x, requires_grad=True)
    full = torch.full((9, 7), -torch.inf, dtype=torch.float64).masked_scatter(torch.tensor(there), given)
    expected = full.softmax(1)[torch.tensor(there)]
    expected.backward(torch.tensor(grad_y))
    y, (grad,) = run(lambda x: F.edge_softmax(csr, x), x, grad_y=grad_y)
    np.testing.assert_allclose(y, expected.detach().numpy(), atol=1e-14)
    np.testing.assert_allclose(grad, given.grad.numpy(), atol=1e-14)

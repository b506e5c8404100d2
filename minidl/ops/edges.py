"""Numbers on the edges of a graph: made of those of both ends, turned into shares at each node, and added up there.

The edges of a node are a row of a `CSR`: see `sparse.py`. Where features are looked up or added up, the kernels are those of
`embedding.py`: an embedding looks up rows and its gradient adds them up, and here it is the other way round as well.
"""

import math

import numpy as np

from minidl.kernels.elementary import exp
from minidl.kernels.jit import kernel, n_chunks, prange
from minidl.kernels.reduce import TERMS, chunk_rows
from minidl.ops._check import check_tensors
from minidl.ops.embedding import add_rows, look_up
from minidl.ops.sparse import CSR, as_rows, check_csr
from minidl.tensor import Tensor

__all__ = ["edge_add", "edge_softmax", "edge_sum"]

_PADDING = -1  # no row is left out
_ROWS = 8  # a node has about so many edges: what a chunk of nodes is measured by


def edge_add(csr: CSR, row: Tensor, column: Tensor) -> Tensor:
    """Add, for each edge, what its two ends say: the first step of an attention.

    Forward   y[e] = row[row of e] + column[column of e]
    Backward  ∂row[i] = Σ ∂y[e] over the edges in row i    ∂column[j] = Σ ∂y[e] over the edges in column j
    Shape     csr (M, N) with E entries; row (M, …), column (N, …), y (E, …)
    Errors    TypeError for what is no CSR or no tensor of one type; ValueError for shapes that do not fit
    Source    Veličković et al. 2018, equation 3
    """
    check_csr("edge_add", csr)
    check_tensors("edge_add", row=row, column=column)
    if row.ndim == 0 or row.shape[:1] + column.shape[:1] != csr.shape or row.shape[1:] != column.shape[1:]:
        raise ValueError(
            f"edge_add: row is {row.shape}, column is {column.shape} and the matrix is {csr.shape}; they must be "
            f"({csr.shape[0]}, …) and ({csr.shape[1]}, …), and else be equal"
        )
    y = np.empty((csr.nnz, *row.shape[1:]), row.dtype)
    _add_ends[y.size](csr.row_indices, csr.col_indices, as_rows(row.data), as_rows(column.data), as_rows(y))

    def backward(grad_y):
        grads, grad_row, grad_column = as_rows(grad_y), None, None
        if row.requires_grad:
            grad_row = np.empty(row.shape, y.dtype)
            add_rows[grads.size + grad_row.size](grads, csr.crow_indices, csr.places, _PADDING, as_rows(grad_row))
        if column.requires_grad:
            grad_column, (starts, _, places) = np.empty(column.shape, y.dtype), csr.by_column
            add_rows[grads.size + grad_column.size](grads, starts, places, _PADDING, as_rows(grad_column))
        return grad_row, grad_column

    return Tensor._from_op(y, (row, column), backward)


def edge_softmax(csr: CSR, x: Tensor) -> Tensor:
    """Turn the numbers on a node's edges into shares: positive, with the sum 1 at each node that has edges.

    Forward   y[e] = exp(x[e] − m) / Σ_f exp(x[f] − m) over the edges f of e's row, with their largest number m
    Backward  ∂x[e] = y[e]·(∂y[e] − Σ_f ∂y[f]·y[f])
    Shape     csr (M, N) with E entries; x, y (E, …): numbers at the same place, such as those of one head, belong together
    Errors    TypeError for what is no CSR or no float tensor; ValueError for a shape that does not fit
    Source    Veličković et al. 2018, equation 2
    """
    edges = _edges("edge_softmax", csr, x)
    y = np.empty(edges.shape, edges.dtype)
    _softmax_forward[y.size](csr.crow_indices, edges, y)

    def backward(grad_y):
        grad_x = np.empty(x.shape, y.dtype)
        _softmax_backward[y.size](csr.crow_indices, as_rows(grad_y), y, as_rows(grad_x))
        return (grad_x,)

    return Tensor._from_op(y.reshape(x.shape), (x,), backward)


def edge_sum(csr: CSR, x: Tensor) -> Tensor:
    """Add up what is on the edges of each node; a node without edges gets 0.

    Forward   y[i] = Σ x[e] over the edges e of row i, in their order
    Backward  ∂x[e] = ∂y[row of e]
    Shape     csr (M, N) with E entries; x (E, …), y (M, …)
    Errors    TypeError for what is no CSR or no float tensor; ValueError for a shape that does not fit
    Source    Gilmer et al. 2017, who write many networks for graphs as messages along edges and their sums
    """
    edges = _edges("edge_sum", csr, x)
    y = np.empty((csr.shape[0], *x.shape[1:]), edges.dtype)
    add_rows[edges.size + y.size](edges, csr.crow_indices, csr.places, _PADDING, as_rows(y))

    def backward(grad_y):
        grad_x, outside = np.empty(x.shape, y.dtype), np.empty((), np.int64)
        look_up[grad_x.size](csr.row_indices, as_rows(grad_y), as_rows(grad_x), outside)
        return (grad_x,)

    return Tensor._from_op(y, (x,), backward)


def _edges(op, csr, x):
    check_csr(op, csr)
    check_tensors(op, x=x)
    if x.ndim == 0 or x.shape[0] != csr.nnz:
        raise ValueError(
            f"{op}: x is {x.shape} and the matrix has {csr.nnz} entries; x must be ({csr.nnz}, …), a row for each"
        )
    return as_rows(x.data)


@kernel
def _add_ends(rows, columns, first, second, y):
    width, size = y.shape[1], chunk_rows(y.shape[1])
    for k in prange(n_chunks(rows.size, size)):
        for e in range(np.int64(k) * size, min((np.int64(k) + 1) * size, rows.size)):
            for c in range(width):
                y[e, c] = first[rows[e], c] + second[columns[e], c]


@kernel(cost=4)
def _softmax_forward(starts, x, y):
    """In three passes over a chunk of nodes: less the largest number, exponentials, divided by the sum."""
    count, (width, size) = starts.size - 1, (x.shape[1], chunk_rows(_ROWS * x.shape[1]))
    flat = y.reshape(-1)
    for k in prange(n_chunks(count, size)):
        begin, end = np.int64(k) * size, min((np.int64(k) + 1) * size, count)
        for i in range(begin, end):
            for c in range(width):
                largest = x.dtype.type(-math.inf)
                for e in range(starts[i], starts[i + 1]):
                    if not x[e, c] <= largest:  # NaN, too
                        largest = x[e, c]
                for e in range(starts[i], starts[i + 1]):
                    y[e, c] = x[e, c] - largest
        powers = flat[starts[begin] * width : starts[end] * width]
        for j in range(powers.size):
            powers[j] = exp(powers[j])
        for i in range(begin, end):
            for c in range(width):
                total = x.dtype.type(0)
                for first in range(starts[i], starts[i + 1], TERMS):
                    part = x.dtype.type(0)
                    for e in range(first, min(first + TERMS, starts[i + 1])):
                        part += y[e, c]
                    total += part
                factor = x.dtype.type(1) / total
                for e in range(starts[i], starts[i + 1]):
                    y[e, c] *= factor


@kernel
def _softmax_backward(starts, grad_y, y, grad_x):
    count, size = starts.size - 1, chunk_rows(_ROWS * y.shape[1])
    for k in prange(n_chunks(count, size)):
        for i in range(np.int64(k) * size, min((np.int64(k) + 1) * size, count)):
            first, last = starts[i], starts[i + 1]
            for c in range(y.shape[1]):
                total = y.dtype.type(0)
                for begin in range(first, last, TERMS):
                    part = y.dtype.type(0)
                    for e in range(begin, min(begin + TERMS, last)):
                        part += grad_y[e, c] * y[e, c]
                    total += part
                for e in range(first, last):
                    grad_x[e, c] = y[e, c] * (grad_y[e, c] - total)

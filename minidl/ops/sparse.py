"""Sparse matrices: where their entries are (`CSR`), and the product with a dense matrix. A graph is such a matrix.

The row of node i holds an entry for each edge that leads to it, in the column of the node that the edge comes from. A row's
entries stand side by side, so one task adds up a whole row in a fixed order, and no two write to one place. The gradient's
sums go along columns: the same kernel then runs over those.
"""

import functools
import math
import operator

import numpy as np
from numpy.typing import ArrayLike

from minidl.kernels.jit import contiguous, inlined, kernel, n_chunks, prange
from minidl.kernels.reduce import TERMS, chunk_rows
from minidl.kernels.runs import add, clear, offset
from minidl.ops._check import check_tensors
from minidl.tensor import Tensor

__all__ = ["CSR", "as_rows", "check_csr", "sparse_matmul"]


class CSR:
    """Where the entries of a sparse matrix (M, N) are, row by row; their values are a tensor of their own.

    crow_indices    int64 (M + 1,): the entries of row i are those from crow_indices[i] to crow_indices[i + 1] − 1
    col_indices     int64 (E,): the column of each entry; an entry may be there twice, and then counts twice
    shape           (M, N)
    The arrays are copies that cannot be written to, so what was checked stays right.
    Errors          TypeError for what is not whole numbers; ValueError for indices that do not fit together
    Source          the format, and PyTorch's names for it: `torch.sparse_csr_tensor`
    """

    def __init__(self, crow_indices: ArrayLike, col_indices: ArrayLike, shape: tuple[int, int]):
        rows, columns = _check_shape(shape)
        starts, found = _whole("crow_indices", crow_indices), _whole("col_indices", col_indices)
        if starts.size != rows + 1:
            raise ValueError(
                f"CSR: crow_indices has {starts.size} numbers and there are {rows} rows; it must have {rows + 1}: where "
                "each row begins, and where the last one ends"
            )
        if starts[0] != 0 or starts[-1] != found.size or (np.diff(starts) < 0).any():
            raise ValueError(
                f"CSR: crow_indices goes from {starts[0]} to {starts[-1]} and there are {found.size} entries; it must begin "
                f"with 0, never fall, and end with {found.size}"
            )
        _check_range("CSR", "col_indices", found, columns)
        self.crow_indices, self.col_indices, self.shape = _fixed(starts), _fixed(found), (rows, columns)

    @classmethod
    def from_coo(cls, rows: ArrayLike, columns: ArrayLike, shape: tuple[int, int]) -> tuple["CSR", np.ndarray]:
        """Sort entries, given by row and column (E,) in any order: the CSR, and the order in which it has them.

        `csr, order = CSR.from_coo(rows, columns, shape)`; then values[order] belong to its entries. They are sorted by row,
        then by column; equal ones keep their order.
        Errors  as for CSR itself, and ValueError for rows and columns of unequal length
        """
        count, width = _check_shape(shape)
        row, column = _whole("rows", rows), _whole("columns", columns)
        if row.size != column.size:
            raise ValueError(
                f"CSR.from_coo: there are {row.size} rows and {column.size} columns; each entry has one of both"
            )
        _check_range("CSR.from_coo", "rows", row, count)
        order = np.lexsort((column, row))
        starts = np.concatenate(([0], np.cumsum(np.bincount(row, minlength=count))))
        return cls(starts, column[order], (count, width)), order

    @property
    def nnz(self) -> int:
        """How many entries there are."""
        return self.col_indices.size

    @functools.cached_property
    def row_indices(self) -> np.ndarray:
        """The row of each entry, int64 (E,)."""
        return _fixed(np.repeat(np.arange(self.shape[0]), np.diff(self.crow_indices)))

    @functools.cached_property
    def places(self) -> np.ndarray:
        """0, 1, 2, …: the entries in the order of their rows."""
        return _fixed(np.arange(self.nnz))

    @functools.cached_property
    def by_column(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The transposed matrix: where each column begins, the rows of its entries, and their places among the values."""
        order = np.argsort(self.col_indices, kind="stable")
        starts = np.concatenate(([0], np.cumsum(np.bincount(self.col_indices, minlength=self.shape[1]))))
        return _fixed(starts), _fixed(self.row_indices[order]), _fixed(order)

    def __repr__(self) -> str:
        return f"CSR({self.shape[0]} × {self.shape[1]}, {self.nnz} entries)"


def _check_shape(shape):
    try:
        rows, columns = map(operator.index, shape)
    except (TypeError, ValueError):
        rows = columns = -1
    if min(rows, columns) < 0:
        raise ValueError(f"CSR: shape is {shape!r}; it must be a pair of whole numbers of at least 0: (rows, columns)")
    return rows, columns


def _whole(name, given):
    array = np.asarray(given.data if isinstance(given, Tensor) else given)
    if array.dtype.kind not in "iu" and array.size:
        raise TypeError(f"CSR: {name} is {array.dtype}; it must be whole numbers: array.astype(int)")
    if array.ndim != 1:
        raise ValueError(f"CSR: {name} is {array.shape}; it must be one row of whole numbers")
    return array.astype(np.int64)  # a copy, always


def _check_range(op, name, numbers, count):
    if numbers.size and not 0 <= numbers.min() <= numbers.max() < count:
        raise ValueError(f"{op}: {name} runs from {numbers.min()} to {numbers.max()}; it must be from 0 to {count - 1}")


def _fixed(array):
    array = np.ascontiguousarray(array, np.int64)
    array.flags.writeable = False
    return array


def sparse_matmul(csr: CSR, values: Tensor, x: Tensor) -> Tensor:
    """Multiply a sparse matrix with a dense one: each row of the result is a weighted sum of some rows of x.

    Forward   y[i] = Σ_e values[e]·x[column of e] over the entries e of row i, in their order
    Backward  ∂x[j] = Σ_e values[e]·∂y[row of e] over the entries e of column j    ∂values[e] = ∂y[row of e] · x[column of e]
    Shape     csr (M, N) with E entries; values (E,), x (N, F), y (M, F)
              Or with H matrices in one, such as the heads of an attention: values (E, H), x (N, H, F), y (M, H, F)
    Errors    TypeError for what is no CSR or no tensor of one type; ValueError for shapes that do not fit
    Source    Kipf and Welling 2017 for its use on graphs
    """
    check_csr("sparse_matmul", csr)
    check_tensors("sparse_matmul", x=x, values=values)
    heads = values.shape[1:]
    if values.ndim not in (1, 2) or values.shape[0] != csr.nnz or x.ndim != values.ndim + 1:
        raise ValueError(
            f"sparse_matmul: values are {values.shape}, x is {x.shape} and the matrix has {csr.nnz} entries; they must be "
            f"({csr.nnz},) and (N, F), or ({csr.nnz}, H) and (N, H, F)"
        )
    if x.shape[0] != csr.shape[1] or x.shape[1:-1] != heads:
        raise ValueError(
            f"sparse_matmul: x is {x.shape}, values are {values.shape} and the matrix is {csr.shape}; x must be "
            f"{(csr.shape[1], *heads, 'F')}"
        )
    weights, dense = as_rows(values.data), contiguous(x.data)
    y = np.empty((csr.shape[0], *x.shape[1:]), dense.dtype)
    work = csr.nnz * math.prod(x.shape[1:]) + y.size
    _combine[work](csr.crow_indices, csr.col_indices, csr.places, weights, as_rows(dense), as_rows(y))

    def backward(grad_y):
        grad_y, grad_x, grad_values = contiguous(grad_y), None, None
        if x.requires_grad:
            grad_x = np.empty(x.shape, dense.dtype)
            _combine[work](*csr.by_column, weights, as_rows(grad_y), as_rows(grad_x))
        if values.requires_grad:
            grad_values = np.empty(values.shape, dense.dtype)
            _dots[work](csr.crow_indices, csr.col_indices, as_rows(grad_y), as_rows(dense), as_rows(grad_values))
        return grad_values, grad_x

    return Tensor._from_op(y, (values, x), backward)


def check_csr(op, csr):
    """Check that what says where entries are is a CSR."""
    if not isinstance(csr, CSR):
        raise TypeError(f"{op}: csr is a {type(csr).__name__}; it must be a CSR, which says where its entries are")


def as_rows(array):
    """Return an array (E, …) as a contiguous matrix, a row for each e."""
    return contiguous(array).reshape(len(array), math.prod(array.shape[1:]))


@inlined
def _add_scaled(factor, x, at, y, to, n):
    """Add factor·x[at : at + n] to y[to : to + n]."""
    at, to = offset(at), offset(to)
    for i in range(offset(n)):
        y[to + i] += factor * x[at + i]


@kernel
def _combine(starts, neighbours, places, weights, x, y):
    """y[i] = Σ weights[places[e]]·x[neighbours[e]] for e from starts[i] on; long sums are sums of sums of TERMS each."""
    (rows, width), heads = y.shape, weights.shape[1]
    run, size = width // max(1, heads), chunk_rows(4 * y.shape[1])  # a node has some neighbours
    flat, out = x.reshape(-1), y.reshape(-1)
    for k in prange(n_chunks(rows, size)):
        part = np.empty(width, y.dtype)
        for i in range(np.int64(k) * size, min((np.int64(k) + 1) * size, rows)):
            clear(out, i * width, width)
            for first in range(starts[i], starts[i + 1], TERMS):
                clear(part, 0, width)
                for e in range(first, min(first + TERMS, starts[i + 1])):
                    for h in range(heads):
                        weight = weights[places[e], h]
                        _add_scaled(weight, flat, neighbours[e] * width + h * run, part, h * run, run)
                add(part, 0, out, i * width, width)


@inlined
def _dot(x, at, y, to, n):
    """Σ x[at + i]·y[to + i] as four sums, which need not wait for each other; long ones are sums of sums of TERMS each."""
    total, at, to = x.dtype.type(0), offset(at), offset(to)
    for first in range(0, n, 4 * TERMS):
        a = b = c = d = x.dtype.type(0)
        last = min(first + 4 * TERMS, n)
        fours = last - (last - first) % 4
        for k in range(first, fours, 4):
            i = offset(k)
            a += x[at + i] * y[to + i]
            b += x[at + i + offset(1)] * y[to + i + offset(1)]
            c += x[at + i + offset(2)] * y[to + i + offset(2)]
            d += x[at + i + offset(3)] * y[to + i + offset(3)]
        for k in range(fours, last):
            a += x[at + offset(k)] * y[to + offset(k)]
        total += (a + b) + (c + d)
    return total


@kernel
def _dots(starts, neighbours, grad_y, x, grad_values):
    """grad_values[e, h] = grad_y[i]·x[neighbours[e]], over the numbers of head h."""
    (rows, width), heads = grad_y.shape, grad_values.shape[1]
    run, size = width // max(1, heads), chunk_rows(4 * grad_y.shape[1])
    grads, flat = grad_y.reshape(-1), x.reshape(-1)
    for k in prange(n_chunks(rows, size)):
        for i in range(np.int64(k) * size, min((np.int64(k) + 1) * size, rows)):
            for e in range(starts[i], starts[i + 1]):
                for h in range(heads):
                    grad_values[e, h] = _dot(grads, i * width + h * run, flat, neighbours[e] * width + h * run, run)

"""The matrix product inside kernels: BLAS, in pieces of the size that it multiplies fastest.

BLAS copies ("packs") both matrices into an order of its own before it multiplies, which pays for large ones: each number
is used a thousand times. For the small ones here (a batch times a layer's weights) packing costs as much as half the
product. OpenBLAS, the BLAS that SciPy ships, knows that: on processors with AVX-512 it leaves products of up to 100³
multiplications unpacked. So a longer product is cut into pieces of that size, each added to the ones before it. Measured
on such a processor, one core: 60×784 times 784×100 takes 43 µs instead of 62; 2048×800 times 800×64, 228 GFLOP/s instead
of 117. With AVX2 instead the pieces made no difference (60×784×100: 110 µs in either way).
"""

import numpy as np
from numba import types

from minidl._jit import compiled_as, device, n_chunks

__all__ = ["add_product", "row_block"]

_UNPACKED = 1_000_000  # multiplications; from one more on OpenBLAS packs
_BY_ROWS, _BY_COLUMNS = np.int8(ord("N")), np.int8(ord("T"))  # BLAS: "normal" and "transposed"
_SHALLOW = 48  # a piece with shorter sums reads and writes its result too often: packing is better


def add_product(a, b, out, keep):
    """out = a·b + keep·out, with keep 0 or 1, for matrices (M, K), (K, N) and (M, N).

    a and b may be transposed or parts of others, as long as one of their axes is contiguous; out has whole rows.
    """
    out[...] = a @ b + out if keep else a @ b


@compiled_as(add_product)
def _(a, b, out, keep):
    kind = types.int8(ord("s") if out.dtype == types.float32 else ord("d"))
    numbers = np.array([0, 1], np.float32 if out.dtype == types.float32 else np.float64)

    def compiled(a, b, out, keep):
        (rows, depth), columns = a.shape, b.shape[1]
        piece = _UNPACKED // max(1, rows * columns)
        pieces = 1 if piece < _SHALLOW else max(1, n_chunks(depth, piece))
        piece = max(1, n_chunks(depth, pieces))  # all alike
        trans_a, line_a = _order(a)
        trans_b, line_b = _order(b)
        line = max(1, columns, out.strides[0] // out.itemsize)
        for k in range(0, max(1, depth), piece):  # also once for no depth at all: the product is then 0
            # BLAS counts columns first: it sees transposed matrices, and computes outᵀ = bᵀ·aᵀ
            _gemm(
                kind, trans_b, trans_a, columns, rows, min(piece, depth - k), numbers[1:].ctypes, b[k:].ctypes, line_b,
                a[:, k:].ctypes, line_a, numbers[1 if k else keep :].ctypes, out.ctypes, line,
            )  # fmt: skip

    return compiled


# The door through which Numba's np.dot reaches SciPy's BLAS; np.dot itself cannot add to what is there.
_gemm = types.ExternalFunction(
    "numba_xxgemm",
    types.intc(
        types.int8, types.int8, types.int8, types.intp, types.intp, types.intp, types.voidptr, types.voidptr, types.intp,
        types.voidptr, types.intp, types.voidptr, types.voidptr, types.intp,
    ),
)  # fmt: skip


@device
def _order(matrix):
    """Whether a matrix is stored by rows or by columns, and how far it is from one to the next."""
    if matrix.strides[1] == matrix.itemsize:
        return _BY_ROWS, max(1, matrix.shape[1], matrix.strides[0] // matrix.itemsize)
    return _BY_COLUMNS, max(1, matrix.shape[0], matrix.strides[1] // matrix.itemsize)


@device
def row_block(depth, columns):
    """How many rows of a product a thread does at a time: for small matrices, a piece that BLAS does not pack."""
    if columns * 32 * _SHALLOW > _UNPACKED:
        return 256
    return min(128, max(32, _UNPACKED // max(1, depth * columns)))

"""The matrix product inside kernels: tiles of the result, each added up in registers.

A number that is loaded should be multiplied more than once before the next one is. A tile of 12 × 32 results (with AVX-512;
6 × 16 with AVX2) fits into a core's registers; for each step k of the sums, 12 + 32 numbers are loaded and 384 products
added (`microkernel.py`). With few rows, b is read where it lies: it is met too few times to repay a copy. Otherwise, or if
b is transposed, the 32 columns that all rows meet next are first copied together ("packed"), and stay in the caches.

Measured on one core of a processor with AVX-512, sizes as rows × depth × columns: 60×64×256 171 GFLOP/s, 60×256×256 177,
60×784×128 186, 256×64×64 183; sums of some hundred terms in the nearest cache reach 200.

A sum of more than 512 terms is made of parts, all equal but for the last: Σ_k a_ik·b_kj over each part in its order, with
one rounding for each k, and then the parts one after another. So an element is the same bits however matrices are cut into
blocks of rows and columns, whatever is beside it, and on however many threads.
"""

import numpy as np

from minidl.kernels.jit import device, inlined, n_chunks
from minidl.kernels.microkernel import TILE_ROWS, tile
from minidl.kernels.runs import clear, copy, offset, shifted, transposed, view
from minidl.kernels.vectors import VECTOR_BYTES, sandwich, transpose

__all__ = ["PACK_FROM", "PANEL_BYTES", "multiply", "multiply_tiles", "pack", "part_depth"]

PANEL_BYTES = 2 * VECTOR_BYTES  # of a line of a tile of the result, and of the panel of b under it
_DEPTH = 512  # terms in a part of the sums, at most: 64 KiB of packed b, which the second-level cache keeps
PACK_FROM = 10 * TILE_ROWS  # rows: a copy takes as long as a tenth of the products with so many
_LINES = 4
_FEWER = TILE_ROWS * 2 // 3  # rows of a lower tile, which leaves less over: 64 = 4·12 + 2·8
_high, _low, _narrow = tile(TILE_ROWS, 2), tile(_FEWER, 2), tile(TILE_ROWS, 1)
_copy = sandwich(np.eye(_LINES), np.eye(2))  # 1·X·1: that many lines of two vectors, all loaded before one is stored


@device
def part_depth(depth):
    """Return how many terms are in a part of the sums, which depends on their number alone."""
    return max(1, n_chunks(depth, max(1, n_chunks(depth, _DEPTH))))


@inlined
def _copy_lines(x, y, rows, columns):
    """Copy so many rows and columns from a view to another one; the columns of both are neighbours."""
    for i in range(rows):
        copy(x.array, x.at + i * x.row, y.array, y.at + i * y.row, columns)


@device
def pack(b, depth, columns, packed):
    """Copy a panel of b, so that its lines lie one after another, each as wide as a tile and filled up with zeros."""
    width = PANEL_BYTES // packed.itemsize
    lanes = width // 2
    if b.column == 1 and columns == width and depth >= _LINES:
        vectors, packed_vectors = view(b.array, b.at, b.row, lanes), view(packed, 0, width, lanes)
        for start in range(0, depth, _LINES):
            k = min(start, depth - _LINES)
            _copy(shifted(vectors, k, 0), shifted(packed_vectors, k, 0), lanes)
        return
    panel = view(packed, 0, width, 1)
    if columns < width:
        clear(packed, 0, depth * width)
    if b.column == 1:
        _copy_lines(b, panel, depth, columns)
        return
    done = 0
    if b.row == 1 and depth >= lanes:
        while done + lanes <= columns:
            for start in range(0, depth, lanes):
                k = min(start, depth - lanes)
                transpose(transposed(shifted(b, k, done)), shifted(panel, k, done))
            done += lanes
    for j in range(done, columns):
        at, to, row = offset(b.at + j * b.column), offset(j), offset(b.row)
        for k in range(offset(depth)):
            packed[to + k * offset(width)] = b.array[at + k * row]


@inlined  # a call with three views takes some twentieth of what Winograd's short products do
def multiply_tiles(a, b, out, shape, keep, ahead):
    """Compute one column of tiles: out = a·b, or with keep out += a·b, for views of matrices (M, K), (K, N), (M, N).

    shape is (M, K, N), where N is PANEL_BYTES of numbers or half of it, and K at least 1. The column strides of b and out
    are 1. keep is 0 (then out is not read) or 1. Meanwhile the place `ahead` numbers after b's first one is fetched for the
    call that follows; 0 if none does.
    """
    rows, depth, columns = shape
    width = PANEL_BYTES // out.array.itemsize
    i, half = 0, depth * width // 2
    while i < rows:
        left = rows - i
        next_half = ahead + (half if i % (2 * TILE_ROWS) else 0)  # one half of what comes next, or the other
        a_rows, out_rows = shifted(a, i, 0), shifted(out, i, 0)
        if columns < width:
            _narrow(a_rows, b, out_rows, out_rows, min(TILE_ROWS, left) - 1, depth, keep, next_half)
            i += TILE_ROWS
        elif left <= _FEWER or TILE_ROWS < left <= 2 * _FEWER:  # two lower tiles compute fewer rows for nothing
            _low(a_rows, b, out_rows, out_rows, min(_FEWER, left) - 1, depth, keep, next_half)
            i += _FEWER
        else:
            _high(a_rows, b, out_rows, out_rows, min(TILE_ROWS, left) - 1, depth, keep, next_half)
            i += TILE_ROWS


@device
def _tiles_called(a, b, out, shape, keep):
    """Do as `multiply_tiles`, and be compiled once for all who call it."""
    multiply_tiles(a, b, out, shape, keep, 0)


@device
def _multiply_panel(a, b, out, shape, keep, packed):
    """Do as `multiply` for a panel of b: no more columns than a tile has, no more rows than a part of the sums has terms.

    packed  room for a panel of b
    """
    rows, depth, columns = shape
    width = PANEL_BYTES // out.array.itemsize
    wide = width // 2 if columns <= width // 2 else width
    if columns == wide and rows < PACK_FROM and b.column == 1:
        _tiles_called(a, b, out, shape, keep)
        return
    pack(b, depth, columns, packed)
    panel = view(packed, 0, width, 1)
    if columns == wide:
        _tiles_called(a, panel, out, shape, keep)
        return
    edge = view(np.empty(TILE_ROWS * width, out.array.dtype), 0, width, 1)
    for i in range(0, rows, TILE_ROWS):  # what sticks out over the edge is computed beside it
        high, corner = min(TILE_ROWS, rows - i), shifted(out, i, 0)
        if keep:
            _copy_lines(corner, edge, high, columns)
        _tiles_called(shifted(a, i, 0), panel, edge, (high, depth, wide), keep)
        _copy_lines(edge, corner, high, columns)


@device
def multiply(a, b, out, shape, keep):
    """Compute out = a·b with keep 0, out += a·b with keep 1, for views of matrices (M, K), (K, N), (M, N).

    shape is (M, K, N), and out's column stride is 1. Either factor may be transposed, or a part of another matrix.
    """
    rows, depth, columns = shape
    if depth == 0 and not keep:
        for i in range(rows):
            clear(out.array, out.at + i * out.row, columns)
    width, part = PANEL_BYTES // out.array.itemsize, part_depth(depth)
    packed = np.empty(part * width, out.array.dtype)
    all_narrow = columns < width  # two panels of half the width may overlap, where a whole one would stick out
    for start in range(0, columns, width // 2 if all_narrow else width):
        wide = width // 2 if all_narrow or columns - start <= width // 2 else width
        j = start
        if j + wide > columns >= wide and not keep:
            j = columns - wide  # some of the columns before once more: the same numbers to the same place
        for k in range(0, depth, part):
            panel = rows, min(part, depth - k), min(wide, columns - j)
            _multiply_panel(shifted(a, 0, k), shifted(b, k, j), shifted(out, 0, j), panel, 1 if k else keep, packed)

"""The matrix product inside kernels: tiles of the result, each added up in registers.

A number that is loaded should be multiplied more than once before the next one is. A tile of 12 × 32 results (with AVX-512;
6 × 16 with AVX2) fits into a core's registers; for each step k of the sums, 12 + 32 numbers are loaded and 384 products
added (`_vector.tile`). That is all there is to it while the matrices are small enough for the caches. For larger ones, the
part of b that all rows meet next, 32 columns wide, is first copied together ("packed"), so that it stays in the first-level
cache.

Measured on one core of a processor with AVX-512 that can do 200 GFLOP/s, against OpenBLAS (which SciPy ships, and minidl
called before): 60×64×256 171 against 129 GFLOP/s, 60×256×256 177 / 133, 60×784×128 186 / 133, 256×64×64 183 / 138.

Every element of the result is the same sum in the same order, Σ_k a_ik·b_kj with one rounding for each k, however matrices
are cut into blocks and blocks spread over threads: so results are the same bits whatever the cut.
"""

import numpy as np
from numpy.lib.stride_tricks import as_strided

from minidl._jit import compiled_as, device
from minidl._vector import TILE_ROWS, VECTOR_BYTES, sandwich, tile

__all__ = ["TILE_BYTES", "add_product", "add_tiles"]

TILE_BYTES = 2 * VECTOR_BYTES  # of a tile's line
_DEPTH = 256  # steps of the sums for one packed part of b: 32 KiB of float32
_PACK_FROM = 10 * TILE_ROWS  # rows that make copying pay
_LINES = 4
_FEWER = TILE_ROWS * 2 // 3  # rows of a lower tile, which leaves less over: 64 = 4·12 + 2·8
_high, _low, _narrow = tile(TILE_ROWS, 2), tile(_FEWER, 2), tile(TILE_ROWS, 1)
_copy = sandwich(np.eye(_LINES), np.eye(2))  # that many lines of two vectors


def add_tiles(a, at, row, step, rows, b, from_, line, out, to, out_line, depth, keep, next_):
    """One column of tiles: out = a·b + keep·out, for matrices (rows, depth), (depth, width) and (rows, width).

    They lie in larger arrays: a's element (i, k) at a[at + i·row + k·step], counted in memory, b's row k from
    b[from_ + k·line] on, out's row i from out[to + i·out_line] on. width is TILE_BYTES of numbers, depth at least 1.
    """
    width = TILE_BYTES // out.itemsize

    def part(array, at, shape, strides):
        return as_strided(array.reshape(-1)[at:], shape, [step * array.itemsize for step in strides])

    a, b = part(a, at, (rows, depth), (row, step)), part(b, from_, (depth, width), (line, 1))
    out = part(out, to, (rows, width), (out_line, 1))
    out[...] = a @ b + out if keep else a @ b


@compiled_as(add_tiles)
def _(a, at, row, step, rows, b, from_, line, out, to, out_line, depth, keep, next_):
    def compiled(a, at, row, step, rows, b, from_, line, out, to, out_line, depth, keep, next_):
        i, half = 0, depth * TILE_BYTES // 2 // out.itemsize
        while i < rows:
            left, to_out = rows - i, to + i * out_line
            ahead = next_ + (half if i % (2 * TILE_ROWS) else 0)  # the one half of what comes next, or the other
            if left <= _FEWER or TILE_ROWS < left <= 2 * _FEWER:
                last = min(_FEWER, left) - 1
                _low(a, at + i * row, row, step, last, b, from_, line, out, to_out, out_line, depth, keep, ahead)
                i += _FEWER
            else:
                last = min(TILE_ROWS, left) - 1
                _high(a, at + i * row, row, step, last, b, from_, line, out, to_out, out_line, depth, keep, ahead)
                i += TILE_ROWS

    return compiled


def add_product(a, b, out, keep):
    """out = a·b + keep·out, with keep 0 or 1, for matrices (M, K), (K, N) and (M, N).

    a and b may be transposed or parts of others; the rows of out are contiguous.
    """
    out[...] = a @ b + out if keep else a @ b


@compiled_as(add_product)
def _(a, b, out, keep):
    def compiled(a, b, out, keep):
        (rows, columns), depth = out.shape, b.shape[0]
        if depth == 0 and not keep:
            out[:] = 0
        width, row, step = TILE_BYTES // out.itemsize, a.strides[0] // a.itemsize, a.strides[1] // a.itemsize
        line, out_line = b.strides[0] // b.itemsize, out.strides[0] // out.itemsize
        in_place = rows < _PACK_FROM and b.strides[1] == b.itemsize
        part, edge = np.empty((min(depth, _DEPTH), width), out.dtype), np.empty((TILE_ROWS, width), out.dtype)
        for j in range(0, columns, width):
            if j + width > columns >= width and not keep:
                j = columns - width  # some of the columns before once more: the same numbers to the same place
            for k in range(0, depth, _DEPTH):
                here, add = min(_DEPTH, depth - k), 1 if k else keep
                if in_place and j + width <= columns:
                    at = k * line + j
                    add_tiles(a, k * step, row, step, rows, b, at, line, out, j, out_line, here, add, at)
                    continue
                _pack(b[k : k + here, j : j + width], part)
                if j + width <= columns:
                    add_tiles(a, k * step, row, step, rows, part, 0, width, out, j, out_line, here, add, 0)
                else:
                    _at_the_edge(a[:, k : k + here], part, out[:, j:], add, edge)

    return compiled


@device
def _pack(b, part):
    """Copy some columns of b to the first ones of `part`, and fill up with zeros."""
    depth, columns = b.shape
    if b.strides[1] == b.itemsize and columns == part.shape[1] and depth >= _LINES:
        line, vector = b.strides[0] // b.itemsize, columns // 2
        for start in range(0, depth, _LINES):
            k = min(start, depth - _LINES)
            _copy(b, k * line, line, vector, part, k * columns, columns, vector, vector)
        return
    for c in range(columns):
        for k in range(depth):
            part[k, c] = b[k, c]
    part[:, columns:] = 0


@device
def _at_the_edge(a, b, out, keep, edge):
    """`add_tiles` where out is narrower than a tile: computed beside it, and copied."""
    row, step, (rows, columns), width = a.strides[0] // a.itemsize, a.strides[1] // a.itemsize, out.shape, b.shape[1]
    for i in range(0, rows, TILE_ROWS):
        last = min(TILE_ROWS, rows - i) - 1
        if keep:
            edge[: last + 1, :columns] = out[i : i + last + 1]
        if columns > width // 2:
            _high(a, i * row, row, step, last, b, 0, width, edge, 0, width, a.shape[1], keep, 0)
        else:
            _narrow(a, i * row, row, step, last, b, 0, width, edge, 0, width, a.shape[1], keep, 0)
        out[i : i + last + 1] = edge[: last + 1, :columns]

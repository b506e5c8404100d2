"""The matrix product inside kernels: tiles of the result, each added up in registers.

A number that is loaded should be multiplied more than once before the next one is. A tile of 12 × 32 results (with AVX-512;
6 × 16 with AVX2) fits into a core's registers; for each step k of the sums, 12 + 32 numbers are loaded and 384 products
added (`vectors.tile`). With few rows, b is read where it lies: it is met too few times to repay a copy. Otherwise, or if b
is transposed, the 32 columns that all rows meet next are first copied together ("packed"), and stay in the caches.

Measured on one core of a processor with AVX-512, sizes as rows × depth × columns: 60×64×256 171 GFLOP/s, 60×256×256 177,
60×784×128 186, 256×64×64 183; sums of some hundred terms in the nearest cache reach 200.

A sum of more than 512 terms is made of parts, all equal but for the last: Σ_k a_ik·b_kj over each part in its order, with
one rounding for each k, and then the parts one after another. So an element is the same bits however matrices are cut into
blocks of rows and columns, whatever stands beside it, and on however many threads.
"""

import numpy as np
from numpy.lib.stride_tricks import as_strided

from minidl.kernels import runs, vectors
from minidl.kernels.jit import compiled_as, device, kernel, n_chunks, prange
from minidl.kernels.runs import add, copy, offset
from minidl.kernels.vectors import TILE_ROWS, VECTOR_BYTES, sandwich, tile, transpose

__all__ = ["TILE_BYTES", "flat", "matmul", "multiply", "multiply_tiles", "product"]

TILE_BYTES = 2 * VECTOR_BYTES  # of a tile's line
_DEPTH = 512  # terms in a part of the sums, at most: 64 KiB of packed b, which the second-level cache keeps
_PACK_FROM = 10 * TILE_ROWS  # rows: a copy takes as long as a tenth of the products with so many
_LINES = 4
_WORK = 2**19  # multiplications aimed at for a block: some microseconds, against one or two for starting another
_LARGE = 2**17  # numbers in b from which blocks are columns too; a smaller one stays in the second-level cache whole
_BLOCKS = 16  # aimed at: enough for some threads to share evenly; more would pack the same parts of b again
_FEWER = TILE_ROWS * 2 // 3  # rows of a lower tile, which leaves less over: 64 = 4·12 + 2·8
_high, _low, _narrow = tile(TILE_ROWS, 2), tile(_FEWER, 2), tile(TILE_ROWS, 1)
_copy = sandwich(np.eye(_LINES), np.eye(2))  # that many lines of two vectors


def _matrix(array, at, shape, strides):
    """A matrix that lies in a flat array: element (i, j) is array[at + i·strides[0] + j·strides[1]]."""
    return as_strided(array[at:], shape, [step * array.itemsize for step in strides])


def multiply_tiles(a, at, row, step, rows, b, from_, line, out, to, out_line, depth, keep, next_, narrow=False):
    """One column of tiles: out = a·b, or with keep out += a·b, for matrices (rows, depth), (depth, width) and (rows, width).

    They lie in flat arrays: a's element (i, k) at a[at + i·row + k·step], b's row k from b[from_ + k·line] on, out's row i
    from out[to + i·out_line] on. width is TILE_BYTES of numbers (narrow: half of it), depth at least 1, keep 0 (out is not
    read) or 1. Meanwhile what stands at b[next_] is fetched for the call that follows; if none does, any place will do.
    """
    width = TILE_BYTES // out.itemsize // (2 if narrow else 1)
    a, b = _matrix(a, at, (rows, depth), (row, step)), _matrix(b, from_, (depth, width), (line, 1))
    out = _matrix(out, to, (rows, width), (out_line, 1))
    out[...] = a @ b + out if keep else a @ b


@compiled_as(multiply_tiles, vectors.__file__)
def _(a, at, row, step, rows, b, from_, line, out, to, out_line, depth, keep, next_, narrow=False):
    def compiled(a, at, row, step, rows, b, from_, line, out, to, out_line, depth, keep, next_, narrow=False):
        i, half = 0, depth * TILE_BYTES // 2 // out.itemsize
        while i < rows:
            left, to_out = rows - i, to + i * out_line
            ahead = next_ + (half if i % (2 * TILE_ROWS) else 0)  # the one half of what comes next, or the other
            if narrow:
                last = min(TILE_ROWS, left) - 1
                _narrow(a, at + i * row, row, step, last, b, from_, line, out, to_out, out_line, depth, keep, ahead)
                i += TILE_ROWS
            elif left <= _FEWER or TILE_ROWS < left <= 2 * _FEWER:  # two lower tiles compute fewer rows for nothing
                last = min(_FEWER, left) - 1
                _low(a, at + i * row, row, step, last, b, from_, line, out, to_out, out_line, depth, keep, ahead)
                i += _FEWER
            else:
                last = min(TILE_ROWS, left) - 1
                _high(a, at + i * row, row, step, last, b, from_, line, out, to_out, out_line, depth, keep, ahead)
                i += TILE_ROWS

    return compiled


@device
def part_depth(depth):
    """Terms in a part of the sums, which depends on their number alone."""
    return max(1, n_chunks(depth, max(1, n_chunks(depth, _DEPTH))))


def multiply(a, at, row, step, b, from_, line, column, out, to, out_line, shape, keep):
    """out = a·b with keep 0, out += a·b with keep 1, for matrices (M, K), (K, N), (M, N); shape is (M, K, N).

    They lie in flat arrays, as for `multiply_tiles`; b's element (k, j) is b[from_ + k·line + j·column], so that either may
    be transposed or a part of another. All are flat so that Numba compiles this once for all of them: it takes seconds.
    """
    rows, depth, columns = shape
    a, b = _matrix(a, at, (rows, depth), (row, step)), _matrix(b, from_, (depth, columns), (line, column))
    out = _matrix(out, to, (rows, columns), (out_line, 1))
    out[...] = a @ b + out if keep else a @ b


@compiled_as(multiply, runs.__file__, vectors.__file__)
def _(a, at, row, step, b, from_, line, column, out, to, out_line, shape, keep):
    def compiled(a, at, row, step, b, from_, line, column, out, to, out_line, shape, keep):
        rows, depth, columns = shape
        if depth == 0 and not keep:
            for i in range(rows):
                out[to + i * out_line : to + i * out_line + columns] = 0
        width = TILE_BYTES // out.itemsize
        in_place = rows < _PACK_FROM and column == 1
        deep = part_depth(depth)
        part, edge = np.empty(deep * width, out.dtype), np.empty(TILE_ROWS * width, out.dtype)
        all_narrow = columns < width  # two tiles of half the width may overlap, where a whole one would stick out
        for j in range(0, columns, width // 2 if all_narrow else width):
            narrow = all_narrow or columns - j <= width // 2
            wide = width // 2 if narrow else width
            if j + wide > columns >= wide and not keep:
                j = columns - wide  # some of the columns before once more: the same numbers to the same place
            whole = j + wide <= columns
            for k in range(0, depth, deep):
                here, add, source, start, source_line = min(deep, depth - k), 1 if k else keep, part, 0, width
                if in_place and whole:
                    source, start, source_line = b, from_ + k * line + j, line
                else:
                    _pack(b, from_ + k * line + j * column, line, column, here, min(wide, columns - j), part)
                first, place = at + k * step, to + j
                if whole:
                    multiply_tiles(
                        a, first, row, step, rows, source, start, source_line, out, place, out_line, here, add,
                        start, narrow,
                    )  # fmt: skip
                    continue
                for i in range(0, rows, TILE_ROWS):  # what sticks out over the edge is computed beside it
                    high, corner = min(TILE_ROWS, rows - i), place + i * out_line
                    if add:
                        _copy_lines(out, corner, out_line, edge, 0, width, high, columns - j)
                    multiply_tiles(
                        a, first + i * row, row, step, high, part, 0, width, edge, 0, width, here, add, 0, narrow
                    )  # fmt: skip
                    _copy_lines(edge, 0, width, out, corner, out_line, high, columns - j)

    return compiled


@device
def _copy_lines(x, at, line, y, to, y_line, lines, n):
    for i in range(lines):
        copy(x, at + i * line, y, to + i * y_line, n)


@device
def _pack(b, from_, line, column, depth, columns, part):
    """Copy some columns of b to the first ones of `part`, and fill up with zeros."""
    width = TILE_BYTES // part.itemsize
    if column == 1 and columns == width and depth >= _LINES:
        for start in range(0, depth, _LINES):
            k = min(start, depth - _LINES)
            _copy(b, from_ + k * line, line, width // 2, part, k * width, width, width // 2, width // 2)
        return
    if columns < width:
        part[: depth * width] = 0
    if column == 1:
        _copy_lines(b, from_, line, part, 0, width, depth, columns)
        return
    square, done = width // 2, 0
    if line == 1 and depth >= square:
        while done + square <= columns:
            for start in range(0, depth, square):
                k = min(start, depth - square)
                transpose(b, from_ + k + done * column, column, part, k * width + done, width)
            done += square
    for c in range(done, columns):
        at, to = offset(from_ + c * column), offset(c)
        for _ in range(depth):
            part[to] = b[at]
            at, to = at + offset(line), to + offset(width)


# ---- the whole product: blocks of the result, or parts of its sums, are tasks for threads ---------------------------------


@device
def _block(rows, columns, depth, parts, width):
    """How many rows and columns a task takes; the last one across takes the rest, too."""
    blocks = min(_BLOCKS, rows * columns * depth // _WORK) // parts
    if columns * depth > _LARGE and parts == 1:
        wide, down = width, n_chunks(blocks, max(1, columns // width))
    else:
        wide, down = columns, min(blocks, rows // (2 * TILE_ROWS))
    high = n_chunks(rows, max(1, down))
    return max(1, n_chunks(high, 4) * 4), max(1, wide)  # tiles are 8 or 12 rows high, or 4 or 6


@kernel(cost=8)  # an element of a takes part in as many products as b has columns
def product(a, b, by_columns, out):
    """out = a @ b; a and b as `flat` makes them: by_columns is 1 if a is stored by columns, + 2 if b is.

    The arguments are few, as each costs small products time.

    Where b is much larger than the result, each part of the sums is a task, or some. A thread then needs some of b's rows
    only, and in training they are rows of a weight matrix that the same core has moved in the step before, so they lie in
    its cache: 60×784×100 in a step of the MLP, 58 → 41 µs.
    """
    (rows, columns), flat = out.shape, out.reshape(-1)
    depth = b.size // max(1, columns)
    row, step = (1, rows) if by_columns & 1 else (depth, 1)
    line, column = (1, depth) if by_columns & 2 else (columns, 1)
    deep = part_depth(depth)
    parts = max(1, n_chunks(depth, deep)) if rows <= deep else 1
    if parts == 1:
        deep = depth
    high, wide = _block(rows, columns, depth, parts, TILE_BYTES // out.itemsize)
    down, across = n_chunks(rows, high), max(1, columns // wide)
    sums = flat if parts == 1 else np.empty(parts * flat.size, flat.dtype)
    for task in prange(parts * down * across):
        part, block = divmod(np.int64(task), down * across)
        i, j = divmod(block, across)
        k, first_row, first = part * deep, i * high, j * wide
        shape = min(high, rows - first_row), min(deep, depth - k), columns - first if j == across - 1 else wide
        multiply(
            a, first_row * row + k * step, row, step, b, k * line + first * column, line, column,
            sums, part * flat.size + first_row * columns + first, columns, shape, 0,
        )  # fmt: skip
    if parts > 1:
        copy(sums, 0, flat, 0, flat.size)
        for part in range(1, parts):
            add(sums, part * flat.size, flat, 0, flat.size)


def matmul(a, b):
    """a @ b for matrices (M, K) and (K, N), each of which may be a transposed one."""
    out = np.empty((a.shape[0], b.shape[1]), a.dtype)
    product[a.size](*flat(a, b), out)
    return out


def flat(a, b):
    """Two matrices as `product` takes them: the numbers of each in one row, and by what they are stored."""
    (a, a_by_columns), (b, b_by_columns) = _in_a_row(a), _in_a_row(b)
    return a, b, a_by_columns + 2 * b_by_columns


def _in_a_row(matrix):
    flags = matrix.flags
    if not flags.c_contiguous and flags.f_contiguous:
        return matrix.T.ravel(), 1
    return matrix.ravel(), 0  # a copy, if no axis is contiguous

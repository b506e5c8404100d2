"""The product of two matrices: which blocks of it are tasks for threads, and where both factors are packed.

`product` takes what a small network needs; b's panels are packed where they are met by enough rows (see product.py).

`large_product` packs a, too. Read where it lies, each panel of b walks over all of a, whose lines fight for the same places
in the nearest cache if their distance is a power of two. So b is packed whole, by all threads; and then rows of a are,
block by block, each of which stays in the second-level cache while all panels of b pass. A panel is met piece by piece: the
nearest cache keeps one while all rows of a block pass. A sum goes on from one piece to the next, so its bits do not depend
on them. Measured with AVX2 on one core (and on two), in turns with `product`, of its speed: 512³ 1.00 (0.95), 1024³ 1.09
(1.09), 2048³ 1.21 (1.22).
"""

import numpy as np

from minidl.kernels.jit import contiguous, device, kernel, n_chunks, prange
from minidl.kernels.microkernel import TILE_ROWS, tile
from minidl.kernels.product import PACK_FROM, PANEL_BYTES, multiply, pack, part_depth
from minidl.kernels.runs import add, copy, offset, shifted, transposed, view
from minidl.kernels.vectors import VECTOR_BYTES, sandwich, transpose

__all__ = ["as_stored", "large_product", "matmul", "product", "product_for"]

_WORK = 2**19  # multiplications aimed at for a task: some microseconds, against one or two for starting another
_TASKS = 16  # aimed at: enough for some threads to share evenly
_CACHED = 2**16  # numbers of a that a second-level cache keeps while panels of b pass
_ROWS_PACKED = 2**16  # numbers of a packed at a time; with what fills their tiles up, a third of a MiB
_SHARES = 8  # the number of blocks of rows is a multiple of it, as that of threads often is
_PIECE = 16384 // PANEL_BYTES  # terms: half of a nearest cache of 32 KiB for a piece of a panel of b
_B_PACKED = 2**21  # numbers of b packed at a time: they should stay in the last cache
_LARGE = 2**23  # multiplications that repay packing both, where no side is shorter than this
_LONG, _LONG_BY_COLUMNS = 768, 128  # (a's lines are far apart, and a is read along them, if it is stored by columns)
_LINES = 4
_tile_on = tile(TILE_ROWS, 2, goes_on=True)
_copy = sandwich(np.eye(_LINES), np.eye(1))


@device
def _task(rows, columns, depth, parts, width):
    """Return how many rows and columns a task takes; the last one across takes the rest, too.

    Tasks that take different columns pack nothing twice; but each walks over all of its rows.
    """
    tasks = max(1, min(_TASKS, rows * columns * depth // _WORK) // parts)
    across = max(1, columns // width)
    if rows * depth > _CACHED * parts:
        down = max(1, min(tasks, rows // (2 * PACK_FROM)))
        across = min(across, n_chunks(tasks, down))
    else:
        across = min(across, tasks)
        down = max(1, min(n_chunks(tasks, across), rows // PACK_FROM))
    return max(1, n_chunks(n_chunks(rows, down), 4) * 4), max(1, columns // width // across * width or columns)


@device
def _views(a, b, by_columns, shape):
    rows, depth, columns = shape
    a_row, a_column = (1, rows) if by_columns & 1 else (depth, 1)
    b_row, b_column = (1, depth) if by_columns & 2 else (columns, 1)
    return view(a, 0, a_row, a_column), view(b, 0, b_row, b_column)


@kernel(cost=8)  # the work is a's size: from about ten columns in b, as in a network's last layer, threads pay
def product(a, b, by_columns, out):
    """Compute out = a @ b; a and b as `as_stored` gives them: by_columns is 1 if a is stored by columns, + 2 if b is.

    The arguments are few, as each costs small products time.

    Where b is much larger than the result, each part of the sums is a task, or some. A thread then needs some of b's rows
    only, and in training they are rows of a weight matrix that the same core has moved in the step before, so they lie in
    its cache: 60×784×100 in a step of the MLP, 58 → 41 µs.
    """
    (rows, columns), flat = out.shape, out.reshape(-1)
    depth = b.size // max(1, columns)
    part_size = part_depth(depth)
    parts = max(1, n_chunks(depth, part_size)) if rows <= part_size else 1
    if parts == 1:
        part_size = depth
    high, wide = _task(rows, columns, depth, parts, PANEL_BYTES // out.itemsize)
    down, across = n_chunks(rows, high), max(1, columns // wide)
    sums = flat if parts == 1 else np.empty(parts * flat.size, flat.dtype)
    for task in prange(parts * down * across):
        part, block = divmod(np.int64(task), down * across)
        down_block, across_block = divmod(block, across)
        i, j, k = down_block * high, across_block * wide, part * part_size
        n = columns - j if across_block == across - 1 else wide
        whole_a, whole_b = _views(a, b, by_columns, (rows, depth, columns))
        result = view(sums, part * flat.size, columns, 1)
        shape = min(high, rows - i), min(part_size, depth - k), n
        multiply(shifted(whole_a, i, k), shifted(whole_b, k, j), shifted(result, i, j), shape, 0)
    if parts > 1:
        copy(sums, 0, flat, 0, flat.size)
        for part in range(1, parts):
            add(sums, part * flat.size, flat, 0, flat.size)


# ---- a large product: both factors packed ---------------------------------------------------------------------------------


@device
def _packed_rows(packed):
    """Return how many numbers of packed rows of a belong to one k: a tile's, and what fills the last vector."""
    lanes = VECTOR_BYTES // packed.itemsize
    return n_chunks(TILE_ROWS, lanes) * lanes


@device
def _pack_rows(a, rows, depth, packed):
    """Copy rows of a so that what the tiles read lies in a row: tile by tile, and each tile by columns."""
    lanes, step = VECTOR_BYTES // packed.itemsize, _packed_rows(packed)
    for i in range(0, rows, TILE_ROWS):
        corner, to = shifted(a, i, 0), view(packed, i // TILE_ROWS * step * depth, 1, step)
        full = i + step <= rows  # past the tile's rows, some of the next are copied in vain
        if full and a.column == 1 and depth >= lanes:
            for start in range(0, depth, lanes):
                k = min(start, depth - lanes)
                for line in range(0, step, lanes):
                    transpose(shifted(corner, line, k), transposed(shifted(to, line, k)))
        elif full and a.row == 1 and depth >= _LINES:
            for start in range(0, depth, _LINES):
                k = min(start, depth - _LINES)
                for line in range(0, step, lanes):
                    _copy(transposed(shifted(corner, line, k)), transposed(shifted(to, line, k)), lanes)
        else:
            for line in range(min(TILE_ROWS, rows - i)):
                at, column = offset(corner.at + line * corner.row), offset(corner.column)
                for k in range(offset(depth)):
                    packed[offset(to.at + line) + k * offset(step)] = a.array[at + k * column]


@device
def _multiply_packed(tiles, panel, out, shape, part, beside):
    """Compute out = a·b for packed rows of a and a packed panel of b, or add it to what is there from the first part on.

    Some hundred terms at a time, so that the nearest cache keeps this piece of the panel while all rows pass.

    beside  room for the results, where they cannot be added up in `out`
    """
    rows, depth, columns = shape
    width, step = PANEL_BYTES // panel.itemsize, _packed_rows(tiles)
    whole, room, added = columns == width, view(beside, 0, width, 1), min(1, part)
    piece = n_chunks(depth, n_chunks(depth, _PIECE))
    for first in range(0, depth, piece):
        terms, b = min(piece, depth - first), view(panel, first * width, width, 1)
        last = first + terms == depth
        results = out if whole and last else room
        keep = min(2, 2 * first) + (added if whole and last else 0)
        for i in range(0, rows, TILE_ROWS):
            a = view(tiles, i // TILE_ROWS * step * depth + first * step, 1, step)
            ahead = (piece + (i // TILE_ROWS % 2) * (piece // 2)) * width
            _tile_on(
                a, b, shifted(room, i, 0), shifted(results, i, 0), min(TILE_ROWS, rows - i) - 1, terms, keep, ahead
            )
    if not whole:
        for i in range(rows):
            if part:
                add(beside, i * width, out.array, out.at + i * out.row, columns)
            else:
                copy(beside, i * width, out.array, out.at + i * out.row, columns)


@kernel(cost=8)
def large_product(a, b, by_columns, out):
    """Compute out = a @ b like `product`, for large matrices."""
    (rows, columns), flat = out.shape, out.reshape(-1)
    depth, width = b.size // max(1, columns), PANEL_BYTES // out.itemsize
    part = part_depth(depth)
    parts = n_chunks(depth, part)
    blocks = n_chunks(n_chunks(rows * part, _ROWS_PACKED), _SHARES) * _SHARES
    high = n_chunks(n_chunks(rows, blocks), TILE_ROWS) * TILE_ROWS
    strip = max(1, min(n_chunks(columns, width), _B_PACKED // (parts * part * width)))
    packed = np.empty((parts * strip, part * width), out.dtype)
    for first in range(0, columns, strip * width):
        across = min(strip, n_chunks(columns - first, width))
        for panel in prange(parts * across):
            p, j = divmod(np.int64(panel), across)
            at, k = first + j * width, p * part
            _, whole_b = _views(a, b, by_columns, (rows, depth, columns))
            pack(shifted(whole_b, k, at), min(part, depth - k), min(width, columns - at), packed[panel])
        for block in prange(n_chunks(rows, high)):
            i = np.int64(block) * high
            whole_a, _ = _views(a, b, by_columns, (rows, depth, columns))
            result = view(flat, i * columns, columns, 1)
            tiles = np.empty(high // TILE_ROWS * _packed_rows(out) * part, out.dtype)
            beside = np.empty(high * width, out.dtype)
            for p in range(parts):
                here, terms = min(high, rows - i), min(part, depth - p * part)
                _pack_rows(shifted(whole_a, i, p * part), here, terms, tiles)
                for j in range(across):
                    at = first + j * width
                    shape = here, terms, min(width, columns - at)
                    _multiply_packed(tiles, packed[p * across + j], shifted(result, 0, at), shape, p, beside)


# ---- for arrays --------------------------------------------------------------------------------------------------------


def matmul(a, b):
    """Return a @ b for matrices (M, K) and (K, N), each of which may be a transposed one."""
    out = np.empty((a.shape[0], b.shape[1]), a.dtype)
    product_for(a, b)[a.size](*as_stored(a, b), out)
    return out


def product_for(a, b):
    """Return the kernel that suits the sizes of two matrices."""
    if a.size * b.shape[1] < _LARGE:
        return product
    shortest = _LONG if a.flags.c_contiguous else _LONG_BY_COLUMNS
    return product if min(*a.shape, b.shape[1]) < shortest else large_product


def as_stored(a, b):
    """Return two matrices as `product` takes them: the numbers of each in one row, and how they are stored."""
    (a, a_by_columns), (b, b_by_columns) = _in_a_row(a), _in_a_row(b)
    return a, b, a_by_columns + 2 * b_by_columns


def _in_a_row(matrix):
    """Return a matrix's numbers in one row, and 1 if they are stored by columns, 0 if by rows."""
    flags = matrix.flags
    if flags.c_contiguous:
        return matrix.ravel(), 0
    return (matrix.T.ravel(), 1) if flags.f_contiguous else (contiguous(matrix).ravel(), 0)

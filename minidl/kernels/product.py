"""The matrix product inside kernels: tiles of the result, each added up in registers.

A number that is loaded should be multiplied more than once before the next one is. A tile of 12 × 32 results (with AVX-512;
6 × 16 with AVX2) fits into a core's registers; for each step k of the sums, 12 + 32 numbers are loaded and 384 products
added (`vectors.tile`). With few rows, b is read where it lies: it is met too few times to repay a copy. Otherwise, or if b
is transposed, the 32 columns that all rows meet next are first copied together ("packed"), and stay in the caches.

Measured on one core of a processor with AVX-512, sizes as rows × depth × columns: 60×64×256 171 GFLOP/s, 60×256×256 177,
60×784×128 186, 256×64×64 183; sums of some hundred terms in the nearest cache reach 200.

A sum of more than 512 terms is made of parts, all equal but for the last: Σ_k a_ik·b_kj over each part in its order, with
one rounding for each k, and then the parts one after another. So an element is the same bits however matrices are cut into
blocks of rows and columns, whatever is beside it, and on however many threads.
"""

import numpy as np

from minidl.kernels.jit import contiguous, device, inlined, kernel, n_chunks, prange
from minidl.kernels.runs import add, clear, copy, offset, shifted, transposed, view
from minidl.kernels.vectors import TILE_ROWS, VECTOR_BYTES, sandwich, tile, transpose

__all__ = ["PANEL_BYTES", "as_stored", "matmul", "multiply", "multiply_tiles", "product"]

PANEL_BYTES = 2 * VECTOR_BYTES  # of a line of a tile of the result, and of the panel of b under it
_DEPTH = 512  # terms in a part of the sums, at most: 64 KiB of packed b, which the second-level cache keeps
_PACK_FROM = 10 * TILE_ROWS  # rows: a copy takes as long as a tenth of the products with so many
_LINES = 4
_WORK = 2**19  # multiplications aimed at for a block: some microseconds, against one or two for starting another
_LARGE = 2**17  # numbers in b from which blocks are columns too; a smaller one stays in the second-level cache whole
_BLOCKS = 16  # aimed at: enough for some threads to share evenly; more would pack the same parts of b again
_FEWER = TILE_ROWS * 2 // 3  # rows of a lower tile, which leaves less over: 64 = 4·12 + 2·8
_high, _low, _narrow = tile(TILE_ROWS, 2), tile(_FEWER, 2), tile(TILE_ROWS, 1)
_copy = sandwich(np.eye(_LINES), np.eye(2))  # 1·X·1: that many lines of two vectors, all loaded before one is stored


@device
def part_depth(depth):
    """Return how many terms are in a part of the sums, which depends on their number alone."""
    return max(1, n_chunks(depth, max(1, n_chunks(depth, _DEPTH))))


@inlined
def _copy_lines(x, y, rows, columns):
    for i in range(rows):
        copy(x.array, x.at + i * x.row, y.array, y.at + i * y.row, columns)


@device
def _pack(b, depth, columns, packed):
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


@device
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
            _narrow(a_rows, b, out_rows, min(TILE_ROWS, left) - 1, depth, keep, next_half)
            i += TILE_ROWS
        elif left <= _FEWER or TILE_ROWS < left <= 2 * _FEWER:  # two lower tiles compute fewer rows for nothing
            _low(a_rows, b, out_rows, min(_FEWER, left) - 1, depth, keep, next_half)
            i += _FEWER
        else:
            _high(a_rows, b, out_rows, min(TILE_ROWS, left) - 1, depth, keep, next_half)
            i += TILE_ROWS


@device
def _multiply_panel(a, b, out, shape, keep, packed):
    """Do as `multiply` for a panel of b: no more columns than a tile has, no more rows than a part of the sums has terms.

    packed  room for a panel of b
    """
    rows, depth, columns = shape
    width = PANEL_BYTES // out.array.itemsize
    wide = width // 2 if columns <= width // 2 else width
    if columns == wide and rows < _PACK_FROM and b.column == 1:
        multiply_tiles(a, b, out, shape, keep, 0)
        return
    _pack(b, depth, columns, packed)
    panel = view(packed, 0, width, 1)
    if columns == wide:
        multiply_tiles(a, panel, out, shape, keep, 0)
        return
    edge = view(np.empty(TILE_ROWS * width, out.array.dtype), 0, width, 1)
    for i in range(0, rows, TILE_ROWS):  # what sticks out over the edge is computed beside it
        high, corner = min(TILE_ROWS, rows - i), shifted(out, i, 0)
        if keep:
            _copy_lines(corner, edge, high, columns)
        multiply_tiles(shifted(a, i, 0), panel, edge, (high, depth, wide), keep, 0)
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


# ---- the whole product: blocks of the result, or parts of its sums, are tasks for threads ---------------------------------


@device
def _block(rows, columns, depth, parts, width):
    """Return how many rows and columns a task takes; the last one across takes the rest, too."""
    blocks = min(_BLOCKS, rows * columns * depth // _WORK) // parts
    if columns * depth > _LARGE and parts == 1:
        wide, down = width, n_chunks(blocks, max(1, columns // width))
    else:
        wide, down = columns, min(blocks, rows // (2 * TILE_ROWS))
    high = n_chunks(rows, max(1, down))
    return max(1, n_chunks(high, 4) * 4), max(1, wide)  # tiles are 8 or 12 rows high, or 4 or 6


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
    a_row, a_column = (1, rows) if by_columns & 1 else (depth, 1)
    b_row, b_column = (1, depth) if by_columns & 2 else (columns, 1)
    part_size = part_depth(depth)
    parts = max(1, n_chunks(depth, part_size)) if rows <= part_size else 1
    if parts == 1:
        part_size = depth
    high, wide = _block(rows, columns, depth, parts, PANEL_BYTES // out.itemsize)
    down, across = n_chunks(rows, high), max(1, columns // wide)
    sums = flat if parts == 1 else np.empty(parts * flat.size, flat.dtype)
    for task in prange(parts * down * across):
        part, block = divmod(np.int64(task), down * across)
        down_block, across_block = divmod(block, across)
        i, j, k = down_block * high, across_block * wide, part * part_size
        n = columns - j if across_block == across - 1 else wide
        whole_a, whole_b = view(a, 0, a_row, a_column), view(b, 0, b_row, b_column)
        result = view(sums, part * flat.size, columns, 1)
        shape = min(high, rows - i), min(part_size, depth - k), n
        multiply(shifted(whole_a, i, k), shifted(whole_b, k, j), shifted(result, i, j), shape, 0)
    if parts > 1:
        copy(sums, 0, flat, 0, flat.size)
        for part in range(1, parts):
            add(sums, part * flat.size, flat, 0, flat.size)


def matmul(a, b):
    """Return a @ b for matrices (M, K) and (K, N), each of which may be a transposed one."""
    out = np.empty((a.shape[0], b.shape[1]), a.dtype)
    product[a.size](*as_stored(a, b), out)
    return out


def as_stored(a, b):
    """Return two matrices as `product` takes them: the numbers of each in one row, and how they are stored."""
    (a, a_by_columns), (b, b_by_columns) = _in_a_row(a), _in_a_row(b)
    return a, b, a_by_columns + 2 * b_by_columns


def _in_a_row(matrix):
    """Return a matrix's numbers in one row, and 1 if they are stored by columns, 0 if by rows."""
    flags = matrix.flags
    if not flags.c_contiguous and flags.f_contiguous:
        return matrix.T.ravel(), 1
    return contiguous(matrix).ravel(), 0

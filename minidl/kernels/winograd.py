"""3×3 convolution with a third of the multiplications: Winograd's minimal filtering, F(4×4, 3×3) and F(3×3, 3×3).

**One line.** Four neighbouring outputs of a filter with three taps, y_i = x_i·w_0 + x_{i+1}·w_1 + x_{i+2}·w_2, take
4·3 = 12 multiplications. But correlation is, up to the order of things, the product of two polynomials turned around
(transposed), and a product of degree 5 is fixed by its values at six points: evaluate both factors there, multiply
six pairs of numbers, interpolate. Evaluating and interpolating are multiplications by constant matrices, with points 0,
1, −1, 2, −2 and ∞ all of them small:

    y = Aᵀ·((G·w) ⊙ (Bᵀ·x))            x: 6 numbers, w: 3, y: 4, ⊙: six multiplications in place of twelve

**One tile.** Applied to columns and then to rows, a tile of 6 × 6 pixels gives 4 × 4 outputs, with 36 multiplications in
place of 144:      Y = Aᵀ·((G·W·Gᵀ) ⊙ (Bᵀ·X·B))·A

**A smaller tile.** Three outputs need the product's values at five points. Leave out ∞, and the last row and column of each
matrix, and the same G·w serves both. A line of n outputs is cut into fours and threes: 7 = 4 + 3, 14 = 4 + 4 + 3 + 3. With
fours alone, 7 × 7 outputs would take 144 multiplications; so it is 11² = 121, of 441 done directly.

**All channels.** The transforms are linear, so the sum over input channels may be taken before the last one. What was ⊙
becomes, for each of the 36 positions k, a sum over channels for all tiles at once, that is, a matrix product:

    V = Bᵀ·X·B  (36, tiles, C)      U = G·W·Gᵀ  (36, C, O)      M_k = V_k·U_k  (36, tiles, O)      Y = Aᵀ·M·A

**Backward.** ∂x is a convolution again, of ∂y with the filters turned by half a turn, C and O exchanged. ∂W goes back
through the three maps around the products by their transposes:

    ∂M = A·∂Y·Aᵀ    ∂U_k = V_kᵀ·∂M_k    ∂W = Gᵀ·∂U·G

**In the cache.** A block of tiles goes through all steps before the next one starts, so that V and the part of M at work, 64
channels wide, stay in the second-level cache. For ∂W it is a part of ∂U that must stay there, of some input and some output
channels, until all tiles have been added to it; V and ∂M are made anew for each part, being cheap next to the products.

**Words.** A tile is 6 × 6 pixels, or 5 where it yields 3 outputs: wide or narrow, and tall or flat. A strip is a line of
tiles across an image; a block, some strips. A panel is as many output channels as a product's tile is wide; two are a pair.
An image of 7 × 7 outputs is two strips of two tiles, and 16 such strips, of 8 images, are a block:

    wide and tall: 4 × 4 outputs    narrow and tall: 4 × 3      a strip
    wide and flat: 3 × 4            narrow and flat: 3 × 3      the next one, and the last of this image

Measured on two cores with AVX-512, 128 images, forward and backward: 31×31×24→64 21 ms (PyTorch 61), 15×15×64→256 38 (78),
7×7×256→256 31 (60), 3×3×256→256 7 (12).

A NaN or infinity in a pixel spoils the tiles that it is in: up to 8 × 8 outputs, not only the 3 × 3 that see it.

Source: Winograd 1980; Lavin and Gray 2016 for convolutional networks, and for the matrices A, B, G.
"""

import numpy as np

from minidl.kernels.jit import assign, device, kernel, n_chunks, prange
from minidl.kernels.product import TILE_BYTES, multiply_tiles
from minidl.kernels.runs import add, copy
from minidl.kernels.vectors import VECTOR_BYTES, sandwich, transpose

__all__ = ["backward_weight", "backward_x", "forward"]

# Rows: the points 0, 1, −1, 2, −2, ∞. What is called _B is the Bᵀ of the text.
_B = np.array([[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0], [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0],
               [0, 4, 0, -5, 0, 1]])  # fmt: skip
_A = np.array([[1, 0, 0, 0], [1, 1, 1, 1], [1, -1, 1, -1], [1, 2, 4, 8], [1, -2, 4, -8], [0, 0, 0, 1]])
_G = np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]) / 24
_B3, _A3 = _B[:5, :5], _A[:5, :3]

# Numbers between tiles, and between panels: 1,024 apart they would meet in the same lines of the cache.
_PAD = VECTOR_BYTES // 4
_TILES = 32  # in a block, about: V and 64 channels of M stay in the second-level cache. 16 and 64 are no faster
_PART = 64  # channels of x in a part of ∂U, which with 64 of y takes 590 KB of the second-level cache
# Channels whose filters are transformed one after another, for the same panel: then there are 36 places to write to and not
# 36 in each panel, more than the processor follows and finds the next lines for (a step of cifar_conv: 6.3 → 3.5 ms).
_CHANNELS = 16
_TASKS = 8  # for ∂W, at least, so that some threads can share them evenly


def _each_tile(name, by_size):
    """A function for kernels: a transform for each tile of a strip, by its size; from x[x_at[t]] to y[y_at[t]]."""
    wide4, narrow4, wide3, narrow3 = by_size

    def transform(tall, fours, x, x_at, x_row, x_column, y, y_at, y_row, y_column, n):
        for t in range(x_at.size):
            at, to = x_at[t], y_at[t]
            if tall and t < fours:
                wide4(x, at, x_row, x_column, y, to, y_row, y_column, n)
            elif tall:
                narrow4(x, at, x_row, x_column, y, to, y_row, y_column, n)
            elif t < fours:
                wide3(x, at, x_row, x_column, y, to, y_row, y_column, n)
            else:
                narrow3(x, at, x_row, x_column, y, to, y_row, y_column, n)

    transform.__qualname__ = f"_each_tile-{name}"
    return device(transform)


_transform_inputs = _each_tile("inputs", [sandwich(left, right) for left in (_B, _B3) for right in (_B, _B3)])
_transform_outputs = _each_tile("outputs", [sandwich(left, right) for left in (_A.T, _A3.T) for right in (_A.T, _A3.T)])
_transform_output_gradients = _each_tile(
    "gradients", [sandwich(left, right) for left in (_A, _A3) for right in (_A, _A3)]
)
_transform_filters, _transform_filters_back = sandwich(_G, _G), sandwich(_G.T, _G.T)


def forward(x, weight, padding):
    """y[n, i, j] = Σ_{a, b} x[n, i + a − p, j + b − q]·W[a, b], with x = 0 outside.

    Shape     x (N, H, W, C), weight (3, 3, C, O), padding (p, q), each 0 … 2, y (N, H + 2p − 2, W + 2q − 2, O)
    """
    lanes, o = VECTOR_BYTES // x.itemsize, weight.shape[3]
    x, weight = _fill_up(x, 3, lanes), _fill_up(weight, 2, lanes)  # fewer channels than a vector has: zeros behind them
    high, wide = x.shape[1] + 2 * padding[0] - 2, x.shape[2] + 2 * padding[1] - 2
    (*rows, covered_rows), (*columns, covered_columns) = _tiling(high), _tiling(wide)
    y = np.empty((len(x), covered_rows, covered_columns, max(o, lanes)), x.dtype)
    u = _transformed(_fill_up(weight, 3, n_chunks(o, lanes) * lanes))
    _convolve[y.size](x, u, padding, tuple(rows), tuple(columns), y)
    return _cut(y, (len(x), high, wide, o))


def backward_x(grad_y, weight, padding):
    """∂x for ∂y, shapes as in `forward`."""
    return forward(grad_y, _turned(weight), (2 - padding[0], 2 - padding[1]))


def _turned(weight):
    """W[2 − a, 2 − b]ᵀ for each a, b. NumPy takes 0.6 ms for 256 × 256 channels, the kernel 0.09."""
    turned = np.empty((3, 3, *weight.shape[:1:-1]), weight.dtype)
    if min(weight.shape[2:]) < VECTOR_BYTES // weight.itemsize:
        assign(turned, weight[::-1, ::-1].swapaxes(2, 3))  # too few for the kernel's squares
    else:
        _turn[weight.size](np.ascontiguousarray(weight), turned)
    return turned


def backward_weight(grad_y, x, padding):
    """∂W for ∂y, shapes as in `forward`."""
    lanes, c_given, o_given = VECTOR_BYTES // x.itemsize, x.shape[3], grad_y.shape[3]
    x, grad_y = _fill_up(x, 3, lanes), _fill_up(grad_y, 3, lanes)
    (*rows, covered_rows), (*columns, covered_columns) = _tiling(grad_y.shape[1]), _tiling(grad_y.shape[2])
    grad_y = _fill_up(_fill_up(grad_y, 1, covered_rows), 2, covered_columns)
    c, o = x.shape[3], grad_y.shape[3]
    in_parts, across = n_chunks(c, _PART), min(2, n_chunks(o, TILE_BYTES // x.itemsize)) * TILE_BYTES // x.itemsize
    out_parts = n_chunks(o, across)
    groups = n_chunks(_TASKS, in_parts * out_parts)
    grad_u = np.empty((groups, out_parts, 36, c * across + _PAD), x.dtype)
    _multiply_back[grad_y.size](grad_y, x, padding, tuple(rows), tuple(columns), in_parts, across, grad_u)
    grad_weight = np.empty((3, 3, c, o), x.dtype)
    _transform_weights_back[grad_u.size](grad_u, across, grad_weight)
    return _cut(grad_weight, (3, 3, c_given, o_given))


def _fill_up(array, axis, least):
    """The same with zeros at the end of an axis, if that is shorter than `least`."""
    if array.shape[axis] >= least:
        return array
    filled = np.zeros([least if i == axis else n for i, n in enumerate(array.shape)], array.dtype)
    assign(filled[tuple(map(slice, array.shape))], array)
    return filled


def _cut(array, shape):
    """The first numbers along every axis: the array itself (a view of it would be copied to become a `.grad`), or a copy."""
    if array.shape == shape:
        return array
    part = np.empty(shape, array.dtype)
    assign(part, array[tuple(map(slice, shape))])
    return part


def _tiling(size):
    """A line cut into tiles of 4 and then of 3 outputs: how many of each, and the length they cover (1, 2 → 3; 5 → 6)."""
    tiles = n_chunks(size, 4)
    threes = min(tiles, 4 * tiles - size)
    return tiles - threes, threes, 4 * tiles - threes


@kernel
def _turn(weight, turned):
    (c, o), lanes = weight.shape[2:], VECTOR_BYTES // weight.itemsize
    flat, out = weight.reshape(-1), turned.reshape(-1)
    for position in prange(9):
        at, to = np.int64(position) * c * o, (8 - np.int64(position)) * c * o
        for i in range(0, c, lanes):
            for j in range(0, o, lanes):  # the last square may overlap the one before: the same numbers again
                start, first = min(i, c - lanes), min(j, o - lanes)
                transpose(flat, at + start * o + first, o, out, to + first * c + start, c)


# ---- weights: panels of output channels, as wide as a tile of a product, in pairs; the last may be alone -----------------


@device
def _pair(g, o, width):
    """The first output channel of a pair of panels, and how many panels it is. The last pair may overlap the one before."""
    panels = 2 if o - 2 * g * width > width else 1
    return max(0, min(2 * g * width, o - panels * width)), panels


def _transformed(weight):
    """U = G·W·Gᵀ, in the order in which `_convolve` multiplies by it: pair, position, panel of the pair; C, width."""
    c, o = weight.shape[2:]
    lanes, width = VECTOR_BYTES // weight.itemsize, TILE_BYTES // weight.itemsize
    panels, size = 36 * n_chunks(o, width), c * width + _PAD
    u = np.zeros(panels * size + lanes, weight.dtype) if o % width else np.empty(panels * size + lanes, weight.dtype)
    skip = -(u.ctypes.data // u.itemsize) % lanes  # see `_aligned`
    u = u[skip : skip + panels * size].reshape(panels, size)
    _transform_weights[weight.size](weight, width, u)
    return u


@kernel(cost=8)
def _transform_weights(weight, width, u):
    c, o = weight.shape[2:]
    size, flat, out = u.shape[1], weight.reshape(-1), u.reshape(-1)
    for task in prange(n_chunks(o, width) * n_chunks(c, _CHANNELS)):
        p, block = divmod(np.int64(task), n_chunks(c, _CHANNELS))
        start, panels = _pair(p // 2, o, width)
        start, to, k = start + p % 2 * width, (p // 2 * 72 + p % 2) * size, panels * size
        for i in range(block * _CHANNELS, min(c, (block + 1) * _CHANNELS)):
            _transform_filters(
                flat, i * o + start, 3 * c * o, c * o, out, to + i * width, 6 * k, k, min(width, o - start)
            )


@kernel(cost=8)
def _transform_weights_back(grad_u, across, grad_weight):
    """∂W = Gᵀ·∂U·G; groups of ∂U are added up before, in their order."""
    (groups, parts, _, k), (c, o) = grad_u.shape, grad_weight.shape[2:]
    flat, out = grad_u.reshape(-1), grad_weight.reshape(-1)
    for block in prange(n_chunks(c, _CHANNELS)):
        channels = range(np.int64(block) * _CHANNELS, min(c, (np.int64(block) + 1) * _CHANNELS))
        for p in range(parts):
            start = max(0, min(p * across, o - across))
            for i in channels:
                at = p * 36 * k + i * across
                for g in range(1, groups):
                    for position in range(36):
                        add(flat, at + (g * parts * 36 + position) * k, flat, at + position * k, across)
                _transform_filters_back(flat, at, 6 * k, k, out, i * o + start, 3 * c * o, c * o, min(across, o))


# ---- tiles: a strip is a line of them across an image, a block some strips -----------------------------------------------


@device
def _first(index, fours):
    """Where a strip or tile begins, when those of 4 come before those of 3."""
    return 4 * min(index, fours) + 3 * max(0, index - fours)


@device
def _talls(first, here, rows):
    """How many of the strips first, first + 1, … are of height 4."""
    high = rows[0] + rows[1]
    before, after = divmod(first, high), divmod(first + here, high)
    return (after[0] - before[0]) * rows[0] + min(after[1], rows[0]) - min(before[1], rows[0])


@device
def _places(s, first, here, rows, columns, stride, corner, column, in_block, in_image):
    """Where the tiles of strip s stand in the block of strips first, first + 1, …, and in an image; is the strip tall?

    A block's tiles lie in the order tall narrow, tall wide, flat wide, flat narrow: see `_range`.
    """
    fours, threes = columns
    tall, before = _talls(first, here, rows), _talls(first, s - first, rows)
    is_tall = s % (rows[0] + rows[1]) < rows[0]
    wide, narrow = tall * threes + before * fours, before * threes
    if not is_tall:
        before = s - first - before
        wide = tall * (fours + threes) + before * fours
        narrow = tall * (fours + threes) + (here - tall) * fours + before * threes
    for t in range(fours + threes):
        in_block[t] = (wide + t if t < fours else narrow + t - fours) * stride
        in_image[t] = corner + _first(t, fours) * column
    return is_tall


@device
def _range(k, first, here, rows, columns):
    """Which of a block's tiles have position k: from and to. Flat tiles lack the last row, narrow ones the last column."""
    (i, j), (fours, threes), tall = divmod(k, 6), columns, _talls(first, here, rows)
    from_ = tall * threes if j == 5 else 0
    to = tall * (fours + threes) + (0 if i == 5 else (here - tall) * (fours if j == 5 else fours + threes))
    return from_, to


@device
def _load(x, n, first, left, begin, lines):
    """Rows first, first + 1, … of image n, some channels from `begin` on, each into a line from pixel `left` on; 0 outside.

    What stands in a line before and after the row is not written: it must be 0, so lines are made by `np.zeros`, once.
    Shape     x (N, H, W, C), lines (6, pixels, channels)
    """
    _, height, width, c = x.shape
    rows, pixels, count = lines.shape
    flat, out = x.reshape(-1), lines.reshape(-1)
    for i in range(rows):
        to = (i * pixels + left) * count
        if not 0 <= first + i < height:
            lines[i] = 0
        elif count == c:
            copy(flat, (n * height + first + i) * width * c, out, to, width * c)
        else:
            for j in range(width):
                copy(flat, ((n * height + first + i) * width + j) * c + begin, out, to + j * count, count)


@device
def _aligned(size, like):
    """A new array that begins with a line of the cache: a vector across two of them takes twice as long to store."""
    lanes = VECTOR_BYTES // like.itemsize
    array = np.empty(size + lanes, like.dtype)
    skip = -(array.ctypes.data // like.itemsize) % lanes
    return array[skip : skip + size]


# ---- the two loops over blocks -------------------------------------------------------------------------------------------


@kernel(cost=64)
def _convolve(x, u, padding, rows, columns, y):
    (images, high, wide, o), c = y.shape, x.shape[3]
    width, lanes = TILE_BYTES // x.itemsize, VECTOR_BYTES // x.itemsize
    o_all, per_image = n_chunks(o, lanes) * lanes, rows[0] + rows[1]
    # A new name for u: under its own, Numba's parallel build would take its shape from after the change.
    size, filters, out = u.shape[1], u.reshape(-1), y.reshape(-1)
    tiles_across = columns[0] + columns[1]
    in_tile = 36 * c + _PAD
    strips = max(1, _TILES // tiles_across)
    for block in prange(n_chunks(images * per_image, strips)):
        first = np.int64(block) * strips
        here = min(strips, images * per_image - first)
        tiles = here * tiles_across
        lines = np.zeros((6, 4 * tiles_across + 2, c), x.dtype)
        in_block, in_image = np.empty(tiles_across, np.int64), np.empty(tiles_across, np.int64)
        v, m = _aligned(tiles * in_tile, x), _aligned(tiles * (72 * width + _PAD), x)
        for s in range(first, first + here):
            n, strip = divmod(s, per_image)
            _load(x, n, _first(strip, rows[0]) - padding[0], padding[1], 0, lines)
            tall = _places(s, first, here, rows, columns, in_tile, 0, c, in_block, in_image)
            line = lines.shape[1] * c
            _transform_inputs(tall, columns[0], lines.reshape(-1), in_image, line, c, v, in_block, 6 * c, c, c)
        at = 0
        for g in range(n_chunks(o_all, 2 * width)):
            start, panels = _pair(g, o_all, width)
            across = panels * width
            out_tile = 36 * across + _PAD
            for k in range(36):
                from_, to = _range(k, first, here, rows, columns)
                for p in range(panels):
                    multiply_tiles(
                        v, from_ * in_tile + k * c, in_tile, 1, to - from_, filters, at, width,
                        m, from_ * out_tile + k * across + p * width, out_tile, c, 0, at + size,
                    )  # fmt: skip
                    at += size
            for s in range(first, first + here):
                n, strip = divmod(s, per_image)
                corner = (n * high + _first(strip, rows[0])) * wide * o + start
                tall = _places(s, first, here, rows, columns, out_tile, corner, o, in_block, in_image)
                here_o = min(across, o - start)
                _transform_outputs(
                    tall, columns[0], m, in_block, 6 * across, across, out, in_image, wide * o, o, here_o
                )


@kernel(cost=64)
def _multiply_back(grad_y, x, padding, rows, columns, in_parts, across, grad_u):
    """∂U_k = V_kᵀ·∂M_k: a task takes some input channels, some output channels, and a group of strips."""
    (images, high, wide, o), c = grad_y.shape, x.shape[3]
    groups, out_parts, _, size = grad_u.shape
    width, per_image, tiles_across = TILE_BYTES // x.itemsize, rows[0] + rows[1], columns[0] + columns[1]
    grads, sums = grad_y.reshape(-1), grad_u.reshape(-1)
    for task in prange(groups * in_parts * out_parts):
        group, part = divmod(np.int64(task), in_parts * out_parts)
        out_part, in_part = divmod(part, in_parts)
        begin, count = in_part * c // in_parts, (in_part + 1) * c // in_parts - in_part * c // in_parts
        start, n_out = max(0, min(out_part * across, o - across)), min(across, o)  # the last part may overlap
        in_tile, out_tile = 36 * count + _PAD, 36 * across + _PAD
        strips = max(1, _TILES // tiles_across)
        lines = np.zeros((6, 4 * tiles_across + 2, count), x.dtype)
        in_block, in_image = np.empty(tiles_across, np.int64), np.empty(tiles_across, np.int64)
        v, m = _aligned(strips * tiles_across * in_tile, x), _aligned(strips * tiles_across * out_tile, x)
        m[:] = 0
        to = (group * out_parts + out_part) * 36 * size + begin * across
        begin_strip, end = group * images * per_image // groups, (group + 1) * images * per_image // groups
        if begin_strip == end:  # fewer strips than groups
            grad_u[group, out_part, :, begin * across : (begin + count) * across] = 0
        for first in range(begin_strip, end, strips):
            here = min(strips, end - first)
            for s in range(first, first + here):
                n, strip = divmod(s, per_image)
                top = _first(strip, rows[0])
                _load(x, n, top - padding[0], padding[1], begin, lines)
                tall = _places(s, first, here, rows, columns, in_tile, 0, count, in_block, in_image)
                line = lines.shape[1] * count
                _transform_inputs(
                    tall, columns[0], lines.reshape(-1), in_image, line, count, v, in_block, 6 * count, count, count
                )
                _places(
                    s, first, here, rows, columns, out_tile, (n * high + top) * wide * o + start, o, in_block, in_image
                )
                _transform_output_gradients(
                    tall, columns[0], grads, in_image, wide * o, o, m, in_block, 6 * across, across, n_out
                )
            for k in range(36):
                tile, stop = _range(k, first, here, rows, columns)
                if tile == stop and first == begin_strip:
                    sums[to + k * size : to + k * size + count * across] = 0
                for p in range(0, across if tile < stop else 0, width):
                    at, keep = tile * out_tile + k * across + p, min(1, first - begin_strip)
                    multiply_tiles(
                        v, tile * in_tile + k * count, 1, in_tile, count, m, at, out_tile,
                        sums, to + k * size + p, across, stop - tile, keep, at,
                    )  # fmt: skip

"""3×3 convolution with a quarter of the multiplications: Winograd's minimal filtering, F(4×4, 3×3) and F(3×3, 3×3).

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
channels wide, stay in the second-level cache. For ∂W a task adds all tiles to a part of ∂U, of some input and some output
channels; V and ∂M are made anew for each part. Small parts stay in a cache of 1 or 2 MB. Where it is smaller, it is better
to make V once, and to fetch each ∂U_k when its turn comes. V and ∂M lie position by position, so that the factors of a
product are neighbours.

**Words.** Tiles, strips, blocks, grids and panels are what `tiles.py` says.

Measured on two cores with AVX-512, 128 images, forward and backward, before V and ∂M lay position by position:
31×31×24→64 21 ms (PyTorch 61), 15×15×64→256 38 (78), 7×7×256→256 31 (60), 3×3×256→256 7 (12).

A NaN or infinity in a pixel spoils the tiles that it is in: up to 8 × 8 outputs, not only the 3 × 3 that see it.

Source: Winograd 1980; Lavin and Gray 2016 for convolutional networks, and for the matrices A, B, G.
"""

import numpy as np

from minidl.kernels.jit import assign, contiguous, device, kernel, n_chunks, prange
from minidl.kernels.product import PANEL_BYTES, multiply_tiles
from minidl.kernels.runs import add, clear, shifted, transposed, view
from minidl.kernels.tiles import (
    aligned,
    begin_of,
    cropped,
    load_lines,
    padded,
    pair_of_panels,
    place_strip,
    place_tile,
    tiles_with,
    tiling,
)  # fmt: skip
from minidl.kernels.vectors import REGISTERS, VECTOR_BYTES, sandwich, transpose

__all__ = ["backward_weight", "backward_x", "forward"]

# Rows: the points 0, 1, −1, 2, −2, ∞.
_BT = np.array([[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0], [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0],
                [0, 4, 0, -5, 0, 1]])  # fmt: skip
_A = np.array([[1, 0, 0, 0], [1, 1, 1, 1], [1, -1, 1, -1], [1, 2, 4, 8], [1, -2, 4, -8], [0, 0, 0, 1]])
_G = np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]) / 24
_BT3, _A3 = _BT[:5, :5], _A[:5, :3]

# Numbers between tiles, and between panels: 1,024 apart they would meet in the same lines of the cache.
_GAP = VECTOR_BYTES // 4
_TILES = 32  # in a block, about: V and 64 channels of M stay in the second-level cache. 16 and 64 are no faster
# Channels of x and, at most, of y in a part of ∂U. 64 × 64 take 590 KB: too much where a second-level cache has 512.
_PART, _ACROSS = 64, 64 if REGISTERS == 32 else 256
# Channels whose filters are transformed one after another, for the same panel: then there are 36 places to write to and not
# 36 in each panel, more than the processor follows and finds the next lines for (a step of cifar_conv: 6.3 → 3.5 ms).
_CHANNELS = 16
_TASKS = 8  # for ∂W, at least, so that some threads can share them evenly


def _by_size(name, transforms):
    """Return a function for kernels: y = one of four sandwiches of x, for n channels, by the size of the tile."""
    tall_wide, tall_narrow, flat_wide, flat_narrow = transforms

    def transform(tall, wide, x, y, n):
        if tall and wide:
            tall_wide(x, y, n)
        elif tall:
            tall_narrow(x, y, n)
        elif wide:
            flat_wide(x, y, n)
        else:
            flat_narrow(x, y, n)

    transform.__qualname__ = f"_by_size-{name}"
    return device(transform)


_input_tile = _by_size("inputs", [sandwich(left, right) for left in (_BT, _BT3) for right in (_BT, _BT3)])
_output_tile = _by_size("outputs", [sandwich(left, right) for left in (_A.T, _A3.T) for right in (_A.T, _A3.T)])
_gradient_tile = _by_size("gradients", [sandwich(left, right) for left in (_A, _A3) for right in (_A, _A3)])
_filter, _filter_gradient = sandwich(_G, _G), sandwich(_G.T, _G.T)


def forward(x, weight, padding):
    """Return y[n, i, j] = Σ_{a, b} x[n, i + a − p, j + b − q]·W[a, b], with x = 0 outside.

    Shape     x (N, H, W, C), weight (3, 3, C, O), padding (p, q), each 0 … 2, y (N, H + 2p − 2, W + 2q − 2, O)
    """
    lanes, o = VECTOR_BYTES // x.itemsize, weight.shape[3]
    x, weight = padded(x, 3, lanes), padded(weight, 2, lanes)  # fewer channels than a vector has: zeros behind them
    high, wide = x.shape[1] + 2 * padding[0] - 2, x.shape[2] + 2 * padding[1] - 2
    (*rows, covered_rows), (*columns, covered_columns) = tiling(high), tiling(wide)
    y = np.empty((len(x), covered_rows, covered_columns, max(o, lanes)), x.dtype)
    u = _transformed(padded(weight, 3, n_chunks(o, lanes) * lanes))
    _convolve[y.size](x, u, padding, (*rows, *columns), y)
    return cropped(y, (len(x), high, wide, o))


def backward_x(grad_y, weight, padding):
    """Return ∂x for ∂y, shapes as in `forward`."""
    return forward(grad_y, _rotated(weight), (2 - padding[0], 2 - padding[1]))


def _rotated(weight):
    """Return W[2 − a, 2 − b]ᵀ for each a, b. NumPy takes 0.6 ms for 256 × 256 channels, the kernel 0.09."""
    rotated = np.empty((3, 3, *weight.shape[:1:-1]), weight.dtype)
    if min(weight.shape[2:]) < VECTOR_BYTES // weight.itemsize:
        assign(rotated, weight[::-1, ::-1].swapaxes(2, 3))  # too few for the kernel's squares
    else:
        _rotate[weight.size](contiguous(weight), rotated)
    return rotated


def backward_weight(grad_y, x, padding):
    """Return ∂W for ∂y, shapes as in `forward`."""
    lanes, c_given, o_given = VECTOR_BYTES // x.itemsize, x.shape[3], grad_y.shape[3]
    x, grad_y = padded(x, 3, lanes), padded(grad_y, 3, lanes)
    (*rows, covered_rows), (*columns, covered_columns) = tiling(grad_y.shape[1]), tiling(grad_y.shape[2])
    grad_y = padded(padded(grad_y, 1, covered_rows), 2, covered_columns)
    c, o = x.shape[3], grad_y.shape[3]
    width, in_parts, out_parts = PANEL_BYTES // x.itemsize, n_chunks(c, _PART), n_chunks(o, _ACROSS)
    across = min(n_chunks(o, out_parts * width) * width, n_chunks(o, lanes) * lanes)
    groups = n_chunks(_TASKS, in_parts * out_parts)
    grad_u = np.empty((groups, out_parts, 36, c * across + _GAP), x.dtype)
    _multiply_back[grad_y.size](grad_y, x, padding, (*rows, *columns), in_parts, across, grad_u)
    grad_weight = np.empty((3, 3, c, o), x.dtype)
    _transform_filters_back[grad_u.size](grad_u, across, grad_weight)
    return cropped(grad_weight, (3, 3, c_given, o_given))


# ---- filters -------------------------------------------------------------------------------------------------------------


@kernel
def _rotate(weight, rotated):
    """Set rotated[2 − a, 2 − b] = weight[a, b]ᵀ."""
    (c, o), lanes = weight.shape[2:], VECTOR_BYTES // weight.itemsize
    flat, out = weight.reshape(-1), rotated.reshape(-1)
    for position in prange(9):
        x, y = view(flat, np.int64(position) * c * o, o, 1), view(out, (8 - np.int64(position)) * c * o, c, 1)
        for i in range(0, c, lanes):
            for j in range(0, o, lanes):  # the last square may overlap the one before: the same numbers again
                start, first = min(i, c - lanes), min(j, o - lanes)
                transpose(shifted(x, start, first), shifted(y, first, start))


def _transformed(weight):
    """Return U = G·W·Gᵀ, in the order in which `_convolve` multiplies by it: pair, position, panel of the pair; C, width."""
    c, o = weight.shape[2:]
    lanes, width = VECTOR_BYTES // weight.itemsize, PANEL_BYTES // weight.itemsize
    panels, size = 36 * n_chunks(o, width), c * width + _GAP
    u = np.zeros(panels * size + lanes, weight.dtype) if o % width else np.empty(panels * size + lanes, weight.dtype)
    skip = -(u.ctypes.data // u.itemsize) % lanes  # see `aligned`
    u = u[skip : skip + panels * size].reshape(panels, size)
    _transform_filters[weight.size](weight, width, u)
    return u


@kernel(cost=8)
def _transform_filters(weight, width, u):
    """Compute U = G·W·Gᵀ for each panel of output channels."""
    c, o = weight.shape[2:]
    size, flat, out = u.shape[1], weight.reshape(-1), u.reshape(-1)
    for task in prange(n_chunks(o, width) * n_chunks(c, _CHANNELS)):
        p, block = divmod(np.int64(task), n_chunks(c, _CHANNELS))
        start, panels = pair_of_panels(p // 2, o, width)
        # In u a pair of panels takes turns at each of 36 positions; k numbers lie between two positions of a panel.
        start, to, k = start + p % 2 * width, (p // 2 * 2 * 36 + p % 2) * size, panels * size
        for i in range(block * _CHANNELS, min(c, (block + 1) * _CHANNELS)):
            filters, transforms = view(flat, i * o + start, 3 * c * o, c * o), view(out, to + i * width, 6 * k, k)
            _filter(filters, transforms, min(width, o - start))


@kernel(cost=8)
def _transform_filters_back(grad_u, across, grad_weight):
    """Compute ∂W = Gᵀ·∂U·G; groups of ∂U are added up before, in their order."""
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
                grad_transforms, grad_filters = view(flat, at, 6 * k, k), view(out, i * o + start, 3 * c * o, c * o)
                _filter_gradient(grad_transforms, grad_filters, min(across, o))


# ---- the tiles of a block: V, ∂M and Y -----------------------------------------------------------------------------------


@device
def _tile_size(channels):
    """Return how far apart the transforms of two tiles lie where a tile's 36 positions lie together: these, and a gap."""
    return 36 * channels + _GAP


@device
def _tile_in_block(array, tile, steps):
    """Return a view of a tile's 6 × 6 positions; steps: how far apart two tiles lie, and two positions."""
    return view(array, tile * steps[0], 6 * steps[1], steps[1])


@device
def _tile_in_image(y, s, t, grid, channel):
    """Return a view of a tile's outputs, tile t of strip s."""
    (rows, columns), (_, high, wide, o) = grid, y.shape
    n, strip = divmod(s, rows[0] + rows[1])
    pixel = (n * high + begin_of(strip, rows[0])) * wide + begin_of(t, columns[0])
    return view(y.reshape(-1), pixel * o + channel, wide * o, o)


@device
def _transform_inputs(x, channel, block, grid, padding, lines, v, steps):
    """Compute V = Bᵀ·X·B for a block, and as many channels as `lines` has, from `channel` on; steps: `_tile_in_block`."""
    (first, count), (rows, columns), (_, pixels, c) = block, grid, lines.shape
    strip_lines = view(lines.reshape(-1), 0, pixels * c, c)
    for s in range(first, first + count):
        n, strip = divmod(s, rows[0] + rows[1])
        load_lines(x, n, begin_of(strip, rows[0]) - padding[0], padding[1], channel, lines)
        tall, first_wide, first_narrow = place_strip(s, block, grid)
        for t in range(columns[0] + columns[1]):
            tile = place_tile(t, columns, first_wide, first_narrow)
            pixels_of_tile = shifted(strip_lines, 0, begin_of(t, columns[0]))
            _input_tile(tall, t < columns[0], pixels_of_tile, _tile_in_block(v, tile, steps), c)


@device
def _transform_outputs(m, channels, block, grid, y):
    """Compute Y = Aᵀ·M·A for a block; channels: the first one, and how many M has, of which some may be past y's last."""
    (first, count), columns, (start, across) = block, grid[1], channels
    for s in range(first, first + count):
        tall, first_wide, first_narrow = place_strip(s, block, grid)
        for t in range(columns[0] + columns[1]):
            tile = _tile_in_block(m, place_tile(t, columns, first_wide, first_narrow), (_tile_size(across), across))
            _output_tile(
                tall, t < columns[0], tile, _tile_in_image(y, s, t, grid, start), min(across, y.shape[3] - start)
            )


@device
def _transform_output_gradients(grad_y, channels, block, grid, m, steps):
    """Compute ∂M = A·∂Y·Aᵀ for a block; channels: `_transform_outputs`, steps: `_tile_in_block`."""
    (first, count), columns, (start, across) = block, grid[1], channels
    for s in range(first, first + count):
        tall, first_wide, first_narrow = place_strip(s, block, grid)
        for t in range(columns[0] + columns[1]):
            tile = _tile_in_block(m, place_tile(t, columns, first_wide, first_narrow), steps)
            outputs = _tile_in_image(grad_y, s, t, grid, start)
            _gradient_tile(tall, t < columns[0], outputs, tile, min(across, grad_y.shape[3]))


# ---- the two loops over blocks -------------------------------------------------------------------------------------------


@kernel(cost=64)
def _convolve(x, u, padding, sizes, y):
    """Compute Y = Aᵀ·M·A with M = V·U, block by block; sizes are the grid's numbers in a row."""
    (images, _, _, o), c = y.shape, x.shape[3]
    width, lanes = PANEL_BYTES // x.itemsize, VECTOR_BYTES // x.itemsize
    o_all, per_image, across = n_chunks(o, lanes) * lanes, sizes[0] + sizes[1], sizes[2] + sizes[3]
    # A new name for u: under its own, Numba's parallel build would take its shape from after the change.
    size, filters = u.shape[1], u.reshape(-1)
    strips = max(1, _TILES // across)
    for task in prange(n_chunks(images * per_image, strips)):  # tuples of tuples do not pass into a prange
        grid = (sizes[0], sizes[1]), (sizes[2], sizes[3])
        first = np.int64(task) * strips
        block = first, min(strips, images * per_image - first)
        tiles, lines = block[1] * across, np.zeros((6, 4 * across + 2, c), x.dtype)
        v, m = aligned(tiles * _tile_size(c), x), aligned(tiles * _tile_size(2 * width), x)
        _transform_inputs(x, np.int64(0), block, grid, padding, lines, v, (_tile_size(c), c))
        at = 0
        for g in range(n_chunks(o_all, 2 * width)):
            start, panels = pair_of_panels(g, o_all, width)
            channels = start, panels * width
            for k in range(36):
                tile, stop = tiles_with(k, block, grid)
                for p in range(panels):
                    inputs = view(v, tile * _tile_size(c) + k * c, _tile_size(c), 1)
                    out_tile = _tile_size(channels[1])
                    products = view(m, tile * out_tile + k * channels[1] + p * width, out_tile, 1)
                    multiply_tiles(inputs, view(filters, at, width, 1), products, (stop - tile, c, width), 0, size)
                    at += size
            _transform_outputs(m, channels, block, grid, y)


@kernel(cost=64)
def _multiply_back(grad_y, x, padding, sizes, in_parts, across, grad_u):
    """Compute ∂U_k = V_kᵀ·∂M_k: a task takes some input channels, some output channels, and a group of strips."""
    (images, _, _, o), c = grad_y.shape, x.shape[3]
    groups, out_parts, _, size = grad_u.shape
    width, all_strips, tiles_across = PANEL_BYTES // x.itemsize, images * (sizes[0] + sizes[1]), sizes[2] + sizes[3]
    strips, sums = max(1, _TILES // tiles_across), grad_u.reshape(-1)
    for task in prange(groups * in_parts * out_parts):
        grid = (sizes[0], sizes[1]), (sizes[2], sizes[3])
        group, part = divmod(np.int64(task), in_parts * out_parts)
        out_part, in_part = divmod(part, in_parts)
        channel = in_part * c // in_parts
        count = (in_part + 1) * c // in_parts - channel
        out_channels = max(0, min(out_part * across, o - across)), across  # the last part may overlap
        lines = np.zeros((6, 4 * tiles_across + 2, count), x.dtype)
        in_tile, out_tile = count + _GAP, across + _GAP
        inputs_of_k, gradients_of_k = strips * tiles_across * in_tile, strips * tiles_across * out_tile
        v, m = aligned(36 * inputs_of_k, x), aligned(36 * gradients_of_k, x)
        m[:] = 0
        to = (group * out_parts + out_part) * 36 * size + channel * across
        begin, end = group * all_strips // groups, (group + 1) * all_strips // groups
        if begin == end:  # fewer strips than groups
            grad_u[group, out_part, :, channel * across : (channel + count) * across] = 0
        for first in range(begin, end, strips):
            block = first, min(strips, end - first)
            _transform_inputs(x, channel, block, grid, padding, lines, v, (in_tile, inputs_of_k))
            _transform_output_gradients(grad_y, out_channels, block, grid, m, (out_tile, gradients_of_k))
            for k in range(36):
                tile, stop = tiles_with(k, block, grid)
                if tile == stop and first == begin:
                    clear(sums, to + k * size, count * across)
                for p in range(0, across if tile < stop else 0, width):
                    inputs = transposed(view(v, k * inputs_of_k + tile * in_tile, in_tile, 1))
                    gradients = view(m, k * gradients_of_k + tile * out_tile + p, out_tile, 1)
                    total = view(sums, to + k * size + p, across, 1)
                    shape = count, stop - tile, min(width, across - p)
                    multiply_tiles(inputs, gradients, total, shape, min(1, first - begin), 0)

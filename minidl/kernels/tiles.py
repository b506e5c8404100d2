"""How Winograd's convolution cuts images into tiles, and output channels into panels.

A tile is 6 × 6 pixels, or 5 where it yields 3 outputs in place of 4: wide or narrow, and tall or flat. A strip is a line of
tiles across an image; its wide tiles come first, as an image's tall strips do. A block is some strips, counted over all
images: its first one, and how many. A grid says how many strips of an image are tall and flat, and how many tiles of a
strip are wide and narrow. An image of 7 × 7 outputs is two strips of two tiles, its grid ((1, 1), (1, 1)):

    tall and wide: 4 × 4 outputs    tall and narrow: 4 × 3      a strip
    flat and wide: 3 × 4            flat and narrow: 3 × 3      the next one, and the last of this image

In a block, the tiles lie in the order tall narrow, tall wide, flat wide, flat narrow. So those with a last row, or a last
column, or both are neighbours: `tiles_with`.

A panel is as many output channels as a product's tile is wide; two are a pair.
"""

import numpy as np

from minidl.kernels.jit import assign, device, n_chunks
from minidl.kernels.runs import copy
from minidl.kernels.vectors import VECTOR_BYTES

__all__ = [
    "aligned", "begin_of", "count_tall", "cropped", "load_lines", "padded", "pair_of_panels", "place_strip", "place_tile",
    "tiles_with", "tiling",
]  # fmt: skip


def tiling(size):
    """Cut a line into tiles of 4 and then of 3 outputs: how many of each, and the length they cover (1, 2 → 3; 5 → 6)."""
    tiles = n_chunks(size, 4)
    threes = min(tiles, 4 * tiles - size)
    return tiles - threes, threes, 4 * tiles - threes


@device
def begin_of(index, fours):
    """Return where a strip or tile begins, when those of 4 come before those of 3."""
    return 4 * min(index, fours) + 3 * max(0, index - fours)


@device
def count_tall(block, rows):
    """Return how many strips of a block are tall, where rows says how many of an image are tall and flat."""
    (first, count), in_image = block, rows[0] + rows[1]
    before, after = divmod(first, in_image), divmod(first + count, in_image)
    return (after[0] - before[0]) * rows[0] + min(after[1], rows[0]) - min(before[1], rows[0])


@device
def place_strip(s, block, grid):
    """Return whether strip s is tall, and where in a block its first wide tile lies, and its first narrow one."""
    (first, count), (rows, (wide, narrow)) = block, grid
    tall, tall_before = count_tall(block, rows), count_tall((first, s - first), rows)
    if s % (rows[0] + rows[1]) < rows[0]:
        return True, tall * narrow + tall_before * wide, tall_before * narrow
    flat_before, behind_tall = s - first - tall_before, tall * (wide + narrow)
    return False, behind_tall + flat_before * wide, behind_tall + (count - tall) * wide + flat_before * narrow


@device
def place_tile(t, columns, first_wide, first_narrow):
    """Return where in a block tile t of a strip lies; where the strip's tiles begin, `place_strip` says."""
    return first_wide + t if t < columns[0] else first_narrow + t - columns[0]


@device
def tiles_with(position, block, grid):
    """Return which of a block's tiles have a position, 0 … 35: from and to. Flat ones lack the last row, narrow ones the
    last column."""
    (i, j), (rows, (wide, narrow)) = divmod(position, 6), grid
    tall = count_tall(block, rows)
    flat = block[1] - tall
    from_ = tall * narrow if j == 5 else 0
    to = tall * (wide + narrow) + (0 if i == 5 else flat * (wide if j == 5 else wide + narrow))
    return from_, to


@device
def load_lines(x, n, first, left, channel, lines):
    """Load rows first, first + 1, … of image n, some channels from `channel` on, each into a line from pixel `left` on.

    A row outside the image is 0. What stands in a line before and after the row is not written: it must be 0, so lines are
    made by `np.zeros`, once.
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
                copy(flat, ((n * height + first + i) * width + j) * c + channel, out, to + j * count, count)


@device
def pair_of_panels(g, o, width):
    """Return the first channel of pair g of o channels' panels, and how many panels it is: the last may be alone.

    The last pair may overlap the one before.
    """
    panels = 2 if o - 2 * g * width > width else 1
    return max(0, min(2 * g * width, o - panels * width)), panels


@device
def aligned(size, like):
    """Return a new array that begins with a line of the cache: a vector across two of them takes twice as long to store."""
    lanes = VECTOR_BYTES // like.itemsize
    array = np.empty(size + lanes, like.dtype)
    skip = -(array.ctypes.data // like.itemsize) % lanes
    return array[skip : skip + size]


def padded(array, axis, least):
    """Return the same with zeros at the end of an axis, if that is shorter than `least`."""
    if array.shape[axis] >= least:
        return array
    filled = np.zeros([least if i == axis else n for i, n in enumerate(array.shape)], array.dtype)
    assign(filled[tuple(map(slice, array.shape))], array)
    return filled


def cropped(array, shape):
    """Return the first numbers along every axis: the array itself, or a copy, as a view would be copied to be a `.grad`."""
    if array.shape == shape:
        return array
    part = np.empty(shape, array.dtype)
    assign(part, array[tuple(map(slice, shape))])
    return part

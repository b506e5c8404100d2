"""How Winograd's convolution cuts maps into tiles, and orders them: each function against brute force."""

import itertools

import numpy as np
import pytest

from minidl.kernels import tiles
from minidl.kernels.vectors import VECTOR_BYTES

LINES = [(1, 0), (0, 1), (2, 0), (0, 3), (1, 2), (2, 1)]  # tiles of 4 and of 3 in a line


# --- a line of outputs ----------------------------------------------------------------------------------------------------


def check_tiling(tiling):
    for size in range(1, 300):
        fours, threes, covered = tiling(size)
        assert min(fours, threes) >= 0
        assert covered == 4 * fours + 3 * threes >= size
        assert (covered == size) == (size not in (1, 2, 5))
        least = min(6 * f + 5 * -(-max(0, size - 4 * f) // 3) for f in range(size + 1))
        assert 6 * fours + 5 * threes == least, "not the fewest multiplications"


def test_tiling():
    check_tiling(tiles.tiling)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda size: (-(-size // 4), 0, 4 * -(-size // 4)),
        lambda size: (0, -(-size // 3), 3 * -(-size // 3)),
        lambda size: (size // 4, int(size % 4 > 0), 4 * (size // 4) + 3 * (size % 4 > 0)),
        lambda size: (tiles.tiling(size)[1], tiles.tiling(size)[0], tiles.tiling(size)[2]),
        lambda size: (*tiles.tiling(size)[:2], size),
    ],
)
def test_the_check_rejects_a_wrong_tiling(wrong):
    with pytest.raises(AssertionError):
        check_tiling(wrong)


@pytest.mark.parametrize("fours", range(4))
def test_where_tiles_begin(fours):
    begins = list(itertools.accumulate([0, *[4] * fours, *[3] * 5]))
    assert [tiles.begin_of(i, fours) for i in range(fours + 6)] == begins


# --- the tiles of a block -------------------------------------------------------------------------------------------------


def tiles_of(first, here, rows, columns):
    """A block's tiles as (strip, number in the strip, tall, wide), in the order in which they lie."""
    found = []
    for s in range(first, first + here):
        tall = s % sum(rows) < rows[0]
        found += [(s, t, tall, t < columns[0]) for t in range(sum(columns))]
    order = [
        (True, False),
        (True, True),
        (False, True),
        (False, False),
    ]  # tall narrow, tall wide, flat wide, flat narrow
    return sorted(found, key=lambda tile: order.index(tile[2:]))  # stable: strips and tiles stay in order


def blocks():
    """Blocks of strips that begin and end anywhere in images."""
    for rows, columns in itertools.product(LINES, LINES):
        for first, here in itertools.product(range(sum(rows) + 1), range(1, 2 * sum(rows) + 2)):
            yield first, here, rows, columns


def check_places(place_strip):
    for first, here, rows, columns in blocks():
        order, block, grid = tiles_of(first, here, rows, columns), (first, here), (rows, columns)
        for s in range(first, first + here):
            is_tall, first_wide, first_narrow = place_strip(s, block, grid)
            for t, tall in ((t, tall) for strip, t, tall, _ in order if strip == s):
                assert tall == is_tall
                place = tiles.place_tile(t, columns, first_wide, first_narrow)
                assert order[place][:2] == (s, t)


def check_positions(tiles_with):
    for first, here, rows, columns in blocks():
        order = tiles_of(first, here, rows, columns)
        for k, (i, j) in enumerate(itertools.product(range(6), range(6))):
            having = [n for n, (_, _, tall, wide) in enumerate(order) if (tall or i < 5) and (wide or j < 5)]
            from_, to = tiles_with(k, (first, here), (rows, columns))
            assert list(range(from_, to)) == having


def test_places():
    check_places(tiles.place_strip)


def test_positions():
    check_positions(tiles.tiles_with)


def test_tall_strips_are_counted():
    for first, here, rows, _ in blocks():
        expected = sum(s % sum(rows) < rows[0] for s in range(first, first + here))
        assert tiles.count_tall((first, here), rows) == expected


def every_strip_tall(s, block, grid):
    rows, columns = grid
    return tiles.place_strip(s, block, ((sum(rows), 0), columns))


def from_the_images_beginning(s, block, grid):
    (first, here), rows = block, grid[0]
    begin = first // sum(rows) * sum(rows)
    return tiles.place_strip(s - first + begin, (begin, here), grid)


def all_wide(s, block, grid):
    rows, columns = grid
    return tiles.place_strip(s, block, (rows, (sum(columns), 0)))


@pytest.mark.parametrize("wrong", [every_strip_tall, from_the_images_beginning, all_wide])
def test_the_check_rejects_wrong_places(wrong):
    with pytest.raises((AssertionError, IndexError)):
        check_places(wrong)


def as_if_images_began_with_blocks(k, block, grid):
    return tiles.tiles_with(k, (0, block[1]), grid)


def rows_and_columns_exchanged(k, block, grid):
    return tiles.tiles_with(k % 6 * 6 + k // 6, block, grid)


def all_tiles(k, block, grid):
    return 0, block[1] * sum(grid[1])


@pytest.mark.parametrize("wrong", [as_if_images_began_with_blocks, rows_and_columns_exchanged, all_tiles])
def test_the_check_rejects_wrong_positions(wrong):
    with pytest.raises(AssertionError):
        check_positions(wrong)


# --- lines of an image ----------------------------------------------------------------------------------------------------


def check_load(load):
    x = np.random.default_rng(0).standard_normal((2, 4, 5, 7)).astype(np.float32)
    framed = np.pad(x, ((0, 0), (8, 8), (3, 9), (0, 0)))  # the images with zeros around, eight rows and three pixels
    for (begin, count), left in itertools.product([(0, 7), (2, 3), (6, 1)], range(4)):
        for pixels in (5 + left, 5 + left + 6):
            lines = np.zeros((6, pixels, count), np.float32)
            for n, first in itertools.product(
                range(2), range(-2, 6)
            ):  # the same lines, one image's rows after another's
                load(x, n, first, left, begin, lines)
                expected = framed[n, 8 + first : 14 + first, 3 - left : 3 - left + pixels, begin : begin + count]
                np.testing.assert_array_equal(lines, expected)


def test_load():
    check_load(tiles.load_lines)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda x, n, first, left, begin, lines: tiles.load_lines(x, 0, first, left, begin, lines),
        lambda x, n, first, left, begin, lines: tiles.load_lines(x, n, max(0, first), left, begin, lines),
        lambda x, n, first, left, begin, lines: tiles.load_lines(x, n, first, 0, begin, lines),
        lambda x, n, first, left, begin, lines: tiles.load_lines(x, n, first, left, 0, lines),
    ],
)
def test_the_check_rejects_a_wrong_load(wrong):
    with pytest.raises(AssertionError):
        check_load(wrong)


def test_a_new_array_begins_with_a_line_of_the_cache():
    for dtype in (np.float32, np.float64):
        for size in (1, 15, 16, 1000):
            array = tiles.aligned(size, np.empty(1, dtype))
            assert array.shape == (size,)
            assert array.dtype == dtype
            assert array.ctypes.data % VECTOR_BYTES == 0


def test_pairs_of_panels_cover_all_channels_and_stay_inside():
    width, lanes = 32, 16
    for o in range(lanes, 300, lanes):
        covered = set()
        for g in range(-(-o // (2 * width))):
            start, panels = tiles.pair_of_panels(g, o, width)
            assert start >= 0
            assert start + panels * width <= max(o, width) or (panels == 2 and start == 0)
            covered |= set(range(start, min(o, start + panels * width)))
        assert covered == set(range(o))

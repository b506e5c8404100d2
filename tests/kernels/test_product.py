"""The product inside kernels: whole and parts of matrices, by rows and by columns, new and added to what is there; and its
columns of tiles, against a naive twin in small integers, where sums are exact in any order."""

import itertools

import numpy as np
import pytest

from minidl.kernels.jit import kernel
from minidl.kernels.microkernel import TILE_ROWS
from minidl.kernels.product import _DEPTH, _FEWER, PACK_FROM, PANEL_BYTES, multiply, multiply_tiles, part_depth
from minidl.kernels.runs import view
from tests.helpers import DTYPES, assert_close, sizes

SIZES = [(3, 5, 4), (1, 1, 1), (1, 9, 1), (7, 1, 1), (1, 1, 6), (60, 300, 100), (26, 17, 64), (130, 600, 40)]


@kernel
def _inside(a, at, row, step, b, from_, line, column, out, to, out_line, shape, keep):
    multiply(view(a, at, row, step), view(b, from_, line, column), view(out, to, out_line, 1), shape, keep)


def inside(a, b, out, keep, product=_inside.serial):
    """`multiply` for matrices that lie anywhere in arrays of their own."""
    product(*laid_out(a), *laid_out(b), *laid_out(out)[:3], (*a.shape, b.shape[1]), keep)


def laid_out(matrix):
    """The array that a matrix is a part of, flat; where the matrix begins; its two steps."""
    whole = matrix
    while whole.base is not None:
        whole = whole.base
    flat = whole.ravel(order="K")
    assert flat.size == 0 or np.shares_memory(flat, whole)
    at = (matrix.ctypes.data - flat.ctypes.data) // flat.itemsize if flat.size else 0
    return flat, at, matrix.strides[0] // flat.itemsize, matrix.strides[1] // flat.itemsize


def matrix(rng, rows, columns, layout, dtype):
    """Random numbers, lying in memory as `layout` says."""
    large = rng.standard_normal((rows + 3, columns + 4)).astype(dtype)
    part = large[1 : rows + 1, 2 : columns + 2]
    return {"rows": part.copy(), "columns": np.asfortranarray(part), "part": part, "part.T": part.T.copy().T}[layout]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("keep", [0, 1])
@pytest.mark.parametrize("layouts", [("rows", "rows"), ("columns", "rows"), ("part", "columns"), ("part.T", "part")])
@pytest.mark.parametrize("size", SIZES)
def test_agrees_with_numpy(size, layouts, keep, dtype):
    rng = np.random.default_rng(sum(size))
    m, k, n = size
    a, b = matrix(rng, m, k, layouts[0], dtype), matrix(rng, k, n, layouts[1], dtype)
    out = rng.standard_normal((m, n)).astype(dtype) if keep else np.full((m, n), np.nan, dtype)
    expected = a.astype(np.float64) @ b.astype(np.float64) + (out if keep else 0)
    inside(a, b, out, keep)
    assert_close(out, expected, dtype)


def test_the_sizes_cover_every_way():
    assert 26 < PACK_FROM < 130  # without packing and with it
    assert 300 < _DEPTH < 600  # one part of the sums, and several


@pytest.mark.parametrize("keep", [0, 1])
def test_a_sum_of_nothing(keep):
    out = np.full((2, 3), 7.0)
    inside(np.empty((2, 0)), np.empty((0, 3)), out, keep)
    np.testing.assert_array_equal(out, 7.0 * keep)


def test_writes_only_what_it_is_given():
    whole = np.zeros((6, 4), np.float32)
    inside(np.ones((2, 3), np.float32), np.ones((3, 4), np.float32), whole[2:4], 0)
    np.testing.assert_array_equal(whole[[0, 1, 4, 5]], 0)
    np.testing.assert_array_equal(whole[2:4], 3)


# --- the same bits whatever the cut -------------------------------------------------------------------------------------

# Edges of tiles in both directions, in one part of the sums and in several, below and above what makes packing pay.
CUT_SIZES = sizes((61, 300, 100), (130, 600, 40), (13, 1100, 33), tiny=((26, 17, 70), (7, 600, 18), (5, 4, 3)))


def pieces(rng, size):
    """From and to of pieces that cover `size` in order: one of 1, others of any size."""
    return list(itertools.pairwise(sorted({0, 1, size, *rng.integers(0, size + 1, 3).tolist()})))


def a_piece(a, b, out, rows, columns, k, keep):
    rows, columns, k = slice(*rows), slice(*columns), slice(*k)
    inside(a[rows, k], b[k, columns], out[rows, columns], keep)


def in_pieces(product, rng, a, b, out, keep):
    """The same product by rows and columns, each cut into pieces, and by parts of the sums."""
    deep = part_depth(len(b))
    for rows, columns in itertools.product(pieces(rng, len(a)), pieces(rng, b.shape[1])):
        for k in range(0, len(b), deep):
            product(a, b, out, rows, columns, (k, min(len(b), k + deep)), 1 if k else keep)


def check_cuts(product, size, dtype):
    rng = np.random.default_rng(size[0])
    (m, k, n), start = size, rng.standard_normal((size[0], size[2])).astype(dtype)
    for layout in ("rows", "columns"):
        a, b = matrix(rng, m, k, layout, dtype), matrix(rng, k, n, layout, dtype)
        for keep in (0, 1):
            whole = start.copy()
            product(a, b, whole, (0, m), (0, n), (0, k), keep)
            for _ in range(4):
                cut = start.copy()
                in_pieces(product, rng, a, b, cut, keep)
                np.testing.assert_array_equal(cut, whole)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", CUT_SIZES, ids=str)
def test_the_same_bits_whatever_the_cut(size, dtype):
    check_cuts(a_piece, size, dtype)


def on_slices(product):
    def piece(a, b, out, rows, columns, k, keep):
        rows, columns, k = slice(*rows), slice(*columns), slice(*k)
        product(a[rows, k], b[k, columns], out[rows, columns], keep)

    return piece


def pairwise_sums(a, b, out, keep):
    """Sums of pairs of steps: as good, and another order."""
    out[...] = (out if keep else 0) + sum(a[:, k : k + 2] @ b[k : k + 2] for k in range(0, len(b), 2))


def blocks_of_rows(a, b, out, keep):
    """The sums' parts are longer where there are few rows."""
    step = 64 if len(a) < 20 else 16
    total = out.copy() if keep else np.zeros_like(out)
    for start in range(0, len(b), step):
        part = np.zeros_like(out)
        for k in range(start, min(start + step, len(b))):
            part += a[:, k : k + 1] * b[k]
        total += part
    out[...] = total


@pytest.mark.parametrize("wrong", [pairwise_sums, blocks_of_rows])
def test_the_check_of_cuts_rejects_other_orders(wrong):
    with pytest.raises(AssertionError):
        check_cuts(on_slices(wrong), (26, 70, 9), np.float32)


def test_the_check_of_cuts_accepts_parts_one_after_another():
    def in_order(a, b, out, keep):
        deep = part_depth(len(b))
        for start in range(0, len(b), deep):
            total = np.zeros_like(out)
            for k in range(start, min(len(b), start + deep)):
                total += a[:, k : k + 1] * b[k]
            out[...] = out + total if keep or start else total

    check_cuts(on_slices(in_order), (26, 1100, 9), np.float32)


def test_parts_are_as_few_and_as_equal_as_can_be():
    for depth in (0, 1, 511, 512, 513, 784, 1024, 1025, 3136, 10_000):
        deep = part_depth(depth)
        parts = range(0, depth, deep)
        assert deep <= 512
        assert len(parts) == -(-depth // 512)
        assert depth - deep * len(parts) > -max(1, len(parts))


# --- columns of tiles -----------------------------------------------------------------------------------------------------


@kernel
def tiles(a, at, row, step, rows, b, from_, line, out, to, out_line, depth, keep, next_):
    shape = rows, depth, PANEL_BYTES // out.itemsize
    multiply_tiles(view(a, at, row, step), view(b, from_, line, 1), view(out, to, out_line, 1), shape, keep, next_)


def naive_tiles(a, at, row, step, rows, b, from_, line, out, to, out_line, depth, keep, next_):
    width = PANEL_BYTES // out.itemsize
    for i in range(rows):
        total = out[to + i * out_line :][:width] * out.dtype.type(keep)
        for k in range(depth):
            total = total + a[at + i * row + k * step] * b[from_ + k * line :][:width]
        out[to + i * out_line :][:width] = total


def check_tiles(compute, dtype, all_rows):
    rng, width = np.random.default_rng(0), PANEL_BYTES // np.dtype(dtype).itemsize

    def integers(size):
        return rng.integers(-8, 9, size).astype(dtype)

    for rows in all_rows:
        for depth, by_columns, gap, keep in [(1, False, 0, 0), (7, True, 3, 1), (20, False, 1, 1), (9, True, 0, 0)]:
            row, step = (1, rows + gap) if by_columns else (depth + gap, 1)
            line, out_line = width + gap, width + 2 * gap
            a, b = integers(3 + rows * row + depth * step), integers(2 + depth * line)
            out = integers(5 + (rows + 2) * out_line)
            before, expected = (a.copy(), b.copy()), out.copy()
            naive_tiles(a, 3, row, step, rows, b, 2, line, expected, 5, out_line, depth, keep, 0)
            next_ = [0, len(b), -10_000_000, 10_000_000][rows % 4]  # what is fetched ahead need not be there
            compute(a, 3, row, step, rows, b, 2, line, out, 5, out_line, depth, keep, next_)
            np.testing.assert_array_equal(out, expected)
            for array, copy in zip((a, b), before, strict=True):
                np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("dtype", DTYPES)
def test_tiles_of_any_number_of_rows(dtype):
    assert 2 * TILE_ROWS + _FEWER < 40  # whole tiles, lower ones, and both
    check_tiles(tiles.serial, dtype, range(41))


WRONG_TILES = {
    "rows in whole tiles": {"rows": lambda rows: -(-rows // 4) * 4},
    "a tile too few": {"rows": lambda rows: rows // 4 * 4},
    "never adds": {"keep": lambda keep: 0},
    "always adds": {"keep": lambda keep: 1},
    "rows of a side by side": {"row": lambda row: 1},
    "by rows only": {"step": lambda step: 1},
    "lines of out side by side": {"out_line": lambda line: PANEL_BYTES // 4},
    "lines of b side by side": {"line": lambda line: PANEL_BYTES // 4},
    "a from its beginning": {"at": lambda at: 0},
}


@pytest.mark.parametrize("name", WRONG_TILES)
def test_the_check_of_tiles_rejects_wrong_ones(name):
    names = ["a", "at", "row", "step", "rows", "b", "from_", "line", "out", "to", "out_line", "depth", "keep", "next_"]

    def wrong(*arguments):
        changes = WRONG_TILES[name]
        given = dict(zip(names, arguments, strict=True))
        naive_tiles(*[changes[key](value) if key in changes else value for key, value in given.items()])

    check_tiles(naive_tiles, np.float32, (1, 5, 8))
    with pytest.raises((AssertionError, ValueError, IndexError)):
        check_tiles(wrong, np.float32, (1, 5, 8))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_row_has_the_same_bits_in_a_tile_of_any_height(dtype):
    rng, width, depth = np.random.default_rng(1), PANEL_BYTES // np.dtype(dtype).itemsize, 33
    a, b = rng.standard_normal((40, depth)).astype(dtype), rng.standard_normal((depth, width)).astype(dtype)
    alone = np.empty((40, width), dtype)
    for i in range(40):
        tiles.serial(a.reshape(-1), i * depth, depth, 1, 1, b.reshape(-1), 0, width, alone[i], 0, width, depth, 0, 0)
    for rows in range(1, 41):
        out = np.empty((rows, width), dtype)
        tiles.serial(a.reshape(-1), 0, depth, 1, rows, b.reshape(-1), 0, width, out.reshape(-1), 0, width, depth, 0, 0)
        np.testing.assert_array_equal(out, alone[:rows])


@pytest.mark.parametrize("keep", [0, 1])
@pytest.mark.parametrize("shape", [(5, 3), (5, 40), (13, 70), (130, 70)], ids=str)
def test_nothing_is_written_beside_a_part_of_a_matrix(shape, keep):
    rng = np.random.default_rng(0)
    a, b = (rng.integers(-8, 9, size).astype(np.float32) for size in ((shape[0], 21), (21, shape[1])))
    whole = rng.integers(-8, 9, (shape[0] + 5, shape[1] + 9)).astype(np.float32)
    expected, part = whole.copy(), np.s_[2 : 2 + shape[0], 3 : 3 + shape[1]]
    expected[part] = a @ b + keep * whole[part]
    inside(a, b, whole[part], keep)
    np.testing.assert_array_equal(whole, expected)

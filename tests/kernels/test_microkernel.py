"""A tile of a product, added up in registers, against a naive twin.

Numbers are small integers wherever that will do: sums of them are exact in any order, so results must be equal, and a
whole array is compared, so that nothing beside the result may be written. The check is proved by wrong twins that it
rejects.
"""

from types import SimpleNamespace

import numba
import numpy as np
import pytest

from minidl.kernels.microkernel import TILE_ROWS, tile
from minidl.kernels.product import _FEWER
from minidl.kernels.runs import View, view
from minidl.kernels.vectors import VECTOR_BYTES
from tests.helpers import DTYPES, JIT, integers

compiled_only = pytest.mark.skipif(not JIT, reason="there are no vector instructions in plain Python")


def naive_tile(rows, width):
    """What `tile` says, one number after another; a number is rounded to float32 as often as without fused instructions."""

    def compute(
        a, at, row, step, last, b, from_, line, out, to, out_line, depth, keep, next_, begin, begin_at, begin_line
    ):
        for i in range(min(rows, last + 1)):
            for j in range(width):
                place = to + i * out_line + j
                total = begin[begin_at + i * begin_line + j] if keep & 2 else out.dtype.type(0)
                for k in range(depth):
                    total = total + a[at + i * row + k * step] * b[from_ + k * line + j]
                out[place] = out[place] + total if keep & 1 else total

    return compute


def wrong_tile(rows, width, **changes):
    """The naive twin with some of its arguments changed: each by a function of all of them."""
    right = naive_tile(rows, width)
    names = [
        "a", "at", "row", "step", "last", "b", "from_", "line", "out", "to", "out_line", "depth", "keep", "next_",
        "begin", "begin_at", "begin_line",
    ]  # fmt: skip

    def compute(*arguments):
        given = SimpleNamespace(**dict(zip(names, arguments, strict=True)))
        right(*[changes[name](given) if name in changes else value for name, value in vars(given).items()])

    return compute


WRONG_TILES = {
    "never adds": {"keep": lambda g: g.keep & 2},
    "always adds": {"keep": lambda g: g.keep | 1},
    "never goes on": {"keep": lambda g: g.keep & 1},
    "always goes on": {"keep": lambda g: g.keep | 2},
    "goes on from what it adds to": {
        "begin": lambda g: g.out,
        "begin_at": lambda g: g.to,
        "begin_line": lambda g: g.out_line,
    },
    "goes on from the beginning": {"begin_at": lambda g: 0},
    "lines to go on from taken to lie side by side": {"begin_line": lambda g: 2 * VECTOR_BYTES // g.b.itemsize},
    "rows past the last one are computed too": {"last": lambda g: 100},
    "one row is missing": {"last": lambda g: g.last - 1},
    "strides of a exchanged": {"row": lambda g: g.step, "step": lambda g: g.row},
    "lines of b taken to lie side by side": {"line": lambda g: 2 * VECTOR_BYTES // g.b.itemsize},
    "lines of out taken to lie side by side": {"out_line": lambda g: 2 * VECTOR_BYTES // g.b.itemsize},
    "a from its beginning": {"at": lambda g: 0},
    "b from its beginning": {"from_": lambda g: 0},
    "out from its beginning": {"to": lambda g: 0},
    "one step too few": {"depth": lambda g: g.depth - 1},
    "one step too many": {"depth": lambda g: g.depth + 1},
}


def tile_cases(rows, width, dtype, keeps):
    """Arguments for a tile: steps of 1 and more, a by rows and by columns, each last row, kept or not, any `next_`."""
    rng = np.random.default_rng(rows + width)
    for depth, by_columns, gap in [(1, False, 0), (5, False, 3), (5, True, 0), (17, True, 2)]:
        row, step = (1, rows + gap) if by_columns else (depth + gap, 1)
        line, out_line = width + gap, width + 2 * gap
        for last in range(rows):
            for keep in keeps:
                a = integers(rng, 3 + rows * row + (depth + 1) * step, dtype=dtype)
                b = integers(rng, 2 + (depth + 2) * line, dtype=dtype)
                out = integers(rng, 5 + (rows + 1) * out_line, dtype=dtype)
                begin = integers(rng, 7 + (rows + 1) * (width + gap), dtype=dtype)
                next_ = [0, len(b), -10_000_000, 10_000_000][(last + keep) % 4]
                yield a, 3, row, step, last, b, 2, line, out, 5, out_line, depth, keep, next_, begin, 7, width + gap


def check_tile(compute, rows, width, dtype, keeps=(0, 1, 2, 3)):
    right = naive_tile(rows, width)
    for arguments in tile_cases(rows, width, dtype, keeps):
        a, b, out, begin = (arguments[i].copy() for i in (0, 5, 8, 14))
        expected = list(arguments)
        expected[8] = out
        right(*expected)
        compute(*arguments)
        np.testing.assert_array_equal(arguments[8], out)
        np.testing.assert_array_equal(arguments[0], a)
        np.testing.assert_array_equal(arguments[5], b)
        np.testing.assert_array_equal(arguments[14], begin)


def compiled_tile(rows, vectors, goes_on):
    compute = tile(rows, vectors, goes_on)

    @numba.njit
    def call(
        a, at, row, step, last, b, from_, line, out, to, out_line, depth, keep, next_, begin, begin_at, begin_line
    ):
        place, first = view(out, to, out_line, 1), view(begin, begin_at, begin_line, 1)
        compute(view(a, at, row, step), view(b, from_, line, 1), first, place, last, depth, keep, next_)

    return call


@compiled_only
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("goes_on", [False, True])
@pytest.mark.parametrize(("rows", "vectors"), [(TILE_ROWS, 2), (_FEWER, 2), (TILE_ROWS, 1), (3, 1)])
def test_tile(rows, vectors, goes_on, dtype):
    width = vectors * VECTOR_BYTES // np.dtype(dtype).itemsize
    check_tile(compiled_tile(rows, vectors, goes_on), rows, width, dtype, (0, 1, 2, 3) if goes_on else (0, 1))


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_plain_version(dtype):
    """What runs without the compiler."""
    plain = tile(3, 1, goes_on=True)

    def call(
        a, at, row, step, last, b, from_, line, out, to, out_line, depth, keep, next_, begin, begin_at, begin_line
    ):
        place, first = View(out, to, out_line, 1), View(begin, begin_at, begin_line, 1)
        plain(View(a, at, row, step), View(b, from_, line, 1), first, place, last, depth, keep, next_)

    check_tile(call, 3, VECTOR_BYTES // np.dtype(dtype).itemsize, dtype)


def test_the_check_accepts_the_naive_tile():
    check_tile(naive_tile(3, 8), 3, 8, np.float32)


@pytest.mark.parametrize("name", WRONG_TILES)
def test_the_check_rejects_a_wrong_tile(name):
    with pytest.raises((AssertionError, IndexError)):
        check_tile(wrong_tile(3, 8, **WRONG_TILES[name]), 3, 8, np.float32)


def sum_in_order(a, b, start, fused, order=1):
    """start + Σ_k a_ik·b_kj in float32, the sum step after step; fused: a product is not rounded before it is added.

    A product of two float32 numbers is exact in float64; so is, here, its sum with a third, or nearly so.
    """
    total = np.zeros_like(start)
    for k in range(a.shape[1])[::order]:
        product = a[:, k : k + 1].astype(np.float64) * b[k].astype(np.float64)
        total = (total + (product if fused else product.astype(np.float32))).astype(np.float32)
    return start + total


@compiled_only
@pytest.mark.parametrize("keep", [0, 1])
def test_a_tile_adds_in_the_order_of_k_and_rounds_once_or_always_twice(keep):
    rng = np.random.default_rng(keep)
    width, depth = 2 * VECTOR_BYTES // 4, 50
    a, b, out = (rng.standard_normal(s, np.float32) for s in ((TILE_ROWS, depth), (depth, width), (TILE_ROWS, width)))
    start, last = keep * out, TILE_ROWS - 1
    compiled_tile(TILE_ROWS, 2, False)(
        a.reshape(-1), 0, depth, 1, last, b.reshape(-1), 0, width, out.reshape(-1), 0, width, depth, keep, 0,
        out.reshape(-1), 0, width,
    )  # fmt: skip
    assert any(np.array_equal(out, sum_in_order(a, b, start, fused)) for fused in (True, False))
    for fused in (True, False):  # that much the comparison can tell apart
        assert not np.array_equal(out, sum_in_order(a, b, start, fused, order=-1))


@compiled_only
@pytest.mark.parametrize("kept", [0, 1])
@pytest.mark.parametrize("first", [1, 24, 49])
def test_two_tiles_of_which_the_second_goes_on_have_the_bits_of_one(first, kept):
    rng = np.random.default_rng(first)
    width, depth, last = 2 * VECTOR_BYTES // 4, 50, TILE_ROWS - 1
    a, b, out = (rng.standard_normal(n, np.float32) for n in (TILE_ROWS * depth, depth * width, TILE_ROWS * width))
    whole, beside, call = out.copy(), np.empty_like(out), compiled_tile(TILE_ROWS, 2, True)
    call(a, 0, depth, 1, last, b, 0, width, whole, 0, width, depth, kept, 0, whole, 0, width)
    call(a, 0, depth, 1, last, b, 0, width, beside, 0, width, first, 0, 0, beside, 0, width)
    rest = depth - first, 2 + kept, 0
    call(a, first, depth, 1, last, b, first * width, width, out, 0, width, *rest, beside, 0, width)
    assert whole.tobytes() == out.tobytes()

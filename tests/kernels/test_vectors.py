"""What is written in vector instructions, `sandwich` and `transpose`, each against a naive twin.

Numbers are small integers wherever that will do: sums of them are exact in any order, so results must be equal, and a
whole array is compared, so that nothing beside the result may be written. Each check is proved by wrong twins that it
rejects.
"""

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidl.kernels.product import multiply, part_depth
from minidl.kernels.runs import view
from minidl.kernels.vectors import VECTOR_BYTES, _registers, _times, _twins, sandwich, transpose
from minidl.kernels.winograd import _A, _A3, _BT, _BT3, _G
from tests.helpers import DTYPES, JIT, integers, modest

ROOT = Path(__file__).parents[2]
compiled_only = pytest.mark.skipif(not JIT, reason="there are no vector instructions in plain Python")


# --- constant matrices times a vector: which instructions are written ---------------------------------------------------


class Counted:
    """Stands for `Vectors`, computes with fractions, and counts the instructions."""

    def __init__(self):
        self.count = 0
        self.builder, self.zero = self, Fraction(0)

    def constant(self, value):
        return Fraction(float(value)).limit_denominator(1000)

    def _one(self, result):
        self.count += 1
        return result

    def add(self, a, b):
        return self._one(a + b)

    def subtract(self, a, b):
        return self._one(a - b)

    def multiply(self, a, b):
        return self._one(a * b)

    def multiply_add(self, a, b, c):
        return self._one(a * b + c)


def instructions(matrix):
    """How many instructions `_times` writes for a matrix, after a look whether they are right."""
    v = Counted()
    xs = [Fraction(n * n - 7 * n + 1, n + 2) for n in range(matrix.shape[1])]
    expected = [sum((v.constant(w) * x for w, x in zip(row, xs, strict=True)), Fraction(0)) for row in matrix]
    assert _times(v, matrix, list(xs)) == expected
    return v.count


def one_after_another(matrix):
    """The same without shared work: a row with n weights takes n − 1 additions, and a product if no weight is 1."""
    return sum(max(0, np.count_nonzero(row) - 1) + (bool(np.any(row)) and 1 not in row) for row in matrix)


@pytest.mark.parametrize(
    ("matrix", "expected", "unshared"),
    [
        (_BT, 13, 16),
        (_BT3, 11, 14),
        (_A.T, 10, 14),
        (_A3.T, 8, 10),
        (_A, 9, 12),
        (_A3, 7, 8),
        (_G, 11, 13),
        (_G.T, 11, 13),
    ],
    ids=["B", "B3", "Aᵀ", "A3ᵀ", "A", "A3", "G", "Gᵀ"],
)
def test_instructions_for_winograds_matrices(matrix, expected, unshared):
    assert one_after_another(matrix) == unshared
    assert instructions(matrix) == expected


@modest
@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 10_000))
def test_instructions_are_right_for_any_matrix(rows, columns, seed):
    """Many rows and columns here are equal, opposite, zero, or differ in signs only."""
    rng = np.random.default_rng(seed)
    for values in ([-1, 1], [-2, 2, 2], [-1, 0, 1], [-2, -1, 0, 1, 2]):
        instructions(rng.choice(values, (rows, columns)))


SIGNS = np.array([[2, 3, 1], [2, -3, 1], [-2, 3, 1], [2, 3, -1]])


@pytest.mark.parametrize(
    "matrix",
    [SIGNS, SIGNS.T, SIGNS[:3], SIGNS / 3, np.ones((3, 3)), np.zeros((2, 3))],
    ids=["rows", "columns", "three", "thirds", "ones", "zeros"],
)
def test_instructions_where_more_than_two_rows_differ_in_signs_only(matrix):
    instructions(matrix)


def test_twins():
    assert list(_twins(np.array([[1, 2], [3, 4], [1, -2]]))) == [(0, 2)]
    assert not list(_twins(np.array([[1, 2], [1, 2], [-1, -2], [0, 0], [0, 0]])))
    assert list(_twins(_A)) == [(1, 2), (3, 4)]


def test_a_row_has_one_twin_only():
    """Else what is undone first would have to be what was done last."""
    assert list(_twins(SIGNS)) == [(0, 1), (2, 3)]
    assert list(_twins(SIGNS[:3])) == [(0, 1)]


# --- sandwich -----------------------------------------------------------------------------------------------------------


def naive_sandwich(left, right):
    def compute(x, at, row, column, y, to, y_row, y_column, n):
        for c in range(n):
            block = [[x[at + i * row + j * column + c] for j in range(right.shape[1])] for i in range(left.shape[1])]
            result = left @ np.array(block) @ right.T
            for i, j in np.ndindex(result.shape):
                y[to + i * y_row + j * y_column + c] = result[i, j]

    return compute


def compiled_sandwich(left, right):
    compute = sandwich(left, right)

    @numba.njit
    def call(x, at, row, column, y, to, y_row, y_column, n):
        compute(view(x, at, row, column), view(y, to, y_row, y_column), n)

    return call


def check_sandwich(compute, left, right, dtype, tolerance=0.0):
    """Runs of one vector, of several, and of no whole number of them; x and y in order or transposed, with gaps."""
    rng, lanes = np.random.default_rng(0), VECTOR_BYTES // np.dtype(dtype).itemsize
    right_one = naive_sandwich(left, right)
    for n, transposed, gap in [
        (lanes, False, 0),
        (lanes + 1, True, 2),
        (2 * lanes - 1, False, 1),
        (3 * lanes, True, 0),
    ]:
        run = n + gap
        (rows, columns), (y_rows, y_columns) = (left.shape[1], right.shape[1]), (len(left), len(right))
        row, column = (run, rows * run) if transposed else (columns * run, run)
        y_row, y_column = (y_columns * run, run) if transposed else (run, y_rows * run)
        x, y = (integers(rng, 7 + size * run, dtype=dtype) for size in (rows * columns, y_rows * y_columns))
        before, expected = x.copy(), y.copy()
        right_one(x, 4, row, column, expected, 3, y_row, y_column, n)
        compute(x, 4, row, column, y, 3, y_row, y_column, n)
        np.testing.assert_array_equal(x, before)
        np.testing.assert_allclose(y, expected, rtol=0, atol=tolerance)


RNG = np.random.default_rng(3)
PAIRS = {
    "random": (RNG.integers(-3, 4, (3, 5)), RNG.integers(-3, 4, (4, 2))),
    "one number": (np.array([[-1]]), np.array([[3]])),
    "ones and zeros": (np.ones((2, 3)), np.array([[0, 0], [1, 0], [0, -1]])),
    "signs": (SIGNS, SIGNS.T),
    "B": (_BT, _BT3),
    "A": (_A, _A3.T),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", PAIRS)
def test_sandwich(name, dtype):
    check_sandwich(compiled_sandwich(*PAIRS[name]), *PAIRS[name], dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_sandwich_with_weights_that_are_rounded(dtype):
    check_sandwich(compiled_sandwich(_G, _G.T), _G, _G.T, dtype, 1e-5 if dtype == np.float32 else 1e-14)


def no_tail(compute):
    """Forgets what is left after the last whole vector."""

    def wrong(x, at, row, column, y, to, y_row, y_column, n):
        lanes = VECTOR_BYTES // x.itemsize
        compute(x, at, row, column, y, to, y_row, y_column, n // lanes * lanes)

    return wrong


def long_tail(compute):
    """Writes a whole vector where less is left."""

    def wrong(x, at, row, column, y, to, y_row, y_column, n):
        lanes = VECTOR_BYTES // x.itemsize
        x, y = (np.concatenate([a, np.zeros(lanes, a.dtype)]) if a is x else a for a in (x, y))
        compute(x, at, row, column, y, to, y_row, y_column, min(-(-n // lanes) * lanes, len(y) - to))

    return wrong


def transposed_result(compute):
    def wrong(x, at, row, column, y, to, y_row, y_column, n):
        compute(x, at, column, row, y, to, y_row, y_column, n)

    return wrong


SQUARE = np.array([[1, 2], [3, 4]]), np.array([[1, -1], [2, 1]])
WRONG_SANDWICHES = {
    "left and right exchanged": naive_sandwich(SQUARE[1], SQUARE[0]),
    "left transposed": naive_sandwich(SQUARE[0].T, SQUARE[1]),
    "right transposed": naive_sandwich(SQUARE[0], SQUARE[1].T),
    "x transposed": transposed_result(naive_sandwich(*SQUARE)),
    "no tail": no_tail(naive_sandwich(*SQUARE)),
    "a tail too long": long_tail(naive_sandwich(*SQUARE)),
    "one sign": naive_sandwich(SQUARE[0], np.abs(SQUARE[1])),
}


@pytest.mark.parametrize("name", WRONG_SANDWICHES)
def test_the_check_rejects_a_wrong_sandwich(name):
    check_sandwich(naive_sandwich(*SQUARE), *SQUARE, np.float32)
    with pytest.raises((AssertionError, IndexError)):
        check_sandwich(WRONG_SANDWICHES[name], *SQUARE, np.float32)


# --- the processor's registers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        ("+sse2,+avx,+avx2,+fma,+avx512f", (64, 32)),
        ("+avx2,+fma,-avx512f", (32, 16)),
        ("+avx", (32, 16)),
        ("+sse2,-avx", (16, 16)),
        ("+neon", (16, 32)),
        ("", (16, 16)),
    ],
)
def test_registers(features, expected, monkeypatch):
    monkeypatch.setattr(numba.config, "CPU_FEATURES", features)
    assert _registers() == expected


# --- a square transposed ------------------------------------------------------------------------------------------------


@numba.njit
def transposed_by_vectors(x, at, row, y, to, y_row):
    transpose(view(x, at, row, 1), view(y, to, y_row, 1))


def transposed_plainly(x, at, row, y, to, y_row):
    transpose(view(x, at, row, 1), view(y, to, y_row, 1))


def check_transpose(compute, dtype):
    lanes = VECTOR_BYTES // np.dtype(dtype).itemsize
    for row, y_row in [(lanes, lanes), (lanes + 3, lanes + 1), (2 * lanes, 5 * lanes)]:
        x = np.arange(1, 8 + lanes * row, dtype=dtype)
        y, expected = np.zeros((2, 9 + lanes * (y_row + 1)), dtype)
        for i in range(lanes):
            for j in range(lanes):
                expected[5 + j * y_row + i] = x[3 + i * row + j]
        compute(x, 3, row, y, 5, y_row)
        np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("compute", [transposed_by_vectors, transposed_plainly])
def test_transpose(compute, dtype):
    check_transpose(compute, dtype)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda x, at, row, y, to, y_row: transposed_plainly(x, at, row, y, to, y_row + 1),
        lambda x, at, row, y, to, y_row: transposed_plainly(x, at + 1, row, y, to, y_row),
        lambda x, at, row, y, to, y_row: transposed_plainly(x[::-1].copy(), at, row, y, to, y_row),
        lambda x, at, row, y, to, y_row: (transposed_plainly(x, at, row, y, to, y_row), y.__setitem__(0, 1)),
    ],
)
def test_the_check_rejects_a_wrong_transpose(wrong):
    with pytest.raises(AssertionError):
        check_transpose(wrong, np.float32)


# --- what one reads is what runs ----------------------------------------------------------------------------------------


def exact_products(rng, *shape, dtype):
    """Powers of two: times any number they are exact, so that it does not matter whether products are rounded."""
    return (2.0 ** rng.integers(-3, 4, shape) * rng.choice([-1, 1], shape)).astype(dtype)


def a_product(rng, rows, depth, columns, dtype):
    """Arguments of `multiply`, and the array that it fills."""
    a, b = exact_products(rng, rows, depth, dtype=dtype), rng.standard_normal((depth, columns)).astype(dtype)
    out = rng.standard_normal((rows, columns)).astype(dtype)
    return a, b, out


@numba.njit
def multiply_compiled(a, b, out, shape, keep):
    _, depth, columns = shape
    multiply(view(a, 0, depth, 1), view(b, 0, columns, 1), view(out, 0, columns, 1), shape, keep)


def multiply_plainly(a, b, out, shape, keep, order=1):
    """In a process of its own the plain version would run; here its loop over k, with parts as `multiply` has them."""
    rows, depth, columns = shape
    a, b, out, part = a.reshape(rows, depth), b.reshape(depth, columns), out.reshape(rows, columns), part_depth(depth)
    for start in range(0, depth, part):
        sums = np.zeros_like(out)
        for k in range(start, min(depth, start + part))[::order]:
            sums = a[:, k : k + 1] * b[k] + sums
        out[...] = out + sums if keep or start else sums


@compiled_only
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("keep", [0, 1])
@pytest.mark.parametrize("size", [(5, 7, 3), (13, 64, 40), (61, 700, 33), (130, 1100, 70)], ids=str)
def test_compiled_products_add_up_in_the_order_that_one_reads(size, keep, dtype):
    a, b, out = a_product(np.random.default_rng(0), *size, dtype)
    expected, backwards = out.copy(), out.copy()
    multiply_plainly(a, b, expected, size, keep)
    multiply_plainly(a, b, backwards, size, keep, order=-1)
    multiply_compiled(a.reshape(-1), b.reshape(-1), out.reshape(-1), size, keep)
    np.testing.assert_array_equal(out, expected)
    assert not np.array_equal(out, backwards)  # another order would be seen


PLAIN = """
import numpy as np, sys
from minidl.kernels.product import multiply
from minidl.kernels.runs import view
data = np.load(sys.argv[1])
found = {}
for key in {name.partition(" ")[0] for name in data.files}:
    a, b, out = (data[f"{key} {part}"] for part in "abo")
    (rows, depth), columns, keep = a.shape, b.shape[1], int(key[-1])
    y = out.copy()
    multiply(view(a.reshape(-1), 0, depth, 1), view(b.reshape(-1), 0, columns, 1), view(y.reshape(-1), 0, columns, 1),
             (rows, depth, columns), keep)
    found[key] = y
np.savez(sys.argv[2], **found)
"""


@compiled_only
def test_the_plain_product_gives_the_bits_of_the_compiled_one(tmp_path):
    rng, cases = np.random.default_rng(1), {}
    for i, size in enumerate([(5, 7, 3), (13, 64, 40), (61, 700, 33), (130, 30, 70)]):
        for dtype in DTYPES:
            for keep in (0, 1):
                cases[f"{i}{np.dtype(dtype).name}{keep}"] = a_product(rng, *size, dtype)
    np.savez(
        tmp_path / "in.npz",
        **{f"{k} {part}": x for k, case in cases.items() for part, x in zip("abo", case, strict=True)},
    )
    command = [sys.executable, "-c", PLAIN, str(tmp_path / "in.npz"), str(tmp_path / "out.npz")]
    subprocess.run(command, env=os.environ | {"NUMBA_DISABLE_JIT": "1"}, cwd=ROOT, check=True)
    plain = np.load(tmp_path / "out.npz")
    for name, (a, b, out) in cases.items():
        multiply_compiled(a.reshape(-1), b.reshape(-1), out.reshape(-1), (*a.shape, b.shape[1]), int(name[-1]))
        np.testing.assert_array_equal(plain[name], out)


@compiled_only
@pytest.mark.parametrize("name", ["B", "A", "G"])
def test_the_plain_sandwich_gives_the_numbers_of_the_compiled_one(name):
    matrix = {"B": _BT, "A": _A, "G": _G}[name]
    rng, n = np.random.default_rng(2), 19
    rows, columns = matrix.shape[1], len(matrix)
    x = rng.standard_normal(rows * rows * n).astype(np.float32)
    y, plain = (np.zeros(columns * columns * n, np.float32) for _ in range(2))
    compiled_sandwich(matrix, matrix)(x, 0, rows * n, n, y, 0, columns * n, n, n)
    sandwich(matrix, matrix)(view(x, 0, rows * n, n), view(plain, 0, columns * n, n), n)
    np.testing.assert_allclose(y, plain, rtol=0, atol=4e-6 * np.abs(plain).max())

"""Vector instructions written down one by one, for the three loops that LLVM does not see through.

A processor's core multiplies and adds vectors: 16 float32 numbers at once with AVX-512, 8 with AVX2, 4 on ARM. LLVM turns
most of minidl's loops into such instructions by itself. It does not find out that the results of a small matrix product
should stay in registers while all products are added to them (`_product.py`), nor that a transform of 6×6 pixels fits
into registers whole (`ops/winograd.py`), nor that a square can be transposed in them. These three are written here
instruction by instruction, by Python functions that run while Numba compiles: what is a loop over rows in them is straight
code when it runs.

    tile        rows × 1 or 2 vectors of a matrix product, added up in registers
    sandwich    L·X·Rᵀ for constant matrices L and R, and a block X of vectors
    transpose   Xᵀ for a square X of as many numbers as a vector has
"""

import zlib

import llvmlite.binding as llvm
import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from minidl.kernels.jit import compiled_as

__all__ = ["TILE_ROWS", "VECTOR_BYTES", "sandwich", "tile", "transpose"]


def _registers():
    """Bytes in a vector register, and how many registers there are."""
    features = numba.config.CPU_FEATURES  # what the user allows Numba, as text, or None  # type: ignore[attr-defined]
    if features is None:
        features = ",".join(f"+{name}" for name, there in llvm.get_host_cpu_features().items() if there)
    features = f",{features},"
    if ",+avx512f," in features:
        return 64, 32
    return (32, 16) if ",+avx," in features or ",+avx2," in features else (16, 32 if ",+neon," in features else 16)


VECTOR_BYTES, _REGISTERS = _registers()
# Two vectors for each row of the tile, and some to spare for the numbers to be multiplied. Measured with AVX-512: 12 rows
# reach 185 to 200 GFLOP/s on a core that can do 200; 11 and 13 the same within 3 %, 14 some 10 % less.
TILE_ROWS = 12 if _REGISTERS == 32 else 6


class Vectors:
    """Writes instructions for vectors of one type of numbers, into the function that Numba is compiling."""

    def __init__(self, context, builder, array_type):
        self._context, self.builder = context, builder
        self.number = context.get_value_type(array_type.dtype)
        self.bytes = array_type.dtype.bitwidth // 8
        self.lanes = VECTOR_BYTES // self.bytes
        self.type = ir.VectorType(self.number, self.lanes)
        self.zero = self.constant(0.0)

    def constant(self, value):
        """A vector with the same number in each lane."""
        return ir.Constant(self.type, [ir.Constant(self.number, value)] * self.lanes)

    def pointer(self, array_type, array, at):
        """The place of the number `at` in an array."""
        return self.builder.gep(self._context.make_array(array_type)(self._context, self.builder, array).data, [at])

    def load(self, pointer):
        """The numbers from a place on."""
        return self.builder.load(self._as_vector(pointer), align=self.bytes)

    def store(self, vector, pointer):
        """Write numbers from a place on."""
        self.builder.store(vector, self._as_vector(pointer), align=self.bytes)

    def broadcast(self, pointer):
        """One number, in all lanes."""
        first, nothing = ir.Constant(ir.IntType(32), 0), ir.Constant(self.type, ir.Undefined)
        number = self.builder.load(pointer, align=self.bytes)
        same = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [first] * self.lanes)
        return self.builder.shuffle_vector(self.builder.insert_element(nothing, number, first), nothing, same)

    def exchange(self, a, b, part):
        """In parts of `part` numbers, a's second, fourth, … change places with b's first, third, …"""
        lanes, index = range(self.lanes), ir.VectorType(ir.IntType(32), self.lanes)
        first = ir.Constant(index, [i + self.lanes - part if i & part else i for i in lanes])
        second = ir.Constant(index, [i + self.lanes if i & part else i + part for i in lanes])
        return [self.builder.shuffle_vector(a, b, mask) for mask in (first, second)]

    def prefetch(self, pointer):
        """Ask for the line of memory around a place to be brought to the second-level cache, and go on."""
        number = ir.IntType(32)
        place = self.builder.bitcast(pointer, ir.IntType(8).as_pointer())
        function = ir.FunctionType(ir.VoidType(), [place.type, number, number, number])
        prefetch = cgutils.get_or_insert_function(self.builder.module, function, "llvm.prefetch.p0")
        to_read, second_level, data = (ir.Constant(number, n) for n in (0, 2, 1))
        self.builder.call(prefetch, [place, to_read, second_level, data])

    def multiply_add(self, a, b, c):
        """a·b + c, rounded once where the processor can."""
        function = ir.FunctionType(self.type, [self.type] * 3)
        name = f"llvm.fmuladd.v{self.lanes}f{8 * self.bytes}"
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, function, name), [a, b, c])

    def _as_vector(self, pointer):
        return self.builder.bitcast(pointer, ir.PointerType(self.type))


# ---- a tile of a matrix product ---------------------------------------------------------------------------------------


def tile(rows, vectors):
    """The function that adds up a tile of a product, `rows` × `vectors` vectors: out = a·b, or with keep out += a·b.

    The function's arguments: a, at, row, step, last, b, from_, line, out, to, out_line, depth, keep, next_.
    Flat arrays. a's element (i, k) is a[at + i·row + k·step]; rows past `last` are computed as row `last` once more (the
    same numbers to the same place). b's row k begins at b[from_ + k·line], out's row i at out[to + i·out_line]; depth ≥ 1.
    With each k, one more vector of b from b[next_] on is fetched to the second-level cache; past the end does no harm.
    """

    @intrinsic
    def compute(typing, a, at, row, step, last, b, from_, line, out, to, out_line, depth, keep, next_):
        def write(context, builder, signature, arguments):
            a, at, row, step, last, b, from_, line, out, to, out_line, depth, keep, next_ = arguments
            v = Vectors(context, builder, signature.args[0])
            zero, one = ir.Constant(at.type, 0), ir.Constant(at.type, 1)
            ahead = v.pointer(signature.args[5], b, next_)
            a, b = v.pointer(signature.args[0], a, at), v.pointer(signature.args[5], b, from_)
            out = v.pointer(signature.args[8], out, to)
            a_rows, places = [], []
            for i in range(rows):
                i = ir.Constant(at.type, i)
                i = builder.select(builder.icmp_signed("<", i, last), i, last)
                a_rows.append(builder.gep(a, [builder.mul(i, row)]))
                start = builder.gep(out, [builder.mul(i, out_line)])
                places += [builder.gep(start, [ir.Constant(at.type, j * v.lanes)]) for j in range(vectors)]

            loop, begin = builder.append_basic_block("loop"), builder.block
            after, added, stored, done = (
                builder.append_basic_block(name) for name in ("after", "added", "stored", "done")
            )
            builder.branch(loop)
            builder.position_at_end(loop)

            def carried(first):
                """A variable of the loop."""
                variable = builder.phi(first.type)
                variable.add_incoming(first, begin)
                return variable

            k, in_a, in_b = (carried(zero) for _ in range(3))
            sums = [carried(v.zero) for _ in places]
            v.prefetch(builder.gep(ahead, [builder.mul(k, ir.Constant(at.type, v.lanes))]))
            row_of_b = builder.gep(b, [in_b])
            factors = [v.load(builder.gep(row_of_b, [ir.Constant(at.type, j * v.lanes)])) for j in range(vectors)]
            new = []
            for i in range(rows):
                number = v.broadcast(builder.gep(a_rows[i], [in_a]))
                new += [v.multiply_add(number, factors[j], sums[i * vectors + j]) for j in range(vectors)]
            updates = [builder.add(k, one), builder.add(in_a, step), builder.add(in_b, line), *new]
            for variable, update in zip([k, in_a, in_b, *sums], updates, strict=True):
                variable.add_incoming(update, loop)
            builder.cbranch(builder.icmp_signed("<", updates[0], depth), loop, after)

            builder.position_at_end(after)
            builder.cbranch(builder.icmp_signed("!=", keep, zero), added, stored)
            builder.position_at_end(added)
            there = [v.load(place) for place in places]  # all before a store: the last row may come several times
            for kept, total, place in zip(there, new, places, strict=True):
                v.store(builder.fadd(kept, total), place)
            builder.branch(done)
            builder.position_at_end(stored)
            for total, place in zip(new, places, strict=True):
                v.store(total, place)
            builder.branch(done)
            builder.position_at_end(done)
            return context.get_dummy_value()

        index = types.intp
        signature = types.void(a, *[index] * 4, b, *[index] * 2, out, *[index] * 5)
        return signature, write

    return compute


# ---- constant matrices around a block ---------------------------------------------------------------------------------


def sandwich(left, right):
    """A function for kernels: Y = L·X·Rᵀ for each channel, with constant matrices L and R.

    Its arguments: x, at, row, column, y, to, y_row, y_column, n. Flat arrays: element (i, j) of X is a run of n channels
    from x[at + i·row + j·column] on, and likewise in y; n is at least a vector's.
    """
    rows, columns = left.shape[1], right.shape[1]

    def plain(x, at, row, column, y, to, y_row, y_column, n):
        block = [[x[at + i * row + j * column :][:n] for j in range(columns)] for i in range(rows)]
        result = np.einsum("ai,ijn,bj->abn", left, block, right)
        for i, j in np.ndindex(result.shape[:2]):
            y[to + i * y_row + j * y_column :][:n] = result[i, j]

    numbers = zlib.crc32(np.asarray(left, float).tobytes() + np.asarray(right, float).tobytes())
    plain.__qualname__ = f"sandwich-{left.shape}-{right.shape}-{numbers:08x}"

    @intrinsic
    def vector(typing, x, at, row, column, y, to, y_row, y_column):
        def write(context, builder, signature, arguments):
            x, at, row, column, y, to, y_row, y_column = arguments
            v = Vectors(context, builder, signature.args[0])
            x, y = v.pointer(signature.args[0], x, at), v.pointer(signature.args[4], y, to)

            def place(start, i, row, j, column):
                at_row = builder.mul(ir.Constant(at.type, i), row)
                return builder.gep(start, [builder.add(at_row, builder.mul(ir.Constant(at.type, j), column))])

            down = []
            for j in range(columns):
                down.append(_times(v, left, [v.load(place(x, i, row, j, column)) for i in range(rows)]))
            for i in range(len(left)):
                for j, result in enumerate(_times(v, right, [line[i] for line in down])):
                    v.store(result, place(y, i, y_row, j, y_column))
            return context.get_dummy_value()

        return types.void(x, *[types.intp] * 3, y, *[types.intp] * 3), write

    @compiled_as(plain)
    def _(x, at, row, column, y, to, y_row, y_column, n):
        def loop(x, at, row, column, y, to, y_row, y_column, n):
            width = VECTOR_BYTES // x.itemsize
            for start in range(0, n, width):
                c = min(start, n - width)  # the last vector may overlap the one before it: the same numbers again
                vector(x, at + c, row, column, y, to + c, y_row, y_column)

        return loop

    return plain


def _times(v, matrix, xs):
    """Instructions for matrix·x, where x is a list of vectors.

    Two rows (or columns) that differ only in signs share their work: of a + b and a − b, both parts are computed once. In
    Winograd's matrices that is so for each pair of points p and −p.
    """
    b, matrix = v.builder, np.array(matrix)
    for i, k in _twins(matrix.T):  # a·x_i ± a·x_k, … = a·(x_i ± x_k), …
        xs = list(xs)
        xs[i], xs[k] = b.fadd(xs[i], xs[k]), b.fsub(xs[i], xs[k])
        matrix[:, i], matrix[:, k] = (matrix[:, i] + matrix[:, k]) / 2, (matrix[:, i] - matrix[:, k]) / 2
    pairs = list(_twins(matrix))
    for i, k in pairs:
        matrix[i], matrix[k] = (matrix[i] + matrix[k]) / 2, (matrix[i] - matrix[k]) / 2
    results = [_weighted_sum(v, row, xs) for row in matrix]
    for i, k in pairs:
        results[i], results[k] = b.fadd(results[i], results[k]), b.fsub(results[i], results[k])
    return results


def _twins(matrix):
    """Pairs of rows that are equal but for signs, and neither equal nor opposite; no row is in two of them."""
    free = set(range(len(matrix)))
    for i in range(len(matrix)):
        for k in range(i + 1, len(matrix)):
            same_size = np.array_equal(abs(matrix[i]), abs(matrix[k]))
            equal = np.array_equal(matrix[i], matrix[k]) or np.array_equal(matrix[i], -matrix[k])
            if same_size and not equal and free >= {i, k}:
                free -= {i, k}
                yield i, k


def _weighted_sum(v, weights, xs):
    """Σ weights·xs, without the products by 0 and 1."""
    terms = sorted(((w, x) for w, x in zip(weights, xs, strict=True) if w), key=lambda term: term[0] != 1)
    if not terms:
        return v.zero
    weight, x = terms[0]
    total = x if weight == 1 else v.builder.fmul(v.constant(weight), x)
    for weight, x in terms[1:]:
        if abs(weight) == 1:
            total = (v.builder.fadd if weight == 1 else v.builder.fsub)(total, x)
        else:
            total = v.multiply_add(v.constant(weight), x, total)
    return total


# ---- a square transposed ----------------------------------------------------------------------------------------------


def transpose(x, at, row, y, to, y_row):
    """y[to + j·y_row + i] = x[at + i·row + j], where i and j count the numbers of a vector. Flat arrays."""
    lanes = VECTOR_BYTES // x.itemsize
    for i in range(lanes):
        y[to + i :: y_row][:lanes] = x[at + i * row :][:lanes]


@intrinsic
def _transpose(typing, x, at, row, y, to, y_row):
    """Quarters change places, then quarters of quarters: log₂ n times n shuffles of two vectors, not n² single numbers."""

    def write(context, builder, signature, arguments):
        x, at, row, y, to, y_row = arguments
        v = Vectors(context, builder, signature.args[0])
        x, y = v.pointer(signature.args[0], x, at), v.pointer(signature.args[3], y, to)
        places = [ir.Constant(at.type, i) for i in range(v.lanes)]
        rows = [v.load(builder.gep(x, [builder.mul(i, row)])) for i in places]
        half = v.lanes // 2
        while half:
            for i in range(v.lanes):
                if not i & half:
                    rows[i], rows[i + half] = v.exchange(rows[i], rows[i + half], half)
            half //= 2
        for i, vector in zip(places, rows, strict=True):
            v.store(vector, builder.gep(y, [builder.mul(i, y_row)]))
        return context.get_dummy_value()

    return types.void(x, *[types.intp] * 2, y, *[types.intp] * 2), write


@compiled_as(transpose)
def _(x, at, row, y, to, y_row):
    return lambda x, at, row, y, to, y_row: _transpose(x, at, row, y, to, y_row)

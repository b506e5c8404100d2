"""Vector instructions written down one by one, for loops that LLVM does not see through.

A processor's core multiplies and adds vectors: 16 float32 numbers at once with AVX-512, 8 with AVX2, 4 on ARM. LLVM turns
most of minidl's loops into such instructions by itself. It does not find out that the results of a small matrix product
should stay in registers while all products are added to them (`microkernel.py`). Nor does it see that a transform of 6×6
pixels fits into registers whole (`winograd.py`), or that a square can be transposed in them.

    Vectors     the instructions
    sandwich    L·X·Rᵀ for constant matrices L and R, and a block X of vectors
    transpose   Xᵀ for a square X of as many numbers as a vector has

Python functions write these, instruction by instruction, while Numba compiles: what is a loop over rows in them is
straight code when it runs. Beside each is a plain version, which runs when the JIT is off. It computes the same in the same
order, so results are equal to the bit, but for one thing: a·b + c is rounded once by most processors, and twice by NumPy.
"""

import zlib

import llvmlite.binding as llvm
import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from minidl.kernels import runs
from minidl.kernels.jit import compiled_as, n_chunks

__all__ = ["REGISTERS", "VECTOR_BYTES", "Arrays", "Vectors", "sandwich", "transpose"]


def _registers():
    """Bytes in a vector register, and how many registers there are."""
    features = numba.config.CPU_FEATURES  # what the user allows Numba, as text, or None  # type: ignore[attr-defined]
    if features is None:
        features = ",".join(f"+{name}" for name, there in llvm.get_host_cpu_features().items() if there)
    features = f",{features},"
    if ",+avx512f," in features:
        return 64, 32
    return (32, 16) if ",+avx," in features or ",+avx2," in features else (16, 32 if ",+neon," in features else 16)


VECTOR_BYTES, REGISTERS = _registers()


class Arrays:
    """Arithmetic on NumPy arrays: what the plain versions compute with."""

    @staticmethod
    def constant(value):
        """Return a number, which NumPy rounds to the type of the arrays that it meets."""
        return float(value)

    @staticmethod
    def add(a, b):
        return a + b

    @staticmethod
    def subtract(a, b):
        return a - b

    @staticmethod
    def multiply(a, b):
        return a * b

    @staticmethod
    def multiply_add(a, b, c):
        """a·b + c, rounded twice."""
        return a * b + c


class Vectors:
    """The same arithmetic and more, written as instructions for vectors into the function that Numba is compiling."""

    def __init__(self, context, builder, view_type):
        array_type = view_type.types[0]
        self._context, self.builder = context, builder
        self.number = context.get_value_type(array_type.dtype)
        self.bytes = array_type.dtype.bitwidth // 8
        self.lanes = VECTOR_BYTES // self.bytes
        self.type = ir.VectorType(self.number, self.lanes)

    def unpack(self, view_type, view):
        """Return the place of a view's first number, and its two strides."""
        array, at, row, column = cgutils.unpack_tuple(self.builder, view, 4)
        data = self._context.make_array(view_type.types[0])(self._context, self.builder, array).data
        return self.builder.gep(data, [at]), row, column

    def place(self, first, i, row, j=0, column=None):
        """Return the place of element (i, j), for numbers i and j."""
        steps = self.builder.mul(ir.Constant(row.type, i), row)
        if column is not None:
            steps = self.builder.add(steps, self.builder.mul(ir.Constant(row.type, j), column))
        return self.builder.gep(first, [steps])

    def constant(self, value):
        """Make a vector with the same number in each lane."""
        return ir.Constant(self.type, [ir.Constant(self.number, value)] * self.lanes)

    def load(self, pointer):
        """Load the numbers from a place on."""
        return self.builder.load(self._as_vector(pointer), align=self.bytes)

    def store(self, vector, pointer):
        """Write numbers from a place on."""
        self.builder.store(vector, self._as_vector(pointer), align=self.bytes)

    def broadcast(self, pointer):
        """Load one number into all lanes."""
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

    def add(self, a, b):
        """Compute a + b."""
        return self.builder.fadd(a, b)

    def subtract(self, a, b):
        """Compute a − b."""
        return self.builder.fsub(a, b)

    def multiply(self, a, b):
        """Compute a · b."""
        return self.builder.fmul(a, b)

    def multiply_add(self, a, b, c):
        """Compute a·b + c, rounded once where the processor can."""
        function = ir.FunctionType(self.type, [self.type] * 3)
        name = f"llvm.fmuladd.v{self.lanes}f{8 * self.bytes}"
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, function, name), [a, b, c])

    def is_set(self, number, bit):
        """Return whether a number has a bit, 1 or 2 or 4."""
        masked = self.builder.and_(number, ir.Constant(number.type, bit))
        return self.builder.icmp_signed("!=", masked, ir.Constant(number.type, 0))

    def choose(self, condition, make, otherwise):
        """Return the values that make() writes down, where the condition holds, and else those given."""
        before, (block, after) = self.builder.block, map(self.builder.append_basic_block, ("if", "after"))
        self.builder.cbranch(condition, block, after)
        self.builder.position_at_end(block)
        made = make()
        block = self.builder.block
        self.builder.branch(after)
        self.builder.position_at_end(after)
        return [self._joined((one, block), (other, before)) for one, other in zip(made, otherwise, strict=True)]

    def repeat(self, count, step, values):
        """Return the values after `count` times values = step(*values)."""
        before, (block, after) = self.builder.block, map(self.builder.append_basic_block, ("loop", "after"))
        done = ir.Constant(count.type, 0)
        self.builder.cbranch(self.builder.icmp_signed(">", count, done), block, after)
        self.builder.position_at_end(block)
        done, *now = (self._joined((value, before)) for value in (done, *values))
        new = [self.builder.add(done, ir.Constant(count.type, 1)), *step(*now)]
        for variable, value in zip((done, *now), new, strict=True):
            variable.add_incoming(value, self.builder.block)
        self.builder.cbranch(self.builder.icmp_signed("<", new[0], count), block, after)
        block = self.builder.block
        self.builder.position_at_end(after)
        return [self._joined((one, before), (other, block)) for one, other in zip(values, new[1:], strict=True)]

    def _joined(self, *ways):
        """A value that depends on the way here: pairs of a value and the block that it comes from."""
        variable = self.builder.phi(ways[0][0].type)
        for value, block in ways:
            variable.add_incoming(value, block)
        return variable

    def _as_vector(self, pointer):
        return self.builder.bitcast(pointer, ir.PointerType(self.type))


# ---- constant matrices around a block ---------------------------------------------------------------------------------


def sandwich(left, right):
    """Return a function for kernels: Y = L·X·Rᵀ for each channel, with constant matrices L and R.

    Its arguments: x, y, n. x and y are views whose elements are runs of n channels; n is at least a vector's. Both versions
    call `_sandwich`, the one with vectors in registers, the other with runs of numbers in x.
    """

    def plain(x, y, n):
        def run(view, i, j):
            return view.array[view.at + i * view.row + j * view.column :][:n]

        for i, j, result in _sandwich(Arrays, left, right, lambda i, j: run(x, i, j)):
            run(y, i, j)[:] = result

    numbers = zlib.crc32(np.asarray(left, float).tobytes() + np.asarray(right, float).tobytes())
    plain.__qualname__ = f"sandwich-{left.shape}-{right.shape}-{numbers:08x}"

    @intrinsic
    def written(typing, x, y, channel):
        """One vector of channels, from `channel` on."""

        def write(context, builder, signature, arguments):
            (x, y, channel), (x_type, y_type, _) = arguments, signature.args
            v = Vectors(context, builder, x_type)
            (x, row, column), (y, y_row, y_column) = v.unpack(x_type, x), v.unpack(y_type, y)
            x, y = builder.gep(x, [channel]), builder.gep(y, [channel])
            for i, j, result in _sandwich(v, left, right, lambda i, j: v.load(v.place(x, i, row, j, column))):
                v.store(result, v.place(y, i, y_row, j, y_column))
            return context.get_dummy_value()

        return types.void(x, y, types.intp), write

    @compiled_as(plain, runs.__file__)
    def _(x, y, n):
        def loop(x, y, n):
            lanes = VECTOR_BYTES // x.array.itemsize
            for c in range(n_chunks(n, lanes)):
                written(x, y, min(c * lanes, n - lanes))  # the last vector may overlap the one before it

        return loop

    return plain


def _sandwich(v, left, right, element):
    """Yield i, j and element (i, j) of L·X·Rᵀ, where element(i, j) is that of X; v computes."""
    columns = [_times(v, left, [element(i, j) for i in range(left.shape[1])]) for j in range(right.shape[1])]
    for i in range(len(left)):
        for j, result in enumerate(_times(v, right, [column[i] for column in columns])):
            yield i, j, result


def _times(v, matrix, xs):
    """Return matrix·xs as a list; v, which is `Arrays` or `Vectors`, computes with the numbers in the list xs.

    Two rows (or columns) that differ only in signs share their work: of a + b and a − b, both parts are computed once. In
    Winograd's matrices that is so for each pair of points p and −p.
    """
    matrix = np.array(matrix)
    for i, k in _twins(matrix.T):  # a·x_i ± a·x_k, … = a·(x_i ± x_k), …
        xs = list(xs)
        xs[i], xs[k] = v.add(xs[i], xs[k]), v.subtract(xs[i], xs[k])
        matrix[:, i], matrix[:, k] = (matrix[:, i] + matrix[:, k]) / 2, (matrix[:, i] - matrix[:, k]) / 2
    pairs = list(_twins(matrix))
    for i, k in pairs:
        matrix[i], matrix[k] = (matrix[i] + matrix[k]) / 2, (matrix[i] - matrix[k]) / 2
    results = [_weighted_sum(v, row, xs) for row in matrix]
    for i, k in pairs:
        results[i], results[k] = v.add(results[i], results[k]), v.subtract(results[i], results[k])
    return results


def _twins(matrix):
    """Yield pairs of rows that are equal but for signs, and neither equal nor opposite; no row is in two of them."""
    free = set(range(len(matrix)))
    for i in range(len(matrix)):
        for k in range(i + 1, len(matrix)):
            same_size = np.array_equal(abs(matrix[i]), abs(matrix[k]))
            equal = np.array_equal(matrix[i], matrix[k]) or np.array_equal(matrix[i], -matrix[k])
            if same_size and not equal and free >= {i, k}:
                free -= {i, k}
                yield i, k


def _weighted_sum(v, weights, xs):
    """Return Σ weights·xs, without the products by 0 and 1."""
    terms = sorted(((w, x) for w, x in zip(weights, xs, strict=True) if w), key=lambda term: term[0] != 1)
    if not terms:
        return v.constant(0.0)
    weight, x = terms[0]
    total = x if weight == 1 else v.multiply(v.constant(weight), x)
    for weight, x in terms[1:]:
        if abs(weight) == 1:
            total = (v.add if weight == 1 else v.subtract)(total, x)
        else:
            total = v.multiply_add(v.constant(weight), x, total)
    return total


# ---- a square transposed ----------------------------------------------------------------------------------------------


def transpose(x, y):
    """Set y[j, i] = x[i, j], where i and j count the numbers of a vector. x and y are views with column strides 1."""
    lanes = VECTOR_BYTES // x.array.itemsize
    for i in range(lanes):
        y.array[y.at + i :: y.row][:lanes] = x.array[x.at + i * x.row :][:lanes]


@intrinsic
def _transpose(typing, x, y):
    """Quarters change places, then quarters of quarters: log₂ n times n shuffles of two vectors, not n² single numbers."""

    def write(context, builder, signature, arguments):
        (x, y), (x_type, y_type) = arguments, signature.args
        v = Vectors(context, builder, x_type)
        (x, x_row, _), (y, y_row, _) = v.unpack(x_type, x), v.unpack(y_type, y)
        rows = [v.load(v.place(x, i, x_row)) for i in range(v.lanes)]
        half = v.lanes // 2
        while half:
            for i in range(v.lanes):
                if not i & half:
                    rows[i], rows[i + half] = v.exchange(rows[i], rows[i + half], half)
            half //= 2
        for i, vector in enumerate(rows):
            v.store(vector, v.place(y, i, y_row))
        return context.get_dummy_value()

    return types.void(x, y), write


@compiled_as(transpose, runs.__file__)
def _(x, y):
    return lambda x, y: _transpose(x, y)

"""The innermost loop of every matrix product: a tile of the result, added up in registers. (BLIS calls it a micro-kernel.)

For each k, a column of a tile's rows of a meets a row of b: each number that is loaded is multiplied by many others. The
instructions are written one by one (see vectors.py), two k at a time, as counting then costs half.

Source  Goto and van de Geijn 2008; Van Zee and van de Geijn 2015 (BLIS)
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from minidl.kernels import runs, vectors
from minidl.kernels.jit import compiled_as
from minidl.kernels.vectors import REGISTERS, VECTOR_BYTES, Arrays, Vectors

__all__ = ["TILE_ROWS", "tile"]

_LINE_BYTES = 64  # what a cache fetches at a time
# Two vectors for each row of the tile, and some to spare for the numbers to be multiplied. Measured with AVX-512: 12 rows
# reach 185 to 200 GFLOP/s on a core that can do 200; 11 and 13 the same within 3 %, 14 some 10 % less.
TILE_ROWS = 12 if REGISTERS == 32 else 6


def tile(rows, wide, goes_on=False):
    """Return a function for kernels that adds up a tile of a product: out = a·b, or with keep 1 out += a·b.

    Its arguments: a, b, begin, out, last, depth, keep, ahead. a, b, begin and out are views of matrices (rows, depth),
    (depth, width) and twice (rows, width), where width is `wide` vectors of numbers; the column strides of the last
    three are 1. keep is 0 (then out is not read) or 1. Rows past `last` are left out. Meanwhile the place `ahead` numbers
    after b's first one is fetched to the second-level cache, a vector for every k or two; it need not exist.

    A tile that goes on begins its sums, with keep 2 or 3, with the numbers of `begin`; others do not read that. So two
    tiles, of the first terms and of the rest, give the bits of one tile of all terms.
    """

    def plain(a, b, begin, out, last, depth, keep, ahead):
        high, width = min(rows, last + 1), wide * VECTOR_BYTES // out.array.itemsize

        def lines(view):
            return [view.array[view.at + i * view.row :][:width] for i in range(high)]

        sums = np.array(lines(begin)) if keep & 2 else np.zeros((high, width), out.array.dtype)
        for k in range(depth):  # a column of a times a row of b: `high` × `width` products
            column = a.array[a.at + k * a.column :: a.row][:high, np.newaxis]
            sums = Arrays.multiply_add(column, b.array[b.at + k * b.row :][:width], sums)
        for line, total in zip(lines(out), sums, strict=True):
            line[:] = line + total if keep & 1 else total

    plain.__qualname__ = f"tile-{rows}-{wide}{'-on' if goes_on else ''}"

    @intrinsic
    def written(typing, a, b, begin, out, last, depth, keep, ahead):
        """Rows past `last` are computed as row `last` once more: the same numbers to the same place."""

        def write(context, builder, signature, arguments):
            v, (*_, last, depth, keep, ahead) = Vectors(context, builder, signature.args[0]), arguments
            (a, a_row, a_column), (b, b_row, _), begin, out = map(v.unpack, signature.args[:4], arguments[:4])
            zero, lanes = (ir.Constant(depth.type, n) for n in (0, v.lanes))
            numbers = (ir.Constant(depth.type, i) for i in range(rows))
            lines = [builder.select(builder.icmp_signed("<", i, last), i, last) for i in numbers]
            a_rows = [builder.gep(a, [builder.mul(i, a_row)]) for i in lines]
            ahead = builder.gep(b, [ahead])

            def places(first, row, _):
                starts = [builder.gep(first, [builder.mul(i, row)]) for i in lines]
                return [v.place(start, j, lanes) for start in starts for j in range(wide)]

            def add_products(in_a, in_b, sums):
                """The sums after one more k."""
                factors = [v.load(v.place(builder.gep(b, [in_b]), j, lanes)) for j in range(wide)]
                column = [v.broadcast(builder.gep(row, [in_a])) for row in a_rows]
                return [v.multiply_add(column[i // wide], factors[i % wide], x) for i, x in enumerate(sums)]

            sums = [v.constant(0.0)] * (rows * wide)
            if goes_on:
                sums = v.choose(v.is_set(keep, 2), lambda: [v.load(place) for place in places(*begin)], sums)

            def two_steps(in_a, in_b, in_ahead, *sums):
                for line in range(0, 2 * VECTOR_BYTES, _LINE_BYTES):
                    v.prefetch(builder.gep(ahead, [builder.add(in_ahead, ir.Constant(depth.type, line // v.bytes))]))
                for _ in range(2):
                    sums = add_products(in_a, in_b, sums)
                    in_a, in_b = builder.add(in_a, a_column), builder.add(in_b, b_row)
                return [in_a, in_b, builder.add(in_ahead, ir.Constant(depth.type, 2 * v.lanes)), *sums]

            pairs = builder.ashr(depth, ir.Constant(depth.type, 1))
            in_a, in_b, _, *sums = v.repeat(pairs, two_steps, [zero, zero, zero, *sums])
            sums = v.choose(v.is_set(depth, 1), lambda: add_products(in_a, in_b, sums), sums)
            targets = places(*out)

            def added():  # all loads before a store: the last row may come several times
                return [v.add(v.load(place), total) for place, total in zip(targets, sums, strict=True)]

            for total, place in zip(v.choose(v.is_set(keep, 1), added, sums), targets, strict=True):
                v.store(total, place)
            return context.get_dummy_value()

        return types.void(a, b, begin, out, *[types.intp] * 4), write

    @compiled_as(plain, runs.__file__, vectors.__file__)
    def _(a, b, begin, out, last, depth, keep, ahead):
        return lambda a, b, begin, out, last, depth, keep, ahead: written(a, b, begin, out, last, depth, keep, ahead)

    return plain

"""a·b + c in one instruction, for kernels that evaluate polynomials.

Left alone, the compiler may not fuse the two (see `_jit.py`); written out like this it always does, in vector loops and
in their remainders alike, so that results stay the same bits.
"""

from numba import types

from minidl._jit import compiled_as

__all__ = ["fma"]


def fma(a, b, c):
    """a·b + c, on processors that can (x86 since 2013, all 64-bit ARM) with one rounding, at the end."""
    return a * b + c


@compiled_as(fma)
def _(a, b, c):
    def compiled(a, b, c):
        return fused(a, b, c)

    fused = types.ExternalFunction(f"llvm.fmuladd.f{a.bitwidth}", a(a, a, a))  # LLVM knows it as an instruction
    return compiled

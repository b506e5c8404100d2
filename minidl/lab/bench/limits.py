"""What the machine can do at most, and how near to it a case comes: the roofline model.

No program multiplies faster than a large matrix product, nor moves memory faster than a large copy. Both are measured in
the same run, by minidl and by NumPy, and the better one counts. A case needs at least the longer of two times: its flops at
the speed of the product, and its bytes at the speed of the copy. A training step needs the sum of its operations' times, if
each is computed on its own.

Source    Williams, Waterman and Patterson 2009 (the roofline model)
"""

from typing import NamedTuple

from minidl.lab.bench.cases import steps_operations
from minidl.lab.bench.quartiles import quartiles

__all__ = ["Limits", "floor_seconds", "limits_of"]


class Limits(NamedTuple):
    """Flops a second of a large product, and bytes a second of a large copy."""

    flops: float
    bytes: float


def limits_of(measurements):
    """Return the best of all measurements of the part "limits", or None if none succeeded."""
    best = {"matmul": 0.0, "copy": 0.0}
    for m in measurements:
        if m.part == "limits":
            work = m.case.flops or m.case.bytes
            speeds = [work / quartiles(one.rounds).median for one in m.measured.values()]
            best[m.case.name] = max([best[m.case.name], *speeds])
    return Limits(best["matmul"], best["copy"]) if all(best.values()) else None


def floor_seconds(case, limits):
    """Return the least time that a case can take, by the roofline model."""
    parts = [case]
    if case.kind == "network":
        parts = steps_operations(case.name, case.arrays["x"][0][0])
    return sum(max(part.flops / limits.flops, part.bytes / limits.bytes) for part in parts)

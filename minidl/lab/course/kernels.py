"""Lesson 17: arrays that count how they are used, a race by the clock, and what its exercises are compared with.

A check judges a kernel by its work, which is the same on every machine: it runs the learner's Python, uncompiled, on arrays
that count. Time is the learner's own to measure, with `race`, against a baseline of their own, by ratio.
"""

import time
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minidl.kernels import aside

__all__ = ["Factor", "Memory", "Watched", "fastest", "least_time", "race"]


class Memory:
    """A memory behind a small cache, which keeps the lines that were used last.

    touches    array's name → how many of its numbers were read or written, each time counted
    fetched    array's name → how many lines had to be fetched for that, because the cache did not have them
    places     array's name → the places of the numbers used, in their order
    whole      the name of an array that NumPy took as a whole, if any
    """

    def __init__(self, lines: int = 16, numbers: int = 8) -> None:
        self.touches: Counter[str] = Counter()
        self.fetched: Counter[str] = Counter()
        self.places: defaultdict[str, list[int]] = defaultdict(list)
        self.whole = ""
        self._cache: OrderedDict[tuple[str, int], None] = OrderedDict()
        self._lines, self._numbers = lines, numbers

    def watch(self, name: str, array: np.ndarray) -> "Watched":
        """Return the array as one that counts here, under a name; what is written goes into `array`."""
        return Watched(array, np.arange(array.size).reshape(array.shape), name, self)

    def touch(self, name: str, places: Any) -> None:
        """Count a use of numbers, by their places in the array."""
        for place in np.ravel(places).tolist():
            self.touches[name] += 1
            self.places[name].append(place)
            line = name, place // self._numbers
            if line not in self._cache:
                self.fetched[name] += 1
                if len(self._cache) == self._lines:
                    self._cache.popitem(last=False)
            self._cache[line] = None
            self._cache.move_to_end(line)


class Watched:
    """An array for loops that counts each number read or written: `x[i, j]`, `x[i]`, `x[i, 2:5] = …`, `x.shape`."""

    def __init__(self, array: np.ndarray, places: np.ndarray, name: str, memory: Memory) -> None:
        self._array, self._places, self._name, self._memory = array, places, name, memory
        self.shape, self.size, self.dtype, self.ndim = array.shape, array.size, array.dtype, array.ndim

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._array)

    def __getitem__(self, index: Any) -> Any:
        """Read a number or a part, as a copy."""
        self._memory.touch(self._name, self._places[index])
        return self._array[index].copy()

    def __setitem__(self, index: Any, values: Any) -> None:
        """Write a number or a part."""
        self._array[index] = values
        self._memory.touch(self._name, self._places[index])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Read the whole array, for NumPy."""
        self._memory.whole = self._name
        return np.asarray(self[...], dtype)

    def __getattr__(self, name: str) -> Any:
        """Say that there is nothing here but what loops need."""
        raise AttributeError(f"an array that is watched has no {name!r}; write loops over x[i, j]")


class Factor:
    """A number that counts, in a list that all share, how often two of its kind are multiplied; constants are free."""

    __array_ufunc__ = None  # else NumPy's numbers would take a Factor for an array

    def __init__(self, value: float, count: list[int]) -> None:
        self.value, self._count = value, count

    def _with(self, value: Any) -> "Factor":
        return Factor(value, self._count)

    def __add__(self, other: Any) -> "Factor":
        """Add a Factor or a constant."""
        return self._with(self.value + getattr(other, "value", other))

    __radd__ = __add__

    def __neg__(self) -> "Factor":
        """Return the number with the other sign."""
        return self._with(-self.value)

    def __sub__(self, other: Any) -> "Factor":
        """Subtract a Factor or a constant."""
        return self + -other

    def __rsub__(self, other: Any) -> "Factor":
        """Subtract from a constant."""
        return -self + other

    def __mul__(self, other: Any) -> "Factor":
        """Multiply, and count it unless `other` is a constant."""
        if isinstance(other, Factor):
            self._count[0] += 1
        return self._with(self.value * getattr(other, "value", other))

    __rmul__ = __mul__

    def __truediv__(self, other: float) -> "Factor":
        """Divide by a constant."""
        return self._with(self.value / other)


def least_time(flops: float, moved: float, peak: float, bandwidth: float) -> float:
    """Return the least seconds that work can take: max(flops / peak, bytes moved / bandwidth).

    Source    Williams, Waterman and Patterson 2009 (the roofline model)
    """
    return max(flops / peak, moved / bandwidth)


def fastest(
    work: Callable[..., Any], *arguments: Any, seconds: float = 0.3, timer: Callable[[], float] = time.perf_counter
) -> float:
    """Return the least time in seconds that a call takes, of at least three and as many as fit into `seconds`.

    The least, because what else the machine does can only make a call slower. A call before them compiles, and fills caches.
    """
    return _turns([work], arguments, seconds, timer)[0]


def race(
    baseline: Callable[..., Any], mine: Callable[..., Any], arguments: Sequence[Any], *, goal: float,
    seconds: float = 0.6, timer: Callable[[], float] = time.perf_counter,
) -> str:  # fmt: skip
    """Return a line that says how many times as fast as the baseline your function is, both timed in turns.

    goal    the ratio at which the rung counts as reached
    """
    try:
        slow, fast = _turns([baseline, mine], arguments, seconds, timer)
    except NotImplementedError:
        return "race: not attempted"
    ratio = slow / fast
    verdict = "the rung is reached" if ratio >= goal else "not yet: the next hint may help"
    return f"race: yours is {ratio:.1f} times as fast as the baseline, {verdict} (from {goal:g} on)"


def _turns(works, arguments, seconds, timer):
    """The least time of each; they take turns, so that a busy moment hits all of them."""
    for work in works:
        work(*arguments)
    if aside.wait():
        for work in works:
            work(*arguments)
    best, begin, rounds = [float("inf")] * len(works), timer(), 0
    while rounds < 3 or timer() - begin < seconds:
        rounds += 1
        for i, work in enumerate(works):
            start = timer()
            work(*arguments)
            best[i] = min(best[i], timer() - start)
    return best

"""Checks of lesson 17 (kernels): they count the work of a loop, on any machine the same; time is for the notebook."""

from typing import Any

import numpy as np

from minidl.lab.course import kernels
from minidl.lab.course._check import Wrong, ask, compare, exercise

__all__ = ["in_order", "least_time", "one_pass", "tile", "winograd"]


@exercise(
    "least_time",
    hints=(
        "If memory were infinitely fast, how long would the flops take? And if the processor were?",
        "The processor computes while memory fetches the next numbers. Which of the two must the other one wait for?",
        "Work out both times, each an amount over a speed. The longer one remains.",
    ),
)
def least_time(answer):
    """You can say how fast a piece of work can be at best, and which of the two limits it meets."""
    generator = np.random.default_rng()
    peak, bandwidth = generator.uniform(50, 400, 4), generator.uniform(5, 40, 4)
    seconds, shorter = generator.uniform(2, 4, 4), generator.uniform(0.3, 0.6, 4)
    by_memory = np.array([True, False, True, False])
    compute, memory = np.where(by_memory, shorter, 1) * seconds, np.where(by_memory, 1, shorter) * seconds
    flops, moved = compute * peak, memory * bandwidth
    work = list(zip(flops, moved, peak, bandwidth, strict=True))
    compare(
        "the least time",
        [_number(ask(answer, *map(float, numbers))) for numbers in work],
        [kernels.least_time(*numbers) for numbers in work],
        instead={
            "the two go on at the same time, so they do not add up": compute + memory,
            "this is the shorter of two times, but the longer one must pass, too": np.minimum(compute, memory),
            "this looks at the flops alone; some work moves so many bytes that they take longer": compute,
            "this looks at the bytes alone; some work has so many flops that they take longer": memory,
            "this is the roofline's speed, in flops a second; asked is a time": np.minimum(
                peak, bandwidth * flops / moved
            ),
            "flops go with `peak`, and bytes with `bandwidth`; here they are crossed": np.maximum(
                flops / bandwidth, moved / peak
            ),
            "upside down: a time is an amount over a speed": np.maximum(peak / flops, bandwidth / moved),
            "this is one over the time": 1 / np.maximum(compute, memory),
            "`moved` is in bytes already, so no 4": np.maximum(compute, 4 * memory),
            "this is the mean of two times, but the longer one must pass": (compute + memory) / 2,
            "this rounds to whole numbers; use / and not //": np.maximum(flops // peak, moved // bandwidth),
        },
        hint="A time is an amount over a speed.",
    )


@exercise(
    "in_order",
    hints=(
        "Which number lies beside x[i, c] in memory: x[i, c + 1] or x[i + 1, c]?",
        "The inner loop should step to the neighbour, so that a line that was fetched is used up at once.",
        "Each number of y is written once, when it is finished: do the scale, the shift and max(0, ·) before you store it.",
    ),
)
def in_order(answer):
    """Your loop uses each line of the cache up before it fetches the next, and writes each number once."""
    answer, generator = _uncompiled(answer), np.random.default_rng()
    for _ in range(2):
        n, c = int(generator.integers(37, 60)), 24
        x, (scale, shift) = generator.standard_normal((n, c)), generator.standard_normal((2, c))
        linear = x * scale + shift
        wrong = {
            "max(0, ·) is missing": linear,
            "the shift is missing": np.maximum(x * scale, 0),
            "this takes max(0, x) first; the scale and the shift come before it": np.maximum(x, 0) * scale + shift,
            "this adds the shift before the scale; it comes after": np.maximum((x + shift) * scale, 0),
            "this is the smaller of the two, min instead of max": np.minimum(linear, 0),
            "this takes |·|; what is below 0 becomes 0": np.abs(linear),
            "the scale is missing": np.maximum(x + shift, 0),
        }
        slow, fast = (_filled(f, (x, scale, shift), np.maximum(linear, 0), wrong) for f in (_by_channel, answer))
        if (y := fast.touches["y"] / x.size) > 1.5:
            raise Wrong(
                f"The numbers are right, but each number of y is read or written {y:.1f} times, so it travels to memory "
                "and back again. Do both steps to a number while you have it, and write it once."
            )
        if fast.whole:
            raise Wrong(
                f"The numbers are right, and {fast.whole} is read at once, by NumPy; write loops over single numbers."
            )
        ratio = sum(slow.fetched.values()) / sum(fast.fetched.values())
        if ratio < 6:
            raise Wrong(
                f"The numbers are right, and the cache fetches {sum(fast.fetched.values()):,} lines. The baseline fetches "
                f"{ratio:.1f} times as many, and 6 times is to be had. Does your inner loop step from one number to its "
                "neighbour in memory?"
            )


@exercise(
    "one_pass",
    hints=(
        "From which two sums over the rows do you get a mean and a variance, without a second reading?",
        "Σx and Σx² do, but where the mean is large, both parts of the difference are huge and nearly equal, and its digits "
        "are lost. The variance does not change if you subtract the same number from all rows first.",
        "Something near the mean is known from the start: the channel's first number, if you copy row 0. Sum up the "
        "distances from it and their squares. What is still missing for the mean?",
    ),
)
def one_pass(answer):
    """Mean and variance from one reading, with all their digits."""
    answer, generator = _uncompiled(answer), np.random.default_rng()
    for far in (0, 1e7):
        n, c = int(generator.integers(23, 40)), int(generator.integers(3, 7))
        x = far + generator.uniform(2, 4, c) + generator.standard_normal((n, c))
        mean, var, memory = np.full(c, 7.0), np.full(c, 7.0), kernels.Memory()
        _run(answer, memory, x=x, mean=mean, var=var)
        compare("mean", mean, x.mean(0), instead={
            "this is the sum; divide by the rows": x.sum(0),
            "what was there before is still in it; the arrays are not 0 when you get them": x.mean(0) + 7,
            "part of what was there before is still in it; the arrays are not 0 when you get them": x.mean(0) + 7 / n,
            "this is the mean distance from the first row; add that row again": x.mean(0) - x[0],
            "the first row is left out": x[1:].mean(0),
            "the last row is left out": x[:-1].mean(0),
        })  # fmt: skip
        lost = far and not np.allclose(var, x.var(0), rtol=1e-5) and np.abs(var - x.var(0)).max() < 10
        if lost:
            raise Wrong(
                f"The variance is right for small numbers, but with a mean of {far:,.0f} its digits are lost: x² and the "
                "square of the mean are huge and nearly equal. Subtract something near the mean first."
            )
        compare("var", var, x.var(0), 1e-6, {
            "this is the variance with n − 1; BN divides by n": x.var(0, ddof=1),
            "this is the mean of the squares; the square of the mean is still in it": (x * x).mean(0),
            "this is the standard deviation": x.std(0),
            "this takes the square of the whole mean off; take that of the mean *distance* off": (
                np.square(x - x[0]).mean(0) - x.mean(0) ** 2
            ),
            "the mean is not squared": np.square(x - x[0]).mean(0) - (x - x[0]).mean(0),
            "this is Σd², divide by the rows": ((x - x.mean(0)) ** 2).sum(0),
            "the square of the mean distance is still in it": np.square(x - x[0]).mean(0),
        })  # fmt: skip
        if memory.whole:
            raise Wrong("The numbers are right, and x is read at once, by NumPy; write loops over single numbers.")
        if (times := memory.touches["x"] / x.size) > 1 + 3 / n:
            raise Wrong(
                f"The numbers are right, but x is read {times:.1f} times; once is enough. If you need a number of the first "
                "row for each row, keep a copy of that row, and read the copy."
            )


@exercise(
    "tile",
    hints=(
        "You have loaded out[i, j]. How many products can you add to it before you store it again?",
        "Take four steps of k at a time: four numbers of a in local names, and in the loop over j four numbers of b. One "
        "load and one store of out then serve four products.",
        "Where the number of steps is not a multiple of four, the last ones need a loop of their own, as in the baseline. "
        "Keep j innermost: neighbouring j are what one vector instruction takes at once.",
    ),
)
def tile(answer):
    """Each number that you load serves more products, and the compiler can still work on many columns at once."""
    answer, generator = _uncompiled(answer), np.random.default_rng()
    for _ in range(2):
        rows, columns = generator.integers(9, 14, 2).tolist()
        depth = int(generator.choice([15, 23]))  # cut to a multiple of 2, 4 or 8, each is another number
        a, b = generator.standard_normal((rows, depth)), generator.standard_normal((depth, columns))
        missing = {
            f"the last terms of the sums are missing: {depth} is not a multiple of {w}": a[:, :cut] @ b[:cut]
            for w, cut in ((w, depth - depth % w) for w in (8, 4, 3, 2))
            if cut < depth
        }
        for cut in (depth - depth % w for w in (8, 4, 2)):
            rest, twice = a[:, cut:] @ b[cut:], np.outer(a[:, cut - 1], b[cut - 1])
            missing[f"only the last {depth - cut} terms are there; add to what came before"] = rest
            missing[f"term {cut - 1} is in the sums twice; the rest begins at {cut}"] = a @ b + twice
        slow, fast = (_filled(f, (a, b), a @ b, missing, names="ab") for f in (_by_terms, answer))
        if fast.whole:
            raise Wrong(
                f"The numbers are right, and {fast.whole} is read at once, by NumPy; write loops over single numbers."
            )
        if len({place % columns for place in fast.places["b"][: 4 * columns]}) < 5:
            if len({place // depth for place in fast.places["a"][: 4 * rows]}) == rows:
                raise Wrong(
                    "The numbers are right, but the innermost loop runs over i. Neighbouring i are a whole row apart in "
                    "memory, so one vector instruction cannot take several. Let the innermost loop run over j."
                )
            raise Wrong(
                "The numbers are right, but the innermost loop runs over k. The terms of one sum must be added in their "
                "order, so the compiler cannot use vector instructions there. Let the innermost loop run over j. (A block "
                "of sums in registers, as minidl has it, is slower than the baseline here: LLVM makes no vectors of it.)"
            )
        ratio = sum(slow.touches.values()) / sum(fast.touches.values())
        if ratio < 1.8:
            raise Wrong(
                f"The numbers are right, and the baseline loads and stores {ratio:.1f} times as many numbers; 1.8 times is "
                "to be had. Each load and store of out should serve more than one product."
            )


@exercise(
    "winograd",
    hints=(
        "The two results share x₁ and x₂. Which product of a *sum* of x and a *sum* of w has w₀x₁ and w₁x₂ in it?",
        "Two of the four products are (x₀ − x₂)·w₀ and (x₁ − x₃)·w₂. The other two are (x₁ + x₂)·p and (x₂ − x₁)·q, where p "
        "and q are made of w alone. Write out what the two results still lack.",
        "p is half the sum of all three w, and q is the same with w₁ taken off instead. The first result adds three of the "
        "products; the second takes the last two from the one with p.",
    ),
)
def winograd(answer):
    """Two results of a filter with three taps from four multiplications instead of six."""
    generator = np.random.default_rng()
    for _ in range(2):
        x, w = generator.standard_normal(4), generator.standard_normal(3)
        count = [0]
        got = ask(answer, *([kernels.Factor(float(v), count) for v in values] for values in (x, w)))
        p, q = (w[0] + w[1] + w[2]) / 2 * (x[1] + x[2]), (w[0] - w[1] + w[2]) / 2 * (x[2] - x[1])
        first, last = (x[0] - x[2]) * w[0], (x[1] - x[3]) * w[2]
        right = np.array([first + p + q, p - q - last])
        compare("y", _numbers(got), right, instead={
            "the filter is turned around; here y₀ begins with x₀·w₀": np.convolve(x, w, "valid"),
            "the halves of the two sums of w are missing": np.array([first + 2 * (p + q), 2 * (p - q) - last]),
            "the first number is right; in the second, check the sign of the product with x₃": np.array(
                [first + p + q, p - q + last]
            ),
            "the first number is right; the second has q with the other sign": np.array([first + p + q, p + q - last]),
            "y₀ and y₁ have changed places": right[::-1],
            "check the sign of the product (x₁ − x₂) or (x₂ − x₁)": np.array([first + p - q, p + q - last]),
            "check the sign of the product with w₀": np.array([p + q - first, p - q - last]),
            "the half is missing in the product with (w₀ − w₁ + w₂)": np.array([first + p + 2 * q, p - 2 * q - last]),
            "the half is missing in the product with (w₀ + w₁ + w₂)": np.array([first + 2 * p + q, 2 * p - q - last]),
            "in y₁ the last product is w₂·x₃, not w₂·x₂": np.array([right[0], right[1] + w[2] * (x[2] - x[3])]),
            "the sum with the minus has it at w₁": np.array([
                first + p + (w[0] + w[1] - w[2]) / 2 * (x[2] - x[1]), p - (w[0] + w[1] - w[2]) / 2 * (x[2] - x[1]) - last
            ]),
        }, hint="The results are x₀w₀ + x₁w₁ + x₂w₂ and x₁w₀ + x₂w₁ + x₃w₂.")  # fmt: skip
        if not all(isinstance(v, kernels.Factor) for v in got):
            raise Wrong(
                "The numbers are right, but they are no longer those that count: multiply x[i] and w[j] themselves, and "
                "not their values."
            )
        if count[0] > 4:
            raise Wrong(f"The numbers are right, with {count[0]} multiplications; four are enough.")


def _by_channel(x, scale, shift, y):
    """The baseline of in_order: channel by channel."""
    for c in range(x.shape[1]):
        for i in range(x.shape[0]):
            y[i, c] = max(0, x[i, c] * scale[c] + shift[c])


def _by_terms(a, b, out):
    """The baseline of tile: each product is added to out at once."""
    for i in range(a.shape[0]):
        for j in range(b.shape[1]):
            out[i, j] = 0
        for k in range(a.shape[1]):
            for j in range(b.shape[1]):
                out[i, j] += a[i, k] * b[k, j]


def _filled(function, arrays, right, wrong, names=("x", "scale", "shift")):
    """Let a function fill its last argument; return how it used its memory, or Wrong if the numbers are not right."""
    memory, before = kernels.Memory(), np.random.default_rng().uniform(50, 60, right.shape)
    out = before.copy()
    _run(function, memory, **dict(zip(names, arrays, strict=True)), y=out)
    left = out == before
    if left.all():
        raise Wrong(
            "Nothing was written: the last argument is an array that your function fills, and it returns nothing."
        )
    if left.any():
        i, j = (int(part) for part in np.argwhere(left)[0])
        raise Wrong(
            f"{left.sum()} of {left.size} results were never written, for {' × '.join(map(str, left.shape))} of them; the "
            f"first is [{i}, {j}]. What becomes of the last rows and columns?"
        )
    instead = {"this is added to what was there before; the array is not 0 when you get it": before + right}
    compare("the result", out, right, instead=instead | wrong)
    return memory


def _run(function, memory, **arrays):
    """Call a function with watched arrays; Wrong if it changes any but those it fills."""
    inputs = {name: array.copy() for name, array in arrays.items() if name not in ("y", "mean", "var")}
    ask(function, *(memory.watch(name, array) for name, array in arrays.items()))
    for name, array in inputs.items():
        if not np.array_equal(array, arrays[name]):
            raise Wrong(f"Your function changes {name}, and others still need it.")


def _uncompiled(answer: Any) -> Any:
    """Return the Python function that Numba compiled, or the answer itself."""
    try:
        return getattr(answer, "py_func", answer)
    except Exception:  # an answer can be any object
        return answer


def _numbers(got: Any) -> np.ndarray:
    """Return two results as numbers; Wrong if they are something else."""
    try:
        first, second = got
        return np.array([float(getattr(v, "value", v)) for v in (first, second)])
    except Exception:  # an answer can be any object
        raise Wrong(f"Return two numbers, y₀ and y₁; your function returns a {type(got).__name__}.") from None


def _number(got: Any) -> float:
    """Return a result as one number; Wrong if it is something else."""
    try:
        if isinstance(got, int | float | np.number):
            return float(got)
    except OverflowError:
        pass
    raise Wrong(f"Return one number, in seconds; your function returns a {type(got).__name__}.")

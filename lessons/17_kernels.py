# %% [markdown]
# # 17 Kernels, a museum: why is mine slow?
#
# This lesson is a museum. It shows the same two computations many times: as you would first write them, and then faster
# and faster. Each version is an exhibit, in a room of its own. You run each exhibit on your own machine, check it
# against the first, and see how far it is from what the machine can do. Then you write some of them yourself, and three
# of your loops race against slow ones.
#
# **Time**: about 90 minutes with the exercises; the cells run in about 2 minutes on two cores.
#
# **You need** [05](05_algorithm_1.ipynb) (what BN computes) and [09](09_conv.ipynb) (convolution, BN for images). Words
# are in the [glossary](README.md#glossary). Times depend on the machine, so no text here quotes one: read yours.

# %%
import numpy as np
from numba import get_num_threads, njit, prange, set_num_threads

from minidl.kernels import matmul, winograd
from minidl.kernels.threads import get_num_threads as most_threads
from minidl.lab import plot
from minidl.lab.bench.limits import Limits
from minidl.lab.course import check, hint, kernels, pick, predict, recall
from minidl.ops import conv
from minidl.system.machine import machine as this_machine

SECONDS = pick(1.5, 0.02)  # for each measurement, of which the fastest call counts
HERE = f"{this_machine()['processor']}, {most_threads()} threads"
generator = np.random.default_rng(17)


# %%
def random(*shape):
    return generator.standard_normal(shape).astype(np.float32)


def compiled(function, **options):
    """Let Numba compile a loop; a · b + c may become one instruction, which rounds once."""
    return njit(error_model="numpy", fastmath={"contract"}, **options)(function)


def threaded(function):
    """Compile a loop so that its pranges run on all cores, even on those that others use. (minidl leaves these out.)"""
    loop = compiled(function, parallel=True)

    def call(*arrays):
        before = get_num_threads()
        set_num_threads(most_threads())
        loop(*arrays)
        set_num_threads(before)

    return call

# %% [markdown]
# ## 1. What can the machine do?
#
# A **kernel** is a function that fills arrays, one loop or a few. Its work has two sides. It does arithmetic: an addition
# or a multiplication is a **flop**, and a billion of them a second are one GFLOP/s. And it moves bytes between memory and
# the processor; a float32 has 4.
#
# Both have a limit. For the **peak** of arithmetic we take the fastest large matrix product we know of, minidl's or
# NumPy's, of several sizes. For the **bandwidth** of memory we take the fastest copy of a large array, by one **thread** or
# by several (a thread is a part of a program that runs on a core of its own; here kernels use as many as you have cores).
# That is how `minidl bench` finds its [`Limits`](../minidl/lab/bench/limits.py), too.

# %%
def copy(x, y):
    for k in prange(64):
        part = slice(k * x.size // 64, (k + 1) * x.size // 64)
        y[part] = x[part]


SIDES, x = pick((384, 512, 768, 1024), (256,)), random(pick(128, 2), 32, 32, 64)  # images of 32 × 32 pixels, 64 channels
y, flat_x = np.empty_like(x), x.reshape(-1)
squares, makers = [random(n, n) for n in SIDES], (matmul.matmul, np.matmul)
products = [2 * len(a) ** 3 / kernels.fastest(f, a, a, seconds=SECONDS) for a in squares for f in makers]
copies = [(np.copyto, y.reshape(-1), flat_x), (threaded(copy), flat_x, y.reshape(-1))]
copies = [2 * x.nbytes / kernels.fastest(*work, seconds=SECONDS) for work in copies]
machine = Limits(max(products), max(copies))
print(f"{HERE}: {machine.flops / 1e9:.0f} GFLOP/s, {machine.bytes / 1e9:.1f} GB/s")
print(f"so it can do {machine.flops / machine.bytes:.0f} flops in the time that it takes to move one byte")

# %% [markdown]
# Two computations will be our exhibits:
#
# - **BN and ReLU** in training, for images with 64 channels: mean and variance of each channel, then the largest of 0 and
#   $\gamma\hat x + \beta$. That is about 7 flops for each number. A large array must be read for the statistics, read
#   again to be normalised, and written: 12 bytes for each number.
# - **A 3×3 convolution** from 64 to 64 channels. Each result is a sum of 9·64 products, 1,152 flops. In bytes it must
#   read its input once and write its result once: about 8 for each number.
#
# **Prediction.** Which of the two is limited by memory on your machine: "BN", "convolution", "both" or "neither"?
#
# ### Exercise: the roof
#
# The processor computes while memory brings the next numbers. What is the least time, in seconds, that some work can
# take? `flops` and `moved` (bytes) are its amounts, `peak` (flops a second) and `bandwidth` (bytes a second) the limits.

# %% tags=["exercise:least_time"]
def least_time(flops, moved, peak, bandwidth):
    raise NotImplementedError  # stuck? hint("least_time")


# %%
check("least_time", least_time);

# %%
predict(limited_by_memory=...)
WORK = {"BN": (7, 12), "convolution": (2 * 9 * 64, 8)}  # flops, and bytes that must be moved, for each number of the result
limited = [name for name, (flops, moved) in WORK.items() if moved / machine.bytes > flops / machine.flops]
for name, (flops, moved) in WORK.items():
    print(f"{name}: {flops / moved:.2f} flops for each byte; at best "
          f"{flops / kernels.least_time(flops, moved, *machine) / 1e9:.1f} GFLOP/s here")  # fmt: skip
recall("limited_by_memory", " and ".join(limited) or "neither")

# %% [markdown]
# Flops for each byte are the **arithmetic intensity**. Where it is low, memory sets the limit, and a faster processor
# would not help. This way to look at speed is called the **roofline**: a slope where memory limits, and a flat part where
# arithmetic does.
#
# ## 2. First hall: a kernel that moves bytes
#
# Room one is plain Python, as one would write it down. It is far too slow for the whole array. So it gets a small part, and
# its time is multiplied. Every other exhibit must give the same numbers on that part, and is timed on the whole.

# %%
def loops(x, gamma, beta, y):
    """BN and ReLU, channel by channel."""
    n, height, width, channels = x.shape
    m = n * height * width
    for c in range(channels):
        mean = var = 0.0
        for s in range(n):
            for i in range(height):
                for j in range(width):
                    mean += x[s, i, j, c] / m
        for s in range(n):
            for i in range(height):
                for j in range(width):
                    var += (x[s, i, j, c] - mean) ** 2 / m
        scale = gamma[c] / (var + 1e-5) ** 0.5
        for s in range(n):
            for i in range(height):
                for j in range(width):
                    y[s, i, j, c] = max((x[s, i, j, c] - mean) * scale + beta[c], 0)


def with_numpy(x, gamma, beta, y):
    """Short, and each operation is a loop of its own over the whole array."""
    mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
    y[...] = np.maximum((x - mean) / np.sqrt(var + 1e-5) * gamma + beta, 0)

# %% [markdown]
# Room three is room one again, word for word, but **compiled**: Numba turns the loops into the processor's
# instructions before they run.
#
# **Prediction.** NumPy's loops are compiled, too, but there are some ten of them, over arrays that do not fit into the
# processor. Room three has three loops. By what factor is it faster than NumPy? (Below 1: slower.)

# %%
predict(compiled_against_numpy=...)
gamma, beta = 1 + random(64) / 4, random(64)
SMALL, times, bn_loops = x[:1, :8, :8].copy(), {}, compiled(loops)


def exhibit(name, function, arrays, small, first, times):
    """Check an exhibit against the first, on a small part; then time it on the whole. The last array is what it fills."""
    got, want = np.full_like(small[-1], np.nan), np.empty_like(small[-1])
    first(*small[:-1], want)
    share = small[-1].size / arrays[-1].size if function is first else 1.0  # the first is timed on the part alone
    function(*small[:-1], got)
    assert np.allclose(got, want, atol=1e-3), f"{name} gives other numbers"
    times[name] = kernels.fastest(function, *(small if share < 1 else arrays), seconds=SECONDS) / share
    print(f"{name:12} {1e3 * times[name]:12,.2f} ms   largest difference from the first {np.abs(got - want).max():.0e}")


whole, part = (x, gamma, beta, y), (SMALL, gamma, beta, np.empty_like(SMALL))
for name, function in {"loops": loops, "NumPy": with_numpy, "compiled": bn_loops}.items():
    exhibit(name, function, whole, part, loops, times)
recall("compiled_against_numpy", f"{times['NumPy'] / times['compiled']:.1f}")

# %% [markdown]
# Compiling removes Python's own cost for each step, which is most of the first time. But this loop visits memory in a bad
# order. The channels are the last axis, so neighbours in memory are the 64 channels of one pixel. The loop takes one of
# them and jumps over the other 63. It comes back for the next one only when it has gone through the whole array.
#
# What is fetched from memory is never one number but a **line** of 64 bytes: 16 numbers. A small, fast memory inside the
# processor, the **cache**, keeps the lines used last. A loop that uses 1 number of each line moves 16 times the bytes.
#
# ### Exercise: in order
#
# `x` is (rows, channels), `scale` and `shift` are (channels,). Fill `y` with max(0, x·scale + shift), in loops over single
# numbers. The check runs your Python on arrays of 24 channels that *count*: a tiny cache (16 lines of 8 numbers) says how
# many lines it had to fetch. These arrays have indices, slices (as copies) and `shape`, and no methods; arrays that you
# make yourself are not counted. The baseline is `by_channel`, below; you should need at most a sixth of its lines. The
# clock comes afterwards: `race` says how many times as fast as the baseline your loop is.

# %% tags=["exercise:in_order"]
def in_order(x, scale, shift, y):
    raise NotImplementedError  # stuck? hint("in_order")


# %%
check("in_order", in_order);

# %%
def by_channel(x, scale, shift, y):
    for c in range(x.shape[1]):
        for i in range(x.shape[0]):
            y[i, c] = max(0, x[i, c] * scale[c] + shift[c])


rows = x.reshape(-1, 64)
arguments = rows, gamma, beta, y.reshape(-1, 64)
print(kernels.race(compiled(by_channel), compiled(in_order), arguments, goal=3, seconds=SECONDS))

# %% [markdown]
# ## 3. Flat, fused, threads
#
# Three more rooms. **Flat**: the array is a plain table of rows, and the innermost loop runs along a row. The compiler can
# then use **vector instructions**, which treat 8 or 16 neighbours at once. There are four passes over memory: mean,
# variance, normalise, ReLU.
#
# **Fused**: what can be done to a number while it is in the processor is done at once. Mean and variance come from one
# reading, and ReLU happens before the result is stored.
#
# ### Exercise: one reading
#
# Fill `mean` and `var` (over the rows, with $1/n$) from `x` (rows, channels), reading each number of `x` once. (You may
# read the first row twice, and keep a copy. The arrays that you fill are not 0 at the start.) Mind large means:
# [05](05_algorithm_1.ipynb) showed which formula loses its digits.

# %% tags=["exercise:one_pass"]
def one_pass(x, mean, var):
    raise NotImplementedError  # stuck? hint("one_pass")


# %%
check("one_pass", one_pass);

# %%
def two_readings(x, mean, var):
    rows, channels = x.shape
    mean[:] = 0
    var[:] = 0
    for i in range(rows):
        for c in range(channels):
            mean[c] += x[i, c] / rows
    for i in range(rows):
        for c in range(channels):
            var[c] += (x[i, c] - mean[c]) ** 2 / rows


arguments = rows, np.empty_like(gamma), np.empty_like(gamma)
print(kernels.race(compiled(two_readings), compiled(one_pass), arguments, goal=1.2, seconds=SECONDS))

# %% tags=["hide-input"]
@compiled
def add_sums(x, first, start, stop, sums):
    """Add Σd and Σd² of some rows to sums[0] and sums[1]; d is the distance from the row `first`."""
    for i in range(start, stop):
        for c in range(x.shape[1]):
            d = x[i, c] - first[c]
            sums[0, c] += d
            sums[1, c] += d * d


@compiled
def finish(sums, first, n, gamma, beta):
    """Make of the sums the scale and the shift of each channel: y = max(0, x·scale + shift)."""
    for c in range(len(first)):
        mean = sums[0, c] / n
        var = sums[1, c] / n - mean * mean
        sums[0, c] = gamma[c] / np.sqrt(var + np.float32(1e-5))
        sums[1, c] = beta[c] - (mean + first[c]) * sums[0, c]


@compiled
def scale_shift_relu(x, scale, shift, start, stop, y):
    for i in range(start, stop):
        for c in range(x.shape[1]):
            v = x[i, c] * scale[c] + shift[c]
            y[i, c] = v if v > 0 else np.float32(0)

# %% [markdown]
# The exhibits are made of three loops in the folded cell above; open it when you have your own `one_pass`. The flat one
# does each thing in a pass of its own.

# %%
@compiled
def flat(x, gamma, beta, y):
    x, y = x.reshape(-1, x.shape[-1]), y.reshape(-1, x.shape[-1])
    sums, m, zeros = np.zeros((2, x.shape[1]), np.float32), np.float32(len(x)), np.zeros_like(gamma)
    for i in range(len(x)):
        for c in range(x.shape[1]):
            sums[0, c] += x[i, c] / m
    for i in range(len(x)):
        for c in range(x.shape[1]):
            sums[1, c] += (x[i, c] - sums[0, c]) ** 2
    for i in range(len(x)):
        for c in range(x.shape[1]):
            y[i, c] = (x[i, c] - sums[0, c]) * (gamma[c] / np.sqrt(sums[1, c] / m + np.float32(1e-5))) + beta[c]
    scale_shift_relu(y, zeros + 1, zeros, 0, len(y), y)


@compiled
def fused(x, gamma, beta, y):
    x, y = x.reshape(-1, x.shape[-1]), y.reshape(-1, x.shape[-1])
    sums = np.zeros((2, x.shape[1]), np.float32)
    add_sums(x, x[0], 0, len(x), sums)
    finish(sums, x[0], np.float32(len(x)), gamma, beta)
    scale_shift_relu(x, sums[0], sums[1], 0, len(x), y)

# %% [markdown]
# **Threads**: rows are shared out among the cores. For the sums each part has an array of its own, since two threads that
# add to one number lose some of what they add. At the end the parts are added up.
#
# **Prediction.** With $t$ threads instead of one, how many times as fast: "t times", or "less"?

# %%
def in_parts(x, gamma, beta, y, parts):
    x, y = x.reshape(-1, x.shape[-1]), y.reshape(-1, x.shape[-1])
    partial, size = np.zeros((parts, 2, x.shape[1]), np.float32), (len(x) + parts - 1) // parts
    for k in prange(parts):
        add_sums(x, x[0], k * size, min((k + 1) * size, len(x)), partial[k])
    sums = np.zeros((2, x.shape[1]), np.float32)
    for k in range(parts):  # in their order
        sums += partial[k]
    finish(sums, x[0], np.float32(len(x)), gamma, beta)
    for k in prange(parts):
        scale_shift_relu(x, sums[0], sums[1], k * size, min((k + 1) * size, len(x)), y)


predict(gain_of_threads=...)
in_parts = threaded(in_parts)
for name, function in {"flat": flat, "fused": fused, "threads": lambda *arrays: in_parts(*arrays, 64)}.items():
    exhibit(name, function, whole, part, loops, times)
gain = times["fused"] / times["threads"]
recall("gain_of_threads", f"{gain:.1f} times, with {most_threads()} threads")

# %% [markdown]
# A thread brings arithmetic of its own, but all of them share one memory. If one thread nearly fills the bandwidth, the
# next ones have little to add. (And on a machine that others use, the second core may be busy.)
#
# ### The price that threads must not have
#
# Rounding depends on the order of a sum. We cut the rows into 64 parts, however many threads there are. Why not into as
# many parts as there are threads?
#
# **Prediction.** How many of the results have other last digits with 2 or 3 parts than with 1: none, some, most?

# %%
predict(results_that_change=...)
results = {}
for parts in (1, 2, 3):
    in_parts(*whole, parts)
    results[parts] = y.copy()
changed = {parts: 100 * np.mean(results[parts] != results[1]) for parts in (2, 3)}
print("; ".join(f"{parts} parts: {share:.0f} % of the results differ from those of 1" for parts, share in changed.items()))
recall("results_that_change", f"{max(changed.values()):.0f} %")

# %% [markdown]
# So with the same seed, training on two and on three cores would give different networks. In minidl work is cut by its
# size alone, and partial sums are added in their order ([`n_chunks`](../minidl/kernels/jit.py)). Then the bits are the
# same on any number of threads.
#
# ## 4. Second hall: a kernel that computes
#
# The convolution starts at room one again: loops in Python, NumPy (nine matrix products, one for each **tap**, that is,
# each place of the 3×3 filter), the loops compiled, and the loops in the order of memory, on one thread and on all. The
# images already have their margin of zeros.

# %%
def conv_loops(x, w, y):
    """One result after another, each a sum over 3 × 3 pixels and all channels."""
    n, height, width, filters = y.shape
    for s in range(n):
        for i in range(height):
            for j in range(width):
                for o in range(filters):
                    total = np.float32(0)
                    for di in range(3):
                        for dj in range(3):
                            for c in range(x.shape[3]):
                                total += x[s, i + di, j + dj, c] * w[di, dj, c, o]
                    y[s, i, j, o] = total


def conv_numpy(x, w, y):
    y[...] = 0
    for i in range(3):
        for j in range(3):
            y += x[:, i : i + y.shape[1], j : j + y.shape[2]] @ w[i, j]


# %%
def conv_flat(x, w, y):
    """The filter o is the innermost loop: both w and y are then visited in the order of memory."""
    for line in prange(y.shape[0] * y.shape[1]):
        s, i = line // y.shape[1], line % y.shape[1]
        for j in range(y.shape[2]):
            result = y[s, i, j]
            result[:] = 0
            for tap in range(9):
                for c in range(x.shape[3]):
                    number = x[s, i + tap // 3, j + tap % 3, c]
                    for o in range(len(result)):
                        result[o] += number * w[tap // 3, tap % 3, c, o]

# %% [markdown]
# **Prediction.** `conv_flat` moves few bytes and uses vectors, and the numbers it needs are in the cache. What share of the
# peak does it reach on all threads, in percent?

# %%
predict(flat_convolution_percent=...)
images, w = np.pad(random(4, 16, 16, 64), ((0, 0), (1, 1), (1, 1), (0, 0))), random(3, 3, 64, 64)
z, conv_times = np.empty((len(images), 16, 16, 64), np.float32), {}
conv_whole, conv_part = (images, w, z), (images[:1, :4, :4].copy(), w, z[:1, :2, :2].copy())
hall = {"loops": conv_loops, "NumPy": conv_numpy, "compiled": compiled(conv_loops), "flat": compiled(conv_flat)}
hall["threads"] = threaded(conv_flat)
for name, function in hall.items():
    exhibit(name, function, conv_whole, conv_part, conv_loops, conv_times)


def percent(seconds):
    """Percent of the machine's peak, counting the flops of the definition."""
    return 100 * WORK["convolution"][0] * z.size / seconds / machine.flops


recall("flat_convolution_percent", f"{percent(conv_times['threads']):.0f}")

# %% [markdown]
# It is not the memory this time. Look at the innermost line: to add *one* product, it loads a number of `result`, loads
# one of `w`, and stores `result` again. The processor can multiply faster than it can load and store, even from
# the cache. Only numbers in the **registers**, places for a few hundred numbers inside each core, need no load.
#
# ### Exercise: a tile
#
# A **tile** is a small block of numbers that stays in registers while it is used. Fill `out` with the matrix
# product of `a` (rows, depth) and `b` (depth, columns), in loops over single numbers, such that each load and store of
# `out` serves more than one product. Let the innermost loop run along a row, as before, so that vectors are possible.
# The check counts loads and stores of all three arrays. The baseline, `by_terms`, should need at least 1.8 times as many
# as your function. There are 9 to 13 rows and columns; the depth, 15 or 23, is no multiple of 2, so mind the end.
# (Compiled, a sum that starts at `np.float32(0)` stays a float32; one that starts at `0` becomes a float64.)

# %% tags=["exercise:tile"]
def tile(a, b, out):
    raise NotImplementedError  # stuck? hint("tile")


# %%
check("tile", tile);

# %%
def by_terms(a, b, out):
    for i in range(a.shape[0]):
        for j in range(b.shape[1]):
            out[i, j] = 0
        for k in range(a.shape[1]):
            for j in range(b.shape[1]):
                out[i, j] += a[i, k] * b[k, j]


arguments = random(241, 575), random(575, 64), np.empty((241, 64), np.float32)
print(kernels.race(compiled(by_terms), compiled(tile), arguments, goal=1.3, seconds=SECONDS))

# %% [markdown]
# minidl goes further. A tile of several rows and two vectors of results stays in registers through a whole sum. LLVM,
# the compiler behind Numba, does not see that it would fit. So it is written instruction by instruction, in
# [microkernel.py](../minidl/kernels/microkernel.py), and [`multiply`](../minidl/kernels/product.py) cuts a matrix product
# into such tiles. Convolution is such a product: each row of `a` is the patch of 9·64 numbers that a position sees.
#
# ## 5. The last room: fewer multiplications
#
# However fast the products are done, the peak is the limit. Winograd's way does fewer of them. Take a filter of three
# taps and two results beside each other:
#
# $$y_0 = x_0w_0 + x_1w_1 + x_2w_2 \qquad y_1 = x_1w_0 + x_2w_1 + x_3w_2$$
#
# These are six multiplications. Four are enough.
#
# ### Exercise: four multiplications
#
# `x` has four numbers and `w` three. Return $y_0$ and $y_1$. The check counts products in which both factors depend
# on `x` or `w`. Additions are free, and so is a number times a constant such as ½. So look for four products, each of
# a sum of some `x` and a sum of some `w`. Two of them are $(x_0 - x_2)\,w_0$ and $(x_1 - x_3)\,w_2$. (The sums of `w`
# are made once, for all pixels of all images.)

# %% tags=["exercise:winograd"]
def winograd_line(x, w):
    raise NotImplementedError  # stuck? hint("winograd")


# %%
check("winograd", winograd_line);

# %% [markdown]
# In two directions, 4 × 4 results from 6 × 6 pixels, it is 36 multiplications instead of 144: a quarter
# ([Winograd's convolution](../minidl/kernels/winograd.py) derives it).
#
# **Prediction.** So is it four times as fast as tiles in registers? How many times?

# %%
def conv_tiles(x, w, y):
    """Patches times filters, in tiles of registers, on all threads."""
    y[...] = conv.forward(x, w, (1, 1), (0, 0), y.shape)


def conv_winograd(x, w, y):
    y[...] = winograd.forward(x, w, (0, 0))


predict(gain_of_winograd=...)
for name, function in {"tiles": conv_tiles, "Winograd": conv_winograd}.items():
    exhibit(name, function, conv_whole, conv_part, conv_loops, conv_times)
recall("gain_of_winograd", f"{conv_times['tiles'] / conv_times['Winograd']:.1f} times")
for name, seconds in conv_times.items():
    print(f"{name:12} {percent(seconds):8.3f} % of the peak")

# %% [markdown]
# The sums before and after the products are work, too, and the products that are left are small. A share above 100 % is
# no error: we count the flops of the definition, and Winograd's method does not do all of them.
#
# ## 6. The museum's plan
#
# All exhibits on one picture: each hall is a column, since its exhibits do the same work. The line is the roof of *your*
# machine. A second picture shows the **rungs**: how many times as fast each exhibit is as the one before.

# %%
def placed(name, seconds, numbers):
    """Where an exhibit stands: flops for each byte that must be moved, and GFLOP/s."""
    flops, moved = WORK[name]
    return [(flops / moved, flops * numbers / seconds / 1e9)]


halls, points = {"BN": (times, x.size), "convolution": (conv_times, z.size)}, {}
for hall, (found, numbers) in halls.items():
    for name, seconds in found.items():
        points[name] = points.get(name, []) + placed(hall, seconds, numbers)
best = {hall: min(found, key=found.get) for hall, (found, _) in halls.items()}
ax = plot.roofline({"exhibits": points}, machine.flops / 1e9, machine.bytes / 1e9)
ax.get_legend().set_title("left: BN and ReLU; right: convolution")
ax.set_title(f"Nearest to the roof: {best['BN']} (BN), {best['convolution']} (convolution)", loc="left", fontsize=10);

# %%
figure, axes = plot.panels(2, size=(4.6, 3.2), note=HERE)
for ax, (hall, (found, _)) in zip(axes, halls.items(), strict=True):
    rungs = {f"{a} → {b}": found[a] / found[b] for a, b in zip(found, list(found)[1:], strict=False)}
    largest = max(list(rungs)[1:], key=rungs.get)
    print(f"{hall}: " + ", ".join(f"{rung} {gain:,.2f}" for rung, gain in rungs.items()))
    ax.semilogx(list(rungs.values()), list(rungs), "o", color=plot.INKS[0])
    ax.axvline(1, color="0.5", linewidth=1)
    ax.invert_yaxis()
    plot.label(ax, f"{hall}: the best rung after NumPy is {largest}", "times as fast as the one before", "")

# %% [markdown]
# Below 1 an exhibit is *slower* than the one before it: NumPy's products, for one, are hard to beat. Compare “loops” with
# “compiled”, which are the same text, to see what Python's loops cost. After that every rung has a reason that you can
# count: lines fetched, passes over memory, loads for each product, multiplications.
#
# If threads gained nothing in your run, there are two likely reasons. One thread may have been near the roof already: see
# where “fused” stands. Or something else kept a core busy: run their cells again in a quiet moment.
#
# ## What we did not show
#
# - Other machines. Yours may have wider vectors, a larger cache, more cores; the order of the rungs may differ.
# - A steady machine. The run that you read on the web is from a virtual server that others use, too: its second core may
#   have been taken for a moment. The fastest of many calls is robust against that, but not immune. And minidl's own kernels
#   (tiles, Winograd) start no thread for a core that others keep busy ([how they watch](../minidl/kernels/load.py)).
# - The cost of moving data *within* the processor. The roofline counts memory only, and the convolution's arrays fit into
#   a cache.
# - Small batches, where starting threads costs more than it brings. [threads.py](../minidl/kernels/threads.py) decides.
# - Backward passes, and whole training steps: see [what was tried](../docs/speed-tried.md), failures included.
#
# ## In short
#
# - Know the roof first: the least time is the longer of flops / peak and bytes / bandwidth.
# - A kernel that moves bytes gets faster by visiting memory in its order, and by passing over it less often.
# - A kernel that computes gets faster when each loaded number serves more products, and at last by fewer products.
# - Count before you time. Counts are the same on every machine; times are what you check the counts against.
# - Threads must not change results: cut the work by its size, not by the number of threads.
#
# **Confusions settled.** "Compiled is fast": not if it walks through memory the wrong way. "NumPy is slow": not for matrix
# products. "Two threads are twice as fast": not if they share what limits them.
#
# Solutions: [solutions/17_kernels.py](solutions/17_kernels.py). Now read [the kernels](../minidl/kernels/README.md). Next:
# [18, a study of your own](18_capstone.ipynb).

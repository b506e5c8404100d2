"""What learners get wrong in lesson 17."""

import numpy as np


def by_channel(x, scale, shift, y):
    for c in range(x.shape[1]):
        for i in range(x.shape[0]):
            y[i, c] = max(x[i, c] * scale[c] + shift[c], 0)


def in_two_loops(x, scale, shift, y):
    for i in range(x.shape[0]):
        for c in range(x.shape[1]):
            y[i, c] = x[i, c] * scale[c] + shift[c]
    for i in range(x.shape[0]):
        for c in range(x.shape[1]):
            y[i, c] = max(y[i, c], 0)


def without_maximum(x, scale, shift, y):
    for i in range(x.shape[0]):
        for c in range(x.shape[1]):
            y[i, c] = x[i, c] * scale[c] + shift[c]


def returned(x, scale, shift, y):
    return [[max(x[i, c] * scale[c] + shift[c], 0) for c in range(x.shape[1])] for i in range(x.shape[0])]


def reads_twice(x, mean, var):
    rows, channels = x.shape
    for c in range(channels):
        mean[c] = sum(x[i, c] for i in range(rows)) / rows
        var[c] = sum((x[i, c] - mean[c]) ** 2 for i in range(rows)) / rows


def _sums(x, mean, var):
    rows, channels = x.shape
    for c in range(channels):
        column = [x[i, c] for i in range(rows)]
        mean[c] = sum(column) / rows
        var[c] = sum(v * v for v in column) / rows
    return rows, channels


def textbook(x, mean, var):
    for c in range(_sums(x, mean, var)[1]):
        var[c] -= mean[c] ** 2


def forgot_the_square_of_the_mean(x, mean, var):
    _sums(x, mean, var)


def unbiased(x, mean, var):
    rows, channels = x.shape
    for c in range(channels):
        column = [x[i, c] for i in range(rows)]
        mean[c] = sum(column) / rows
        var[c] = sum((v - mean[c]) ** 2 for v in column) / (rows - 1)


def one_at_a_time(a, b, out):
    for i in range(a.shape[0]):
        for j in range(b.shape[1]):
            total = 0.0
            for k in range(a.shape[1]):
                total += a[i, k] * b[k, j]
            out[i, j] = total


def one_term_at_a_time(a, b, out):
    for i in range(a.shape[0]):
        for j in range(b.shape[1]):
            out[i, j] = 0
        for k in range(a.shape[1]):
            number = a[i, k]
            for j in range(b.shape[1]):
                out[i, j] += number * b[k, j]


def whole_fours(a, b, out):
    for i in range(a.shape[0]):
        for j in range(b.shape[1]):
            out[i, j] = 0
        for k in range(0, a.shape[1] - 3, 4):
            for j in range(b.shape[1]):
                out[i, j] += sum(a[i, k + s] * b[k + s, j] for s in range(4))


def tile_of_sums(a, b, out):
    (rows, depth), columns = a.shape, b.shape[1]
    for i in range(0, rows, 2):
        for j in range(0, columns, 2):
            here = [(s, t) for s in range(i, min(i + 2, rows)) for t in range(j, min(j + 2, columns))]
            sums = dict.fromkeys(here, 0.0)
            for k in range(depth):
                left, right = {s: a[s, k] for s, _ in here}, {t: b[k, t] for _, t in here}
                for s, t in here:
                    sums[s, t] += left[s] * right[t]
            for s, t in here:
                out[s, t] = sums[s, t]


def added(a, b, out):
    for i in range(a.shape[0]):
        for j in range(b.shape[1]):
            total = out[i, j]
            for k in range(a.shape[1]):
                total += a[i, k] * b[k, j]
            out[i, j] = total


def four(x, w, half=0.5, sign=1):
    p, q = half * (x[1] + x[2]) * (w[0] + w[1] + w[2]), half * (x[2] - x[1]) * (w[0] - w[1] + w[2])
    return (x[0] - x[2]) * w[0] + p + q, p - q - sign * (x[1] - x[3]) * w[2]


def six(x, w):
    return [x[i] * w[0] + x[i + 1] * w[1] + x[i + 2] * w[2] for i in (0, 1)]


def turned(x, w):
    return [x[i] * w[2] + x[i + 1] * w[1] + x[i + 2] * w[0] for i in (0, 1)]


def row_0_again(x, mean, var):
    n, channels = x.shape
    for c in range(channels):
        mean[c] = var[c] = 0
    for i in range(n):
        for c in range(channels):
            d = x[i, c] - x[0, c]
            mean[c] += d
            var[c] += d * d
    for c in range(channels):
        mean[c] /= n
        var[c] = var[c] / n - mean[c] ** 2
        mean[c] += x[0, c]


def not_emptied(x, mean, var):
    for i in range(x.shape[0]):
        for c in range(x.shape[1]):
            mean[c] += x[i, c]
    for c in range(x.shape[1]):
        mean[c] /= x.shape[0]


def shift_first(x, scale, shift, y):
    for i in range(x.shape[0]):
        for c in range(x.shape[1]):
            y[i, c] = max((x[i, c] + shift[c]) * scale[c], 0)


def smaller(x, scale, shift, y):
    for i in range(x.shape[0]):
        for c in range(x.shape[1]):
            y[i, c] = min(x[i, c] * scale[c] + shift[c], 0)


def without_the_last_row(x, scale, shift, y):
    for i in range(x.shape[0] - 1):
        for c in range(x.shape[1]):
            y[i, c] = max(x[i, c] * scale[c] + shift[c], 0)


def at_once(x, scale, shift, y):
    y[...] = np.maximum(np.asarray(x) * np.asarray(scale) + np.asarray(shift), 0)


def distances(x, mean, var, zero=True, back=0):
    first, (rows, channels) = x[0], x.shape
    for c in range(channels):
        mean[c] *= not zero
        var[c] = 0
    for i in range(rows):
        for c in range(channels):
            d = x[i, c] - first[c]
            mean[c] += d / rows
            var[c] += d * d / rows
    for c in range(channels):
        mean[c] += back * first[c]
        var[c] = var[c] - mean[c] ** 2


def mean_and_var_at_once(x, mean, var):
    x = np.asarray(x)
    mean[...], var[...] = x.mean(0), x.var(0)


def product_at_once(a, b, out):
    out[...] = np.asarray(a) @ np.asarray(b)


def _in_fours(a, b, out, begin=0, add=True):
    (rows, depth), columns = a.shape, b.shape[1]
    whole = depth - depth % 4
    for i in range(rows):
        for j in range(columns):
            out[i, j] = 0
        for k in range(0, whole, 4):
            a0, a1, a2, a3 = a[i, k], a[i, k + 1], a[i, k + 2], a[i, k + 3]
            for j in range(columns):
                out[i, j] += a0 * b[k, j] + a1 * b[k + 1, j] + a2 * b[k + 2, j] + a3 * b[k + 3, j]
        for j in range(columns):
            rest = sum(a[i, k] * b[k, j] for k in range(whole + begin, depth))
            out[i, j] = out[i, j] * add + rest


def rest_begins_early(a, b, out):
    _in_fours(a, b, out, begin=-1)


def only_the_rest(a, b, out):
    _in_fours(a, b, out, add=False)


def rows_innermost(a, b, out):
    (rows, depth), columns = a.shape, b.shape[1]
    for j in range(columns):
        for i in range(rows):
            out[i, j] = 0
        for k in range(0, depth, 4):
            numbers = [(s, b[s, j]) for s in range(k, min(k + 4, depth))]
            for i in range(rows):
                out[i, j] += sum(a[i, s] * number for s, number in numbers)


def of_the_values(x, w):
    return six([v.value for v in x], [v.value for v in w])


WRONG = {
    "least_time": [
        ((lambda flops, moved, peak, bandwidth: flops / peak + moved / bandwidth,), "do not add up"),
        ((lambda flops, moved, peak, bandwidth: min(flops / peak, moved / bandwidth),), "the shorter of two times"),
        ((lambda flops, moved, peak, bandwidth: flops / peak,), "the flops alone"),
        ((lambda flops, moved, peak, bandwidth: moved / bandwidth,), "the bytes alone"),
        ((lambda flops, moved, peak, bandwidth: min(peak, bandwidth * flops / moved),), "asked is a time"),
        ((lambda flops, moved, peak, bandwidth: max(flops / bandwidth, moved / peak),), "they are crossed"),
        ((lambda flops, moved, peak, bandwidth: max(peak / flops, bandwidth / moved),), "upside down"),
        ((lambda flops, moved, peak, bandwidth: max(flops / peak, 4 * moved / bandwidth),), "in bytes already"),
        ((lambda flops, moved, peak, bandwidth: max(flops // peak, moved // bandwidth),), "use / and not //"),
    ],
    "in_order": [
        ((by_channel,), "step from one number to its neighbour"),
        ((in_two_loops,), "Do both steps to a number while you have it"),
        ((without_maximum,), "max(0, ·) is missing"),
        ((returned,), "an array that your function fills"),
        ((shift_first,), "before the scale"),
        ((smaller,), "min instead of max"),
        ((without_the_last_row,), "the last rows and columns"),
        ((at_once,), "read at once"),
    ],
    "one_pass": [
        ((reads_twice,), "x is read 2.0 times"),
        ((row_0_again,), "read the copy"),
        ((not_emptied,), "not 0 when you get them"),
        ((textbook,), "its digits are lost"),
        ((unbiased,), "BN divides by n"),
        ((forgot_the_square_of_the_mean,), "the square of the mean is still in it"),
        ((distances,), "add that row again"),
        ((lambda x, mean, var: distances(x, mean, var, zero=False, back=1),), "not 0 when you get them"),
        ((lambda x, mean, var: distances(x, mean, var, back=1),), "the mean *distance*"),
        ((mean_and_var_at_once,), "read at once"),
    ],
    "tile": [
        ((one_at_a_time,), "Let the innermost loop run over j"),
        ((tile_of_sums,), "Let the innermost loop run over j"),
        ((one_term_at_a_time,), "should serve more than one product"),
        ((whole_fours,), "is not a multiple of 4"),
        ((added,), "added to what was there before"),
        ((rest_begins_early,), "in the sums twice"),
        ((only_the_rest,), "only the last 3 terms"),
        ((rows_innermost,), "the innermost loop runs over i"),
        ((product_at_once,), "read at once"),
    ],
    "winograd": [
        ((six,), "with 6 multiplications"),
        ((turned,), "the filter is turned around"),
        ((lambda x, w: four(x, w, half=1),), "the halves of the two sums"),
        ((lambda x, w: four(x, w, sign=-1),), "the sign of the product with x₃"),
        ((of_the_values,), "not their values"),
        ((lambda x, w: four(x, w)[::-1],), "have changed places"),
    ],
}

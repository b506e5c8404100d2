"""What learners get wrong in lesson 17."""


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


WRONG = {
    "least_time": [
        ((lambda flops, moved, peak, bandwidth: flops / peak + moved / bandwidth,), "do not add up"),
        ((lambda flops, moved, peak, bandwidth: min(flops / peak, moved / bandwidth),), "the shorter of two times"),
        ((lambda flops, moved, peak, bandwidth: flops / peak,), "the flops alone"),
        ((lambda flops, moved, peak, bandwidth: moved / bandwidth,), "the bytes alone"),
        ((lambda flops, moved, peak, bandwidth: min(peak, bandwidth * flops / moved),), "asked is a time"),
    ],
    "in_order": [
        ((by_channel,), "step from one number to its neighbour"),
        ((in_two_loops,), "Do both steps to a number while you have it"),
        ((without_maximum,), "max(0, ·) is missing"),
        ((returned,), "an array that your function fills"),
    ],
    "one_pass": [
        ((reads_twice,), "x is read 2.0 times"),
        ((row_0_again,), "read the copy"),
        ((not_emptied,), "set it to 0 first"),
        ((textbook,), "its digits are lost"),
        ((unbiased,), "BN divides by n"),
        ((forgot_the_square_of_the_mean,), "the square of the mean is still in it"),
    ],
    "tile": [
        ((one_at_a_time,), "Let the innermost loop run over j"),
        ((tile_of_sums,), "Let the innermost loop run over j"),
        ((one_term_at_a_time,), "should serve more than one product"),
        ((whole_fours,), "is not a multiple of 4"),
        ((added,), "added to what was there before"),
    ],
    "winograd": [
        ((six,), "with 6 multiplications"),
        ((turned,), "the filter is turned around"),
        ((lambda x, w: four(x, w, half=1),), "the halves of the two sums"),
        ((lambda x, w: four(x, w, sign=-1),), "the sign of the product with x₃"),
    ],
}

# %% [markdown]
# # Solutions of lesson 17

# %% [markdown]
# ## `least_time`
#
# The flops take flops / peak seconds, and the bytes take moved / bandwidth. Both go on at the same time, since the
# processor works while the next numbers are on their way. The work is finished when the slower of the two is.


# %% tags=["exercise:least_time"]
def least_time(flops, moved, peak, bandwidth):
    return max(flops / peak, moved / bandwidth)


# %% [markdown]
# ## `in_order`
#
# The numbers of a row lie side by side, so the row is the outer loop and the channel the inner one: each line that is
# fetched is used up at once. And the result is written when it is finished. Two loops, one for the scale and one for
# the maximum, would write y, fetch it again, and write it again.


# %% tags=["exercise:in_order"]
def in_order(x, scale, shift, y):
    rows, channels = x.shape
    for i in range(rows):
        for c in range(channels):
            y[i, c] = max(x[i, c] * scale[c] + shift[c], 0)


# %% [markdown]
# ## `one_pass`
#
# Two sums are enough, Σd and Σd², where d is the distance from any fixed number: the variance does not depend on it. A
# number near the mean keeps both sums small, so no digits are lost when one is subtracted from the other. The first
# row is at hand before the loop begins. (The sums are kept in the arrays that will hold the results.)


# %% tags=["exercise:one_pass"]
def one_pass(x, mean, var):
    rows, channels = x.shape
    first = x[0]
    for c in range(channels):
        mean[c] = 0
        var[c] = 0
    for i in range(rows):
        for c in range(channels):
            d = x[i, c] - first[c]
            mean[c] += d
            var[c] += d * d
    for c in range(channels):
        mean[c] /= rows
        var[c] = var[c] / rows - mean[c] ** 2
        mean[c] += first[c]


# %% [markdown]
# ## `tile`
#
# Four numbers of a are kept in names, which the compiler keeps in registers. In the loop over j, out is loaded and
# stored once for four products instead of once for each. The sum over k keeps its order up to rounding, and j stays
# innermost, so vectors are possible. What is left over of k is done as in the baseline.


# %% tags=["exercise:tile"]
def tile(a, b, out):
    rows, depth = a.shape
    columns, whole = b.shape[1], depth - depth % 4
    for i in range(rows):
        for j in range(columns):
            out[i, j] = 0
        for k in range(0, whole, 4):
            a0, a1, a2, a3 = a[i, k], a[i, k + 1], a[i, k + 2], a[i, k + 3]
            for j in range(columns):
                out[i, j] += a0 * b[k, j] + a1 * b[k + 1, j] + a2 * b[k + 2, j] + a3 * b[k + 3, j]
        for k in range(whole, depth):
            for j in range(columns):
                out[i, j] += a[i, k] * b[k, j]


# %% [markdown]
# ## `winograd`
#
# With $p = (w_0 + w_1 + w_2)/2$ and $q = (w_0 - w_1 + w_2)/2$, $(x_1 + x_2)p + (x_2 - x_1)q = x_1 w_1 + x_2(w_0 + w_2)$.
# The first result lacks $x_0 w_0$ and has $x_2 w_0$ too many: that is the product $(x_0 - x_2)w_0$. The difference of the
# same two products is $x_1(w_0 + w_2) + x_2 w_1$. From it we take $(x_1 - x_3)w_2$ for the second. p and q need no product
# of two unknown numbers, and are made once for a filter, however many pixels there are.


# %% tags=["exercise:winograd"]
def winograd_line(x, w):
    p = (x[1] + x[2]) * ((w[0] + w[1] + w[2]) / 2)
    q = (x[2] - x[1]) * ((w[0] - w[1] + w[2]) / 2)
    return (x[0] - x[2]) * w[0] + p + q, p - q - (x[1] - x[3]) * w[2]

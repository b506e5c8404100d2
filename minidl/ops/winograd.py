"""3×3 convolution with less than half of the multiplications: Winograd's minimal filtering, F(4×4, 3×3).

**One line.** Four neighbouring outputs of a filter with three taps, y_i = x_i·w_0 + x_{i+1}·w_1 + x_{i+2}·w_2, take
4·3 = 12 multiplications. But correlation is, up to the order of things, the product of two polynomials turned around
(transposed), and a product of degree 5 is fixed by its values at six points: evaluate both factors there, multiply
six pairs of numbers, interpolate. Evaluating and interpolating are multiplications by constant matrices, with points 0,
1, −1, 2, −2 and ∞ all of them small:

    y = Aᵀ·((G·w) ⊙ (Bᵀ·x))            x: 6 numbers, w: 3, y: 4, ⊙: six multiplications in place of twelve

**One tile.** Applied to columns and then to rows, a tile of 6 × 6 pixels gives 4 × 4 outputs, with 36 multiplications in
place of 144:      Y = Aᵀ·((G·W·Gᵀ) ⊙ (Bᵀ·X·B))·A

**All channels.** The transforms are linear, so the sum over input channels may be taken before the last one. What was ⊙
becomes, for each of the 36 positions k, a sum over channels for all tiles at once, that is, a matrix product:

    V = Bᵀ·X·B  (36, tiles, C)      U = G·W·Gᵀ  (36, C, O)      M_k = V_k·U_k  (36, tiles, O)      Y = Aᵀ·M·A

**Backward.** Three linear maps around products: their transposes, in reverse.

    ∂M = A·∂Y·Aᵀ    ∂V_k = ∂M_k·U_kᵀ    ∂U_k = V_kᵀ·∂M_k    ∂X = B·∂V·Bᵀ (added up where tiles overlap)    ∂W = Gᵀ·∂U·G

**In the cache.** A block of about 64 tiles goes through all steps before the next one starts, so that V and M stay in the
second-level cache. Two things make the transforms fast: every number of a pixel's channel list takes the same path, so the
inner loop runs over neighbours in memory; and offsets into flat arrays take the place of slices (see `_flat.py`).

A NaN or infinity in a pixel spoils the tiles that it is in: up to 8 × 8 outputs, not only the 3 × 3 that see it.

Source: Winograd 1980; Lavin and Gray 2016 for convolutional networks, and for the matrices A, B, G.
"""

import numpy as np

from minidl._blas import add_product
from minidl._jit import device, kernel, n_chunks, prange
from minidl._matmul import matmul
from minidl.ops._flat import add, copy, offset

__all__ = ["backward", "forward"]

_G = np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]) / 24
_TILES = 64  # in a block. Measured: 32 and 128 are no faster


def forward(x, weight, padding):
    """y[n, i, j] = Σ_{a, b} x[n, i + a − p, j + b − q]·W[a, b], with x = 0 outside.

    Shape     x (N, H, W, C), weight (3, 3, C, O), padding (p, q), each 0 … 2, y (N, H + 2p − 2, W + 2q − 2, O)
    """
    n, height, width, _ = x.shape
    y = np.empty((n, height + 2 * padding[0] - 2, width + 2 * padding[1] - 2, weight.shape[3]), x.dtype)
    _forward(x, _transform_weight(weight), padding, _strips(y), y)
    return y


def backward(grad_y, x, weight, padding, needs_grad_x):
    """∂x (None unless needed) and ∂W for ∂y."""
    grad_x, turned = np.empty((0, *x.shape[1:]), x.dtype), np.empty((36, 0, 0), x.dtype)
    if needs_grad_x:
        grad_x = np.zeros_like(x)
        turned = _transform_weight(weight.transpose(0, 1, 3, 2))  # Uᵀ: products with a matrix by columns are slower
    # Of partial sums. Each holds 36 numbers in place of a filter's 9; all together, if there are more than two, at most 2²²
    groups = max(2, min(16, (1 << 22) // (4 * weight.size)))
    grad_u = np.zeros((groups, 36, *weight.shape[2:]), x.dtype)
    _backward(grad_y, x, turned, padding, _strips(grad_y), grad_x, grad_u)
    grad_weight = matmul(_weight_matrix(x.dtype).T, grad_u.sum(0).reshape(36, -1)).reshape(weight.shape)
    return (grad_x if needs_grad_x else None), grad_weight


def _weight_matrix(dtype):
    """G ⊗ G: applies G to the rows and the columns of a 3×3 filter, (36, 9)."""
    return np.kron(_G, _G).astype(dtype)


def _transform_weight(weight):
    """U = G·W·Gᵀ, (36, C, O)."""
    return matmul(_weight_matrix(weight.dtype), weight.reshape(9, -1)).reshape(36, *weight.shape[2:])


def _strips(y):
    """A strip is one row of tiles of one image; how many make a block."""
    return max(1, _TILES // n_chunks(y.shape[2], 4))


# ---- the four transforms of a line -------------------------------------------------------------------------------------
# n numbers of each input, from `at`, `at + step`, … on; n of each output, from `to`, `to + stride`, … on


@device
def _six(at, step):
    at, step = offset(at), offset(step)
    a1 = at + step
    a2 = a1 + step
    a3 = a2 + step
    a4 = a3 + step
    return at, a1, a2, a3, a4, a4 + step


@device
def _input_line(x, at, step, v, to, stride, n):
    """v = Bᵀ·x."""
    a0, a1, a2, a3, a4, a5 = _six(at, step)
    b0, b1, b2, b3, b4, b5 = _six(to, stride)
    two, four, five = x.dtype.type(2), x.dtype.type(4), x.dtype.type(5)
    for i in range(offset(n)):
        # each number is loaded once: loads between the stores would have to be checked for overlap with them
        x0, x1, x2, x3, x4, x5 = x[a0 + i], x[a1 + i], x[a2 + i], x[a3 + i], x[a4 + i], x[a5 + i]
        even, odd = x4 - four * x2, x3 - four * x1
        even2, odd2 = x4 - x2, two * (x3 - x1)
        v[b0 + i] = four * x0 - five * x2 + x4
        v[b1 + i] = even + odd
        v[b2 + i] = even - odd
        v[b3 + i] = even2 + odd2
        v[b4 + i] = even2 - odd2
        v[b5 + i] = four * x1 - five * x3 + x5


@device
def _input_gradient_line(v, at, step, x, to, stride, n):
    """x = B·v."""
    a0, a1, a2, a3, a4, a5 = _six(at, step)
    b0, b1, b2, b3, b4, b5 = _six(to, stride)
    two, four, five = x.dtype.type(2), x.dtype.type(4), x.dtype.type(5)
    for i in range(offset(n)):
        v0, v1, v2, v3, v4, v5 = v[a0 + i], v[a1 + i], v[a2 + i], v[a3 + i], v[a4 + i], v[a5 + i]
        sum1, difference1 = v1 + v2, v1 - v2
        sum2, difference2 = v3 + v4, two * (v3 - v4)
        x[b0 + i] = four * v0
        x[b1 + i] = four * (v5 - difference1) - difference2
        x[b2 + i] = -five * v0 - four * sum1 - sum2
        x[b3 + i] = difference1 + difference2 - five * v5
        x[b4 + i] = v0 + sum1 + sum2
        x[b5 + i] = v5


@device
def _output_line(m, at, step, y, to, stride, n):
    """y = Aᵀ·m."""
    a0, a1, a2, a3, a4, a5 = _six(at, step)
    b0, b1, b2, b3, _, _ = _six(to, stride)
    two, four, eight = m.dtype.type(2), m.dtype.type(4), m.dtype.type(8)
    for i in range(offset(n)):
        m0, m1, m2, m3, m4, m5 = m[a0 + i], m[a1 + i], m[a2 + i], m[a3 + i], m[a4 + i], m[a5 + i]
        sum1, difference1 = m1 + m2, m1 - m2
        sum2, difference2 = m3 + m4, m3 - m4
        y[b0 + i] = m0 + sum1 + sum2
        y[b1 + i] = difference1 + two * difference2
        y[b2 + i] = sum1 + four * sum2
        y[b3 + i] = difference1 + eight * difference2 + m5


@device
def _output_gradient_line(y, at, step, m, to, stride, n):
    """m = A·y."""
    a0, a1, a2, a3, _, _ = _six(at, step)
    b0, b1, b2, b3, b4, b5 = _six(to, stride)
    two, four = m.dtype.type(2), m.dtype.type(4)
    for i in range(offset(n)):
        y0, y1, y2, y3 = y[a0 + i], y[a1 + i], y[a2 + i], y[a3 + i]
        even, odd = y0 + y2, y1 + y3
        even2, odd2 = y0 + four * y2, two * (y1 + four * y3)
        m[b0 + i] = y0
        m[b1 + i] = even + odd
        m[b2 + i] = even - odd
        m[b3 + i] = even2 + odd2
        m[b4 + i] = even2 - odd2
        m[b5 + i] = y3


# ---- a strip: tiles side by side, first all lines down, then all lines across ------------------------------------------


@device
def _load(x, first, left, lines):
    """Rows first, first + 1, … of an image (H, W·C), each into a line from its element `left` on; 0 outside.

    What stands in a line before and after the row is not written: it must be 0, so lines are made by `np.zeros`, once.
    """
    rows, width = lines.shape[0], x.shape[1]
    flat, out = x.reshape(-1), lines.reshape(-1)
    for i in range(rows):
        if 0 <= first + i < x.shape[0]:
            copy(flat, (first + i) * width, out, i * lines.shape[1] + left, width)
        else:
            lines[i] = 0


@device
def _transform_input(x, first, left, lines, down, v, tile):
    """V of a strip's tiles, which come at `tile` in the block, from rows first … first + 5 of an image (H, W·C)."""
    _load(x, first, left, lines)
    width, tiles, c = lines.shape[1], v.shape[1], v.shape[2]
    source, middle, out = lines.reshape(-1), down.reshape(-1), v.reshape(-1)
    _input_line(source, 0, width, middle, 0, width, width)
    for t in range((width // c - 2) // 4):
        for i in range(6):
            _input_line(middle, i * width + 4 * t * c, c, out, (6 * i * tiles + tile + t) * c, tiles * c, c)


@device
def _add_input_gradient(v, tile, down, patch, lines, first, left, grad_x):
    """The transpose of `_transform_input`: adds to rows first … first + 5 of a gradient (H, W·C)."""
    width, tiles, c = lines.shape[1], v.shape[1], v.shape[2]
    source, middle, out = v.reshape(-1), down.reshape(-1), lines.reshape(-1)
    strip = down.shape[1]
    for j in range(6):
        _input_gradient_line(source, (j * tiles + tile) * c, 6 * tiles * c, middle, j * strip, 6 * strip, strip)
    out[:] = 0
    for t in range(strip // c):
        for i in range(6):
            _input_gradient_line(middle, 6 * i * strip + t * c, strip, patch, 0, c, c)
            add(patch, 0, out, i * width + 4 * t * c, 6 * c)  # the last two columns belong to the next tile too
    for i in range(6):
        if 0 <= first + i < grad_x.shape[0]:
            add(out, i * width + left, grad_x.reshape(-1), (first + i) * grad_x.shape[1], grad_x.shape[1])


@device
def _transform_output(m, tile, down, lines, first, y):
    """Rows first … first + 3 of an output (H′, W′·O), as far as there are, from M of a strip's tiles."""
    tiles, o = m.shape[1], m.shape[2]
    width = lines.shape[1]
    source, middle, out = m.reshape(-1), down.reshape(-1), lines.reshape(-1)
    strip = width // 4  # numbers in a line of tiles: each tile has o of them at each of its 4 columns
    for j in range(6):
        _output_line(source, (j * tiles + tile) * o, 6 * tiles * o, middle, j * strip, 6 * strip, strip)
    for t in range(strip // o):
        for i in range(4):
            _output_line(middle, 6 * i * strip + t * o, strip, out, i * width + 4 * t * o, o, o)
    for i in range(min(4, y.shape[0] - first)):
        copy(out, i * width, y.reshape(-1), (first + i) * y.shape[1], y.shape[1])


@device
def _transform_output_gradient(grad_y, first, lines, down, m, tile):
    """The transpose of `_transform_output`: ∂M of a strip's tiles from rows first … first + 3 of ∂y (H′, W′·O)."""
    _load(grad_y, first, 0, lines)
    tiles, o = m.shape[1], m.shape[2]
    width = lines.shape[1]
    source, middle, out = lines.reshape(-1), down.reshape(-1), m.reshape(-1)
    strip = width // 4
    for t in range(strip // o):
        for i in range(4):
            _output_gradient_line(source, i * width + 4 * t * o, o, middle, 6 * i * strip + t * o, strip, o)
    for j in range(6):
        _output_gradient_line(middle, j * strip, 6 * strip, out, (j * tiles + tile) * o, 6 * tiles * o, strip)


# ---- blocks of strips --------------------------------------------------------------------------------------------------


@kernel(cost=64)
def _forward(x, u, padding, strips, y):
    images, height, width, c = x.shape
    o = y.shape[3]
    high, wide = n_chunks(y.shape[1], 4), n_chunks(y.shape[2], 4)
    x, y = x.reshape(images, height, width * c), y.reshape(images, y.shape[1], -1)
    for block in prange(n_chunks(images * high, strips)):
        lines, down = np.zeros((6, (4 * wide + 2) * c), x.dtype), np.empty((6, (4 * wide + 2) * c), x.dtype)
        out_lines, out_down = np.empty((4, 4 * wide * o), x.dtype), np.empty((24, wide * o), x.dtype)
        first = np.int64(block) * strips  # prange counts unsigned, which does not divide by signed
        here = min(strips, images * high - first)
        v, m = np.empty((36, here * wide, c), x.dtype), np.empty((36, here * wide, o), x.dtype)
        for s in range(here):
            n, strip = divmod(first + s, high)
            _transform_input(x[n], 4 * strip - padding[0], padding[1] * c, lines, down, v, s * wide)
        for k in range(36):
            add_product(v[k], u[k], m[k], 0)
        for s in range(here):
            n, strip = divmod(first + s, high)
            _transform_output(m, s * wide, out_down, out_lines, 4 * strip, y[n])


@kernel(cost=64)
def _backward(grad_y, x, turned, padding, strips, grad_x, grad_u):
    images, height, width, c = x.shape
    o = grad_y.shape[3]
    high, wide = n_chunks(grad_y.shape[1], 4), n_chunks(grad_y.shape[2], 4)
    needs_grad_x = grad_x.size > 0
    x, grad_x = x.reshape(images, height, width * c), grad_x.reshape(len(grad_x), grad_x.shape[1], grad_x.shape[2] * c)
    grad_y = grad_y.reshape(images, grad_y.shape[1], -1)
    share = n_chunks(images, grad_u.shape[0])
    for group in prange(grad_u.shape[0]):  # whole images, as tiles overlap in ∂x
        lines, down = np.zeros((6, (4 * wide + 2) * c), x.dtype), np.empty((6, (4 * wide + 2) * c), x.dtype)
        grad_lines, grad_down = np.empty((6, (4 * wide + 2) * c), x.dtype), np.empty((36, wide * c), x.dtype)
        patch = np.empty(6 * c, x.dtype)
        out_lines, out_down = np.zeros((4, 4 * wide * o), x.dtype), np.empty((24, wide * o), x.dtype)
        v, m = np.empty((36, strips * wide, c), x.dtype), np.empty((36, strips * wide, o), x.dtype)
        end = min(np.int64(group + 1) * share, images) * high
        for first in range(np.int64(group) * share * high, end, strips):
            here = min(strips, end - first)
            tiles = here * wide
            for s in range(here):
                n, strip = divmod(first + s, high)
                _transform_input(x[n], 4 * strip - padding[0], padding[1] * c, lines, down, v, s * wide)
                _transform_output_gradient(grad_y[n], 4 * strip, out_lines, out_down, m, s * wide)
            for k in range(36):
                add_product(v[k, :tiles].T, m[k, :tiles], grad_u[group, k], 1)
                if needs_grad_x:
                    add_product(m[k, :tiles], turned[k], v[k, :tiles], 0)  # V has done its work: ∂V takes its place
            if needs_grad_x:
                for s in range(here):
                    n, strip = divmod(first + s, high)
                    _add_input_gradient(
                        v, s * wide, grad_down, patch, grad_lines, 4 * strip - padding[0], padding[1] * c, grad_x[n]
                    )

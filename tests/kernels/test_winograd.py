"""Winograd's 3×3 convolution against direct convolution in float64, and its three gradients."""

import numpy as np
import pytest

from minidl import Tensor, get_num_threads, set_num_threads
from minidl import functional as F
from minidl.kernels import winograd
from minidl.kernels.tiles import tiling
from minidl.kernels.vectors import VECTOR_BYTES
from minidl.ops import conv
from tests.helpers import JIT, sizes

compiled_only = pytest.mark.skipif(not JIT, reason="large")

# (N, H, W, C, O): maps smaller than a tile, no multiple of one, several blocks of tiles, a block that ends within an image
SHAPES = sizes(
    (2, 1, 1, 3, 2),
    (1, 4, 4, 1, 1),
    (3, 5, 9, 7, 4),
    (128, 3, 3, 5, 6),
    (33, 7, 7, 16, 24),
    (5, 14, 14, 32, 64),
    (9, 15, 15, 24, 17),
    (2, 31, 30, 24, 64),
    (1, 70, 66, 3, 5),
    (3, 40, 2, 65, 33),
    tiny=((2, 5, 6, 2, 3),),
)
PADDINGS = [(0, 0), (1, 1), (2, 0), (1, 2)]

LANES = VECTOR_BYTES // 4  # of float32


def direct(x, weight, padding, grad_y):
    """y, ∂x and ∂weight in float64, one filter tap after another."""
    x, weight, grad_y = (a.astype(np.float64) for a in (x, weight, grad_y))
    (p, q), (_, high, wide, _) = padding, grad_y.shape
    padded = np.pad(x, ((0, 0), (p, p), (q, q), (0, 0)))
    y, grad_padded, grad_weight = np.zeros(grad_y.shape), np.zeros_like(padded), np.empty_like(weight)
    for a in range(3):
        for b in range(3):
            tap = np.s_[:, a : a + high, b : b + wide]
            y += padded[tap] @ weight[a, b]
            grad_padded[tap] += grad_y @ weight[a, b].T
            grad_weight[a, b] = np.tensordot(padded[tap], grad_y, ([0, 1, 2], [0, 1, 2]))
    return y, grad_padded[:, p : p + x.shape[1], q : q + x.shape[2]], grad_weight


def example(rng, shape, padding, dtype=np.float32):
    n, height, width, c, o = shape
    high, wide = height + 2 * padding[0] - 2, width + 2 * padding[1] - 2
    if min(high, wide) < 1:
        pytest.skip("the image is smaller than the filter")
    shapes = (n, height, width, c), (3, 3, c, o), (n, high, wide, o)
    return [rng.standard_normal(s).astype(dtype) for s in shapes]


def backward(grad_y, x, weight, padding):
    return winograd.backward_x(grad_y, weight, padding), winograd.backward_weight(grad_y, x, padding)


def error(actual, exact):
    """Largest error over largest value."""
    return np.max(np.abs(actual - exact)) / np.max(np.abs(exact))


@pytest.mark.parametrize("padding", PADDINGS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_error_against_float64(shape, padding):
    rng = np.random.default_rng(0)
    x, weight, grad_y = example(rng, shape, padding)
    y, grad_x, grad_weight = direct(x, weight, padding, grad_y)
    assert error(winograd.forward(x, weight, padding), y) < 2e-5
    actual_x, actual_weight = backward(grad_y, x, weight, padding)
    assert error(actual_x, grad_x) < 2e-5
    assert error(actual_weight, grad_weight) < 2e-5


@pytest.mark.parametrize("shape", SHAPES[:4], ids=str)
def test_it_is_exact_but_for_rounding(shape):
    """In float64, which conv2d never uses it for, nothing but rounding is left."""
    rng = np.random.default_rng(1)
    x, weight, grad_y = example(rng, shape, (1, 1), np.float64)
    y, grad_x, grad_weight = direct(x, weight, (1, 1), grad_y)
    np.testing.assert_allclose(winograd.forward(x, weight, (1, 1)), y, atol=1e-11)
    actual_x, actual_weight = backward(grad_y, x, weight, (1, 1))
    np.testing.assert_allclose(actual_x, grad_x, atol=1e-11)
    np.testing.assert_allclose(actual_weight, grad_weight, atol=1e-10)


@pytest.mark.parametrize("scale", [1e-20, 1e15])
def test_small_and_large_numbers(scale):
    rng = np.random.default_rng(2)
    x, weight, grad_y = example(rng, (2, 6, 5, 4, 3), (1, 1))
    y, _, grad_weight = direct(x * np.float32(scale), weight, (1, 1), grad_y)
    assert error(winograd.forward(x * np.float32(scale), weight, (1, 1)), y) < 2e-5
    assert error(backward(grad_y, x * np.float32(scale), weight, (1, 1))[1], grad_weight) < 2e-5


def test_inputs_are_left_alone():
    rng = np.random.default_rng(4)
    arrays = example(rng, (3, 6, 5, 4, 3), (1, 1))
    before = [a.copy() for a in arrays]
    x, weight, grad_y = arrays
    winograd.forward(x, weight, (1, 1))
    backward(grad_y, x, weight, (1, 1))
    for array, copy in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, copy)


@compiled_only
def test_conv2d_takes_the_fast_way_and_agrees_with_the_general_one(monkeypatch):
    rng = np.random.default_rng(5)
    x, weight, grad_y = example(rng, (4, 9, 10, 24, 32), (1, 1))
    bias = rng.standard_normal(32).astype(np.float32)

    def run():
        tensors = [Tensor(a, requires_grad=True) for a in (x, weight, bias)]
        y = F.conv2d(*tensors, padding=1)
        y.backward(grad_y)
        return [y.data, *(t.grad for t in tensors)]

    fast = run()
    monkeypatch.setattr(conv, "_suits_winograd", lambda *settings: False)
    general = run()
    assert not np.array_equal(fast[0], general[0]), "both went the same way"
    for a, b in zip(fast, general, strict=True):
        assert error(a, b) < 2e-5


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "channels", "dtype", "fast"),
    [
        ((3, 3), (1, 1), (1, 1), 32, np.float32, True),
        ((3, 3), (1, 1), (0, 0), 32, np.float32, True),
        ((3, 3), (1, 1), (1, 1), 32, np.float64, False),
        ((3, 3), (2, 2), (1, 1), 32, np.float32, False),
        ((3, 3), (1, 2), (1, 1), 32, np.float32, False),
        ((3, 3), (1, 1), (3, 3), 32, np.float32, False),
        ((1, 1), (1, 1), (0, 0), 32, np.float32, False),
        ((5, 3), (1, 1), (1, 1), 32, np.float32, False),
        ((3, 3), (1, 1), (1, 1), 3, np.float32, False),
    ],
)
def test_which_way(kernel, stride, padding, channels, dtype, fast):
    x, weight = Tensor(np.zeros((1, 9, 9, channels), dtype)), Tensor(np.zeros((*kernel, channels, 32), dtype))
    assert conv._suits_winograd(x, weight, stride, padding) is fast


def test_a_bad_pixel_reaches_its_neighbours_only():
    """A NaN spoils the tile that it is in, 4×4 outputs, which is more than the 3×3 that see it, and nothing else."""
    x = np.ones((1, 20, 20, 2), np.float32)
    x[0, 9, 9] = np.nan
    y = winograd.forward(x, np.ones((3, 3, 2, 1), np.float32), (1, 1))
    bad = np.argwhere(np.isnan(y[0, :, :, 0]))
    assert (bad.min(), bad.max(), len(bad)) == (8, 11, 16)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_nothing_is_written_beside_the_result(shape):
    """Its size is what no other test can see: what lies behind it in memory belongs to somebody else."""
    n, height, width, c, o = shape
    c, o = max(16, c), max(16, o)
    rng = np.random.default_rng(7)
    x, weight = rng.standard_normal((n, height, width, c)), rng.standard_normal((3, 3, c, -(-o // LANES) * LANES))
    x, weight = x.astype(np.float32), weight.astype(np.float32)
    (*rows, high), (*columns, wide) = tiling(height), tiling(width)
    room = np.full(n * high * wide * o + 2000, 7.0, np.float32)
    y = room[1000:-1000].reshape(n, high, wide, o)
    winograd._convolve[y.size](x, winograd._transformed(weight), (1, 1), (*rows, *columns), y)
    assert np.all(room[:1000] == 7)
    assert np.all(room[-1000:] == 7)
    np.testing.assert_array_equal(
        y[:, :height, :width], winograd.forward(x, np.ascontiguousarray(weight[..., :o]), (1, 1))
    )


# --- many shapes ----------------------------------------------------------------------------------------------------------


def wrong_forward(x, weight, padding, spoil):
    """The right result, but for one mistake."""
    y = direct(x, weight, padding, np.empty(output_shape(x, weight, padding)))[0].astype(x.dtype)
    spoil(y)
    return y


def output_shape(x, weight, padding):
    return (len(x), x.shape[1] + 2 * padding[0] - 2, x.shape[2] + 2 * padding[1] - 2, weight.shape[3])


def check_forward_and_backward(shape, padding, forward=winograd.forward, backward=backward, seed=0):
    """Errors against float64 stay below 1e-4 of the largest value (as measured: 1e-6 to 2e-5)."""
    x, weight, grad_y = example(np.random.default_rng(seed), shape, padding)
    actual = forward(x, weight, padding), *backward(grad_y, x, weight, padding)
    for result, exact in zip(actual, direct(x, weight, padding, grad_y), strict=True):
        assert result.shape == exact.shape
        assert result.dtype == np.float32
        assert result.flags.c_contiguous
        assert error(result, exact) < 1e-4


@compiled_only
@pytest.mark.parametrize("height", range(1, 18))
def test_maps_of_all_sizes_with_random_channels_and_batches(height):
    rng = np.random.default_rng(height)
    for width in range(1, 18):
        channels = rng.integers(16, 71, 2).tolist()
        smallest = [max(0, 3 - size + 1) // 2 for size in (height, width)]  # an image of one pixel needs a frame
        padding = tuple(int(rng.integers(p, 3)) for p in smallest)
        check_forward_and_backward((int(rng.integers(1, 12)), height, width, *channels), padding)


@compiled_only
@pytest.mark.parametrize("o", [16, 31, 32, 33, 48, 64, 65, 96, 97, 130])
@pytest.mark.parametrize("c", [16, 17, 63, 64, 65, 131])
def test_channels_around_the_sizes_of_panels_and_parts(c, o):
    check_forward_and_backward((3, 6, 5, c, o), (1, 1))


@compiled_only
@pytest.mark.parametrize("images", [1, 2, 7, 8, 9, 31, 32, 33, 100])
def test_batches_around_the_sizes_of_blocks_and_groups(images):
    check_forward_and_backward((images, 4, 3, 16, 16), (1, 1))
    check_forward_and_backward((images, 7, 9, 16, 16), (1, 1))


SPOILERS = {
    "one number is off by a thousandth of the largest": lambda y: y.reshape(-1).__setitem__(
        7, y.flat[7] + 1e-3 * y.max()
    ),
    "the last column": lambda y: y[:, :, -1].fill(0),
    "the last channel": lambda y: y[..., -1].__iadd__(1),
    "one image is another's": lambda y: y.__setitem__(1, y[0]),
}


@pytest.mark.parametrize("name", SPOILERS)
def test_the_check_rejects_a_wrong_result(name):
    def right_backward(grad_y, x, weight, padding):
        return [grad.astype(np.float32, order="C") for grad in direct(x, weight, padding, grad_y)[1:]]

    def forward(spoil):
        return lambda *arguments: wrong_forward(*arguments, spoil)

    shape = (2, 5, 6, 3, 4)
    check_forward_and_backward(shape, (1, 1), forward(lambda y: None), right_backward)
    with pytest.raises(AssertionError):
        check_forward_and_backward(shape, (1, 1), forward(SPOILERS[name]), right_backward)

    def wrong_backward(*arguments, **options):
        grads = right_backward(*arguments, **options)
        grads[1][0, 0, 0] *= np.float32(1.01)
        return grads

    with pytest.raises(AssertionError):
        check_forward_and_backward(shape, (1, 1), forward(lambda y: None), wrong_backward)


# --- the same bits --------------------------------------------------------------------------------------------------------


BIT_SHAPES = [(9, 7, 7, 24, 40), (5, 14, 15, 32, 64), (40, 3, 5, 16, 17)]


@compiled_only
@pytest.mark.parametrize("shape", BIT_SHAPES, ids=str)
def test_the_same_bits_from_both_builds_and_on_one_and_two_threads(shape, monkeypatch):
    x, weight, grad_y = example(np.random.default_rng(0), shape, (1, 1))
    threads, results = get_num_threads(), []

    def compute():
        results.append([winograd.forward(x, weight, (1, 1)), *backward(grad_y, x, weight, (1, 1))])

    try:
        for n in sorted({1, min(2, threads), threads}):
            set_num_threads(n)
            compute()
    finally:
        set_num_threads(threads)
    for build in ("serial", "parallel"):
        for name in ("_convolve", "_multiply_back", "_transform_filters", "_transform_filters_back"):
            kernel = getattr(winograd, name)
            only = getattr(kernel, build)
            monkeypatch.setattr(kernel, "serial", only)  # whichever is chosen by size, this one runs
            monkeypatch.setattr(kernel, "parallel", only)
        compute()
        monkeypatch.undo()
    for result in results[1:]:
        for a, b in zip(result, results[0], strict=True):
            np.testing.assert_array_equal(a, b)


@compiled_only
@pytest.mark.parametrize("shape", BIT_SHAPES, ids=str)
def test_an_image_has_the_same_bits_alone_and_in_a_batch(shape):
    """Blocks of tiles begin and end anywhere in an image."""
    x, weight, grad_y = example(np.random.default_rng(1), shape, (1, 1))
    y, (grad_x, _) = winograd.forward(x, weight, (1, 1)), backward(grad_y, x, weight, (1, 1))
    for i in range(len(x)):
        alone = np.s_[i : i + 1]
        np.testing.assert_array_equal(winograd.forward(x[alone], weight, (1, 1)), y[alone])
        grad_alone, _ = backward(grad_y[alone], x[alone], weight, (1, 1))
        np.testing.assert_array_equal(grad_alone, grad_x[alone])


@compiled_only
def test_an_output_channel_has_the_same_bits_whatever_the_others_are():
    x, weight, _ = example(np.random.default_rng(2), (3, 6, 9, 20, 70), (1, 1))
    y = winograd.forward(x, weight, (1, 1))
    for channels in (np.s_[:16], np.s_[40:], np.s_[7:40]):
        some = np.ascontiguousarray(weight[..., channels])
        np.testing.assert_array_equal(winograd.forward(x, some, (1, 1)), y[..., channels])

"""Pooling against loops over windows and PyTorch's numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidl import Tensor
from minidl import functional as F
from tests import reference
from tests.helpers import (
    DTYPES,
    assert_close,
    assert_golden,
    assert_layout_does_not_matter,
    golden,
    modest,
    run,
    sizes,
)

# image (N, H, W, C), kernel, stride (None: the kernel)
SETTINGS = [
    ((2, 6, 6, 3), 2, None),
    ((2, 7, 5, 3), 2, None),  # a row and a column are left over
    ((1, 8, 9, 2), 3, 2),  # windows overlap
    ((1, 5, 6, 2), 3, 1),
    ((2, 7, 7, 1), (3, 2), (1, 2)),
    ((2, 9, 8, 2), 2, 3),  # gaps between windows
    ((1, 4, 6, 2), (4, 6), None),
    ((2, 13, 12, 2), 12, 1),  # more places than a byte tells
    ((1, 1, 1, 1), 1, None),
    ((3, 5, 4, 2), 1, 2),
]
LARGE = sizes(
    ((67, 14, 14, 8), 2, None),
    ((5, 29, 31, 13), 3, 2),
    ((1, 182, 91, 1), 2, None),
    ((3, 9, 9, 1025), 2, None),
    ((1, 8193, 3, 1), (2, 2), 1),
    tiny=(((3, 9, 7, 5), 2, None), ((2, 9, 9, 5), 3, 2)),
)


def max_pool(kernel_size, stride=None):
    return lambda x: F.max_pool2d(x, kernel_size, stride)


def avg_pool(kernel_size, stride=None):
    return lambda x: F.avg_pool2d(x, kernel_size, stride)


def by_shifted_slices(x, kernel_size, stride):
    """All windows at once: (kernel area, N, H', W', C), one slice of the image for each position in the window."""
    (kernel_h, kernel_w), (stride_h, stride_w) = map(reference.pair, (kernel_size, stride or kernel_size))
    out_h, out_w = (x.shape[1] - kernel_h) // stride_h + 1, (x.shape[2] - kernel_w) // stride_w + 1
    return np.stack(
        [
            x[:, i : i + (out_h - 1) * stride_h + 1 : stride_h, j : j + (out_w - 1) * stride_w + 1 : stride_w]
            for i, j in np.ndindex(kernel_h, kernel_w)
        ]
    )


def avg_pool_grad(x_shape, grad_y, kernel_size, stride):
    """Each output hands an equal share of its gradient to every input of its window."""
    (kernel_h, kernel_w), (stride_h, stride_w) = map(reference.pair, (kernel_size, stride or kernel_size))
    grad_x = np.zeros(x_shape)
    out_h, out_w = grad_y.shape[1:3]
    for i, j in np.ndindex(kernel_h, kernel_w):
        rows = slice(i, i + (out_h - 1) * stride_h + 1, stride_h)
        columns = slice(j, j + (out_w - 1) * stride_w + 1, stride_w)
        grad_x[:, rows, columns] += grad_y / (kernel_h * kernel_w)
    return grad_x


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_max_agrees_with_loops(setting, dtype):
    x_shape, kernel_size, stride = setting
    rng = np.random.default_rng(0)
    x = rng.standard_normal(x_shape).astype(dtype)
    expected = reference.max_pool2d(x, kernel_size, stride)
    grad_y = rng.standard_normal(expected.shape).astype(dtype)
    y, (grad_x,) = run(max_pool(kernel_size, stride), x, grad_y=grad_y)
    assert_close(y, expected, dtype)
    assert_close(grad_x, reference.max_pool2d_grad(x, grad_y, kernel_size, stride), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_average_agrees_with_loops(setting, dtype):
    x_shape, kernel_size, stride = setting
    rng = np.random.default_rng(0)
    x = rng.standard_normal(x_shape).astype(dtype)
    expected = reference.avg_pool2d(x, kernel_size, stride)
    grad_y = rng.standard_normal(expected.shape).astype(dtype)
    y, (grad_x,) = run(avg_pool(kernel_size, stride), x, grad_y=grad_y)
    assert_close(y, expected, dtype)
    assert_close(grad_x, avg_pool_grad(x_shape, grad_y, kernel_size, stride), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", ["max_pool2d", "avg_pool2d"])
def test_agrees_with_pytorch(op, dtype):
    for case in golden("pool", op).values():
        kernel_size = tuple(case["kernel_size"].tolist())
        stride = tuple(case["stride"].tolist()) if "stride" in case else None

        def pool(x, kernel_size=kernel_size, stride=stride):
            return getattr(F, op)(x, kernel_size, stride)

        assert_golden(pool, case, ("x",), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_global_average_agrees_with_pytorch(dtype):
    for case in golden("pool", "global_avg_pool2d").values():
        assert_golden(F.global_avg_pool2d, case, ("x",), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("x_shape", [(1, 1, 1, 1), (2, 3, 4, 5), (1, 7, 1, 3), (5, 2, 2, 1)])
def test_global_average_agrees_with_loops(x_shape, dtype):
    rng = np.random.default_rng(0)
    x = rng.standard_normal(x_shape).astype(dtype)
    n_images, height, width, channels = x_shape
    grad_y = rng.standard_normal((n_images, channels)).astype(dtype)
    y, (grad_x,) = run(F.global_avg_pool2d, x, grad_y=grad_y)
    assert_close(y, reference.global_avg_pool2d(x), dtype)
    assert_close(grad_x, np.broadcast_to(grad_y[:, None, None, :] / (height * width), x_shape), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("setting", LARGE, ids=str)
def test_sizes_that_no_chunk_divides(setting, dtype):
    x_shape, kernel_size, stride = setting
    rng = np.random.default_rng(0)
    x = rng.standard_normal(x_shape).astype(dtype)
    windows = by_shifted_slices(x.astype(np.float64), kernel_size, stride)
    grad_y = rng.standard_normal(windows.shape[1:]).astype(dtype)

    y, (grad_x,) = run(avg_pool(kernel_size, stride), x, grad_y=grad_y)
    assert_close(y, windows.mean(axis=0), dtype)
    assert_close(grad_x, avg_pool_grad(x_shape, grad_y, kernel_size, stride), dtype)

    y, (grad_x,) = run(max_pool(kernel_size, stride), x, grad_y=grad_y)
    np.testing.assert_array_equal(y, windows.max(axis=0))
    assert_close(grad_x.sum(axis=(1, 2)), grad_y.sum(axis=(1, 2), dtype=np.float64), dtype, slack=10)
    if stride is None:  # no overlap: each gradient arrives whole, at the largest input
        winner = (windows.argmax(axis=0), *np.indices(y.shape))
        at_winner = by_shifted_slices(grad_x, kernel_size, stride)[winner]
        np.testing.assert_array_equal(at_winner, grad_y)

    y, (grad_x,) = run(F.global_avg_pool2d, x, grad_y=grad_y[:, 0, 0])
    positions = x_shape[1] * x_shape[2]
    assert_close(y, x.mean(axis=(1, 2), dtype=np.float64), dtype)
    assert_close(grad_x, np.broadcast_to(grad_y[:, :1, :1] / positions, x_shape), dtype)


@pytest.mark.parametrize(("kernel_size", "stride"), [(2, None), (3, 1), (3, 2), ((2, 3), 1)])
def test_equal_values_give_the_gradient_to_the_first(kernel_size, stride):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2, (2, 7, 8, 3)).astype(np.float64)  # zeros and ones: nearly every window has ties
    expected = reference.max_pool2d(x, kernel_size, stride)
    grad_y = rng.standard_normal(expected.shape)
    y, (grad_x,) = run(max_pool(kernel_size, stride), x, grad_y=grad_y)
    np.testing.assert_array_equal(y, expected)
    assert_close(grad_x, reference.max_pool2d_grad(x, grad_y, kernel_size, stride))


def test_a_constant_window_gives_its_gradient_to_the_first_element():
    _, (grad_x,) = run(max_pool(2), np.zeros((1, 2, 2, 1)), grad_y=np.full((1, 1, 1, 1), 3.0))
    np.testing.assert_array_equal(grad_x[0, :, :, 0], [[3, 0], [0, 0]])


@pytest.mark.parametrize("value", [-np.inf, np.inf, -1e300])
def test_max_of_huge_and_infinite_values(value):
    x = np.full((1, 2, 2, 1), value)
    y, (grad_x,) = run(max_pool(2), x, grad_y=np.ones((1, 1, 1, 1)))
    assert y.item() == value
    np.testing.assert_array_equal(grad_x[0, :, :, 0], [[1, 0], [0, 0]])


@pytest.mark.parametrize("position", [(0, 0), (0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize("pool", [max_pool(2), avg_pool(2)], ids=["max", "average"])
def test_nan_is_not_hidden(pool, position):
    x = np.random.default_rng(0).standard_normal((1, 4, 4, 2))
    x[0, position[0], position[1], 1] = np.nan
    y = pool(Tensor(x)).data
    expected = np.zeros(y.shape, bool)
    expected[0, 0, 0, 1] = True
    np.testing.assert_array_equal(np.isnan(y), expected)


@pytest.mark.parametrize("pool", [max_pool(2), max_pool(3, 2), avg_pool(2), avg_pool(3, 2), F.global_avg_pool2d])
def test_memory_layout_does_not_matter(pool):
    rng = np.random.default_rng(0)
    assert_layout_does_not_matter(pool, rng.standard_normal((2, 7, 6, 3)), rng=rng)


@pytest.mark.parametrize("op", [F.max_pool2d, F.avg_pool2d])
def test_the_stride_is_the_kernel_unless_given(op):
    x = Tensor(np.random.default_rng(0).standard_normal((2, 7, 6, 3)))
    np.testing.assert_array_equal(op(x, (3, 2)).data, op(x, (3, 2), (3, 2)).data)
    np.testing.assert_array_equal(op(x, 2).data, op(x, (2, 2), stride=2).data)


@pytest.mark.parametrize("op", [F.max_pool2d, F.avg_pool2d], ids=["max_pool2d", "avg_pool2d"])
@pytest.mark.parametrize(("x_shape", "kernel_size", "stride"), [((2, 4, 4), 2, None), ((1, 3, 3, 1), 4, None),
                                                          ((1, 3, 3, 1), 2, 0), ((1, 3, 3, 1), 0, 1)])  # fmt: skip
def test_what_does_not_fit_is_explained(op, x_shape, kernel_size, stride):
    with pytest.raises(ValueError, match=op.__name__):
        op(Tensor(np.ones(x_shape)), kernel_size, stride)


def test_global_average_of_something_else_is_explained():
    with pytest.raises(ValueError, match="global_avg_pool2d"):
        F.global_avg_pool2d(Tensor(np.ones((3, 4))))


@modest
@given(
    n=st.integers(1, 3),
    channels=st.integers(1, 4),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    extra=st.tuples(st.integers(0, 5), st.integers(0, 5)),
    stride=st.none() | st.tuples(st.integers(1, 4), st.integers(1, 4)),
    levels=st.sampled_from([2, 5, 1000]),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_shape(n, channels, kernel, extra, stride, levels, seed):
    rng = np.random.default_rng(seed)
    x_shape = (n, kernel[0] + extra[0], kernel[1] + extra[1], channels)
    x = rng.integers(0, levels, x_shape).astype(np.float64)  # few levels: many ties
    expected = reference.max_pool2d(x, kernel, stride)
    grad_y = rng.standard_normal(expected.shape)
    y, (grad_x,) = run(max_pool(kernel, stride), x, grad_y=grad_y)
    np.testing.assert_array_equal(y, expected)
    assert_close(grad_x, reference.max_pool2d_grad(x, grad_y, kernel, stride))
    y, (grad_x,) = run(avg_pool(kernel, stride), x, grad_y=grad_y)
    assert_close(y, reference.avg_pool2d(x, kernel, stride))
    assert_close(grad_x, avg_pool_grad(x_shape, grad_y, kernel, stride))

"""F.conv2d against loops over every index and PyTorch's numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minidl
from minidl import Tensor
from minidl import functional as F
from minidl.kernels import winograd
from minidl.ops import conv as conv_module
from tests import reference
from tests.helpers import (
    DTYPES,
    assert_close,
    assert_golden,
    assert_gradients_only_where_asked,
    assert_layout_does_not_matter,
    golden,
    modest,
    run,
    sizes,
)

CASES = golden("conv2d")

# image (N, H, W, C), kernel (kh, kw, O), stride, padding
SETTINGS = [
    ((2, 5, 5, 3), (3, 3, 4), 1, 0),
    ((2, 5, 5, 3), (3, 3, 4), 1, 1),
    ((1, 6, 7, 2), (3, 2, 3), 2, 1),
    ((2, 7, 6, 1), (2, 3, 1), (2, 3), (1, 0)),
    ((3, 4, 4, 2), (1, 1, 3), 1, 0),
    ((3, 5, 4, 2), (1, 1, 3), 2, 0),
    ((1, 4, 6, 2), (4, 6, 2), 1, 0),
    ((1, 1, 1, 1), (1, 1, 1), 1, 0),
    ((1, 1, 1, 2), (3, 3, 2), 1, 1),
    ((1, 2, 2, 1), (3, 3, 1), 3, 2),
    ((2, 8, 8, 2), (2, 2, 2), 3, 0),
]


def arrays(rng, x_shape, kernel, dtype=np.float64):
    kernel_h, kernel_w, n_out = kernel
    shapes = [x_shape, (kernel_h, kernel_w, x_shape[-1], n_out), (n_out,)]
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def conv(stride=1, padding=0):
    return lambda x, weight, bias=None: F.conv2d(x, weight, bias, stride=stride, padding=padding)


def assert_adjoint(x, weight, bias, stride, padding, rng, slack=1.0):
    """The gradients of conv2d from its own forward pass, which the loops have checked.

    y is linear in x and in the weight, so for any other x' and weight': <grad_y, conv(x', weight)> = <grad_x, x'> and
    <grad_y, conv(x, weight')> = <grad_weight, weight'>.
    """
    f = conv(stride, padding)
    shape = f(Tensor(x), Tensor(weight)).shape
    grad_y = rng.standard_normal(shape).astype(x.dtype)
    _, (grad_x, grad_weight, grad_bias) = run(f, x, weight, bias, grad_y=grad_y)
    assert (grad_x.shape, grad_weight.shape) == (x.shape, weight.shape)
    other_x, other_weight = (rng.standard_normal(a.shape).astype(a.dtype) for a in (x, weight))
    pairs = [
        (f(Tensor(other_x), Tensor(weight)).data, grad_x, other_x),
        (f(Tensor(x), Tensor(other_weight)).data, grad_weight, other_weight),
    ]
    tolerance = slack * (1e-12 if x.dtype == np.float64 else 1e-5)
    for y, grad, other in pairs:
        left = np.sum(grad_y.astype(np.float64) * y)
        right = np.sum(grad.astype(np.float64) * other)
        scale = 1 + np.linalg.norm(grad_y) * np.linalg.norm(y)
        assert abs(left - right) <= tolerance * scale
    assert_close(grad_bias, grad_y.sum(axis=(0, 1, 2), dtype=np.float64), x.dtype, slack)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_agrees_with_loops(setting, dtype):
    x_shape, kernel, stride, padding = setting
    rng = np.random.default_rng(0)
    x, weight, bias = arrays(rng, x_shape, kernel, dtype)
    expected = reference.conv2d(x, weight, bias, stride, padding)
    y, _ = run(conv(stride, padding), x, weight, bias, grad_y=np.ones(expected.shape, dtype))
    assert_close(y, expected, dtype)
    assert_adjoint(x, weight, bias, stride, padding, rng)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CASES)
def test_agrees_with_pytorch(name, dtype):
    case = CASES[name]
    stride, padding = tuple(case["stride"].tolist()), tuple(case["padding"].tolist())
    assert_golden(conv(stride, padding), case, ("x", "weight", "bias"), dtype)


def by_shifted_products(x, weight, stride, padding):
    """The same convolution as one matrix product for each position in the kernel: fast enough for large images."""
    padded = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    kernel_h, kernel_w, _, n_out = weight.shape
    out_h = (padded.shape[1] - kernel_h) // stride + 1
    out_w = (padded.shape[2] - kernel_w) // stride + 1
    y = np.zeros((len(x), out_h, out_w, n_out))
    for i, j in np.ndindex(kernel_h, kernel_w):
        shifted = padded[:, i::stride, j::stride]
        y += shifted[:, :out_h, :out_w] @ weight[i, j]
    return y


# None of these is a whole number of chunks or of row blocks, and most are large enough to run on several threads.
LARGE = sizes(
    ((5, 28, 28, 1), (3, 3, 32), 1, 1),
    ((67, 14, 14, 8), (3, 3, 5), 1, 1),
    ((3, 33, 31, 17), (3, 3, 19), 2, 1),
    ((1, 91, 90, 1), (5, 5, 1), 1, 0),
    ((129, 8, 8, 3), (1, 1, 7), 1, 0),
    ((1, 8193, 1, 2), (1, 1, 3), 1, 0),
    tiny=(((3, 9, 7, 2), (3, 3, 3), 1, 1), ((19, 5, 5, 2), (3, 3, 3), 2, 1), ((1, 30, 20, 1), (3, 3, 2), 1, 1)),
)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("setting", LARGE, ids=str)
def test_sizes_that_no_chunk_divides(setting, dtype):
    x_shape, kernel, stride, padding = setting
    rng = np.random.default_rng(0)
    x, weight, bias = arrays(rng, x_shape, kernel, dtype)
    y = conv(stride, padding)(Tensor(x), Tensor(weight), Tensor(bias)).data
    expected = by_shifted_products(x.astype(np.float64), weight.astype(np.float64), stride, padding) + bias
    assert_close(y, expected, dtype, slack=3)
    assert_adjoint(x, weight, bias, stride, padding, rng, slack=10)


def test_an_int_means_the_same_both_ways():
    x, weight, _ = arrays(np.random.default_rng(0), (2, 7, 6, 2), (3, 3, 2))
    with_ints = conv(2, 1)(Tensor(x), Tensor(weight)).data
    with_pairs = conv((2, 2), (1, 1))(Tensor(x), Tensor(weight)).data
    np.testing.assert_array_equal(with_ints, with_pairs)


def test_a_one_by_one_kernel_is_a_linear_layer():
    rng = np.random.default_rng(0)
    x, weight, bias = arrays(rng, (3, 5, 4, 6), (1, 1, 7))
    grad_y = rng.standard_normal((3, 5, 4, 7))
    y, grads = run(conv(), x, weight, bias, grad_y=grad_y)
    linear_y, linear_grads = run(F.linear, x, weight[0, 0], bias, grad_y=grad_y)
    assert_close(y, linear_y)
    for grad, linear_grad in zip(grads, linear_grads, strict=True):
        assert_close(grad.reshape(linear_grad.shape), linear_grad)


def test_memory_layout_does_not_matter():
    rng = np.random.default_rng(0)
    assert_layout_does_not_matter(conv(2, 1), *arrays(rng, (2, 6, 5, 3), (3, 3, 4)), rng=rng)


@pytest.mark.parametrize(("kernel", "padding"), [((3, 3, 4), 1), ((1, 1, 4), 0)])
def test_gradients_only_where_asked(kernel, padding):
    rng = np.random.default_rng(0)
    assert_gradients_only_where_asked(conv(1, padding), *arrays(rng, (2, 5, 4, 3), kernel), rng=rng)


@pytest.mark.parametrize("channels", [3, 16])  # the general way, and Winograd's
def test_no_gradient_of_frozen_weights_is_computed(channels, monkeypatch):
    def refuse(*arguments):
        raise AssertionError("∂W was computed for weights that need none")

    monkeypatch.setattr(conv_module, "backward_weight", refuse)
    monkeypatch.setattr(winograd, "backward_weight", refuse)
    x, weight, _ = arrays(np.random.default_rng(0), (2, 5, 4, channels), (3, 3, 16), np.float32)
    x, weight = Tensor(x, requires_grad=True), Tensor(weight)
    F.conv2d(x, weight).sum().backward()
    assert weight.grad is None
    assert x.grad.shape == x.shape
    weight.requires_grad = True
    with pytest.raises(AssertionError, match="∂W was computed"):
        F.conv2d(x, weight).sum().backward()


def test_without_bias():
    x, weight, _ = arrays(np.random.default_rng(0), (2, 5, 4, 3), (3, 3, 4))
    assert_close(F.conv2d(Tensor(x), Tensor(weight)).data, reference.conv2d(x, weight))


def test_nan_reaches_exactly_the_windows_that_see_it():
    x, weight, bias = arrays(np.random.default_rng(0), (2, 6, 6, 2), (3, 3, 2))
    x[1, 2, 3, 0] = np.nan
    y = conv(1, 1)(Tensor(x), Tensor(weight), Tensor(bias)).data
    expected = np.zeros(y.shape, bool)
    expected[1, 1:4, 2:5] = True
    np.testing.assert_array_equal(np.isnan(y), expected)


@pytest.mark.parametrize(
    ("x_shape", "weight_shape", "bias_shape", "options"),
    [
        ((2, 6, 6, 3), (3, 3, 4, 5), (5,), {}),
        ((2, 6, 6, 3), (3, 3, 3, 5), (3,), {}),
        ((6, 6, 3), (3, 3, 3, 5), (5,), {}),
        ((2, 6, 6, 3), (3, 3, 5), (5,), {}),
        ((2, 2, 6, 3), (3, 3, 3, 5), (5,), {}),
        ((2, 6, 6, 3), (3, 3, 3, 5), (5,), {"stride": 0}),
        ((2, 6, 6, 3), (3, 3, 3, 5), (5,), {"padding": -1}),
    ],
    ids=["channels", "bias", "x not 4-D", "weight not 4-D", "kernel too tall", "stride 0", "padding -1"],
)
def test_what_does_not_fit_is_explained(x_shape, weight_shape, bias_shape, options):
    x, weight, bias = (Tensor(np.ones(shape)) for shape in (x_shape, weight_shape, bias_shape))
    with pytest.raises(ValueError, match="conv2d"):
        F.conv2d(x, weight, bias, **options)


@modest
@given(
    n=st.integers(1, 3),
    channels=st.integers(1, 4),
    n_out=st.integers(1, 4),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    extra=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_shape(n, channels, n_out, kernel, extra, stride, padding, seed):
    rng = np.random.default_rng(seed)
    height, width = (max(1, k + e - 2 * p) for k, e, p in zip(kernel, extra, padding, strict=True))
    x, weight, bias = arrays(rng, (n, height, width, channels), (*kernel, n_out))
    y = conv(stride, padding)(Tensor(x), Tensor(weight), Tensor(bias)).data
    assert_close(y, reference.conv2d(x, weight, bias, stride, padding))
    assert_adjoint(x, weight, bias, stride, padding, rng)


def _with_one_huge_pixel(size, seed=0):
    """Images of N(0, 1) but for one number, and filters of 16 channels."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((1, 12, 12, 16)).astype(np.float32)
    x[0, 1, 3, 3] = size
    return Tensor(x, requires_grad=True), Tensor(0.1 * rng.standard_normal((3, 3, 16, 16)).astype(np.float32))


@pytest.mark.parametrize("size", [1e3, 1e4, 1e6])
def test_detect_anomaly_tells_that_a_huge_pixel_spoils_its_neighbours(size):
    x, weight = _with_one_huge_pixel(size)
    y = F.conv2d(x, weight)
    with minidl.detect_anomaly(), pytest.raises(RuntimeError, match=r"rounding made y\[0, \d, \d, \d+\] .* float64"):
        F.conv2d(x, weight)
    with minidl.detect_anomaly():
        exact = F.conv2d(Tensor(x.data.astype(np.float64)), Tensor(weight.data.astype(np.float64)))
        assert np.abs(y.data - exact.data)[:, 6:].max() < 1e-4  # other tiles are as exact as ever


def test_detect_anomaly_tells_that_a_huge_gradient_spoils_its_neighbours():
    x, weight = _with_one_huge_pixel(1)
    grad_y = np.ones((1, 12, 12, 16), np.float32)
    grad_y[0, 1, 3, 3] = 1e6
    with minidl.detect_anomaly():
        y = F.conv2d(x, weight, padding=1)
        with pytest.raises(RuntimeError, match="rounding made the gradient of x"):
            y.backward(grad_y)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("kind", ["normal", "rectified", "sparse", "one pixel", "zero", "large"])
def test_detect_anomaly_is_content_with_ordinary_images(kind, seed):
    x, weight = _with_one_huge_pixel(1, seed)
    one = np.arange(x.data.size).reshape(x.shape) == 700
    keep = {"normal": 1, "rectified": x.data > 0, "sparse": x.data > 2.5, "one pixel": one, "zero": 0, "large": 1e20}[
        kind
    ]
    x.data[...] *= keep
    with minidl.detect_anomaly():
        y = F.conv2d(x, weight, padding=1)
        y.backward(y.data)

"""F.conv_transpose2d against loops, PyTorch's numbers, and the gradient of F.conv2d, which it is."""

import numpy as np
import pytest

from minidl import Tensor
from minidl import functional as F
from minidl.gradcheck import GradientError, gradcheck
from tests import reference_layers as reference
from tests.helpers import (
    DTYPES,
    assert_close,
    assert_golden,
    assert_gradients_only_where_asked,
    assert_layout_does_not_matter,
    golden,
    run,
)

GOLDEN = golden("conv_transpose2d")

# image (N, H, W, C), kernel (kh, kw, O), stride, padding, output_padding
SETTINGS = [
    ((2, 3, 4, 2), (3, 2, 3), 1, 0, 0),
    ((1, 3, 3, 2), (2, 2, 2), 2, 0, 0),
    ((2, 2, 3, 1), (3, 3, 2), 2, 1, 1),
    ((1, 2, 2, 3), (1, 4, 1), (3, 2), (0, 2), (2, 1)),
    ((1, 4, 3, 2), (3, 3, 2), 1, 2, 0),
]


def arrays(rng, x_shape, kernel, dtype=np.float64):
    """x, weight, bias."""
    height, width, out = kernel
    shapes = x_shape, (height, width, x_shape[-1], out), (out,)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def transposed(stride, padding, output_padding):
    return lambda x, weight, bias=None: F.conv_transpose2d(x, weight, bias, stride, padding, output_padding)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "plain"])
@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_agrees_with_loops(setting, bias, dtype):
    shape, kernel, *options = setting
    inputs = arrays(np.random.default_rng(0), shape, kernel, dtype)[: 3 if bias else 2]
    y = transposed(*options)(*map(Tensor, inputs)).data
    assert_close(y, reference.conv_transpose2d(*inputs, *([] if bias else [None]), *options), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", GOLDEN)
def test_agrees_with_pytorch(name, dtype):
    case = GOLDEN[name]
    options = [tuple(case[option].tolist()) for option in ("stride", "padding", "output_padding")]
    assert_golden(transposed(*options), case, ("x", "weight", "bias"), dtype)


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_is_the_gradient_of_a_convolution(setting):
    """⟨conv2d(z, Wᵀ), x⟩ = ⟨z, conv_transpose2d(x, W)⟩ for every image z."""
    shape, kernel, *options = setting
    rng = np.random.default_rng(0)
    x, weight, _ = arrays(rng, shape, kernel)
    y = transposed(*options)(Tensor(x), Tensor(weight)).data
    z = rng.standard_normal(y.shape)
    convolved = F.conv2d(Tensor(z), Tensor(weight.swapaxes(2, 3)), None, *options[:2]).data
    np.testing.assert_allclose((convolved * x).sum(), (z * y).sum(), rtol=1e-10)


def test_it_undoes_the_shape_of_a_convolution():
    """What output_padding is for: sizes 7 and 8 both become 4."""
    for size, added in ((7, 0), (8, 1)):
        z = Tensor(np.zeros((1, size, size, 2)))
        small = F.conv2d(z, Tensor(np.zeros((3, 3, 2, 3))), stride=2, padding=1)
        assert small.shape == (1, 4, 4, 3)
        assert F.conv_transpose2d(small, Tensor(np.zeros((3, 3, 3, 2))), None, 2, 1, added).shape == z.shape


def with_wrong_gradient(wrong):
    """Transposed convolution, 2×2 with stride 2, in NumPy: no overlaps, so it is a matrix product of each pixel."""

    def op(x, weight):
        def backward(grad_y):
            patches = grad_y.reshape(n, h, 2, w, 2, -1).transpose(0, 1, 3, 2, 4, 5)
            grad_x = np.einsum("nhwabo,abco->nhwc", patches, weight.data[::-1] if wrong else weight.data)
            return grad_x, np.einsum("nhwc,nhwabo->abco", x.data, patches)

        n, h, w, _ = x.shape
        y = np.einsum("nhwc,abco->nhawbo", x.data, weight.data).reshape(n, 2 * h, 2 * w, -1)
        return Tensor._from_op(y, (x, weight), backward)

    return op


def test_the_check_rejects_a_flipped_filter():
    x, weight, _ = arrays(np.random.default_rng(0), (5, 2, 3, 2), (2, 2, 3))
    assert_close(
        with_wrong_gradient(False)(Tensor(x), Tensor(weight)).data, transposed(2, 0, 0)(*map(Tensor, (x, weight))).data
    )
    gradcheck(with_wrong_gradient(False), x, weight, generator=np.random.default_rng(1))
    with pytest.raises(GradientError):
        gradcheck(with_wrong_gradient(True), x, weight, generator=np.random.default_rng(1))


def test_memory_layout_and_what_is_asked_do_not_matter():
    rng = np.random.default_rng(0)
    inputs = arrays(rng, (2, 3, 4, 2), (3, 2, 3))
    assert_layout_does_not_matter(transposed(2, 1, 1), *inputs, rng=rng)
    assert_gradients_only_where_asked(transposed(2, 1, 1), *inputs, rng=rng)


def test_no_examples():
    x, weight, bias = np.ones((0, 3, 3, 2)), np.ones((2, 2, 2, 4)), np.ones(4)
    y, (grad_x, grad_weight, grad_bias) = run(transposed(2, 0, 0), x, weight, bias, grad_y=np.ones((0, 6, 6, 4)))
    assert y.shape == (0, 6, 6, 4)
    assert grad_x.shape == x.shape
    assert not grad_weight.any()
    assert not grad_bias.any()


def test_nan_spoils_what_its_pixel_reaches():
    x = np.zeros((1, 3, 3, 1))
    x[0, 1, 1, 0] = np.nan
    y = transposed(2, 0, 0)(Tensor(x), Tensor(np.ones((2, 2, 1, 1)))).data[0, :, :, 0]
    expected = np.zeros((6, 6), bool)
    expected[2:4, 2:4] = True
    np.testing.assert_array_equal(np.isnan(y), expected)

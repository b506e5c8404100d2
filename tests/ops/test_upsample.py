"""F.interpolate against loops and PyTorch's numbers; borders, and pixels that take no part."""

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
    assert_layout_does_not_matter,
    golden,
    run,
)

GOLDEN = golden("interpolate")
WAYS = [("nearest", False), ("bilinear", False), ("bilinear", True)]


def resize(scale, mode="nearest", align_corners=False):
    return lambda x: F.interpolate(x, scale, mode, align_corners)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("scale", [1, 2, 3, (2, 1), 0.5, (1.7, 0.4), 7], ids=str)
def test_agrees_with_loops(scale, way, dtype):
    x = np.random.default_rng(0).standard_normal((2, 4, 3, 2)).astype(dtype)
    assert_close(resize(scale, *way)(Tensor(x)).data, reference.interpolate(x, scale, *way), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", GOLDEN)
def test_agrees_with_pytorch(name, dtype):
    case = GOLDEN[name]
    f = resize(tuple(case["scale_factor"].tolist()), name.split("-")[0], bool(case["align_corners"]))
    assert_golden(f, case, ("x",), dtype)


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("scale", [2, (1.7, 0.4), 0.3, 5], ids=str)
def test_the_gradient_is_the_transposed_map(scale, way):
    """⟨f(x), z⟩ = ⟨x, ∂x(z)⟩, as f is linear."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 5, 4, 3))
    z = rng.standard_normal(resize(scale, *way)(Tensor(x)).shape)
    y, (grad,) = run(resize(scale, *way), x, grad_y=z)
    np.testing.assert_allclose((y * z).sum(), (x * grad).sum(), rtol=1e-10)


def doubling(share):
    """Nearest neighbours by 2, whose gradient must add up four pixels."""

    def op(x):
        n, h, w, c = x.shape
        y = x.data.repeat(2, 1).repeat(2, 2)
        return Tensor._from_op(y, (x,), lambda grad: (share(grad.reshape(n, h, 2, w, 2, c), (2, 4)),))

    return op


def test_the_check_rejects_a_mean_for_a_sum():
    x = np.random.default_rng(0).standard_normal((5, 2, 3, 2))
    gradcheck(doubling(np.sum), x, generator=np.random.default_rng(1))
    with pytest.raises(GradientError):
        gradcheck(doubling(np.mean), x, generator=np.random.default_rng(1))


@pytest.mark.parametrize("factor", [2, 3, 10, 49])
def test_whole_factors_repeat_each_pixel_equally_often(factor):
    """⌊i / s⌋, not ⌊i · (1 / s)⌋: in float64 49 · (1 / 49) is below 1."""
    x = np.arange(6.0).reshape(1, 2, 3, 1)
    y = resize(factor)(Tensor(x)).data
    np.testing.assert_array_equal(y, x.repeat(factor, 1).repeat(factor, 2))


def test_a_straight_line_stays_one():
    x = np.arange(4.0).reshape(1, 1, 4, 1)
    y = resize((1, 2), "bilinear")(Tensor(x)).data.ravel()
    np.testing.assert_allclose(y, [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3])
    corners = resize((1, 2), "bilinear", True)(Tensor(x)).data.ravel()
    np.testing.assert_allclose(corners, np.linspace(0, 3, 8))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("way", WAYS, ids=str)
def test_pixels_of_weight_zero_take_no_part(way, bad):
    """Not even where they are infinite; at a factor of 1 nothing is mixed."""
    x = np.zeros((1, 3, 4, 2), np.float32)
    x[0, 1, 2, 0] = bad
    np.testing.assert_array_equal(resize(1, *way)(Tensor(x)).data, x)
    y = resize(3, *way)(Tensor(x)).data
    assert np.isfinite(y[..., 1]).all()
    assert np.isfinite(y[0, 0]).all()
    assert (~np.isfinite(y[..., 0])).any()


def test_memory_layout_does_not_matter():
    rng = np.random.default_rng(0)
    for way in WAYS:
        assert_layout_does_not_matter(resize((2, 1.5), *way), rng.standard_normal((2, 3, 4, 5)), rng=rng)


def test_no_examples_and_no_channels():
    for shape in ((0, 3, 4, 2), (2, 3, 4, 0)):
        y, (grad,) = run(resize(2, "bilinear"), np.ones(shape), grad_y=np.ones((shape[0], 6, 8, shape[3])))
        assert y.shape == (shape[0], 6, 8, shape[3])
        assert grad.shape == shape

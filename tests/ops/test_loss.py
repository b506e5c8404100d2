"""Losses against formulas written out, PyTorch's numbers and composites."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from minidl import Tensor
from minidl import functional as F
from tests import reference
from tests.helpers import (
    DTYPES,
    assert_close,
    assert_golden,
    assert_gradients_only_where_asked,
    assert_layout_does_not_matter,
    assert_same_gradients,
    golden,
    modest,
    run,
    sizes,
)

SMOOTHINGS = (0.0, 0.1, 0.5, 1.0)


def cross_entropy(labels, smoothing=0.0):
    return lambda logits: F.cross_entropy(logits, labels, label_smoothing=smoothing)


def cross_entropy_grad(logits, labels, smoothing):
    """(softmax − target) / N."""
    n, classes = logits.shape
    target = np.full(logits.shape, smoothing / classes)
    target[np.arange(n), labels] += 1 - smoothing
    return (special.softmax(logits, axis=1) - target) / n


def examples(rng, n, classes, dtype=np.float64):
    return (3 * rng.standard_normal((n, classes))).astype(dtype), rng.integers(0, classes, n)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("smoothing", SMOOTHINGS)
@pytest.mark.parametrize(("n", "classes"), [(1, 1), (1, 2), (5, 2), (6, 10), (3, 17)])
def test_cross_entropy_agrees_with_loops(n, classes, smoothing, dtype):
    logits, labels = examples(np.random.default_rng(0), n, classes, dtype)
    loss, (grad,) = run(cross_entropy(labels, smoothing), logits)
    assert_close(loss, reference.cross_entropy(logits, labels, smoothing), dtype)
    assert_close(grad, cross_entropy_grad(logits.astype(np.float64), labels, smoothing), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_cross_entropy_agrees_with_pytorch(dtype):
    for case in golden("loss", "cross_entropy").values():
        assert_golden(cross_entropy(case["labels"], float(case["label_smoothing"])), case, ("logits",), dtype)


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_cross_entropy_gradient_agrees_with_the_composite(smoothing):
    rng = np.random.default_rng(0)
    logits, labels = examples(rng, 7, 5)

    def composite(x):
        return reference.composite_cross_entropy(x, labels, smoothing)

    assert_same_gradients(cross_entropy(labels, smoothing), composite, logits, rng=rng, slack=10)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("n", "classes"), sizes((8193, 1), (8191, 3), (821, 10), (2459, 10), (3, 8193), tiny=((83, 10), (2734, 3)))
)
def test_cross_entropy_of_sizes_that_no_chunk_divides(n, classes, dtype):
    logits, labels = examples(np.random.default_rng(0), n, classes, dtype)
    loss, (grad,) = run(cross_entropy(labels, 0.1), logits)
    exact = logits.astype(np.float64)
    log_p = special.log_softmax(exact, axis=1)
    expected = -(0.9 * log_p[np.arange(n), labels] + 0.1 * log_p.mean(axis=1)).mean()
    assert_close(loss, expected, dtype, slack=3)
    assert_close(n * grad, n * cross_entropy_grad(exact, labels, 0.1), dtype)


@pytest.mark.parametrize("labels_dtype", [np.int64, np.int32, np.uint8])
def test_any_integer_labels(labels_dtype):
    logits, labels = examples(np.random.default_rng(0), 6, 4)
    loss, _ = run(cross_entropy(labels.astype(labels_dtype)), logits)
    assert_close(loss, reference.cross_entropy(logits, labels))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_of_extreme_logits_is_finite_without_a_warning(smoothing, dtype):
    logits = np.array([[1000, 0, -1000], [-1000, 1000, 0], [-1000, -1000, -1000], [1000, 1000, 1000]], dtype)
    labels = np.array([0, 0, 1, 2])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loss, (grad,) = run(cross_entropy(labels, smoothing), logits)
    per_example = np.array([0, 2000, np.log(3), np.log(3)])  # what a smoothed target adds: the mean of −log p
    smooth_part = np.array([1000, 1000, np.log(3), np.log(3)])
    assert_close(loss, np.mean((1 - smoothing) * per_example + smoothing * smooth_part), dtype)
    assert_close(grad, cross_entropy_grad(logits.astype(np.float64), labels, smoothing), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_cross_entropy_of_nan_is_nan(dtype):
    logits, labels = examples(np.random.default_rng(0), 4, 3, dtype)
    logits[2, (labels[2] + 1) % 3] = np.nan
    loss, (grad,) = run(cross_entropy(labels), logits)
    assert np.isnan(loss)
    assert np.isnan(grad[2]).all()
    assert np.isfinite(grad[[0, 1, 3]]).all()


def test_the_cotangent_scales_the_gradient():
    logits, labels = examples(np.random.default_rng(0), 4, 3)
    _, (grad,) = run(cross_entropy(labels), logits)
    _, (scaled,) = run(cross_entropy(labels), logits, grad_y=np.array(-2.5))
    assert_close(scaled, -2.5 * grad)


def test_cross_entropy_leaves_its_inputs_alone():
    logits, labels = examples(np.random.default_rng(0), 4, 3)
    copies = logits.copy(), labels.copy()
    run(cross_entropy(labels, 0.1), logits)
    np.testing.assert_array_equal(logits, copies[0])
    np.testing.assert_array_equal(labels, copies[1])


@pytest.mark.parametrize(
    ("logits_shape", "labels", "options"),
    [
        ((4, 3), np.zeros(5, int), {}),
        ((4, 3), np.zeros((4, 3), int), {}),
        ((3,), np.zeros(3, int), {}),
        ((4, 3), np.array([0, 1, 2, 3]), {}),
        ((4, 3), np.array([0, 1, 2, -1]), {}),
        ((0, 3), np.zeros(0, int), {}),
        ((4, 3), np.zeros(4, int), {"label_smoothing": 1.5}),
    ],
    ids=["too many labels", "2-D labels", "1-D logits", "label too large", "label negative", "empty", "smoothing 1.5"],
)
def test_what_does_not_fit_is_explained(logits_shape, labels, options):
    with pytest.raises(ValueError, match="cross_entropy"):
        F.cross_entropy(Tensor(np.ones(logits_shape)), labels, **options)


def test_labels_must_be_integers():
    with pytest.raises((TypeError, ValueError), match="cross_entropy"):
        F.cross_entropy(Tensor(np.ones((4, 3))), np.zeros(4))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1,), (5, 3), (2, 3, 4)], ids=str)
def test_mse_agrees_with_loops(shape, dtype):
    x, target = np.random.default_rng(0).standard_normal((2, *shape)).astype(dtype)
    loss, (grad_x, grad_target) = run(F.mse_loss, x, target)
    assert_close(loss, reference.mse_loss(x, target), dtype)
    expected = 2 * (x.astype(np.float64) - target) / x.size
    assert_close(grad_x, expected, dtype)
    assert_close(grad_target, -expected, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_mse_agrees_with_pytorch(dtype):
    for case in golden("loss", "mse_loss").values():
        assert_golden(F.mse_loss, case, ("x", "target"), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", sizes(8191, 8193, 3 * 8192 + 5, tiny=(83, 8200)))
def test_mse_of_sizes_that_no_chunk_divides(size, dtype):
    x, target = np.random.default_rng(0).standard_normal((2, size)).astype(dtype)
    loss, (grad_x, _) = run(F.mse_loss, x, target)
    difference = x.astype(np.float64) - target
    assert_close(loss, np.mean(difference**2), dtype, slack=3)
    assert_close(size * grad_x, 2 * difference, dtype)


def test_mse_memory_layout_does_not_matter():
    rng = np.random.default_rng(0)
    assert_layout_does_not_matter(F.mse_loss, rng.standard_normal((5, 6)), rng.standard_normal((5, 6)), rng=rng)


def test_mse_gradients_only_where_asked():
    rng = np.random.default_rng(0)
    assert_gradients_only_where_asked(F.mse_loss, rng.standard_normal((5, 6)), rng.standard_normal((5, 6)), rng=rng)


def test_mse_of_nan_is_nan():
    x = np.zeros(37)
    x[20] = np.nan
    loss, (grad_x, _) = run(F.mse_loss, x, np.ones(37))
    assert np.isnan(loss)
    np.testing.assert_array_equal(np.isnan(grad_x), np.isnan(x))


def test_mse_refuses_to_broadcast():
    with pytest.raises(ValueError, match="mse_loss"):
        F.mse_loss(Tensor(np.ones((4, 1))), Tensor(np.ones(4)))


def test_cross_entropy_memory_layout_does_not_matter():
    rng = np.random.default_rng(0)
    logits, labels = examples(rng, 9, 7)
    assert_layout_does_not_matter(cross_entropy(labels, 0.1), logits, rng=rng)
    strided_labels = np.repeat(labels, 2)[::2]
    loss, (grad,) = run(cross_entropy(strided_labels), logits)
    assert_close(loss, reference.cross_entropy(logits, labels))
    assert_close(grad, cross_entropy_grad(logits, labels, 0.0))


@modest
@given(n=st.integers(1, 6), classes=st.integers(1, 6), smoothing=st.floats(0, 1), seed=st.integers(0, 2**32 - 1))
def test_cross_entropy_of_any_shape(n, classes, smoothing, seed):
    logits, labels = examples(np.random.default_rng(seed), n, classes)
    loss, (grad,) = run(cross_entropy(labels, smoothing), logits)
    assert_close(loss, reference.cross_entropy(logits, labels, smoothing))
    assert_close(grad, cross_entropy_grad(logits, labels, smoothing))

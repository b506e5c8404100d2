"""F.batch_renorm and F.ghost_batch_norm against loops, PyTorch's numbers, a composite, and batch norm itself."""

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
    assert_same_gradients,
    golden,
    run,
)

RENORM, GHOSTS = golden("batch_renorm"), golden("ghost_batch_norm")


def arrays(rng, shape, dtype=np.float64):
    channels = shape[-1]
    x = rng.standard_normal(shape) * rng.uniform(0.5, 2, channels) + rng.standard_normal(channels)
    return [a.astype(dtype) for a in (x, rng.standard_normal(channels), rng.standard_normal(channels))]


def statistics(rng, channels):
    return rng.standard_normal(channels), rng.uniform(0.5, 2, channels)


def renorm(mean, std, r_max=3.0, d_max=5.0, momentum=0.0, eps=1e-5):
    return lambda x, weight=None, bias=None: F.batch_renorm(
        x, mean, std, weight, bias, True, momentum, eps, r_max, d_max
    )


# ---- batch renormalization -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("limits", [(1.0, 0.0), (1.2, 0.3), (3.0, 5.0)], ids=str)
@pytest.mark.parametrize("shape", [(5, 3), (2, 2, 3, 2)], ids=str)
def test_agrees_with_loops(shape, limits, dtype):
    rng = np.random.default_rng(0)
    x, weight, bias = arrays(rng, shape, dtype)
    mean, std = (a.astype(dtype) for a in statistics(rng, shape[-1]))
    expected = reference.batch_renorm(x, mean, std, weight, bias, 0.3, 1e-3, *limits)
    tensors = [Tensor(a) for a in (x, weight, bias)]
    y = renorm(mean, std, *limits, 0.3, 1e-3)(*tensors).data
    for found, wanted in zip((y, mean, std), expected, strict=True):
        assert_close(found, wanted, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", RENORM)
def test_agrees_with_pytorch(name, dtype):
    case = RENORM[name]
    mean, std = case["running_mean"].astype(dtype), case["running_std"].astype(dtype)
    limits = float(case["r_max"]), float(case["d_max"])
    f = renorm(mean, std, *limits, float(case["momentum"]), float(case["eps"]))
    assert_golden(f, case, ("x", "weight", "bias"), dtype)
    assert_close(mean, case["new_running_mean"], dtype)
    assert_close(std, case["new_running_std"], dtype)


def test_the_limits_matter_in_the_golden_cases():
    """Where nothing is clipped, training gives what evaluation gives; where all is, batch norm."""
    case = RENORM["7x3-r1.1-d0.2"]
    mean, std, eps = case["running_mean"], case["running_std"], float(case["eps"])
    free = renorm(mean.copy(), std.copy(), 1e9, 1e9, 0.0, eps)(Tensor(case["x"])).data
    assert_close(free, (case["x"] - mean) / std, slack=10)
    assert np.abs(free - case["y"]).max() > 0.1


@pytest.mark.parametrize("limits", [(1.0, 0.0), (1.2, 0.3), (3.0, 5.0)], ids=str)
def test_gradients_agree_with_the_composite(limits):
    """In which r and d are arrays: no gradient passes through them."""
    rng = np.random.default_rng(0)
    inputs, (mean, std) = arrays(rng, (7, 3)), statistics(rng, 3)

    def composite(x, weight, bias):
        return reference.composite_batch_renorm(x, mean, std, weight, bias, 1e-5, *limits)

    assert_same_gradients(renorm(mean, std, *limits), composite, *inputs, rng=rng, slack=10)


def test_a_gradient_through_r_and_d_is_rejected():
    """What is left of the paper if one forgets the stop: unclipped, x̂ = (x − running_mean) / running_std, no projection."""
    rng = np.random.default_rng(0)
    (x, _, _), (mean, std) = arrays(rng, (7, 3)), statistics(rng, 3)
    with pytest.raises(GradientError):
        gradcheck(renorm(mean, std, 1e9, 1e9), x, generator=np.random.default_rng(1))  # differences do not stop
    gradcheck(renorm(mean, std, 1.0, 0.0), x, generator=np.random.default_rng(1))
    _, (grad,) = run(renorm(mean, std, 1e9, 1e9, eps=0.0), x, grad_y=rng.standard_normal(x.shape))
    np.testing.assert_allclose(grad.sum(0), 0, atol=1e-12)  # as in batch norm, shifts are projected out
    np.testing.assert_allclose((grad * x).sum(0), 0, atol=1e-11)


@pytest.mark.parametrize("dtype", DTYPES)
def test_without_room_it_is_batch_norm(dtype):
    rng = np.random.default_rng(0)
    inputs = arrays(rng, (6, 3), dtype)
    mean, std = (a.astype(dtype) for a in statistics(rng, 3))
    grad_y = rng.standard_normal((6, 3)).astype(dtype)
    found = run(renorm(mean, std, 1.0, 0.0), *inputs, grad_y=grad_y)
    expected = run(lambda x, w, b: F.batch_norm(x, None, None, w, b, True), *inputs, grad_y=grad_y)
    assert_close(found[0], expected[0], dtype)
    for grad, other in zip(found[1], expected[1], strict=True):
        assert_close(grad, other, dtype)


def test_running_statistics_correct_before_they_are_updated():
    x, mean, std = np.array([[0.0], [2.0]]), np.zeros(1), np.ones(1)
    y = F.batch_renorm(Tensor(x), mean, std, None, None, True, 0.5, 0.0, 9.0, 9.0).data
    np.testing.assert_allclose(y, x)  # (x − 0) / 1
    assert (mean[0], std[0]) == (0.5, 1.0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_evaluation_is_one_linear_map(dtype):
    rng = np.random.default_rng(0)
    x, weight, bias = arrays(rng, (6, 3), dtype)
    mean, std = (a.astype(dtype) for a in statistics(rng, 3))
    before, grad_y = (mean.tobytes(), std.tobytes()), rng.standard_normal((6, 3)).astype(dtype)
    y, (grad_x, _, _) = run(lambda x, w, b: F.batch_renorm(x, mean, std, w, b), x, weight, bias, grad_y=grad_y)
    assert_close(y, (x - mean) / std * weight + bias, dtype)
    assert_close(grad_x, grad_y * weight / std, dtype)
    assert (mean.tobytes(), std.tobytes()) == before


def test_nan_spoils_its_channel_and_no_other():
    x, mean, std = np.random.default_rng(0).standard_normal((9, 3)), np.zeros(3), np.ones(3)
    x[4, 1] = np.nan
    y = F.batch_renorm(Tensor(x), mean, std, training=True, r_max=1.1, d_max=0.1).data
    for array in (y[0], mean, std):
        assert np.isnan(array).tolist() == [False, True, False]


def test_refused_batches_leave_no_trace():
    mean, std = np.zeros(3), np.ones(3)
    for options in ({"r_max": 0.5}, {"d_max": -1}, {"momentum": 2}, {"eps": -1}):
        with pytest.raises(ValueError, match="batch_renorm"):
            F.batch_renorm(Tensor(np.ones((4, 3))), mean, std, training=True, **options)
    with pytest.raises(ValueError, match=r"batch_renorm: x is .*one value for each feature"):
        F.batch_renorm(Tensor(np.ones((1, 3))), mean, std, training=True)
    assert not mean.any()
    assert (std == 1).all()


# ---- ghost batches -------------------------------------------------------------------------------------------------------


def ghosts(size, mean=None, var=None, momentum=0.1):
    return lambda x, weight=None, bias=None: F.ghost_batch_norm(x, size, mean, var, weight, bias, True, momentum)


@pytest.mark.parametrize(
    ("shape", "size"), [((6, 3), 2), ((7, 3), 3), ((7, 3), 2), ((3, 2, 2, 2), 1), ((4, 3), 9)], ids=str
)
def test_ghosts_agree_with_loops(shape, size):
    rng = np.random.default_rng(0)
    x, weight, bias = arrays(rng, shape)
    mean, var = statistics(rng, shape[-1])
    expected = reference.ghost_batch_norm(x, size, mean, var, weight, bias, 0.3)
    y = ghosts(size, mean, var, 0.3)(Tensor(x), Tensor(weight), Tensor(bias)).data
    for found, wanted in zip((y, mean, var), expected, strict=True):
        assert_close(found, wanted)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", GHOSTS)
def test_ghosts_agree_with_pytorch(name, dtype):
    case = GHOSTS[name]
    mean, var = case["running_mean"].astype(dtype), case["running_var"].astype(dtype)
    f = ghosts(int(case["ghost_size"]), mean, var, float(case["momentum"]))
    assert_golden(f, case, ("x", "weight", "bias"), dtype)
    assert_close(mean, case["new_running_mean"], dtype)
    assert_close(var, case["new_running_var"], dtype)


def test_each_part_has_the_bits_of_batch_norm():
    rng = np.random.default_rng(0)
    x, weight, bias = arrays(rng, (11, 3), np.float32)
    mean, var = np.zeros(3, np.float32), np.ones(3, np.float32)
    own_mean, own_var = mean.copy(), var.copy()
    grad_y = rng.standard_normal(x.shape).astype(np.float32)
    y, (grad_x, _, _) = run(ghosts(4, mean, var), x, weight, bias, grad_y=grad_y)
    for part in (slice(0, 4), slice(4, 8), slice(8, 11)):
        expected, (grad, _, _) = run(
            lambda x, w, b: F.batch_norm(x, own_mean, own_var, w, b, True), x[part], weight, bias, grad_y=grad_y[part]
        )
        assert y[part].tobytes() == expected.tobytes()
        assert grad_x[part].tobytes() == grad.tobytes()
    assert (mean.tobytes(), var.tobytes()) == (own_mean.tobytes(), own_var.tobytes())


def test_a_rest_of_one_value_joins_the_part_before():
    x = np.random.default_rng(0).standard_normal((7, 3))
    y = ghosts(3)(Tensor(x)).data
    assert_close(y[3:], F.batch_norm(Tensor(x[3:]), None, None, training=True).data)


def two_halves(over):
    """Ghost batches in NumPy, whose gradient takes its means over `over`: 1 is each half, (0, 1) the whole batch."""

    def op(x):
        halves = x.data.reshape(2, -1, x.shape[1])
        inv_std = 1 / np.sqrt(halves.var(1, keepdims=True) + 1e-5)
        x_hat = (halves - halves.mean(1, keepdims=True)) * inv_std

        def backward(grad_y):
            grad = grad_y.reshape(halves.shape)
            projection = x_hat * (grad * x_hat).mean(over, keepdims=True)
            return ((inv_std * (grad - grad.mean(over, keepdims=True) - projection)).reshape(x.shape),)

        return Tensor._from_op(x_hat.reshape(x.shape), (x,), backward)

    return op


def test_the_check_rejects_means_over_the_whole_batch():
    x = np.random.default_rng(0).standard_normal((12, 3))
    assert_close(two_halves(1)(Tensor(x)).data, ghosts(6)(Tensor(x)).data)
    gradcheck(two_halves(1), x, generator=np.random.default_rng(1))
    with pytest.raises(GradientError):
        gradcheck(two_halves((0, 1)), x, generator=np.random.default_rng(1))


def test_evaluation_is_that_of_batch_norm():
    rng = np.random.default_rng(0)
    x, mean, var = rng.standard_normal((6, 3)), *statistics(rng, 3)
    np.testing.assert_array_equal(
        F.ghost_batch_norm(Tensor(x), 2, mean, var).data, F.batch_norm(Tensor(x), mean, var).data
    )


def test_parts_of_one_value_are_refused():
    mean, var = np.zeros(3), np.ones(3)
    with pytest.raises(ValueError, match=r"ghost_batch_norm: ghost_size is 1 and x is .*one value for each feature"):
        ghosts(1, mean, var)(Tensor(np.ones((4, 3))))
    assert not mean.any()


# ---- both ------------------------------------------------------------------------------------------------------------


def test_memory_layout_and_what_is_asked_do_not_matter():
    rng = np.random.default_rng(0)
    for f in (renorm(*statistics(rng, 5), 1.2, 0.3), ghosts(2)):
        assert_layout_does_not_matter(f, *arrays(rng, (4, 3, 2, 5)), rng=rng)
        assert_gradients_only_where_asked(f, *arrays(rng, (9, 5)), rng=rng)

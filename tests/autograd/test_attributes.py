"""What may be assigned to a tensor's attributes, and what the next walk makes of the rest."""

import copy

import numpy as np
import pytest

from minidl import Tensor, nn, no_grad, optim
from minidl import functional as F


def leaf(*values):
    return Tensor(np.array(values, np.float32), requires_grad=True)


# ---- requires_grad ---------------------------------------------------------------------------------------------------


def test_integers_cannot_be_asked_for_gradients_later_either():
    for array in (np.array([1, 2]), np.array([True])):
        x = Tensor(array)
        with pytest.raises(TypeError, match=r"only floats have gradients, and this is (int64|bool); make it float32"):
            x.requires_grad = True
        x.requires_grad = False
        assert not x.requires_grad


def test_leaves_of_floats_may_be_switched():
    x = Tensor(np.ones(2))
    x.requires_grad = np.bool_(True)
    assert x.requires_grad is True
    (x * 2).sum().backward()
    np.testing.assert_array_equal(x.grad, [2, 2])
    x.requires_grad = False
    assert not (x * 2).requires_grad
    with no_grad():
        y = x * 2  # a leaf: nothing was recorded
    y.requires_grad = True
    assert copy.deepcopy(y).requires_grad is True


def test_results_cannot_be_switched_off():
    y = leaf(1.0) * 2
    y.requires_grad = True  # as it is
    with pytest.raises(
        RuntimeError, match=r"requires_grad: this is the result of mul; only leaves may change: take .det"
    ):
        y.requires_grad = False
    y.backward()


@pytest.mark.parametrize("value", [None, 1, 0, "yes", np.float64, np.ones(1, bool)])
def test_requires_grad_is_true_or_false(value):
    """`Tensor([1, 2], np.float64)` would otherwise be a float32 tensor that asks for a gradient."""
    x = leaf(1.0)
    with pytest.raises(TypeError, match=r"Tensor: requires_grad is .*; it must be True or False"):
        x.requires_grad = value
    with pytest.raises(TypeError, match=r"Tensor: requires_grad is .*; it must be True or False"):
        Tensor([1.0], value)
    assert x.requires_grad is True


# ---- grad ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "grad",
    [np.ones(3), np.ones((1, 2)), np.ones(()), 1.0, [1.0, 2.0], "ab", np.array(["a", "b"]), np.ones(2, complex)],
    ids=repr,
)
def test_a_gradient_of_another_shape_stops_the_walk_and_nothing_moves(grad):
    first, x = leaf(1.0), leaf(1.0, 2.0)
    x.grad = grad
    with pytest.raises(
        ValueError, match=r"backward: \.grad was set to a \w+ of shape .* tensor is \(2,\); it must be None"
    ):
        (x * first).sum().backward()
    assert first.grad is None
    assert x.grad is grad


@pytest.mark.parametrize("grad", [np.ones(2), np.array([1, 1]), np.array([True, True]), Tensor(np.ones(2))], ids=repr)
def test_a_gradient_of_another_type_is_added_to_in_the_tensors_own(grad):
    x = leaf(1.0, 2.0)
    x.grad = grad
    (x * 2).sum().backward()
    assert (type(x.grad), x.grad.dtype) == (np.ndarray, np.float32)
    np.testing.assert_array_equal(x.grad, [3, 3])


# ---- data ------------------------------------------------------------------------------------------------------------


def test_integers_assigned_to_a_leaf_stop_the_walk_and_nothing_moves():
    first, x = leaf(1.0), leaf(1.0, 2.0)
    x.data = np.array([1, 2])
    with pytest.raises(TypeError, match=r"backward: \.data was set to int64, which has no gradient; it must be floats"):
        (x * first).sum().backward()
    assert first.grad is x.grad is None


USES = {
    "linear": lambda w: F.linear(np_ones(3, 2), w),
    "matmul": lambda w: np_ones(3, 2) @ w,
    "mul": lambda w: w * 1.0,
    "rmul": lambda w: np_ones(2, 2) * w,
    "gelu": F.gelu,
}
ASSIGNED = {
    "list": [[1.0, 2.0], [3.0, 4.0]],
    "tensor": Tensor(np.array([[1, 2], [3, 4]], np.float32)),
    "tensor that asks for a gradient": Tensor(np.array([[1, 2], [3, 4]], np.float32), requires_grad=True),
    "subclass": np.array([[1, 2], [3, 4]], np.float32).view(np.memmap),
}


def np_ones(*shape):
    return Tensor(np.ones(shape, np.float32))


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("assigned", ASSIGNED)
def test_what_is_assigned_becomes_an_array(use, assigned):
    w, other = (nn.Parameter(np.ones((2, 2), np.float32)) for _ in range(2))
    w.data, other.data = copy.deepcopy(ASSIGNED[assigned]), np.array([[1, 2], [3, 4]], np.float32)
    for parameter in (w, other):
        y = USES[use](parameter)
        y.sum().backward()
        optim.SGD([parameter], lr=0.1).step()
    assert type(w.data) is np.ndarray
    np.testing.assert_array_equal(w.data, other.data)


@pytest.mark.parametrize("use", USES)
def test_what_is_no_array_is_refused_where_it_is_used(use):
    w = nn.Parameter(np.ones((2, 2), np.float32))
    w.data = None
    with pytest.raises(TypeError, match="Tensor: got object; convert it to float32"):
        USES[use](w)


@pytest.mark.parametrize("momentum", [0, 0.9])
@pytest.mark.parametrize("late", [False, True])
def test_a_parameter_without_dimensions_stays_an_array_and_moves(momentum, late):
    """`w.data * 1` is a NumPy number, and no step of an optimizer could write to it."""
    w = nn.Parameter(np.float32(2.0))
    optimizer = optim.SGD([w], lr=0.5, momentum=momentum)
    if not late:
        w.data = w.data * 1
    (w * w).backward()
    if late:
        w.data = w.data * 1
    optimizer.step()
    assert type(w.data) is np.ndarray
    assert (w.data, w.data.shape, w.data.dtype) == (0, (), np.float32)

"""The engine: order, accumulation, hooks, no_grad; against dual numbers on random graphs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidl import Tensor, cat
from tests.helpers import modest


def leaf(*values):
    return Tensor(np.array(values), requires_grad=True)


def recording_op(*parents, log, name):
    """The sum of the parents; its backward writes name into log."""

    def backward(grad):
        log.append(name)
        return tuple(grad for _ in parents)

    return Tensor._from_op(sum(p.data for p in parents), parents, backward)


# --- the chain rule ---------------------------------------------------------------------------------------------------


def test_chain_rule_by_hand():
    x, w, b = leaf(2.0), leaf(-3.0), leaf(1.0)
    (((x * w + b) ** 2) * 0.5).sum().backward()  # ∂/∂z ½z² = z = −5
    assert (x.grad, w.grad, b.grad) == (15, -10, -5)


def test_a_tensor_used_many_times_collects_all_gradients():
    x = leaf(3.0)
    (x * x + x + x**2 - 2 * x).sum().backward()
    assert x.grad == 4 * 3 - 1


def test_a_tensor_as_both_operands():
    for f, slope in [(lambda x: x + x, 2), (lambda x: x - x, 0), (lambda x: x / x, 0), (lambda x: x @ x, 6)]:
        x = leaf(3.0)
        f(x).sum().backward()
        assert x.grad == slope


def test_an_operation_runs_backward_once_and_after_all_its_users():
    log = []
    x = leaf(1.0)
    a = recording_op(x, log=log, name="a")
    b = recording_op(a, log=log, name="b")
    c = recording_op(a, b, log=log, name="c")
    d = recording_op(a, c, b, a, log=log, name="d")
    d.backward()
    assert log == ["d", "c", "b", "a"]
    assert x.grad == 1 + 1 + (1 + 1) + 1  # paths from d: a, a, c-a, c-b-a, b-a
    assert [t.grad for t in (a, b, c, d)] == [None] * 4


programs = st.lists(st.tuples(st.sampled_from("+-*"), st.integers(0, 99), st.integers(0, 99)), min_size=1, max_size=12)


@given(program=programs)
@modest
def test_random_graphs_agree_with_dual_numbers(program):
    """Forward mode carries (value, ∂value/∂leaves) along, and needs no graph."""
    values = np.random.default_rng(0).uniform(-1, 1, 3)
    leaves = [Tensor(v, requires_grad=True) for v in values]
    tensors, duals = list(leaves), [(v, np.eye(3)[i]) for i, v in enumerate(values)]
    for sign, i, j in program:
        (a, da), (b, db) = duals[i % len(duals)], duals[j % len(duals)]
        s, t = tensors[i % len(tensors)], tensors[j % len(tensors)]
        tensors.append({"+": s + t, "-": s - t, "*": s * t}[sign])
        duals.append({"+": (a + b, da + db), "-": (a - b, da - db), "*": (a * b, da * b + a * db)}[sign])
    tensors[-1].backward()
    for tensor, slope in zip(leaves, duals[-1][1], strict=True):
        np.testing.assert_allclose(0 if tensor.grad is None else tensor.grad, slope, rtol=1e-9, atol=1e-9)


def test_no_gradient_goes_to_constants():
    x, constant = leaf(1.0, 2.0), Tensor(np.array([3.0, 4.0]))
    y = x * constant
    y.sum().backward()
    assert constant.grad is None
    assert not (constant * 2).requires_grad
    assert (constant * 2)._parents == ()  # and nothing is remembered


def test_an_operation_may_return_none_for_a_parent():
    x, y = leaf(1.0), leaf(2.0)
    Tensor._from_op(x.data + y.data, (x, y), lambda grad: (None, grad)).backward()
    assert x.grad is None
    assert y.grad == 1


def test_an_operation_that_forgets_a_parent_is_an_error():
    x, y = leaf(1.0), leaf(2.0)
    with pytest.raises(ValueError, match="shorter"):
        Tensor._from_op(x.data + y.data, (x, y), lambda grad: (grad,)).backward()
    with pytest.raises(ValueError, match="longer"):
        Tensor._from_op(x.data, (x,), lambda grad: (grad, grad)).backward()


def test_a_walk_that_fails_on_its_way_moves_no_gradient():
    x, y = leaf(1.0), leaf(2.0)
    broken = Tensor._from_op(x.data, (x,), lambda grad: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        (y + broken).backward()
    assert x.grad is y.grad is None


# --- what backward() takes and what it refuses ------------------------------------------------------------------------


def test_backward_starts_from_the_gradient_that_it_gets():
    for given_grad in ([1, 10], np.array([1.0, 10.0]), np.array([1, 10]), Tensor(np.array([1.0, 10.0]))):
        x = Tensor(np.array([2, 3], np.float32), requires_grad=True)
        (x * x).backward(given_grad)
        np.testing.assert_array_equal(x.grad, [4, 60])
        assert x.grad.dtype == np.float32


def test_backward_of_one_element_of_any_shape_starts_from_one():
    for shape in [(), (1,), (1, 1)]:
        x = Tensor(np.full(shape, 3.0), requires_grad=True)
        (x * x).backward()
        np.testing.assert_array_equal(x.grad, np.full(shape, 6.0))


def test_backward_of_a_leaf():
    x = leaf(1.0, 2.0)
    x.backward(np.array([3.0, 4.0]))
    np.testing.assert_array_equal(x.grad, [3, 4])


def test_backward_refuses_what_it_cannot_do():
    x = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match=r"backward: .*\(2,\), not one element.*mean\(\)"):
        (x * 2).backward()
    with pytest.raises(ValueError, match=r"backward: grad is \(3,\) but the tensor is \(2,\)"):
        (x * 2).backward(np.ones(3))
    with pytest.raises(ValueError, match=r"backward: grad is \(\) but the tensor is \(2,\)"):
        (x * 2).backward(1.0)
    with pytest.raises(RuntimeError, match=r"backward: .*requires_grad=True"):
        (Tensor(1.0) * 2).backward()
    assert x.grad is None


# --- .grad ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(), (1,), (3, 2)], ids=str)
def test_grad_is_an_array_of_the_datas_shape_and_type(shape, dtype):
    x = Tensor(np.ones(shape, dtype), requires_grad=True)
    assert x.grad is None
    for times in (1, 2, 3):
        (x * x * np.float64(0.5)).mean().backward()
        assert type(x.grad) is np.ndarray
        assert (x.grad.shape, x.grad.dtype) == (shape, dtype)
        np.testing.assert_allclose(x.grad, np.full(shape, times / x.data.size), rtol=1e-6)


def test_grad_adds_up_over_calls_and_can_be_assigned():
    x = leaf(1.0, 2.0)
    (x * 3).sum().backward()
    first = x.grad
    (x * 4).sum().backward()
    np.testing.assert_array_equal(x.grad, [7, 7])
    np.testing.assert_array_equal(first, [3, 3])  # who kept the old one still has it
    x.grad = np.array([100.0, 200.0])
    (x * 1).sum().backward()
    np.testing.assert_array_equal(x.grad, [101, 201])
    x.grad = None
    (x * 5).sum().backward()
    np.testing.assert_array_equal(x.grad, [5, 5])


def test_the_middle_of_the_graph_keeps_no_grad_unless_asked():
    x = leaf(1.0, 2.0)
    kept, other = x * 2, x * 3
    kept.retain_grad()
    kept.retain_grad()  # twice is as good as once
    x.retain_grad()  # a leaf keeps it anyway
    (kept * other).sum().backward()
    np.testing.assert_array_equal(kept.grad, other.data)
    assert other.grad is None
    np.testing.assert_array_equal(x.grad, 12 * x.data)


# --- hooks ------------------------------------------------------------------------------------------------------------


def test_hooks_see_the_complete_gradient_once_and_in_order():
    x = leaf(1.0, 2.0)
    y, seen = x * 2, []
    y.register_hook(lambda grad: seen.append(("first", grad.tolist())))
    y.register_hook(lambda grad: seen.append(("second", grad.tolist())))
    x.register_hook(lambda grad: seen.append(("leaf", grad.tolist())))
    (y.sum() + (y * 3).sum()).backward()
    assert seen == [("first", [4, 4]), ("second", [4, 4]), ("leaf", [8, 8])]


def test_what_a_hook_returns_takes_the_gradients_place():
    x, w = leaf(1.0, 2.0), leaf(1.0, 1.0)
    y = x + w
    y.register_hook(lambda grad: grad * 10)
    y.register_hook(lambda grad: grad + 1)
    w.register_hook(lambda grad: -grad)
    y.retain_grad()
    y.sum().backward()
    np.testing.assert_array_equal(y.grad, [11, 11])
    np.testing.assert_array_equal(x.grad, [11, 11])
    np.testing.assert_array_equal(w.grad, [-11, -11])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_replacement_is_copied_and_takes_the_tensors_type(dtype):
    x, mine = Tensor(np.ones(2, dtype), requires_grad=True), np.array([5.0, 6.0])
    x.register_hook(lambda grad: mine)
    (x * 2).sum().backward()
    assert not np.shares_memory(x.grad, mine)
    (x * 2).sum().backward()
    assert x.grad.dtype == dtype
    np.testing.assert_array_equal(x.grad, [10, 12])
    x.grad += 1
    np.testing.assert_array_equal(mine, [5, 6])


def test_a_replacement_of_another_shape_is_refused():
    x = leaf(1.0, 2.0)
    x.register_hook(lambda grad: 0.5)
    with pytest.raises(ValueError, match=r"hook: the replacement is \(\) but the tensor is \(2,\)"):
        (x * 2).sum().backward()


WRITERS = {
    "all": lambda grad: grad.__imul__(0),
    "one": lambda grad: grad.__setitem__(0, 0),
    "by NumPy": lambda grad: np.multiply(grad, 0, out=grad),
}


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("where", ["leaf", "result", "root"])
def test_a_hook_cannot_change_the_gradient_of_others(where, write):
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    a, b = x * 1, x * 1
    root = a + b + y  # hands one array on to three
    {"leaf": y, "result": a, "root": root}[where].register_hook(WRITERS[write])
    with pytest.raises(ValueError, match="read-only"):
        root.backward(np.ones(2))


def test_what_a_hook_keeps_is_nobody_elses():
    x, y, kept = leaf(1.0, 2.0), leaf(3.0, 4.0), []
    a = x * 1
    for tensor in (a, x, y):
        tensor.register_hook(kept.append)
    (a + y).backward(np.ones(2))
    x.grad *= 5
    y.grad *= 7
    np.testing.assert_array_equal(kept, np.ones((3, 2)))
    assert all(type(grad) is np.ndarray and not np.shares_memory(grad, t.grad) for grad in kept for t in (x, y))


def test_hooks_that_return_one_array_again_and_again():
    x, y, mine = leaf(1.0), leaf(1.0), np.zeros(1)

    def fill(number):
        def hook(grad):
            mine[:] = number
            return mine

        return hook

    a, b = x + 0.0, y + 0.0  # which hand on the array that they get
    a.register_hook(fill(1))
    b.register_hook(fill(2))
    (a + b).backward()
    assert (x.grad, y.grad) == (1, 2)


def test_a_hook_of_a_number_gets_an_array():
    x, seen = Tensor(np.float32(2.0), requires_grad=True), []
    y = x * 3
    y.register_hook(lambda grad: seen.append(type(grad)))
    (y * 2).backward()
    assert seen == [np.ndarray]


# --- detach, op ------------------------------------------------------------------------------------------------------


def test_detach_shares_the_data_and_cuts_the_graph():
    x = leaf(2.0)
    y = x * 3
    cut = y.detach()
    assert cut.data is y.data
    assert not cut.requires_grad
    (x * cut).backward()
    assert x.grad == 6  # and not 12: the way through y is cut


def test_op_names_what_made_a_tensor():
    x = leaf(1.0, 2.0)
    assert x.op is None
    assert [(x + 1).op, (x * 2).op, x.exp().op, x[0].op, cat([x]).op] == ["add", "mul", "exp", "getitem", "cat"]


def test_a_hook_that_fails_at_one_leaf_leaves_the_others_as_they_were():
    x, y, z = leaf(1.0, 2.0), leaf(3.0, 4.0), leaf(5.0, 6.0)
    y.register_hook(lambda grad: np.ones(3))
    with pytest.raises(ValueError, match="replacement"):
        (x + y + z).backward(np.ones(2))
    assert x.grad is y.grad is z.grad is None

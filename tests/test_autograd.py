"""The engine: order, accumulation, aliasing, freeing, hooks, no_grad; against dual numbers on random graphs."""

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidl import Tensor, cat, is_grad_enabled, no_grad
from tests.helpers import modest

CHAIN = 50_000  # far deeper than Python's stack


@pytest.fixture
def no_garbage_collection():
    """What dies in the test dies by reference counting alone."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


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


ALIASING = {
    "add": lambda x, w: x + w,
    "sub": lambda x, w: x - w,
    "add, one broadcast": lambda x, w: x[:1] + w,
    "add, reduced to a view": lambda x, w: x.sum(1, keepdim=True) + w,
    "mul": lambda x, w: x * w,
    "chain of adds": lambda x, w: x + w + x + w,
    "reshape": lambda x, w: x.reshape(9) + w.reshape(9),
    "transpose": lambda x, w: x.T + w.T,
    "transpose to itself": lambda x, w: x.T.T + w,
    "cat": lambda x, w: cat([x, w]),
    "cat the same": lambda x, w: cat([x, x, w], dim=1),
    "index": lambda x, w: x[:] + w[::-1],
    "sum": lambda x, w: (x + w).sum(),
    "sum of each": lambda x, w: x.sum(0) + w.sum(0),
    "mean": lambda x, w: x.mean(-1) + w.mean(-1),
    "max": lambda x, w: x.max(0) + w.max(0),
    "one is a leaf at the end": lambda x, w: (x * 1) + w,
    "same type": lambda x, w: x.to(np.float64) + w.to(np.float64),
    "matmul": lambda x, w: x @ w,
    "neg": lambda x, w: -x + -w,
}


@pytest.mark.parametrize("name", ALIASING)
def test_no_two_gradients_share_memory(name):
    rng = np.random.default_rng(0)
    x, w = (Tensor(rng.standard_normal((3, 3)), requires_grad=True) for _ in range(2))
    y = ALIASING[name](x, w)
    grad_y = rng.standard_normal(y.shape)
    y.retain_grad()
    arrays = [x.data, w.data, grad_y]
    y.backward(grad_y)
    arrays += [x.grad, w.grad, y.grad]
    for i, a in enumerate(arrays):
        before = [array.copy() for array in arrays]
        a += 1
        changed = [not np.array_equal(array, copy) for array, copy in zip(arrays, before, strict=True)]
        assert changed == [j == i for j in range(len(arrays))]


def test_a_leafs_own_backward_copies_the_gradient():
    x, grad = leaf(1.0, 2.0), np.array([3.0, 4.0])
    x.backward(grad)
    x.grad += 1
    np.testing.assert_array_equal(grad, [3, 4])


# --- freeing ----------------------------------------------------------------------------------------------------------


def test_a_second_walk_is_refused():
    x = leaf(2.0)
    y = x * x
    y.backward()
    with pytest.raises(RuntimeError, match=r"backward: .*walked before, and freed; compute the loss again"):
        y.backward()
    assert x.grad == 4


@pytest.mark.parametrize("add", [lambda a, b: a + b, lambda a, b: b + a], ids=["first", "last"])
def test_a_walk_into_a_freed_part_leaves_everything_as_it_was(add):
    x, w = leaf(2.0), leaf(3.0)
    shared = x * x
    shared.backward()
    rest = w * w
    with pytest.raises(RuntimeError, match="freed"):
        add(shared, rest).backward()
    assert (x.grad, w.grad) == (4, None)
    rest.backward()  # not freed by the attempt
    assert w.grad == 6


@pytest.mark.usefixtures("no_garbage_collection")
@pytest.mark.parametrize("watch", ["nothing", "retain_grad", "hook", "graph"])
def test_backward_frees_the_graph_without_garbage_collection(watch):
    x = leaf(1.0, 2.0)
    middle = x * 2
    middle_ref, data_ref = weakref.ref(middle), weakref.ref(middle.data)
    if watch == "retain_grad":
        middle.retain_grad()
    if watch == "hook":
        middle.register_hook(lambda grad: None)
    loss = (middle * middle).sum()
    if watch == "graph":
        repr(loss.graph(middle=middle))
    del middle
    assert middle_ref() is not None
    loss.backward()
    assert middle_ref() is None
    assert data_ref() is None
    assert loss.data == 20


@pytest.mark.usefixtures("no_garbage_collection")
@pytest.mark.parametrize("retain", [False, True])
def test_a_loss_that_goes_takes_its_graph_along(retain):
    x = leaf(1.0, 2.0)
    middle = x.exp()
    if retain:
        middle.retain_grad()
    middle_ref = weakref.ref(middle)
    loss = (middle[0] + cat([middle, x]).mean()).sum()
    del middle
    assert middle_ref() is not None
    del loss
    assert middle_ref() is None


def test_a_deep_graph_forward_and_backward():
    x = leaf(1.0)
    y = x
    for _ in range(CHAIN):
        y = y + 1
    y.backward()
    assert y.data == CHAIN + 1
    assert x.grad == 1


def test_a_deep_graph_that_is_never_walked_can_be_deleted():
    y = leaf(1.0)
    first = weakref.ref(y)
    for _ in range(CHAIN):
        y = -y
    del y
    assert first() is None


def test_a_deep_and_tangled_graph():
    x = leaf(1.0)
    y = x
    for _ in range(5_000):
        y = (y + y) * 0.5  # 2⁵⁰⁰⁰ paths, and each node is visited once
    y.backward()
    assert x.grad == 1


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


# --- no_grad, detach ----------------------------------------------------------------------------------------------------


def test_no_grad_records_nothing_and_restores_what_was():
    x = leaf(1.0)
    with no_grad():
        assert not is_grad_enabled()
        with no_grad():
            y = x * 2
        assert not is_grad_enabled()
    assert is_grad_enabled()
    assert not y.requires_grad
    assert y._parents == ()
    assert (x * 2).requires_grad
    assert x.requires_grad


def test_no_grad_is_restored_after_an_exception():
    with pytest.raises(ZeroDivisionError), no_grad():
        1 / 0  # noqa: B018
    assert is_grad_enabled()


def test_no_grad_as_a_decorator():
    @no_grad()
    def double(x, depth=0):
        """Twice x."""
        assert not is_grad_enabled()
        return double(x, depth + 1) if depth < 3 else x * 2  # re-entered

    x = leaf(1.0)
    assert not double(x).requires_grad
    assert double.__doc__ == "Twice x."
    assert is_grad_enabled()


def test_no_grad_holds_for_one_thread():
    with no_grad(), ThreadPoolExecutor(1) as other:
        assert other.submit(is_grad_enabled).result(timeout=30)
        assert not is_grad_enabled()


def test_a_decorated_function_may_run_in_two_threads_at_once():
    order = [threading.Event() for _ in range(3)]

    @no_grad()
    def step(arrived, go_on):
        arrived.set()
        assert go_on.wait(30)

    def in_grad_mode():
        step(order[0], order[1])
        return is_grad_enabled()

    def in_no_grad_mode():
        with no_grad():
            assert order[0].wait(30)
            step(order[1], order[2])
            return is_grad_enabled()

    with ThreadPoolExecutor(2) as threads:
        first, second = threads.submit(in_grad_mode), threads.submit(in_no_grad_mode)
        assert first.result(timeout=60)
        order[2].set()
        assert not second.result(timeout=60)


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

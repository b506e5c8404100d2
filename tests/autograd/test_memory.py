"""Who owns which array: no two gradients share memory, a walked graph is freed, a deep one does no harm."""

import gc
import weakref

import numpy as np
import pytest

from minidl import Tensor, cat

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


# --- aliasing ---------------------------------------------------------------------------------------------------------


def twice_the_sum(*parents, hand_out):
    """2·(a + b + …); its backward hands one new array to all parents, each in its own way."""

    def backward(grad):
        new = 2 * grad
        return tuple(hand(new) for hand in hand_out)

    return Tensor._from_op(2 * sum(p.data for p in parents), parents, backward)


HAND_OUT = {
    "the same array": [lambda g: g, lambda g: g],
    "an array and a view of it": [lambda g: g, lambda g: g[:]],
    "a view and its array": [lambda g: g[:], lambda g: g],
}

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
    "the same array": lambda x, w: twice_the_sum(x, w, hand_out=HAND_OUT["the same array"]),
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


@pytest.mark.parametrize("hand_out", HAND_OUT.values(), ids=HAND_OUT)
@pytest.mark.parametrize("add", [lambda a, b: a + b, lambda a, b: b + a], ids=["first", "last"])
def test_what_is_added_to_one_parent_does_not_reach_another(hand_out, add):
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    a, b = x * 1, w * 1
    add(twice_the_sum(a, b, hand_out=hand_out).sum(), (a * 5 + b * 3).sum()).backward()
    np.testing.assert_array_equal(x.grad, [7, 7])
    np.testing.assert_array_equal(w.grad, [5, 5])


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

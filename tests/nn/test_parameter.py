"""Parameter: a tensor whose numbers are its own, whatever it was made from."""

import copy

import numpy as np
import pytest

from minidl import Tensor, nn, optim
from minidl.nn import Parameter

f32 = np.float32


def step(*parameters):
    optimizer = optim.SGD(parameters, lr=0.1)
    for parameter in parameters:
        parameter.grad = np.ones(parameter.shape, parameter.dtype)
    optimizer.step()


def test_parameters_of_one_array_are_moved_once_each():
    start = np.ones(2, f32)
    parameters = [Parameter(start) for _ in range(4)]
    step(*parameters)
    assert [p.data.tolist() for p in parameters] == [[f32(0.9)] * 2] * 4
    assert start.tolist() == [1, 1]


@pytest.mark.parametrize(
    "given",
    [
        lambda a: a, lambda a: a.T, lambda a: a[:1], lambda a: Tensor(a), lambda a: Tensor(a).T, lambda a: Tensor(a)[0],
        lambda a: np.asfortranarray(a), lambda a: a.view(np.ndarray), lambda a: a.reshape(-1), lambda a: a[::-1, ::2],
        lambda a: np.broadcast_to(a[0], (3, 3)), lambda a: a.astype(np.float64)[0, 0],
    ],
)  # fmt: skip
def test_a_step_changes_no_other_array(given):
    array = np.arange(9, dtype=f32).reshape(3, 3)
    source, before = given(array), array.copy()
    parameter = Parameter(source)
    numbers = getattr(source, "data", source) if isinstance(source, Tensor) else source
    np.testing.assert_array_equal(parameter.data, numbers)
    assert not np.may_share_memory(parameter.data, array)
    assert parameter.data.flags.carray
    assert type(parameter.data) is np.ndarray
    step(parameter)
    np.testing.assert_array_equal(array, before)


def test_a_parameter_of_a_file_that_is_only_read(tmp_path):
    np.save(tmp_path / "w.npy", np.ones((2, 3), f32))
    parameter = Parameter(np.load(tmp_path / "w.npy", mmap_mode="r"))
    step(parameter)
    np.testing.assert_array_equal(parameter.data, np.full((2, 3), 0.9, f32))
    np.testing.assert_array_equal(np.load(tmp_path / "w.npy"), np.ones((2, 3), f32))


@pytest.mark.parametrize(
    "view", [lambda w: w, lambda w: w.T, lambda w: w.detach(), lambda w: w.data, lambda w: w.data.T, lambda w: w.data[0],
             lambda w: w.data.reshape(-1)],
)  # fmt: skip
@pytest.mark.parametrize("converted", [False, True])
def test_a_view_of_another_parameter_is_refused(view, converted):
    """PyTorch ties the two; here a parameter's numbers are its own, and the two would part in the first step."""
    layer = nn.Linear(3, 2)
    if converted:
        layer.to("float64")
    with pytest.raises(ValueError, match=r"Parameter: got a view of another parameter's array; to tie the two, .*w\.T"):
        Parameter(view(layer.weight))
    source = view(layer.weight)
    copied = Parameter(np.array(source.data if isinstance(source, Tensor) else source))
    assert not np.may_share_memory(copied.data, layer.weight.data)
    Parameter(layer.weight * 0.5)


def test_data_that_was_assigned_stays_shared():
    """As in PyTorch: `v.data = w.data.T` ties two parameters, whatever the layout."""
    w, v = Parameter(np.arange(6, dtype=f32).reshape(2, 3)), Parameter(np.zeros((3, 2), f32))
    v.data = w.data.T
    for momentum in (0, 0.9):
        optimizer = optim.SGD([v], lr=0.1, momentum=momentum)
        before, v.grad = w.data.copy(), np.arange(6, dtype=f32).reshape(3, 2)
        optimizer.step()
        np.testing.assert_array_equal(w.data, v.data.T)
        np.testing.assert_allclose(w.data, before - 0.1 * v.grad.T, rtol=1e-6)


def test_states_are_copied_in():
    layer = nn.Linear(2, 2)
    state = {"weight": np.ones((2, 2), f32), "bias": np.zeros(2, f32)}
    layer.load_state_dict(state)
    step(layer.weight, layer.bias)
    assert (state["weight"] == 1).all()
    assert (state["bias"] == 0).all()


def test_a_copied_parameter_has_numbers_of_its_own():
    parameter = Parameter(np.ones(2, f32))
    twin = copy.deepcopy(parameter)
    step(parameter)
    assert twin.data.tolist() == [1, 1]
    assert isinstance(twin, Parameter)

"""state_dict and load_state_dict: copies out, copies in, and a clear report of what does not fit."""

import copy

import numpy as np
import pytest

from minidl import Tensor
from tests.nn.test_module import assert_same_state, small


def test_state_dict_has_parameters_and_buffers():
    assert {name: array.shape for name, array in small().state_dict().items()} == {
        "0.weight": (3, 4), "0.bias": (4,), "1.weight": (4,), "1.bias": (4,), "3.weight": (4, 2), "3.bias": (2,),
        "1.running_mean": (4,), "1.running_var": (4,), "1.num_batches_tracked": (),
    }  # fmt: skip


def test_state_dict_is_a_copy():
    model = small()
    state = model.state_dict()
    frozen = copy.deepcopy(state)
    for parameter in model.parameters():
        parameter.data += 1
    model(Tensor(np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)))
    assert_same_state(state, frozen)
    for array in state.values():
        array[...] = 7
    assert not any(np.any(array == 7) for array in model.state_dict().values())


def test_load_state_dict_copies_into_the_same_arrays():
    source, target = small(), small()
    source(Tensor(np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)))
    arrays = [p.data for p in target.parameters()] + list(target.buffers())
    state = source.state_dict()
    assert target.load_state_dict(state) == ([], [])
    assert_same_state(target.state_dict(), state)
    assert all(a is b for a, b in zip(arrays, [*(p.data for p in target.parameters()), *target.buffers()], strict=True))
    state["0.weight"][...] = 9
    assert not np.any(target[0].weight.data == 9)


def test_load_state_dict_takes_tensors_and_lists():
    model = small()
    state = model.state_dict()
    given = {name: Tensor(array + 1) for name, array in state.items()} | {"3.bias": [5, 6]}
    model.load_state_dict(given)
    assert_same_state(model.state_dict(), {n: a + 1 for n, a in state.items()} | {"3.bias": np.float32([5, 6])})


def test_load_state_dict_keeps_the_networks_own_type():
    model, state = small().to(np.float64), small().state_dict()
    model.load_state_dict(state)
    assert model[0].weight.dtype == np.float64
    np.testing.assert_array_equal(model[0].weight.data, state["0.weight"])


def test_load_state_dict_reports_everything_that_does_not_fit_and_changes_nothing():
    model = small()
    before = model.state_dict()
    state = {name: array + 1 for name, array in before.items()}
    del state["3.bias"], state["1.running_mean"]
    state["5.weight"] = state["extra"] = np.ones(1)
    state["0.weight"] = state["0.weight"].T
    with pytest.raises(ValueError, match="load_state_dict") as error:
        model.load_state_dict(state)
    report = str(error.value).splitlines()
    assert "Sequential" in report[0]
    assert report[1:] == [
        "  missing: 3.bias; 1.running_mean", "  unexpected: 5.weight; extra",
        "  misshaped: 0.weight: (4, 3), expected (3, 4)",
    ]  # fmt: skip
    assert_same_state(model.state_dict(), before)


@pytest.mark.parametrize("bad", [np.array([["a", "b"]] * 4), np.full((4, 2), None), np.ones((4, 2), complex)])
def test_load_state_dict_refuses_what_is_not_real_numbers_and_changes_nothing(bad):
    model = small()
    before = model.state_dict()
    state = {name: array + 1 for name, array in before.items()} | {"3.weight": bad}
    with pytest.raises(ValueError, match=r"3\.weight"):
        model.load_state_dict(state)
    assert_same_state(model.state_dict(), before)


@pytest.mark.parametrize("bad", [1.5, np.nan, np.inf])
def test_counts_must_be_whole_numbers(bad):
    model = small()
    before = model.state_dict()
    state = {name: array + 1 for name, array in before.items()}
    with pytest.raises(ValueError, match=r"not whole numbers: 1\.num_batches_tracked"):
        model.load_state_dict(state | {"1.num_batches_tracked": bad})
    assert_same_state(model.state_dict(), before)
    model.load_state_dict(state | {"1.num_batches_tracked": 7.0})
    assert model[1].num_batches_tracked == 7


def test_names_that_are_no_texts_are_named():
    with pytest.raises(ValueError, match="unexpected: 3"):
        small().load_state_dict(small().state_dict() | {3: np.ones(1)})


def test_not_strict_loads_what_is_there_and_tells_what_is_not():
    model = small()
    before = model.state_dict()
    state = {"0.weight": before["0.weight"] + 1, "extra": np.ones(1)}
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert unexpected == ["extra"]
    assert set(missing) == set(before) - {"0.weight"}
    assert_same_state(model.state_dict(), before | {"0.weight": before["0.weight"] + 1})
    with pytest.raises(ValueError, match="misshaped") as error:  # a wrong shape is never passed over
        model.load_state_dict({"0.bias": before["0.bias"] + 1, "0.weight": np.ones(3)}, strict=False)
    assert "missing" not in str(error.value)
    assert_same_state(model.state_dict(), before | {"0.weight": before["0.weight"] + 1})


@pytest.mark.parametrize("name", ["0.weight", "1.running_var"])
def test_a_state_is_not_half_loaded_into_what_is_read_only(name):
    model = small()
    model._state()[name].flags.writeable = False
    before = model.state_dict()
    with pytest.raises(ValueError, match=f"read-only: {name}"):
        model.load_state_dict({key: array + 1 for key, array in before.items()})
    assert_same_state(model.state_dict(), before)

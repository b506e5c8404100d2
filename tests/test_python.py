"""What Python asks of a tensor and would otherwise make up from `__getitem__`."""

import operator

import numpy as np
import pytest

from minidl import Tensor

NUMBER = Tensor(np.float32(3.0))


@pytest.mark.parametrize("ask", [list, tuple, set, sum, iter, len, reversed, lambda x: [*x]])
def test_a_tensor_without_dimensions_is_no_list(ask):
    with pytest.raises(TypeError, match=r"(iter|len): the tensor has no dimensions; it must have at least one"):
        ask(NUMBER)


def test_a_tensor_without_dimensions_cannot_be_unpacked():
    with pytest.raises(TypeError, match="no dimensions"):
        a, b = NUMBER  # noqa: RUF059


def test_iterating_gives_tensors_with_gradients():
    x = Tensor(np.arange(6.0).reshape(3, 2), requires_grad=True)
    first, _, last = x
    (first * last).sum().backward()
    np.testing.assert_array_equal(x.grad, [[4, 5], [0, 0], [0, 1]])
    assert [row.data.tolist() for row in reversed(x)] == [[4, 5], [2, 3], [0, 1]]
    assert list(Tensor(np.ones((0, 3)))) == []


def test_in_compares_numbers():
    x = Tensor(np.array([[1, 2], [3, 4]]))
    for found in (3, 3.0, np.int8(3), Tensor(3)):
        assert found in x
    assert 5 not in x
    assert 3 in NUMBER
    assert 1 not in Tensor(np.ones((0, 3)))


def test_int_and_index():
    assert int(Tensor(2.9)) == 2
    assert type(int(Tensor(np.array([7])))) is int
    assert ["a", "b"][Tensor(np.array(1))] == "b"
    assert list(range(Tensor(np.int8(2)))) == [0, 1]
    assert np.arange(5)[Tensor(np.array([3]))].tolist() == [3]  # an array of one index, not an index
    assert np.arange(5)[Tensor(np.array(3))] == 3
    assert Tensor(np.arange(5))[: Tensor(np.array(2))].shape == (2,)
    with pytest.raises(ValueError, match=r"item: the tensor has shape \(2,\)"):
        int(Tensor(np.ones(2)))
    for no_index in (Tensor(1.0), Tensor(np.array([1])), Tensor(np.array([1, 2]))):
        with pytest.raises(TypeError, match=r"index: the tensor is \w+ of shape .*; it must be one whole number"):
            operator.index(no_index)


def test_formats_are_those_of_the_number():
    loss = Tensor(np.array([0.123456]), requires_grad=True) * 1
    assert (f"{loss:.2f}", f"{loss:8.1e}", f"{Tensor(np.array(7)):03d}") == ("0.12", " 1.2e-01", "007")
    assert f"{loss}" == str(loss) == f"{loss!r}"
    with pytest.raises(TypeError, match=r"format: the tensor has shape \(2,\); it must have one element .* '\.2f'"):
        f"{Tensor([1, 2]):.2f}"


def test_tensors_are_hashed_by_identity():
    a, b = Tensor(1.0), Tensor(1.0)
    assert len({a, b, a}) == 2

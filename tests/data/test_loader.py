"""DataLoader: every example, in a random order that the generator decides."""

from itertools import islice

import numpy as np
import pytest

import minidl
from minidl import Tensor
from minidl.data import DataLoader, draws


def numbered(n):
    """Two arrays whose rows say which example they are."""
    return np.arange(n)[:, None, None] + np.zeros((n, 2, 3)), np.arange(n)


def generator(seed=0):
    return np.random.default_rng(seed)


def epoch(loader):
    return np.concatenate(list(loader))


@pytest.mark.parametrize(("n", "batch_size"), [(10, 5), (10, 3), (10, 10), (10, 100), (1, 1), (7, 1)])
@pytest.mark.parametrize("shuffle", [True, False])
def test_every_example_once_and_each_with_its_label(n, batch_size, shuffle):
    images, labels = numbered(n)
    loader = DataLoader(images, labels, batch_size=batch_size, shuffle=shuffle, generator=generator())
    batches = list(loader)
    assert len(batches) == len(loader) == -(-n // batch_size)
    assert [len(x) for x, _ in batches[:-1]] == [batch_size] * (len(batches) - 1)
    assert len(batches[-1][0]) == (n % batch_size or min(n, batch_size))  # ragged, but never empty
    for x, y in batches:
        assert x.shape[1:] == (2, 3)
        np.testing.assert_array_equal(x[:, 0, 0], y)
    assert sorted(np.concatenate([y for _, y in batches])) == list(range(n))


@pytest.mark.parametrize(("n", "batch_size"), [(10, 5), (10, 3), (10, 10), (10, 6)])
@pytest.mark.parametrize("shuffle", [True, False])
def test_drop_last_leaves_only_full_batches(n, batch_size, shuffle):
    loader = DataLoader(np.arange(n), batch_size=batch_size, shuffle=shuffle, drop_last=True, generator=generator())
    batches = list(loader)
    assert len(batches) == len(loader) == n // batch_size
    assert all(len(batch) == batch_size for batch in batches)
    assert len(set(np.concatenate(batches))) == n // batch_size * batch_size


def test_which_are_dropped_changes_from_epoch_to_epoch():
    loader = DataLoader(np.arange(10), batch_size=4, shuffle=True, drop_last=True, generator=generator())
    assert set().union(*(set(epoch(loader)) for _ in range(10))) == set(range(10))


def test_without_shuffle_the_order_stays():
    loader = DataLoader(np.arange(10), batch_size=3)
    np.testing.assert_array_equal(epoch(loader), np.arange(10))
    np.testing.assert_array_equal(epoch(loader), np.arange(10))
    state = minidl.default_generator().bit_generator.state
    list(loader)
    assert minidl.default_generator().bit_generator.state == state


def test_a_new_permutation_from_the_generator_each_epoch():
    passed, twin = generator(3), generator(3)
    loader = DataLoader(np.arange(50), batch_size=7, shuffle=True, generator=passed)
    for _ in range(3):
        np.testing.assert_array_equal(epoch(loader), twin.permutation(50))


def test_an_epoch_that_is_left_early_is_over():
    """The next starts with a permutation of its own, whatever was left of the last."""
    twin = generator()
    loader = DataLoader(np.arange(50), batch_size=7, shuffle=True, generator=generator())
    next(iter(loader))
    twin.permutation(50)
    np.testing.assert_array_equal(epoch(loader), twin.permutation(50))


def test_two_epochs_at_once_do_not_disturb_each_other():
    loader = DataLoader(np.arange(20), batch_size=3, shuffle=True, generator=generator())
    pairs = list(zip(loader, loader, strict=True))
    for batches in zip(*pairs, strict=True):
        assert sorted(np.concatenate(batches)) == list(range(20))


def test_the_default_generator_follows_manual_seed():
    loader = DataLoader(np.arange(50), batch_size=7, shuffle=True)
    minidl.manual_seed(5)
    first = epoch(loader)
    minidl.manual_seed(5)
    np.testing.assert_array_equal(epoch(loader), first)
    assert np.any(epoch(loader) != first)


def test_numpys_global_generator_is_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    epoch(DataLoader(np.arange(50), shuffle=True))
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_one_array_comes_bare_and_several_as_a_tuple():
    assert isinstance(next(iter(DataLoader(np.arange(3)))), np.ndarray)
    a, b, c = next(iter(DataLoader(np.arange(3), [4, 5, 6], np.ones((3, 2), np.uint8), batch_size=2)))
    np.testing.assert_array_equal(a, [0, 1])
    np.testing.assert_array_equal(b, [4, 5])
    assert c.shape == (2, 2)
    assert c.dtype == np.uint8


def test_tensors_are_taken_as_their_arrays():
    x, y = next(iter(DataLoader(Tensor(np.ones((4, 3))), np.arange(4), batch_size=2, shuffle=True)))
    assert isinstance(x, np.ndarray)
    assert x.dtype == np.float64
    assert x.shape == (2, 3)
    assert y.shape == (2,)


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("wrap", [np.asarray, Tensor])
def test_batches_may_be_written_to_and_the_data_stays(shuffle, wrap):
    images, labels = numbered(10)
    for x, y in DataLoader(wrap(images), labels, batch_size=3, shuffle=shuffle, generator=generator()):
        x += 1
        y[...] = -1
    np.testing.assert_array_equal(images, numbered(10)[0])
    np.testing.assert_array_equal(labels, numbered(10)[1])


def test_a_single_batch_is_a_copy_too():
    """Also that of data which cannot be written to."""
    images = np.arange(4)
    images.flags.writeable = False
    (batch,) = DataLoader(images, batch_size=4)
    batch += 1
    np.testing.assert_array_equal(images, np.arange(4))


def test_draws_may_be_written_to_and_the_data_stays():
    images, labels = numbered(10)
    for x, y in islice(draws(images, labels, batch_size=5, generator=generator()), 3):
        x += 1
        y += 1
    np.testing.assert_array_equal(images, numbered(10)[0])
    np.testing.assert_array_equal(labels, numbered(10)[1])


def test_lists_of_numbers_are_arrays_of_examples():
    batches = list(DataLoader([[1, 2], [3, 4], [5, 6]], [np.float32(0), np.float32(1), np.float32(2)], batch_size=3))
    assert [part.shape for part in batches[0]] == [(3, 2), (3,)]


@pytest.mark.parametrize("shuffle", [np.True_, True])
def test_settings_may_be_numpys_truths(shuffle):
    assert DataLoader(np.arange(3), shuffle=shuffle, drop_last=np.False_).shuffle


def test_batch_size_may_be_a_numpy_integer():
    assert len(DataLoader(np.arange(10), batch_size=np.int64(5))) == 2


@pytest.mark.parametrize(
    ("arrays", "settings", "words"),
    [
        ((), {}, r"lengths \[\]"),
        ((np.ones(0),), {}, r"lengths \[0\]"),
        ((np.ones(3), np.ones(4)), {}, r"lengths \[3, 4\]"),
        ((np.ones(3),), {"batch_size": 0}, "batch_size is 0"),
        ((np.ones(3),), {"batch_size": 2.0}, "batch_size is 2.0"),
        ((np.ones(3),), {"batch_size": 4, "drop_last": True}, "no batch of 4 fits into 3"),
    ],
)
def test_impossible_settings(arrays, settings, words):
    with pytest.raises(ValueError, match=f"DataLoader: .*{words}"):
        DataLoader(*arrays, **settings)


def test_draws_go_on_past_the_last_example_with_each_its_label():
    images, labels = numbered(10)
    batches = list(islice(draws(images, labels, batch_size=60, generator=generator()), 5))
    assert [len(y) for _, y in batches] == [60] * 5
    for x, y in batches:
        np.testing.assert_array_equal(x[:, 0, 0], y)
        assert set(y) == set(range(10))


def test_draws_are_those_of_the_generator():
    one, other = (islice(draws(np.arange(50), batch_size=7, generator=generator(3)), 4) for _ in range(2))
    np.testing.assert_array_equal(list(one), list(other))
    fresh = generator(3)
    drawn = draws(np.arange(50), batch_size=7, generator=generator(3))
    np.testing.assert_array_equal(next(drawn), fresh.integers(0, 50, 7))
    np.testing.assert_array_equal(next(drawn), fresh.integers(0, 50, 7))

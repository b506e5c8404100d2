"""Made-up pictures that are read like CIFAR's, and images that are held out."""

import numpy as np

from minidl.data import cifar10
from minidl.data._splits import Photos, Split
from minidl.lab.photos import first_ones, hold_out, made_up, write_made_up


def split(n):
    return Split(np.arange(n)[:, None] + np.zeros((1, 3), int), np.arange(n))


def test_made_up_pictures_are_read_like_the_files_of_cifar(tmp_path):
    write_made_up(tmp_path, 23, 7)
    sizes = sorted((path.name, path.stat().st_size // 3073) for path in tmp_path.iterdir())
    assert sizes == [*((f"data_batch_{i}.bin", 5 if i < 4 else 4) for i in range(1, 6)), ("test_batch.bin", 7)]
    read, made = cifar10(tmp_path), made_up(23, 7)
    np.testing.assert_array_equal(read.train.images, made.train.images)
    np.testing.assert_array_equal(read.test.labels, made.test.labels)
    assert made.source == "made-up pictures"
    assert not np.array_equal(made.train.images[:4], made.test.images[:4])


def test_the_kinds_can_be_told_apart_by_simple_means():
    """By the colour that changes most, and by the direction in which it does: so a network can learn them."""
    images, labels = made_up(300, 1).train
    x = images.astype(float)
    down, across = (np.abs(np.diff(x.mean(axis), axis=1)).mean((1, 2)) for axis in (2, 1))
    lying = down > across
    assert np.mean(lying == (labels % 2 == 0)) > 0.95
    assert len(np.unique(labels)) == 10


def test_what_is_held_out_is_always_the_same_and_nothing_is_lost():
    rest, held = hold_out(split(50), 5)
    assert (len(rest.labels), len(held.labels)) == (45, 5)
    np.testing.assert_array_equal(np.sort(np.concatenate([rest.labels, held.labels])), np.arange(50))
    np.testing.assert_array_equal(held.images[:, 0], held.labels)
    np.testing.assert_array_equal(hold_out(split(50), 5)[1].labels, held.labels)
    assert not np.array_equal(np.sort(held.labels), held.labels)  # drawn at random


def test_five_thousand_of_cifars_are_held_out():
    assert [len(part.labels) for part in hold_out(split(50_000), 5000)] == [45_000, 5000]


def test_the_first_images_of_a_dataset():
    few = first_ones(Photos(split(9), split(5), "numbers", ("a", "b")), 4, 2)
    assert (len(few.train.labels), len(few.test.labels)) == (4, 2)
    assert (few.source, few.classes) == ("numbers", ("a", "b"))

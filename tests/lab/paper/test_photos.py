"""Photographs: the split keeps validation apart, batches are the same in every arm, distortions are in proportion."""

from itertools import islice

import numpy as np
import pytest

from minidl.data import cifar10
from minidl.lab.paper._photos import DISTORTIONS, batches, split
from minidl.lab.paper._training import epochs
from minidl.lab.photos import made_up
from tests.data.fake_cifar import NAMES10, packed

PHOTOS = made_up(400, 100)


def first(n=3, size=32, seed=0, reshuffled=True, distortion="weak"):
    return list(islice(batches(split(PHOTOS), size, seed, reshuffled, distortion), n))


def test_the_split_keeps_a_tenth_apart():
    data = split(PHOTOS)
    assert (len(data.y), len(data.y_validation), len(data.y_test)) == (360, 40, 100)
    known = {image.tobytes() for image in data.ready(data.x)}
    assert not known & {image.tobytes() for image in data.x_validation}
    assert split(PHOTOS) is data


def test_colours_have_mean_0_and_variance_1():
    data = split(PHOTOS)
    ready = data.ready(data.x).astype(np.float64)
    np.testing.assert_allclose(ready.mean((0, 1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(ready.std((0, 1, 2)), 1, atol=1e-4)
    assert data.ready(data.x).dtype == data.x_validation.dtype == np.float32


def test_equal_seeds_give_equal_batches():
    for (x, y), (again, labels) in zip(first(), first(), strict=True):
        np.testing.assert_array_equal(x, again)
        np.testing.assert_array_equal(y, labels)
    assert not np.array_equal(first()[0][0], first(seed=1)[0][0])
    assert first()[0][0].shape == (32, 32, 32, 3)
    assert first()[0][0].dtype == np.float32


def test_distortions_share_their_draws_and_differ_in_size(monkeypatch):
    weak, strong = first(1)[0][0], first(1, distortion="strong")[0][0]
    monkeypatch.setitem(DISTORTIONS, "weak", 0.0)
    none = first(1)[0][0]
    assert 0 < np.abs(weak - none).mean() < np.abs(strong - none).mean()
    np.testing.assert_allclose(strong - none, 4 * (weak - none), atol=1e-5)  # linear in its strength


def test_images_are_mirrored_and_moved_by_up_to_four_pixels(monkeypatch):
    monkeypatch.setitem(DISTORTIONS, "weak", 0.0)
    data = split(PHOTOS)
    source = np.arange(32 * 32, dtype=np.uint8).reshape(1, 32, 32, 1).repeat(3, -1).repeat(360, 0)
    data = data._replace(x=source, mean=np.zeros(3, np.float32), std=np.ones(3, np.float32))
    x, _ = next(batches(data, 32, 0, True, "weak"))
    middle = {image[16, 16, 0] for image in x}
    assert len(middle) > 10
    assert len({image[16, 16, 0] > image[16, 17, 0] for image in x}) == 2


def test_batches_keep_their_members_or_do_not():
    def members(reshuffled):
        drawn = islice(epochs(50, 8, reshuffled, np.random.default_rng(0)), 12)
        return [frozenset(batch.tolist()) for batch in drawn]

    kept, drawn = members(False), members(True)
    assert set(kept[:6]) == set(kept[6:])
    assert kept[:6] != kept[6:]
    assert not set(drawn[:6]) & set(drawn[6:])
    for epoch in (kept[:6], drawn[:6], drawn[6:]):
        assert len(frozenset().union(*epoch)) == 48  # each example once, and the rest of 2 left out


def test_made_up_photographs_have_the_form_of_cifar(tmp_path):
    for name, part in zip(NAMES10, [*np.array_split(np.arange(400), 5), np.arange(100)], strict=True):
        images, labels = PHOTOS.test if name == NAMES10[-1] else PHOTOS.train
        (tmp_path / name).write_bytes(packed(images[part], labels[part][:, None]))
    loaded = cifar10(tmp_path)
    for one, other in zip(loaded, PHOTOS, strict=True):
        np.testing.assert_array_equal(one.images, other.images)
        np.testing.assert_array_equal(one.labels, other.labels)
    assert len(PHOTOS.classes) == len(loaded.classes) == 10
    assert made_up(400, 100).train.images.tobytes() == PHOTOS.train.images.tobytes()


def test_an_unknown_distortion():
    with pytest.raises(KeyError):
        first(distortion="none")

"""Scenes are what the text says, pixel by pixel, and the same bytes everywhere."""

import hashlib

import numpy as np
import pytest

from minidl.data._splits import Split
from minidl.lab.scenes import Objects, Scenes, draw, draw_scenes


def shapes(n=40):
    """Digits of a standing and a lying bar, whose places and ink tell the label: computed, not drawn at random."""
    images, labels = np.zeros((n, 28, 28), np.uint8), np.arange(n) % 10
    for i, label in enumerate(labels):
        images[i, 4:24, 5 + label : 9 + label] = 255 - i
        images[i, 8 + label : 11 + label, 4:22] = 200
    return Split(images, labels)


def digest(scenes):
    total = hashlib.sha256()
    for array in (scenes.images, scenes.masks, *scenes.objects):
        total.update(np.ascontiguousarray(array).astype("<i4").tobytes())
    return total.hexdigest()[:16]


def same(a, b):
    assert a.classes == b.classes
    for one, other in zip((a.images, a.masks, *a.objects), (b.images, b.masks, *b.objects), strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype


# ---- the same on any machine ---------------------------------------------------------------------------------------------


def test_a_seed_gives_these_very_bytes():
    assert digest(draw_scenes(shapes(), 12, seed=3)) == "058b6b23348c5a08"
    assert (
        digest(draw_scenes(shapes(), 5, 7, classes=(8, 1), objects=(1, 3), sides=(6, 28), scraps=0))
        == "ca2d7b2b0b45062f"
    )


def test_scenes_depend_on_seed_and_number_alone():
    many, few = draw_scenes(shapes(), 9, 1), draw_scenes(shapes(), 4, 1)
    same(few, many.take(range(4)))
    assert (many.images[:4] != draw_scenes(shapes(), 4, 2).images).any()


def test_shapes_and_types():
    scenes = draw_scenes(shapes(), 6)
    assert (scenes.images.shape, scenes.images.dtype) == ((6, 64, 64, 1), np.uint8)
    assert (scenes.masks.shape, scenes.masks.dtype) == ((6, 64, 64), np.uint8)
    m = len(scenes.objects.scene)
    assert [(part.shape, part.dtype) for part in scenes.objects] == [
        ((m,), np.int64), ((m,), np.int64), ((m, 4), np.float32), ((m,), np.float32)
    ]  # fmt: skip
    assert len(scenes) == 6
    assert repr(scenes) == f"Scenes(6 of 64×64, {m} digits, classes (0, 1, 2, 3, 4, 5, 6, 7, 8, 9))"


# ---- what is in them -----------------------------------------------------------------------------------------------------


def test_numbers_of_objects_and_sizes_are_as_asked():
    scenes = draw_scenes(shapes(), 60, objects=(2, 4), sides=(10, 12), classes=(3, 7))
    assert set(np.bincount(scenes.objects.scene)) == {2, 3, 4}
    assert set(scenes.objects.label) == {0, 1}
    assert scenes.classes == (3, 7)
    longer = (scenes.objects.box[:, 2:] - scenes.objects.box[:, :2]).max(1)
    assert set(longer) == {10, 11, 12}
    assert (scenes.objects.box >= 0).all()
    assert (scenes.objects.box <= 64).all()
    assert (np.diff(scenes.objects.scene) >= 0).all()


def test_a_lone_digit_fills_its_box_and_is_lighter_than_the_ground():
    scenes = draw_scenes(shapes(), 20, objects=(1, 1), scraps=0)
    for mask, image, box, label in zip(
        scenes.masks, scenes.images[..., 0], scenes.objects.box.astype(int), scenes.objects.label, strict=True
    ):
        rows, columns = np.nonzero(mask)
        assert (rows.min(), columns.min(), rows.max() + 1, columns.max() + 1) == tuple(box)
        assert set(np.unique(mask)) == {0, label + 1}
        assert image[mask > 0].mean() > image[mask == 0].mean() + 20


def test_later_digits_lie_above_earlier_ones():
    scenes = draw_scenes(shapes(), 40, objects=(5, 5), sides=(26, 28))
    hidden = 0
    for i in range(40):
        objects, mask = scenes.take([i]).objects, scenes.masks[i]
        last = objects.box[-1].astype(int)
        rows, columns = np.nonzero(mask == objects.label[-1] + 1)
        inside = (rows >= last[0]) & (rows < last[2]) & (columns >= last[1]) & (columns < last[3])
        found = rows[inside].min(), columns[inside].min(), rows[inside].max() + 1, columns[inside].max() + 1
        assert found == tuple(last)  # all of it is seen
        hidden += _overlaps(objects.box)
    assert hidden > 40


def _overlaps(boxes):
    low, high = np.maximum(boxes[:, None, :2], boxes[None, :, :2]), np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    return int(((high > low).all(-1).sum() - len(boxes)) / 2)


def test_digits_keep_apart_better_than_at_random(monkeypatch):
    apart = _crowding(draw_scenes(shapes(), 60, objects=(4, 4)))
    monkeypatch.setattr(draw, "PLACES", 1)
    assert apart < 0.7 * _crowding(draw_scenes(shapes(), 60, objects=(4, 4)))


def _crowding(scenes):
    return sum(_overlaps(scenes.take([i]).objects.box) for i in range(len(scenes)))


def test_scraps_are_below_and_belong_to_no_class():
    without, with_scraps = (draw_scenes(shapes(), 15, 4, objects=(1, 1), scraps=n) for n in (0, 30))
    for scenes in (without, with_scraps):
        assert all((mask > 0).sum() < 400 for mask in scenes.masks)
    light = [(s.images[..., 0][s.masks == 0] > 150).mean() for s in (without, with_scraps)]
    assert light[1] > light[0] + 0.05


def test_noise_is_the_last_thing():
    scenes = draw_scenes(shapes(), 30, objects=(1, 1), scraps=0)
    for image, mask in zip(scenes.images[..., 0].astype(int), scenes.masks, strict=True):
        ground = image[:4, :][mask[:4, :] == 0]
        assert 8 < ground.std() < 11.5 or ground.min() == 0  # uniform in ±16: 9.5


def test_resizing_keeps_the_mean_and_leaves_no_ink_out():
    ink = np.zeros((20, 7), np.int64)
    ink[3, 2] = 255
    small = draw._resized(ink, 5)
    assert small.shape == (5, 2)
    assert (small > 0).sum() == 1
    even = draw._resized(np.full((9, 9), 77), 28)
    assert (even == 77).all()
    rng = np.random.default_rng(0)
    ink = rng.integers(0, 256, (12, 9))
    for side in (4, 11, 12, 23):
        new = draw._resized(ink, side)
        assert max(new.shape) == side
        assert abs(new.mean() - ink.mean()) < 1.5
        assert new.tolist() == _resized_pixel_by_pixel(ink, new.shape)


def _resized_pixel_by_pixel(ink, shape):
    """Cut every old and new pixel into small ones that fit both, and count."""
    fine = ink.repeat(shape[0], 0).repeat(shape[1], 1)
    tall, wide = ink.shape
    return [
        [
            -(-int(fine[i * tall : (i + 1) * tall, j * wide : (j + 1) * wide].sum()) // (tall * wide))
            for j in range(shape[1])
        ]
        for i in range(shape[0])
    ]


# ---- take ----------------------------------------------------------------------------------------------------------------


def test_taken_scenes_bring_their_objects():
    scenes = draw_scenes(shapes(), 8)
    chosen = [5, 0, 5, 7]
    taken = scenes.take(chosen)
    np.testing.assert_array_equal(taken.images, scenes.images[chosen])
    for new, old in enumerate(chosen):
        for name in ("label", "box", "score"):
            here, there = getattr(taken.objects, name), getattr(scenes.objects, name)
            np.testing.assert_array_equal(here[taken.objects.scene == new], there[scenes.objects.scene == old])
    assert len(scenes.take([])) == 0
    assert len(scenes.take(np.arange(3, dtype=np.uint8))) == 3


def test_centres_are_in_the_middle():
    objects = Objects(np.array([0]), np.array([1]), np.array([[2, 4, 8, 5]], np.float32), np.ones(1, np.float32))
    np.testing.assert_array_equal(objects.centre, [[5, 4.5]])


# ---- errors --------------------------------------------------------------------------------------------------------------

GOOD = shapes(10)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: draw_scenes(None, 3), TypeError, "digits are a NoneType; they must be images and labels"),
        (lambda: draw_scenes(GOOD.images[:3], 3), TypeError, "digits are a ndarray; they must be"),
        (lambda: draw_scenes((GOOD.images / 255, GOOD.labels), 3), ValueError, r"float64 \(10, 28, 28\); they must be"),
        (lambda: draw_scenes((GOOD.images[0], GOOD.labels), 3), ValueError, r"uint8 \(28, 28\); they must be bytes"),
        (lambda: draw_scenes((GOOD.images[:0], GOOD.labels[:0]), 3), ValueError, "must be bytes .*, at least one"),
        (lambda: draw_scenes((GOOD.images, GOOD.labels * 1.0), 3), ValueError, "labels of the digits are float64"),
        (lambda: draw_scenes((GOOD.images, GOOD.labels[:4]), 3), ValueError, r"must be whole numbers \(10,\), one"),
        (lambda: draw_scenes((GOOD.images // 4, GOOD.labels), 3), ValueError, "has no pixel of 128 or more; digits must"),
        (lambda: draw_scenes(GOOD, 0), ValueError, "count is 0; it must be a whole number of at least 1"),
        (lambda: draw_scenes(GOOD, 2.5), ValueError, "count is 2.5"),
        (lambda: draw_scenes(GOOD, 3, -1), ValueError, "seed is -1; it must be .* at least 0"),
        (lambda: draw_scenes(GOOD, 3, scraps=-1), ValueError, "scraps is -1"),
        (lambda: draw_scenes(GOOD, 3, classes=()), ValueError, r"classes are \(\); they must be from 1 to 255 different"),
        (lambda: draw_scenes(GOOD, 3, classes=(1, 1)), ValueError, r"classes are \(1, 1\); they must be"),
        (lambda: draw_scenes(GOOD, 3, classes=(1, 11)), ValueError, "no digit has the label 11; classes must be among"),
        (lambda: draw_scenes(GOOD, 3, classes=4), ValueError, "classes is 4; it must be a list of labels"),
        (lambda: draw_scenes(GOOD, 3, classes=("1",)), ValueError, "a class is '1'; it must be a whole number"),
        (lambda: draw_scenes(GOOD, 3, objects=(0, 2)), ValueError, r"objects is \(0, 2\); it must be a pair"),
        (lambda: draw_scenes(GOOD, 3, objects=3), ValueError, "objects is 3; it must be a pair"),
        (lambda: draw_scenes(GOOD, 3, objects=(3, 2)), ValueError, r"objects is \(3, 2\); it must be a pair"),
        (lambda: draw_scenes(GOOD, 3, sides=(10, 29)), ValueError, r"sides is \(10, 29\); it must .* from 4 to 28"),
        (lambda: draw_scenes(GOOD, 3, sides=(10, float("nan"))), ValueError, "sides is .*nan.*; it must be a pair"),
        (lambda: draw_scenes(GOOD, 3).take([3]), ValueError, "chosen runs from 3 to 3 but .*; each must be"),
        (lambda: draw_scenes(GOOD, 3).take([-1]), ValueError, "chosen runs from -1 to -1"),
        (lambda: draw_scenes(GOOD, 3).take([0.5]), ValueError, "chosen is float64 .*; it must be a list of whole numbers"),
        (lambda: draw_scenes(GOOD, 3).take(1), ValueError, r"chosen is int64 \(\); it must be a list"),
    ],
)  # fmt: skip
def test_errors_teach(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_digits_of_any_size_and_layout_serve():
    images = np.asfortranarray(np.repeat(np.repeat(GOOD.images, 2, 1), 2, 2))
    images.flags.writeable = False
    scenes = draw_scenes((images, GOOD.labels.astype(np.uint8)), 3)
    assert isinstance(scenes, Scenes)
    tiny = np.full((2, 1, 1), 255, np.uint8)
    assert (draw_scenes((tiny, np.array([0, 1])), 3, classes=(0, 1)).masks > 0).any((1, 2)).all()

"""Augmentation against naive versions; drawn from the generator, with the same bits on any number of threads."""

import numba
import numpy as np
import pytest

import minidl
from minidl import Tensor
from minidl.data import DataLoader, alternating_flip, cutout, random_flip, random_shift

TYPES = [np.uint8, np.float32, np.float64]
AUGMENT = {
    "random_flip": lambda images, rng: random_flip(images, rng),
    "random_shift": lambda images, rng: random_shift(images, (2, 3), rng),
    "cutout": lambda images, rng: cutout(images, (3, 2), rng, value=7),
    "alternating_flip": lambda images, rng: alternating_flip(images, rng.integers(0, 9, len(images)), 0),
}


def pictures(n=12, height=5, width=6, channels=3, dtype=np.uint8, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, height, width, channels)).astype(dtype)


def rng(seed=0):
    return np.random.default_rng(seed)


# ---- all of them -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", AUGMENT)
@pytest.mark.parametrize("dtype", TYPES)
def test_new_images_of_the_same_type_and_the_old_ones_untouched(name, dtype):
    images = pictures(dtype=dtype)
    before = images.copy()
    out = AUGMENT[name](images, rng())
    assert (out.dtype, out.shape, out.flags.c_contiguous, out.flags.writeable) == (dtype, images.shape, True, True)
    assert not np.may_share_memory(out, images)
    np.testing.assert_array_equal(images, before)
    assert np.any(out != images)


@pytest.mark.parametrize("name", AUGMENT)
def test_bytes_and_floats_agree(name):
    expected = AUGMENT[name](pictures(), rng())
    for dtype in TYPES[1:]:
        np.testing.assert_array_equal(AUGMENT[name](pictures(dtype=dtype), rng()), expected)


@pytest.mark.parametrize("name", AUGMENT)
def test_layout_does_not_matter(name):
    images = pictures()
    expected = AUGMENT[name](images, rng())
    frozen = images.copy()
    frozen.flags.writeable = False
    for other in (
        np.asfortranarray(images),
        np.repeat(images, 2, 3)[..., ::2],
        frozen,
        Tensor(images),
        images.tolist(),
    ):
        given = np.asarray(other, np.uint8) if isinstance(other, list) else other
        np.testing.assert_array_equal(AUGMENT[name](given, rng()), expected)


@pytest.mark.parametrize("name", AUGMENT)
def test_the_generator_decides(name):
    state = minidl.default_generator().bit_generator.state
    first = AUGMENT[name](pictures(), rng(1))
    np.testing.assert_array_equal(AUGMENT[name](pictures(), rng(1)), first)
    assert np.any(AUGMENT[name](pictures(), rng(2)) != first)
    assert minidl.default_generator().bit_generator.state == state


@pytest.mark.parametrize("augment", [random_flip, lambda x: random_shift(x, 2), lambda x: cutout(x, 2)])
def test_without_a_generator_the_default_one_is_used(augment):
    minidl.manual_seed(3)
    first = augment(pictures())
    minidl.manual_seed(3)
    np.testing.assert_array_equal(augment(pictures()), first)
    assert np.any(augment(pictures()) != first)


@pytest.mark.parametrize("name", AUGMENT)
def test_the_same_bits_on_one_and_on_several_threads(name):
    images, before = pictures(61, 32, 32), minidl.get_num_threads()  # enough work for threads
    try:
        results = []
        for n in sorted({1, numba.config.NUMBA_NUM_THREADS}):
            minidl.set_num_threads(n)
            results.append(AUGMENT[name](images, rng()).tobytes())
        assert len(set(results)) == 1
    finally:
        minidl.set_num_threads(before)


@pytest.mark.parametrize("name", AUGMENT)
@pytest.mark.parametrize("shape", [(0, 5, 6, 3), (1, 5, 6, 1), (3, 4, 4, 33)], ids=str)
def test_no_image_one_and_many_channels(name, shape):
    images = pictures(*shape)
    assert AUGMENT[name](images, rng()).shape == shape


# ---- mirrors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [1, 2, 5, 8])
def test_a_mirrored_image_is_its_columns_backwards(width):
    images = pictures(width=width)
    np.testing.assert_array_equal(random_flip(images, p=1), images[:, :, ::-1])
    np.testing.assert_array_equal(random_flip(images, p=0), images)


def test_mirrored_twice_is_the_image():
    images = pictures()
    np.testing.assert_array_equal(random_flip(random_flip(images, rng(3)), rng(3)), images)
    np.testing.assert_array_equal(random_flip(random_flip(images, p=1), p=1), images)


@pytest.mark.parametrize("p", [0.5, 0.1])
def test_each_image_is_mirrored_by_its_own_coin(p):
    images = pictures(2000, 1, 2, 1)
    images[:, 0] = [[0], [1]]
    mirrored = random_flip(images, rng(), p)[:, 0, 0, 0]
    np.testing.assert_array_equal(mirrored, rng().random(2000) < p)
    assert abs(mirrored.mean() - p) < 5 * np.sqrt(p * (1 - p) / 2000)


# ---- alternating mirrors ---------------------------------------------------------------------------------------------


def mirrored(n, epoch, seed=0, positions=None):
    """Whether each image is mirrored."""
    images = np.zeros((n, 1, 2, 1), np.uint8)
    images[:, 0, 1] = 1
    return alternating_flip(images, np.arange(n) if positions is None else positions, epoch, seed)[:, 0, 0, 0] == 1


def test_every_other_epoch_it_is_the_other_way():
    first = mirrored(1000, 0)
    for epoch in range(1, 6):
        np.testing.assert_array_equal(mirrored(1000, epoch), first ^ (epoch % 2 == 1))


def test_two_epochs_show_every_image_both_ways():
    images = pictures()
    for epoch in range(3):
        both = [alternating_flip(images, np.arange(len(images)), e) for e in (epoch, epoch + 1)]
        np.testing.assert_array_equal(np.minimum(*both), np.minimum(images, images[:, :, ::-1]))
        np.testing.assert_array_equal(np.maximum(*both), np.maximum(images, images[:, :, ::-1]))


@pytest.mark.parametrize("seed", [0, 1, 2, 10**30])
def test_half_are_mirrored_first_without_a_pattern(seed):
    coins = mirrored(4000, 0, seed).astype(float)
    assert abs(coins.mean() - 0.5) < 5 * 0.5 / np.sqrt(4000)
    for lag in (1, 2, 4, 256):
        assert abs(np.corrcoef(coins[:-lag], coins[lag:])[0, 1]) < 5 / np.sqrt(4000)
    assert abs(np.corrcoef(coins, mirrored(4000, 0, seed + 1))[0, 1]) < 5 / np.sqrt(4000)


def test_which_are_mirrored_depends_on_position_and_seed_alone():
    """Not on the order of an epoch, its batches or the number of images: so a run is resumed by its epoch and its seed."""
    expected = mirrored(50, 3, seed=7)
    order = rng().permutation(50)
    parts = [mirrored(len(some), 3, 7, some) for some in np.array_split(order, 4)]
    np.testing.assert_array_equal(np.concatenate(parts), expected[order])
    for kind in (np.uint8, np.int32, np.uint64):
        np.testing.assert_array_equal(mirrored(50, 3, 7, np.arange(50, dtype=kind)), expected)


def test_the_coins_stay_what_they_were():
    """Or a run that was begun with an earlier version would go on with other mirrors."""
    assert "".join("01"[int(coin)] for coin in mirrored(32, 0, seed=5)) == "11111101011010000000111010001110"


def test_in_a_loop_with_a_data_loader():
    images = pictures(10)
    for epoch in range(2):
        loader = DataLoader(images, np.arange(10), batch_size=4, shuffle=True, generator=rng(epoch))
        expected = alternating_flip(images, np.arange(10), epoch)
        for batch, positions in loader:
            np.testing.assert_array_equal(alternating_flip(batch, positions, epoch), expected[positions])


# ---- shifts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shift", [1, 2, (0, 3), (4, 0), (4, 5)], ids=str)
@pytest.mark.parametrize("dtype", TYPES)
def test_a_shifted_image_is_padded_by_reflection_and_cropped(shift, dtype):
    images = pictures(40, dtype=dtype)
    down, right = shift if isinstance(shift, tuple) else (shift, shift)
    shifts = rng().integers((-down, -right), (down + 1, right + 1), (40, 2))
    assert (np.ptp(shifts, 0) == (2 * down, 2 * right)).all()
    for image, moved, (i, j) in zip(images, random_shift(images, shift, rng()), shifts, strict=True):
        padded = np.pad(image, ((down, down), (right, right), (0, 0)), mode="reflect")
        np.testing.assert_array_equal(moved, padded[down + i : down + i + 5, right + j : right + j + 6])


def test_all_shifts_are_equally_likely():
    image = np.arange(25, dtype=np.uint8).reshape(1, 5, 5, 1)
    shifted = random_shift(np.repeat(image, 9000, 0), (1, 1), rng())
    middles, counts = np.unique(shifted[:, 2, 2, 0], return_counts=True)
    np.testing.assert_array_equal(middles, [6, 7, 8, 11, 12, 13, 16, 17, 18])
    assert np.all(np.abs(counts - 1000) < 5 * np.sqrt(1000))


def test_no_shift_is_the_image():
    for size in (5, 1):
        images = pictures(height=size, width=size)
        np.testing.assert_array_equal(random_shift(images, 0, rng()), images)


@pytest.mark.parametrize(("shift", "size"), [(5, (5, 6)), ((0, 6), (5, 6)), (1, (1, 6)), (40, (5, 6))])
def test_a_shift_as_large_as_the_image_is_refused(shift, size):
    with pytest.raises(
        ValueError, match=rf"random_shift: shift is .* and the images are {size[0]}×{size[1]}; it must be sm"
    ):
        random_shift(pictures(2, *size), shift, rng())


# ---- cutout ----------------------------------------------------------------------------------------------------------


def covered(images, size, seed, value):
    """The naive way."""
    images = images.copy()
    centres = rng(seed).integers(0, images.shape[1:3], (len(images), 2))
    for image, (row, column) in zip(images, centres, strict=True):
        for i in range(row - size[0] // 2, row - size[0] // 2 + size[0]):
            for j in range(column - size[1] // 2, column - size[1] // 2 + size[1]):
                if 0 <= i < image.shape[0] and 0 <= j < image.shape[1]:
                    image[i, j] = value
    return images


@pytest.mark.parametrize("size", [1, 2, 3, (2, 5), (5, 6)], ids=str)
@pytest.mark.parametrize("value", [0, 9, (1, 2, 3)], ids=str)
@pytest.mark.parametrize("dtype", TYPES)
def test_a_square_is_covered(size, value, dtype):
    images = pictures(30, dtype=dtype)
    expected = covered(images, size if isinstance(size, tuple) else (size, size), 4, value)
    np.testing.assert_array_equal(cutout(images, size, rng(4), value), expected)


def test_every_pixel_is_covered_equally_often_by_a_square_of_one():
    hidden = (cutout(np.ones((9000, 3, 3, 1), np.float32), 1, rng()) == 0).sum((0, 3))
    assert hidden.sum() == 9000
    assert np.all(np.abs(hidden - 1000) < 5 * np.sqrt(1000))


@pytest.mark.parametrize("value", [-1, 256, 0.5, np.nan, "a", (1, 2), None, [[1, 2, 3]]])
def test_a_value_that_bytes_cannot_hold(value):
    with pytest.raises(
        ValueError, match=r"cutout: value is .*; it must be one, or one for each of 3 channels, of whole"
    ):
        cutout(pictures(), 2, rng(), value)


# ---- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", AUGMENT)
@pytest.mark.parametrize("shape", [(5, 6, 3), (12, 30), (12, 5, 6, 3, 1), (12, 0, 6, 3), (12, 5, 6, 0)], ids=str)
def test_what_is_no_batch_of_images(name, shape):
    with pytest.raises(ValueError, match=rf"^{name}: images are \({shape[0]}, .*; they must be \(N, H, W, C\)"):
        AUGMENT[name](np.zeros(shape, np.uint8), rng())


@pytest.mark.parametrize("name", AUGMENT)
@pytest.mark.parametrize("dtype", [np.int64, np.float16, bool, ">f4", complex, object, "U1"], ids=str)
def test_what_are_no_bytes_or_floats(name, dtype):
    with pytest.raises(TypeError, match=rf"^{name}: images are .*; they must be uint8, float32 or float64: images.as"):
        AUGMENT[name](np.zeros((2, 5, 6, 3)).astype(dtype), rng())


@pytest.mark.parametrize("name", ["random_flip", "random_shift", "cutout"])
def test_a_refused_call_draws_nothing(name):
    generator = rng()
    before = generator.bit_generator.state
    with pytest.raises(ValueError, match=name):
        AUGMENT[name](pictures(2, 2, 2), generator) if name != "random_flip" else random_flip(pictures(), generator, 2)
    assert generator.bit_generator.state == before


@pytest.mark.parametrize(
    "positions", [np.arange(11), np.arange(12.0), np.arange(12) - 1, None, 3, np.ones(12, bool), np.arange(12)[:, None]]
)
def test_positions_are_one_whole_number_for_each_image(positions):
    with pytest.raises(ValueError, match=r"alternating_flip: positions are .*; they must be 12 whole numbers"):
        alternating_flip(pictures(), positions, 0)

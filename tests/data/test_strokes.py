"""The digits that minidl draws: their format, that they are digits and not noise, the same bits, and the cache."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from minidl import get_num_threads, set_num_threads
from minidl.data._glyphs import CONTROLS, POINTS, WAYS, read_glyph
from minidl.data.cache import cache_dir
from tests.helpers import JIT

strokes_module = importlib.import_module("minidl.data.strokes")  # the function of that name hides it as an attribute
strokes = strokes_module.strokes
N = 4000 if JIT else 150  # enough digits to judge them by, few enough where each pixel is plain Python


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return strokes(N, N // 2, seed=3, cache=tmp_path_factory.mktemp("strokes"))


@pytest.fixture
def draws(monkeypatch):
    """Counts how often digits are really drawn: twice for each dataset, once a split."""
    drawn = []
    split = strokes_module._split

    def counted(n, stream, bar):
        drawn.append(n)
        return split(n, stream, bar)

    monkeypatch.setattr(strokes_module, "_split", counted)
    return drawn


def arrays(digits):
    return [array for split in digits for array in split]


def assert_same(a, b):
    for x, y in zip(arrays(a), arrays(b), strict=True):
        np.testing.assert_array_equal(x, y)
        assert x.dtype == y.dtype


# ---- what they are


def test_format_is_that_of_mnist(digits):
    (x, y), (x_test, y_test) = digits
    assert x.shape == (N, 28, 28)
    assert x_test.shape == (N // 2, 28, 28)
    assert y.shape == (N,)
    assert y_test.shape == (N // 2,)
    assert x.dtype == x_test.dtype == np.uint8
    assert y.dtype == y_test.dtype == np.int64
    assert digits.source == "strokes"


def test_classes_are_equally_frequent_and_shuffled(digits):
    for _, labels in digits:
        counts = np.bincount(labels, minlength=10)
        assert len(counts) == 10
        assert np.ptp(counts) <= 1
        assert 0.8 < np.mean(np.diff(labels) != 0) < 0.97  # shuffled: neighbours differ in 9 of 10 cases


def test_each_image_is_a_digit_on_white_paper_in_the_middle(digits):
    images = digits.train.images.astype(float) / 255
    assert images.max(axis=(1, 2)).min() > 0.8  # black ink, and dark grey where the finest pen is pressed least
    assert images[:, [0, -1]].sum() < 0.001 * images.sum()  # the margin is all but empty
    rows, columns = np.arange(28)[:, None], np.arange(28)
    mass = images.sum(axis=(1, 2))
    assert mass.min() > 30
    assert mass.max() < 350  # of 784
    assert 80 < mass.mean() < 130  # MNIST: 101
    for position in (rows, columns):
        centre = (images * position).sum(axis=(1, 2)) / mass
        assert np.abs(centre - 14).max() < 2
        assert np.abs(centre - 14).mean() < 0.4  # MNIST: 0.25


def test_larger_side_fills_the_box(digits):
    ink = digits.train.images > 127
    height, width = (np.sum(ink.any(axis=axis), axis=1) for axis in (2, 1))
    larger = np.maximum(height, width)
    assert larger.min() >= 17  # less than 20 where the pen is fine just there
    assert larger.max() == 20


def test_no_two_images_are_alike(digits):
    images = np.concatenate([split.images.reshape(-1, 784) for split in digits])
    assert len(np.unique(images, axis=0)) == len(images)


def test_a_nearest_mean_classifier_learns_them_but_not_all(digits):
    (x, y), (x_test, y_test) = [(images.reshape(-1, 784) / 255, labels) for images, labels in digits]
    means = np.stack([x[y == digit].mean(axis=0) for digit in range(10)])
    distance = ((x_test[:, None] - means) ** 2).sum(axis=2)
    accuracy = np.mean(distance.argmin(axis=1) == y_test)
    assert 0.5 < accuracy < 0.9  # MNIST: 0.76


# ---- the same bits


def test_same_seed_same_bits_and_other_seed_other_digits(tmp_path):
    first = strokes(30, 20, seed=1, cache=tmp_path / "a")
    assert_same(first, strokes(30, 20, seed=1, cache=tmp_path / "b"))
    other = strokes(30, 20, seed=2, cache=tmp_path / "a")
    assert not np.array_equal(first.train.images, other.train.images)


def test_splits_come_from_different_streams(tmp_path):
    train, test = strokes(40, 40, cache=tmp_path)
    assert not np.array_equal(train.images, test.images)
    assert not np.array_equal(train.labels, test.labels)


def test_number_of_threads_does_not_matter(tmp_path):
    before = get_num_threads()
    n = 2000 if JIT else 20
    several = strokes(n, 10, cache=tmp_path / "several")
    try:
        set_num_threads(1)
        assert_same(several, strokes(n, 10, cache=tmp_path / "one"))
    finally:
        set_num_threads(before)


def test_blocks_are_independent_of_how_many_follow(tmp_path, monkeypatch):
    monkeypatch.setattr(strokes_module, "BLOCK", 20)
    short, long = strokes(40, 5, cache=tmp_path), strokes(50, 5, cache=tmp_path)
    np.testing.assert_array_equal(short.train.images, long.train.images[:40])
    assert not np.array_equal(long.train.images[:20], long.train.images[20:40])


def test_numpy_global_state_is_untouched(tmp_path):
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    strokes(20, 10, cache=tmp_path)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


# ---- the cache


def test_cache_is_read_instead_of_drawing(tmp_path, draws):
    first = strokes(30, 20, seed=7, cache=tmp_path)
    assert draws == [30, 20]
    assert_same(first, strokes(30, 20, seed=7, cache=str(tmp_path)))
    assert draws == [30, 20]
    assert [file.name for file in tmp_path.iterdir()] == [f"strokes-v{strokes_module.VERSION}-30-20-7.npz"]


def test_each_setting_has_a_file_of_its_own(tmp_path, draws):
    for settings in ((20, 10, 0), (21, 10, 0), (20, 11, 0), (20, 10, 1)):
        strokes(*settings, cache=tmp_path)
    assert len(draws) == 8
    assert len(list(tmp_path.iterdir())) == 4


def test_default_cache_is_the_package_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIDL_CACHE", str(tmp_path / "here"))
    strokes(20, 10)
    assert len(list(cache_dir().glob("strokes-*.npz"))) == 1
    assert cache_dir() == tmp_path / "here"


def test_damaged_file_is_drawn_anew(tmp_path, draws):
    good = strokes(10, 10, cache=tmp_path)
    (file,) = tmp_path.iterdir()
    intact = file.read_bytes()
    rng = np.random.default_rng(0)
    damaged = [b"", b"no zip", intact[: len(intact) // 2], intact[:-1]]
    for place in rng.integers(0, len(intact), 100 if JIT else 8):
        changed = bytearray(intact)
        changed[place] ^= 1 << rng.integers(8)
        damaged.append(bytes(changed))
    for content in damaged:
        file.write_bytes(content)
        assert_same(good, strokes(10, 10, cache=tmp_path))
    draws.clear()
    for content in damaged[:4]:
        file.write_bytes(content)
        strokes(10, 10, cache=tmp_path)
        assert file.read_bytes() != content
    assert draws == [10, 10] * 4


def test_file_with_other_arrays_is_drawn_anew(tmp_path):
    good = strokes(10, 10, cache=tmp_path)
    (file,) = tmp_path.iterdir()
    (x, y), (x_test, y_test) = good
    right = dict(train_images=x, train_labels=y, test_images=x_test, test_labels=y_test)
    wrong = (
        {"train_images": x[:9]},
        {"test_images": x_test[:, :27]},
        {"train_images": x.astype(np.float32)},
        {"test_labels": y_test.astype(np.int32)},
        {"train_labels": y[:, None]},
        {"train_labels": y.astype(object)},
    )
    for change in wrong:
        np.savez(file, **(right | change))
        assert_same(good, strokes(10, 10, cache=tmp_path))


def test_cache_that_cannot_be_written_to_is_no_cache(tmp_path, draws):
    (tmp_path / "file").write_text("in the way")
    folder = tmp_path / "file" / "cache"
    first = strokes(20, 10, cache=folder)
    assert_same(first, strokes(20, 10, cache=folder))
    assert draws == [20, 10, 20, 10]


@pytest.mark.parametrize("change", [{"train": 0}, {"test": -3}, {"train": 10.0}, {"seed": -1}, {"seed": None}])
def test_bad_settings_are_refused(tmp_path, change):
    ((name, value),) = change.items()
    with pytest.raises(ValueError, match=rf"^strokes: {name} is {value}; it must be a whole number of at least [01]$"):
        strokes(**({"train": 10, "test": 10, "cache": tmp_path} | change))
    assert not list(tmp_path.iterdir())


def test_import_draws_and_compiles_nothing():
    code = (
        "import sys, numba.core.event as event\n"
        "with event.install_recorder('numba:compile') as recorder:\n"
        "    import minidl.data.strokes\n"
        "assert not recorder.buffer and 'matplotlib' not in sys.modules and 'scipy.interpolate' not in sys.modules\n"
    )
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root, env=os.environ | {"PYTHONPATH": str(root)})


# ---- the descriptions


@pytest.mark.parametrize("path", [path for digit in WAYS for _, path in WAYS[digit]])
def test_polyline_passes_the_points_that_the_description_names(path):
    glyph = read_glyph(path)
    assert len(glyph.controls) <= CONTROLS
    assert glyph.basis.shape == (POINTS, len(glyph.controls))
    assert len(glyph.pen_down) == POINTS - 1
    polyline = glyph.basis @ glyph.controls
    distance = np.hypot(*(polyline[:, None] - glyph.controls).transpose(2, 0, 1)).min(axis=0)
    assert distance.max() < 0.04  # hundredths of the height: half a step of the polyline, at most
    np.testing.assert_allclose(glyph.basis.sum(axis=1), 1)  # a moved description gives a moved digit
    assert np.sum(~glyph.pen_down) == path.count("/")
    steps = np.hypot(*np.diff(polyline, axis=0).T)[glyph.pen_down]
    assert steps.max() < 0.1  # no ink between two strokes


def test_corners_ends_and_pen_lifts_are_read():
    glyph = read_glyph("0,0 50,0! 50,100 / 25,50 75,50")
    polyline = glyph.basis @ glyph.controls
    np.testing.assert_array_equal(glyph.ends, [True, False, True, True, True])
    on_lines = (polyline[:, 1] == 0) | (polyline[:, 0] == 0.5) | (polyline[:, 1] == 0.5)
    assert on_lines.all()  # the corner is not rounded
    lift = np.flatnonzero(~glyph.pen_down)
    np.testing.assert_allclose(polyline[lift], [[0.5, 1]])
    np.testing.assert_allclose(polyline[lift + 1], [[0.25, 0.5]])


# ---- the ink, against the definition


def test_ink_is_the_distance_to_the_nearest_piece():
    rng = np.random.default_rng(0)
    n = 3
    path = rng.uniform(2, 26, (n, 6, 2)).astype(np.float32)
    pen = np.full((n, 6), 1.5, np.float32)
    pen_down = np.array([[True, True, False, True, True]] * n)
    softness = np.array([1, 1.4, 1.8], np.float32)
    images = np.zeros((n, 28, 28), np.uint8)
    strokes_module._ink[images.size](images, path, pen_down, pen, softness)

    pixels = np.stack(np.meshgrid(np.arange(28), np.arange(28)), axis=-1).reshape(-1, 1, 2)
    for i in range(n):
        a, b = path[i, :-1][pen_down[i]].astype(float), path[i, 1:][pen_down[i]].astype(float)
        share = ((pixels - a) * (b - a)).sum(axis=-1) / ((b - a) ** 2).sum(axis=-1)
        nearest = a + np.clip(share, 0, 1)[..., None] * (b - a)
        distance = np.hypot(*np.moveaxis(pixels - nearest, -1, 0)).min(axis=1)
        ink = np.clip(0.5 - (distance - 1.5) / softness[i], 0, 1).reshape(28, 28)
        assert np.abs(images[i] - 255 * ink).max() <= 1


def test_pen_gets_wider_along_a_piece_and_stops_at_the_edge_of_the_paper():
    path = np.array([[[-5, 14], [40, 14]]], np.float32)
    pen = np.array([[0.5, 5]], np.float32)
    images = np.zeros((1, 28, 28), np.uint8)
    strokes_module._ink[images.size](images, path, np.array([[True]]), pen, np.ones(1, np.float32))
    width = (images[0] / 255).sum(axis=0)
    np.testing.assert_allclose(width, 2 * (0.5 + 4.5 * (np.arange(28) + 5) / 45), atol=0.3)

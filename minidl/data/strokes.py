"""strokes: handwritten-looking digits that minidl draws itself, for when MNIST cannot be had.

Ten digits, several ways of writing each (`_glyphs.py`), and a new hand for every image, which trembles, bends, slants
and presses its pen in its own way. Like MNIST's, an image is 28×28 bytes, 0 for paper and 255 for ink, with a digit
that fills a box of 20×20 and has its centre of mass in the middle. `datasets/README.md` says how hard they are to read.
"""

import io
import os

import numpy as np

from minidl._numbers import check_whole
from minidl.data._glyphs import CONTROLS, POINTS, glyphs
from minidl.data._splits import Digits, Split
from minidl.data.cache import cache_dir, store
from minidl.kernels.jit import kernel, prange
from minidl.system.files import as_path
from minidl.system.progress import progress

__all__ = ["strokes"]

VERSION = 1  # of the digits: raise it with any change to them, so that no old cache is used

SIDE = 28  # of an image, in pixels
BOX = 20  # the larger side of a digit, in pixels
BLOCK = 5_000  # images drawn together, from a random stream of their own

# How much hands differ. Each is a standard deviation of a normal distribution cut off at two, or a range (from, to).
# Lengths are in heights of a digit, unless they are in pixels. Tuned until networks found the digits as hard as MNIST.
TREMBLE = 0.035  # of the points that the pen should pass
TREMBLE_ENDS = 0.05  # of those where it touches down and lifts
CARE = 0.3  # of the logarithm of a hand's own tremble, in shares of the above
WAVES, WAVE, BEND = 3, 3.0, 0.08  # a smooth distortion: how many sine waves, radians per height, push
STRETCH = 0.18  # of the logarithm of the width
LEAN, SLANT = 0.17, 0.25  # sideways per height: mean, deviation
TURN = 0.12  # radians
PEN = (0.85, 1.75)  # half the width of the line, in pixels
PRESSURE = (0, 0.25)  # how far the pen's width varies along the path, as a share
SOFTNESS = (1.0, 1.8)  # pixels from full ink to none, at the border of the line


def strokes(train: int = 60_000, test: int = 10_000, seed: int = 0, cache: str | os.PathLike | None = None) -> Digits:
    """Draw training and test digits in MNIST's format, about as hard to read as MNIST's.

    The same `seed` gives the same bits, on any number of threads; other seeds give other hands. The splits come from
    independent random streams, and in each the ten digits are shuffled and as frequent as one another. They are kept in
    the folder `cache` (default: `cache_dir()`) for the next time; if the folder does not serve, or the file in it is
    damaged, they are drawn anew.

    Returns `Digits`, whose `source` is "strokes"
    Shapes  images uint8 (train, 28, 28) and (test, 28, 28), 0 … 255; labels int64 (train,) and (test,)
    Errors  ValueError if `train` or `test` is not a whole number of at least 1, or `seed` not one of at least 0
    """
    for name, value, least in (("train", train, 1), ("test", test, 1), ("seed", seed, 0)):
        check_whole("strokes", name, value, least)
    folder = cache_dir() if cache is None else as_path("strokes", cache)
    file = folder / f"strokes-v{VERSION}-{train}-{test}-{seed}.npz"
    digits = _load(file, train, test)
    if digits is None:
        with progress(desc="drawing digits", total=train + test, unit="digit", delay=1) as bar:
            digits = Digits(_split(train, (seed, 0), bar), _split(test, (seed, 1), bar), "strokes")
        _save(file, digits)
    return digits


def _split(n, stream, bar):
    images, labels = np.zeros((n, SIDE, SIDE), np.uint8), np.empty(n, np.int64)
    for start in range(0, n, BLOCK):
        stop = min(start + BLOCK, n)
        rng = np.random.default_rng((*stream, start))
        labels[start:stop] = rng.permutation(np.arange(stop - start) % 10)
        _draw(images[start:stop], labels[start:stop], rng)
        bar.update(stop - start)
    return Split(images, labels)


def _draw(images, labels, rng):
    """Fill `images` (n, 28, 28) with a digit each, written by n hands."""
    n = len(images)
    path, pen_down = _write(labels, rng)
    path = _bend(path, rng) @ _hands(n, rng)
    pen = rng.uniform(*PEN, (n, 1)) * _pressure(n, rng)
    path = _centre(path, pen_down, pen)
    softness = rng.uniform(*SOFTNESS, n)
    _ink[images.size](images, path.astype(np.float32), pen_down, pen.astype(np.float32), softness.astype(np.float32))


def _write(labels, rng):
    """For each label the pen's path (n, POINTS, 2), one of the ways to write it with trembling points, and pen_down."""
    n = len(labels)
    path, pen_down = np.empty((n, POINTS, 2)), np.empty((n, POINTS - 1), bool)
    choice, tremble = rng.random(n), _tremble(n, rng)
    for digit in range(10):
        odds, ways = glyphs(digit)
        chosen = np.searchsorted(np.cumsum(odds)[:-1], choice)
        for i, way in enumerate(ways):
            writers = np.flatnonzero((labels == digit) & (chosen == i))
            size = np.where(way.ends, TREMBLE_ENDS, TREMBLE)[:, None]
            path[writers] = way.basis @ (way.controls + size * tremble[writers, : len(way.controls)])
            pen_down[writers] = way.pen_down
    return path, pen_down


def _tremble(n, rng):
    """Offsets (n, CONTROLS, 2) of about unit variance; neighbours go alike, or else round digits would look chipped."""
    free = _normal(rng, n, CONTROLS + 2, 2)
    smooth = (free[:, :-2] + 2 * free[:, 1:-1] + free[:, 2:]) / np.sqrt(6)
    return smooth * np.exp(CARE * _normal(rng, n, 1, 1))


def _bend(path, rng):
    """Distort the paper under each path by slow sine waves, which push in one direction and run in another."""
    n = len(path)
    bent = path.copy()
    for _ in range(WAVES):
        way, phase = rng.uniform(0, 2 * np.pi, (2, n, 1, 1))
        run = WAVE * np.concatenate([np.cos(way), np.sin(way)], axis=1)
        bent += BEND * _normal(rng, n, 1, 2) * np.sin(path @ run + phase)
    return bent


def _hands(n, rng):
    """Matrices (n, 2, 2) that stretch, slant and turn row vectors (x, y), y downwards."""
    stretch, slant = np.exp(STRETCH * _normal(rng, n)), LEAN + SLANT * _normal(rng, n)
    angle = TURN * _normal(rng, n)
    cos, sin = np.cos(angle), np.sin(angle)
    italic = np.array([[stretch, np.zeros(n)], [-slant, np.ones(n)]])
    turn = np.array([[cos, sin], [-sin, cos]])
    return np.einsum("ijn,jkn->nik", italic, turn)


def _pressure(n, rng):
    """The pen's width (n, POINTS) along the path, relative to its mean: a slow wave."""
    wave = np.linspace(0, 2 * np.pi, POINTS) * rng.uniform(0.5, 1.5, (n, 1)) + rng.uniform(0, 2 * np.pi, (n, 1))
    return 1 + rng.uniform(*PRESSURE, (n, 1)) * np.sin(wave)


def _normal(rng, *shape):
    """Normal variates cut off at two deviations: hands differ, but nobody writes what cannot be read."""
    return np.clip(rng.standard_normal(shape), -2, 2)


def _centre(path, pen_down, pen):
    """Scale each path, with its pen, to the box, and move its centre of mass to the middle of the image, in pixels."""
    extent = np.ptp(path, axis=1).max(axis=1)
    path = path * ((BOX - 2 * pen.max(axis=1)) / extent)[:, None, None]
    weight = np.hypot(*np.moveaxis(np.diff(path, axis=1), 2, 0)) * pen_down * pen[:, 1:]
    middles = (path[:, 1:] + path[:, :-1]) / 2
    centre = np.einsum("np,npc->nc", weight, middles) / weight.sum(axis=1)[:, None]
    return path + (SIDE / 2 - centre)[:, None]


@kernel(cost=50)
def _ink(images, path, pen_down, pen, softness):
    """Draw each path into its image: a pixel is as dark as its distance to the line says.

    Each piece of the polyline is a capsule whose radius goes evenly from pen[i] to pen[i + 1].
    """
    for n in prange(images.shape[0]):
        image, xy, radius, soft = images[n], path[n], pen[n], softness[n]
        height, width = image.shape
        for i in range(pen_down.shape[1]):
            if not pen_down[n, i]:
                continue
            ax, ay = xy[i, 0], xy[i, 1]
            dx, dy = xy[i + 1, 0] - ax, xy[i + 1, 1] - ay
            length2 = dx * dx + dy * dy + 1e-12  # a corner is two points in one place
            reach = max(radius[i], radius[i + 1]) + soft / 2
            left, right = max(0, int(min(ax, ax + dx) - reach)), min(width, int(max(ax, ax + dx) + reach) + 2)
            top, bottom = max(0, int(min(ay, ay + dy) - reach)), min(height, int(max(ay, ay + dy) + reach) + 2)
            for y in range(top, bottom):
                for x in range(left, right):
                    px, py = x - ax, y - ay
                    t = min(max((px * dx + py * dy) / length2, 0.0), 1.0)
                    outside = np.sqrt((px - t * dx) ** 2 + (py - t * dy) ** 2)
                    outside -= radius[i] + t * (radius[i + 1] - radius[i])
                    ink = min(max(0.5 - outside / soft, 0.0), 1.0)
                    image[y, x] = max(image[y, x], np.uint8(255 * ink + 0.5))


def _load(file, train, test):
    """The digits in `file`, or None if it is missing, damaged or something else."""
    try:
        with open(file, "rb") as opened, np.load(opened, allow_pickle=False) as data:
            digits = Digits(*(Split(data[f"{s}_images"], data[f"{s}_labels"]) for s in ("train", "test")), "strokes")
    except Exception:  # a damaged zip file has many ways to fail
        return None
    for split, n in zip(digits, (train, test), strict=True):
        if split.images.shape != (n, SIDE, SIDE) or split.labels.shape != (n,):
            return None
        if split.images.dtype != np.uint8 or split.labels.dtype != np.int64:
            return None
    return digits


def _save(file, digits):
    """Keep the digits in `file`; where that cannot be done, they are drawn anew next time."""
    arrays = {"train_images": digits.train.images, "train_labels": digits.train.labels}
    arrays |= {"test_images": digits.test.images, "test_labels": digits.test.labels}
    content = io.BytesIO()
    np.savez(content, **arrays)
    store(file, content.getvalue())

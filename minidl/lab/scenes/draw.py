"""Scenes of several digits, drawn from any digits by seed: 64×64 pixels, with overlaps, scraps of other digits, and noise.

Everything is computed in whole numbers, so that a seed gives the same bytes on any machine.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from minidl._numbers import check_whole

__all__ = ["SIDE", "Objects", "Scenes", "check_objects", "draw_scenes"]

SIDE = 64  # of a scene, in pixels
INK = 128  # a pixel of a digit belongs to it from this value on
LARGEST = 28  # side of a digit, in pixels
SCRAP = 9  # side of the pieces of other digits, in pixels
PLACES = 6  # that are tried for each object: the one farthest from all others is taken
PAPER, PEN, NOISE = (0, 97), (160, 256), 16  # brightness: of the background, of a digit (half-open), and its noise (±)


class Objects(NamedTuple):
    """Things in images, all images together: M rows, of true objects or of those that a network found.

    scene   (M,) the number of the image
    label   (M,) the class, from 0
    box     (M, 4) float32: top, left, bottom, right, in pixels from the top left corner of the image
    score   (M,) float32: how sure it is; 1 for true objects
    """

    scene: np.ndarray
    label: np.ndarray
    box: np.ndarray
    score: np.ndarray

    @property
    def centre(self) -> np.ndarray:
        """The middle of each box (M, 2): down, across, in pixels."""
        return (self.box[:, :2] + self.box[:, 2:]) / 2


@dataclass(frozen=True, eq=False, repr=False)
class Scenes:
    """Images of several digits, and what is in them.

    images    (N, 64, 64, 1) uint8, light digits on a darker ground
    masks     (N, 64, 64) uint8: 0 where there is background, 1 + class where there is a digit, the upper one if they cross
    objects   `Objects`: box and class of every digit, also of parts that others hide; the later ones of a scene lie above
    classes   the digit that each class is
    """

    images: np.ndarray
    masks: np.ndarray
    objects: Objects
    classes: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        return f"Scenes({len(self)} of {SIDE}×{SIDE}, {len(self.objects.scene)} digits, classes {self.classes})"

    def take(self, chosen: Any) -> "Scenes":
        """Return some of the scenes, in the order of their numbers in `chosen`; objects come along.

        Errors  ValueError for other than a list of scenes' numbers
        """
        chosen = np.asarray(chosen)
        if chosen.ndim != 1 or (chosen.dtype.kind not in "iu" and chosen.size):
            raise ValueError(
                f"Scenes.take: chosen is {chosen.dtype} {chosen.shape}; it must be a list of whole numbers"
            )
        chosen = chosen.astype(np.int64)
        if chosen.size and not 0 <= chosen.min() <= chosen.max() < len(self):
            raise ValueError(
                f"Scenes.take: chosen runs from {chosen.min()} to {chosen.max()} but there are {len(self)} scenes; each "
                f"must be from 0 to {len(self) - 1}"
            )
        first = np.searchsorted(self.objects.scene, np.arange(len(self) + 1))
        count = np.diff(first)[chosen]
        new = np.repeat(np.arange(len(chosen)), count)
        rows = np.arange(len(new)) + np.repeat(first[chosen] - np.cumsum(count) + count, count)
        objects = self.objects._replace(scene=new, **{
            name: getattr(self.objects, name)[rows] for name in ("label", "box", "score")
        })  # fmt: skip
        return Scenes(self.images[chosen], self.masks[chosen], objects, self.classes)


def draw_scenes(
    digits: Any, count: int, seed: int = 0, *, classes: Sequence[int] = tuple(range(10)),
    objects: tuple[int, int] = (2, 5), sides: tuple[int, int] = (14, 26), scraps: int = 6,
) -> Scenes:  # fmt: skip
    """Draw scenes from digits: `draw_scenes(data.mnist().train, 1000, seed=1)`.

    A scene has a background of its own brightness, scraps of digits of any kind, and above them its objects, from the first
    to the last; then noise. A digit is cut out, and scaled so that its longer side is drawn from `sides`. Of a few random
    places the one that is farthest from the other centres is taken, so that digits overlap, but seldom hide each other.
    The scene's number alone, and the seed, decide how it looks: the first ten of 1,000 scenes are those of ten.

    digits    images (M, H, W) uint8, 0 for paper and 255 for ink, and labels (M,), as `data.mnist().train` has them
    count     scenes
    classes   the labels that objects may have, all equally often; scraps come from all digits
    objects   fewest and most in a scene
    sides     fewest and most pixels of a digit's longer side, at most 28
    scraps    in each scene
    Errors    TypeError and ValueError for what are no digits, for classes of which there are none, digits without ink, and
              numbers out of range
    """
    images, labels = _digits(digits)
    count, seed = check_whole("draw_scenes", "count", count), check_whole("draw_scenes", "seed", seed, 0)
    chosen, scraps = _classes(classes, labels), check_whole("draw_scenes", "scraps", scraps, 0)
    few, small = _span("objects", objects, 1, SIDE), _span("sides", sides, 4, LARGEST)
    members = [np.flatnonzero(labels == label) for label in chosen]
    pictures, masks = np.empty((count, SIDE, SIDE, 1), np.uint8), np.zeros((count, SIDE, SIDE), np.uint8)
    found = []
    for scene in range(count):
        rng = np.random.default_rng([seed, scene])
        picture = np.full((SIDE, SIDE), rng.integers(*PAPER), np.int64)
        for source, *where, pen in zip(*_scraps(rng, images, scraps), strict=True):
            _paint(picture, _window(images[source], *where[:2]), where[2:], pen)
        centres: list[tuple[int, int]] = []
        for _ in range(rng.integers(few[0], few[1] + 1)):
            kind = int(rng.integers(len(chosen)))
            source = members[kind][rng.integers(len(members[kind]))]
            ink = _resized(_cut(images[source], source), int(rng.integers(small[0], small[1] + 1)))
            corner = _place(rng, ink.shape, centres)
            own = 2 * ink >= min(ink.max(), 2 * INK)
            _paint(picture, ink, corner, int(rng.integers(*PEN)))
            _part(masks[scene], corner, ink.shape)[own] = kind + 1
            found.append((scene, kind, *_box(own, corner)))
        noise = rng.integers(-NOISE, NOISE + 1, picture.shape)
        pictures[scene, :, :, 0] = np.clip(picture + noise, 0, 255)
    table = np.array(found, np.int64)
    box, score = table[:, 2:].astype(np.float32), np.ones(len(table), np.float32)
    return Scenes(pictures, masks, Objects(table[:, 0], table[:, 1], box, score), chosen)


def _scraps(rng, images, scraps):
    """For each scrap: which digit, the corner of a window in it, its corner in the scene, and its brightness."""
    height, width = images.shape[1:]
    return (
        rng.integers(len(images), size=scraps),
        rng.integers(max(1, height - SCRAP + 1), size=scraps), rng.integers(max(1, width - SCRAP + 1), size=scraps),
        rng.integers(SIDE - SCRAP + 1, size=scraps), rng.integers(SIDE - SCRAP + 1, size=scraps),
        rng.integers(*PEN, size=scraps),
    )  # fmt: skip


def _window(image, top, left):
    return image[top : top + SCRAP, left : left + SCRAP].astype(np.int64)


def _part(canvas, corner, shape):
    """The part of a canvas that something with this corner and shape covers, as a view."""
    return canvas[corner[0] : corner[0] + shape[0], corner[1] : corner[1] + shape[1]]


def _paint(picture, ink, corner, pen):
    """Lay ink of a brightness over a part of the picture: where it is thin, what is below shows through."""
    part = _part(picture, corner, ink.shape)
    part += ((pen - part) * ink + 127) // 255


def _cut(image, number):
    """The box around a digit's ink, as whole numbers."""
    dark = image >= INK
    rows, columns = np.flatnonzero(dark.any(1)), np.flatnonzero(dark.any(0))
    if not len(rows):
        raise ValueError(
            f"draw_scenes: image {number} of the digits has no pixel of {INK} or more; digits must be light on dark, "
            "bytes from 0 to 255"
        )
    return image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.int64)


def _resized(ink, side):
    """Scale so that the longer side is `side`: a new pixel is the mean of what it covers, rounded up, so that ink stays."""
    height, width = ink.shape
    longer = max(height, width)
    new = tuple(max(1, (2 * side * size + longer) // (2 * longer)) for size in ink.shape)
    total = _cover(height, new[0]) @ ink @ _cover(width, new[1]).T
    return -(-total // (height * width))


@functools.lru_cache(maxsize=1024)
def _cover(old, new):
    """How much of each old pixel is in each new one (new, old), so that rows sum to `old`."""
    i, j = np.arange(new)[:, None], np.arange(old)
    return np.maximum(0, np.minimum((i + 1) * old, (j + 1) * new) - np.maximum(i * old, j * new))


def _place(rng, shape, centres):
    """The corner of an object: the random place that is farthest from all centres, to which its own is added."""
    corners = np.stack([rng.integers(SIDE - size + 1, size=PLACES) for size in shape], 1)
    middles = 2 * corners + shape  # twice the centre, to stay whole
    others = np.array(centres).reshape(-1, 2)
    far = ((middles[:, None] - others) ** 2).sum(-1).min(1) if len(others) else np.zeros(PLACES)
    best = int(np.argmax(far))
    centres.append(tuple(middles[best]))
    return corners[best]


def _box(own, corner):
    """Top, left, bottom, right of an object's own pixels, in the scene."""
    rows, columns = np.flatnonzero(own.any(1)), np.flatnonzero(own.any(0))
    return corner[0] + rows[0], corner[1] + columns[0], corner[0] + rows[-1] + 1, corner[1] + columns[-1] + 1


def check_objects(op: str, name: str, objects: Any, classes: int) -> Objects:
    """Check that these are Objects of so many classes, without NaN, and return them as arrays."""
    if not isinstance(objects, Objects):
        raise TypeError(f"{op}: {name} is a {type(objects).__name__}; it must be Objects(scene, label, box, score)")
    scene, label, box, score = objects = Objects(*map(np.asarray, objects))
    shapes, rows = [part.shape for part in objects], scene.size
    if shapes != [(rows,), (rows,), (rows, 4), (rows,)]:
        raise ValueError(
            f"{op}: {name} has scene, label, box and score of {', '.join(map(str, shapes))}; with M objects they must be "
            "(M,), (M,), (M, 4), (M,)"
        )
    kinds = [part.dtype.kind for part in objects]
    if kinds[0] not in "iu" or kinds[1] not in "iu" or kinds[2] not in "fiu" or kinds[3] not in "fiu":
        raise ValueError(
            f"{op}: {name} has scene, label, box and score of {', '.join(str(part.dtype) for part in objects)}; the first "
            "two must be whole numbers, the others numbers"
        )
    if rows and not (scene.min() >= 0 and 0 <= label.min() <= label.max() < classes):
        raise ValueError(
            f"{op}: the scenes of {name} begin at {scene.min()}, its labels run from {label.min()} to {label.max()}; scenes "
            f"must begin at 0 or above, labels be from 0 to {classes - 1}"
        )
    if np.isnan(box).any() or np.isnan(score).any():
        raise ValueError(f"{op}: {name} has boxes or scores that are NaN; such objects must be left out")
    return objects


# ---- checks --------------------------------------------------------------------------------------------------------------


def _digits(digits):
    try:
        images, labels = (np.asarray(part) for part in digits)
    except (TypeError, ValueError):
        raise TypeError(
            f"draw_scenes: digits are a {type(digits).__name__}; they must be images and labels: data.mnist().train"
        ) from None
    if images.dtype != np.uint8 or images.ndim != 3 or 0 in images.shape:
        raise ValueError(
            f"draw_scenes: the images of the digits are {images.dtype} {images.shape}; they must be bytes (M, H, W), at "
            "least one"
        )
    if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1]:
        raise ValueError(
            f"draw_scenes: the labels of the digits are {labels.dtype} {labels.shape}; they must be whole numbers "
            f"{images.shape[:1]}, one for each image"
        )
    return images, labels


def _classes(classes, labels):
    try:
        chosen = tuple(check_whole("draw_scenes", "a class", label, 0) for label in classes)
    except TypeError:
        raise ValueError(f"draw_scenes: classes is {classes!r}; it must be a list of labels") from None
    if not chosen or len(set(chosen)) != len(chosen) or len(chosen) > 255:
        raise ValueError(f"draw_scenes: classes are {chosen}; they must be from 1 to 255 different labels")
    missing = [label for label in chosen if not (labels == label).any()]
    if missing:
        raise ValueError(
            f"draw_scenes: no digit has the label {missing[0]}; classes must be among {np.unique(labels).tolist()}"
        )
    return chosen


def _span(name, value, least, most):
    """A pair of whole numbers, the first not above the second, both in a range."""
    try:
        low, high = (check_whole("draw_scenes", name, number, least) for number in value)
    except (TypeError, ValueError):
        low, high = 1, 0
    if not low <= high <= most:
        raise ValueError(
            f"draw_scenes: {name} is {value!r}; it must be a pair of whole numbers from {least} to {most}, fewest and most"
        )
    return low, high

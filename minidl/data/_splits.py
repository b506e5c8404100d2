"""What every dataset hands out: a training split, a test split and the name of where they came from."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


class Split(NamedTuple):
    """Images with their labels: `images` uint8, digits (N, 28, 28) or photographs (N, 32, 32, 3); `labels` int64 (N,)."""

    images: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True, eq=False, repr=False)
class Digits:
    """A dataset of digits, 0 for paper and 255 for ink; unpacks as `(x, y), (x_test, y_test) = digits`.

    `source` names what was really loaded ("mnist", "strokes" or the name of the user's folder), so that a result
    can say which digits it was measured on.
    """

    train: Split
    test: Split
    source: str

    def __iter__(self) -> Iterator[Split]:
        return iter((self.train, self.test))

    def __repr__(self) -> str:
        return f"Digits({self.source}: train {self.train.images.shape}, test {self.test.images.shape})"


@dataclass(frozen=True, eq=False, repr=False)
class Photos:
    """A dataset of small photographs; unpacks as `(x, y), (x_test, y_test) = photos`.

    `source` names what was really loaded, as that of `Digits` does. `classes` names the labels: `classes[y[0]]`. For
    CIFAR-100, `coarse` is the same dataset with its 20 coarse labels: the images are shared. Otherwise it is None.
    """

    train: Split
    test: Split
    source: str
    classes: tuple[str, ...]
    coarse: "Photos | None" = None

    def __iter__(self) -> Iterator[Split]:
        return iter((self.train, self.test))

    def __repr__(self) -> str:
        shapes = f"train {self.train.images.shape}, test {self.test.images.shape}"
        return f"Photos({self.source}: {shapes}, {len(self.classes)} classes)"

"""What every digit dataset hands out: a training split, a test split and the name of where they came from."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


class Split(NamedTuple):
    """Images with their labels: `images` uint8 (N, 28, 28), 0 is paper and 255 is ink; `labels` int64 (N,)."""

    images: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True, eq=False, repr=False)
class Digits:
    """A dataset of digits; unpacks as `(x, y), (x_test, y_test) = digits`.

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

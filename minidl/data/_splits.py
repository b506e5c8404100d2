"""What every dataset hands out: a training split, a test split and the name of where they came from."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike


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


@dataclass(frozen=True, eq=False, repr=False)
class Text:
    """A text as numbers of its characters; unpacks as `train, validation, test = text`.

    train, validation, test    int64 (N,): the first 90 % of the text, the next 5 %, the rest
    characters                 all characters of the text in the order of their numbers: characters[train[0]]
    source                     what was really loaded, as that of `Digits`
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    characters: str
    source: str

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter((self.train, self.validation, self.test))

    def encode(self, text: str) -> np.ndarray:
        """Return the numbers of a text's characters, int64 (N,).

        Errors  TypeError for what is no text; ValueError for characters that this text has not
        """
        if not isinstance(text, str):
            raise TypeError(f"Text.encode: got a {type(text).__name__}; it must be a text")
        return _numbers_of(text, self.characters)

    def decode(self, numbers: ArrayLike) -> str:
        """Return the text of which these are the numbers.

        Errors  TypeError for numbers that are not whole; ValueError for numbers that no character has
        """
        given = np.asarray(numbers)
        if given.dtype.kind not in "iu" and given.size:
            raise TypeError(f"Text.decode: numbers are {given.dtype}; they must be whole numbers, a character each")
        if given.size and not 0 <= given.min() <= given.max() < len(self.characters):
            raise ValueError(
                f"Text.decode: numbers run from {given.min()} to {given.max()} and there are {len(self.characters)} "
                f"characters; numbers must be from 0 to {len(self.characters) - 1}"
            )
        table = np.array(list(self.characters))
        return "".join(table[given.reshape(-1).astype(np.int64)])

    def __repr__(self) -> str:
        parts = " / ".join(f"{len(part):,}" for part in self)
        return f"Text({self.source}: train / validation / test {parts}, {len(self.characters)} characters)"


def split_text(text: str, source: str) -> Text:
    """Number the characters of a text in the order of their code points, and split it by position."""
    characters = "".join(sorted(set(text)))
    numbers, (first, second) = _numbers_of(text, characters), (len(text) * 9 // 10, len(text) * 19 // 20)
    return Text(numbers[:first], numbers[first:second], numbers[second:], characters, source)


def _numbers_of(text, characters):
    """Look up characters by their code points."""
    points, known = (np.frombuffer(given.encode("utf-32-le", "surrogatepass"), "<u4") for given in (text, characters))
    numbers = np.searchsorted(known, points)
    strange = points[known[np.minimum(numbers, len(known) - 1)] != points]
    if strange.size:
        raise ValueError(
            f"Text.encode: the text has no {chr(strange[0])!r}; it must be made of its {len(characters)} characters"
        )
    return numbers.astype(np.int64)

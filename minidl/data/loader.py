"""Batches: DataLoader cuts arrays into them, in a new random order each epoch; draws has no epochs."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from minidl._numbers import check_bool, check_whole
from minidl.random import as_generator

__all__ = ["DataLoader", "draws"]


class DataLoader:
    """Batches of one or more arrays of equal length: `for images, labels in DataLoader(images, labels, batch_size=60)`.

    arrays      arrays or tensors, each of shape (N, …); a batch holds the same examples of each
    batch_size  examples in a batch
    shuffle     a new permutation each epoch (each time one iterates), from `generator`
    drop_last   leave out a last batch that is not full; else it is smaller
    Yields      a tuple of arrays, or with one array just the array; copies, which may be written to
    Errors      ValueError for arrays of different or no length, and a batch size below 1; TypeError for what is no array
    """

    def __init__(
        self, *arrays: Any, batch_size: int = 1, shuffle: bool = False, drop_last: bool = False,
        generator: np.random.Generator | None = None,
    ):  # fmt: skip
        self.arrays = tuple(_as_array(a, place) for place, a in enumerate(arrays, 1))
        lengths = [len(a) for a in self.arrays]
        if len(set(lengths)) != 1 or lengths[0] == 0:
            raise ValueError(f"DataLoader: the arrays have lengths {lengths}; they must be equal, and not 0")
        batch_size = check_whole("DataLoader", "batch_size", batch_size)
        check_bool("DataLoader", "shuffle", shuffle)
        check_bool("DataLoader", "drop_last", drop_last)
        if drop_last and batch_size > lengths[0]:
            raise ValueError(
                f"DataLoader: no batch of {batch_size} fits into {lengths[0]} examples, and drop_last leaves none; take a "
                "smaller batch_size"
            )
        as_generator(generator)  # a wrong one is refused now, not in the first epoch
        self.batch_size, self.shuffle = batch_size, shuffle
        self.drop_last, self.generator = drop_last, generator

    def __len__(self) -> int:
        """Batches in an epoch."""
        n = len(self.arrays[0])
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        order = None
        if self.shuffle:
            order = as_generator(self.generator).permutation(len(self.arrays[0]))
        for i in range(len(self)):
            part = slice(i * self.batch_size, (i + 1) * self.batch_size)
            if order is None:
                batch = tuple(a[part].copy() for a in self.arrays)  # not views, through which the data could change
            else:
                batch = tuple(a[order[part]] for a in self.arrays)
            yield batch if len(batch) > 1 else batch[0]


def _as_array(given, place):
    """Return an argument of a DataLoader as an array of examples; check that it is one, and only one."""
    if isinstance(given, tuple | list) and any(getattr(part, "ndim", 0) for part in given):
        raise TypeError(
            f"DataLoader: argument {place} is a {type(given).__name__} of {len(given)} arrays; pass inputs and targets as "
            "two arguments, DataLoader(x, y), and a list of examples as one array, np.stack(examples)"
        )
    array = np.asarray(given)
    if not array.ndim:
        raise TypeError(
            f"DataLoader: argument {place} is {_short(given)}, not an array of examples; pass arrays, and settings by "
            "name, such as batch_size=64"
        )
    return array


def _short(value):
    return repr(value)[:40] if isinstance(value, int | float | str) else f"a {type(value).__name__}"


def draws(*arrays: Any, batch_size: int, generator: np.random.Generator | None = None) -> Iterator[Any]:
    """Yield batches forever, each drawn at random from all examples: `for images, labels in islice(draws(…), steps)`.

    arrays      arrays of equal length; a batch holds the same examples of each, some perhaps twice
    batch_size  examples in a batch
    generator   equal generators give equal batches
    Yields      a tuple of arrays, or with one array just the array
    Errors      those of DataLoader
    """
    arrays = DataLoader(*arrays, batch_size=batch_size).arrays
    return _endless(arrays, batch_size, as_generator(generator))


def _endless(arrays, batch_size, generator):
    while True:
        chosen = generator.integers(0, len(arrays[0]), batch_size)
        batch = tuple(a[chosen] for a in arrays)
        yield batch if len(batch) > 1 else batch[0]

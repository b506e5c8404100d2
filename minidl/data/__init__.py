"""Data: MNIST, digits that minidl draws itself, the IDX file format, batches, and augmentation."""

from minidl.data.augment import alternating_flip, cutout, random_flip, random_shift
from minidl.data.cache import cache_dir
from minidl.data.idx import DataError, read_idx
from minidl.data.loader import DataLoader, draws
from minidl.data.mnist import mnist
from minidl.data.strokes import strokes

__all__ = ["DataError", "DataLoader", "alternating_flip", "cache_dir", "cutout", "draws", "mnist", "random_flip",
           "random_shift", "read_idx", "strokes"]  # fmt: skip

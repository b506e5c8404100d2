"""Data: MNIST, digits that minidl draws itself, the IDX file format, and batches."""

from minidl.data.cache import cache_dir
from minidl.data.idx import DataError, read_idx
from minidl.data.loader import DataLoader, draws
from minidl.data.mnist import mnist
from minidl.data.strokes import strokes

__all__ = ["DataError", "DataLoader", "cache_dir", "draws", "mnist", "read_idx", "strokes"]

"""Data: MNIST, digits that minidl draws itself, CIFAR-10 and CIFAR-100, their file formats, and batches."""

from minidl.data.cache import cache_dir
from minidl.data.cifar import cifar10, cifar100
from minidl.data.cifar_file import read_cifar
from minidl.data.idx import DataError, read_idx
from minidl.data.loader import DataLoader, draws
from minidl.data.mnist import mnist
from minidl.data.strokes import strokes

__all__ = [
    "DataError",
    "DataLoader",
    "cache_dir",
    "cifar10",
    "cifar100",
    "draws",
    "mnist",
    "read_cifar",
    "read_idx",
    "strokes",
]

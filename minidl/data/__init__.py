"""Data: MNIST, digits that minidl draws itself, CIFAR-10 and CIFAR-100, their file formats, batches, and augmentation."""

from minidl.data.augment import alternating_flip, cutout, random_flip, random_shift
from minidl.data.cache import cache_dir
from minidl.data.cifar import cifar10, cifar100
from minidl.data.cifar_file import read_cifar
from minidl.data.idx import DataError, read_idx
from minidl.data.loader import DataLoader, draws
from minidl.data.mnist import mnist
from minidl.data.strokes import strokes

__all__ = ["DataError", "DataLoader", "alternating_flip", "cache_dir", "cifar10", "cifar100", "cutout", "draws", "mnist",
           "random_flip", "random_shift", "read_cifar", "read_idx", "strokes"]  # fmt: skip

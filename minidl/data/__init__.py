"""Data: MNIST, digits that minidl draws itself, CIFAR, two graphs, a text, file formats, batches, and augmentation."""

from minidl.data._splits import Text
from minidl.data.augment import alternating_flip, cutout, random_flip, random_shift
from minidl.data.cache import cache_dir
from minidl.data.cifar import cifar10, cifar100
from minidl.data.cifar_file import read_cifar
from minidl.data.graphs import Graph, citeseer, cora, read_graph
from minidl.data.idx import DataError, read_idx
from minidl.data.loader import DataLoader, draws
from minidl.data.mnist import mnist
from minidl.data.shakespeare import docstrings, shakespeare
from minidl.data.strokes import strokes

__all__ = ["DataError", "DataLoader", "Graph", "Text", "alternating_flip", "cache_dir", "cifar10", "cifar100", "citeseer",
           "cora", "cutout", "docstrings", "draws", "mnist", "random_flip", "random_shift", "read_cifar", "read_graph",
           "read_idx", "shakespeare", "strokes"]  # fmt: skip

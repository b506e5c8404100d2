"""A little dataset for the command line."""

import gzip
import struct

import numpy as np
import pytest


def write_idx(path, array):
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    path.write_bytes(gzip.compress(header + array.astype(np.uint8).tobytes()))


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Four IDX files of blurred bars: the label says where the bar is."""
    folder = tmp_path_factory.mktemp("bars")
    generator = np.random.default_rng(0)
    for name, n in (("train", 200), ("t10k", 50)):
        labels = generator.integers(0, 10, n)
        images = generator.integers(0, 100, (n, 28, 28))
        for image, label in zip(images, labels, strict=True):
            image[:, 2 + 2 * label : 5 + 2 * label] += 150
        write_idx(folder / f"{name}-images-idx3-ubyte.gz", images)
        write_idx(folder / f"{name}-labels-idx1-ubyte.gz", labels)
    return folder

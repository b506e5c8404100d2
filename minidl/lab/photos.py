"""Photographs for the recipe: CIFAR's, with a part of the training images held out if asked; or made-up pictures.

The pictures are for trying things where there is no CIFAR: ten kinds of coloured patterns, in files of CIFAR-10's format,
which are read like real ones.
"""

import tempfile
from pathlib import Path

import numpy as np

from minidl.data import cifar10, cifar100
from minidl.data._splits import Photos, Split

__all__ = ["DATASETS", "MADE_UP", "first_ones", "hold_out", "made_up", "write_made_up"]

DATASETS = {"cifar10": cifar10, "cifar100": cifar100}
MADE_UP = "made-up pictures"  # their source


def hold_out(split, count):
    """Hold out so many of a split's images, drawn at random and always the same ones; returns (the others, those)."""
    order = np.random.default_rng(2015).permutation(len(split.labels))
    held, rest = np.split(order, [count])
    return tuple(Split(split.images[part], split.labels[part]) for part in (rest, held))


def first_ones(photos, train, test):
    """Return a dataset with only the first so many of its images."""
    parts = [Split(s.images[:n], s.labels[:n]) for s, n in zip(photos, (train, test), strict=True)]
    return Photos(*parts, photos.source, photos.classes)


def made_up(train=5000, test=1000):
    """Return ten kinds of made-up pictures as `data.cifar10` reads them."""
    with tempfile.TemporaryDirectory() as folder:
        inner = Path(folder, MADE_UP)
        inner.mkdir()
        write_made_up(inner, train, test)
        return cifar10(inner)


def write_made_up(folder, train, test, seed=0):
    """Write the six files of CIFAR-10 with so many made-up pictures; a fifth of the training ones in each of five."""
    counts = {f"data_batch_{i + 1}": len(part) for i, part in enumerate(np.array_split(np.arange(train), 5))}
    for place, (name, count) in enumerate([*counts.items(), ("test_batch", test)]):
        labels, images = _draw(np.random.default_rng([seed, place]), count)
        records = np.concatenate([labels[:, None], images.transpose(0, 3, 1, 2).reshape(count, -1)], axis=1)
        Path(folder, f"{name}.bin").write_bytes(records.astype(np.uint8).tobytes())


_COLOURS = np.array([(220, 60, 50), (60, 180, 75), (50, 90, 220), (230, 190, 40), (150, 60, 190)])


def _draw(generator, n):
    """Draw labels (n,) and images (n, 32, 32, 3): five colours of stripes, lying or standing, in noise.

    Shifting and mirroring, which training does, leaves a picture in its class.
    """
    labels = generator.integers(0, 10, n)
    phase, wave = generator.uniform(0, 2 * np.pi, (n, 1)), generator.uniform(4, 9, (n, 1))
    stripes = 0.5 + 0.5 * np.sin(2 * np.pi * np.arange(32) / wave + phase)
    lying = (labels % 2 == 0)[:, None, None]
    pattern = np.where(lying, stripes[:, :, None], stripes[:, None, :])[..., None]
    ground = generator.uniform(40, 215, (n, 1, 1, 1))
    images = ground + (_COLOURS[labels // 2][:, None, None] - ground) * pattern
    return labels, (images + generator.normal(0, 40, images.shape)).clip(0, 255)

"""Photographs for the trained claims: one split of CIFAR-10's training images, and batches that are distorted at random."""

import functools
from typing import NamedTuple

import numpy as np

from minidl.data import random_flip, random_shift
from minidl.lab.paper._training import epochs, raw

__all__ = ["DISTORTIONS", "Pictures", "batches", "split"]

DISTORTIONS = {"strong": 0.4, "weak": 0.1}  # of contrast and colour, in standard deviations of all pixels
SHIFT = 4  # pixels


class Pictures(NamedTuple):
    """Bytes and labels for training; for choosing settings and for the measure, and for the ensembles, ready for a network.

    x                (N, 32, 32, 3) uint8; `ready` makes of them what a network takes
    mean, std        (3,) of each colour over the training images
    """

    x: np.ndarray
    y: np.ndarray
    x_validation: np.ndarray
    y_validation: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    mean: np.ndarray
    std: np.ndarray

    def ready(self, images):
        """Turn bytes into numbers of mean 0 and variance 1 in each colour, float32."""
        return _standard(images, self.mean, self.std)


@functools.lru_cache(maxsize=1)
def split(photos):
    """Split off a tenth of the training images, 5,000 of CIFAR-10's, for validation: always the same, drawn at random."""
    (x, y), (x_validation, y_validation), (x_test, y_test) = raw(photos, 10)
    mean, std = (np.float32(f(x, axis=(0, 1, 2), dtype=np.float64)) for f in (np.mean, np.std))
    return Pictures(
        x, y, _standard(x_validation, mean, std), y_validation, _standard(x_test, mean, std), y_test, mean, std
    )


def _standard(images, mean, std):
    return (images.astype(np.float32) - mean) / std


def batches(data, size, seed, reshuffled, distortion):
    """Yield batches (images, labels) forever: mirrored at random, moved by up to four pixels, distorted.

    reshuffled   whether each epoch draws its batches anew; else they keep their members, and come in a new order
    distortion   "strong" or "weak": how much contrast and colours change
    Equal seeds give equal images in equal order, also with another distortion, which is then in proportion.
    """
    order, noise = (np.random.default_rng([seed, part]) for part in (1, 2))
    for chosen in epochs(len(data.y), size, reshuffled, order):
        images = random_shift(random_flip(data.x[chosen], noise), SHIFT, noise)
        yield _distorted(data.ready(images), DISTORTIONS[distortion], noise), data.y[chosen]


def _distorted(images, strength, generator):
    """Multiply each image by a factor near 1, and add a number near 0 to each of its colours."""
    n, draw = len(images), generator.uniform(-strength, strength, (len(images), 4)).astype(np.float32)
    return images * (1 + draw[:, :1]).reshape(n, 1, 1, 1) + draw[:, 1:].reshape(n, 1, 1, 3)

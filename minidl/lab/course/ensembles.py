"""Lesson 14: the mean of members' probabilities, how far members are from it, and what more of them are worth."""

import numpy as np

from minidl import functional as F
from minidl.tensor import Tensor

__all__ = ["ambiguity", "average", "expected_gain", "squared_error"]


def average(logits: np.ndarray) -> np.ndarray:
    """Return the class probabilities of an ensemble: the mean of its members' probabilities.

    logits   (members, images, classes); the result is (images, classes)
    Source   Ioffe and Szegedy 2015, §4.2.3
    """
    return F.softmax(Tensor(logits)).data.mean(0)


def squared_error(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean over all images of Σ (p − t)² over the classes, where t is 1 for the right class and 0 for others.

    probabilities   (…, images, classes)
    labels          (images,), integers
    Source          Brier 1950, "Verification of Forecasts Expressed in Terms of Probability"
    """
    target = np.eye(probabilities.shape[-1])[labels]
    return float(np.square(probabilities - target).sum(-1).mean())


def ambiguity(probabilities: np.ndarray) -> float:
    """Return the mean squared distance of members from their mean: by so much less is the squared error of the mean.

    probabilities   (members, images, classes)
    Source          Krogh and Vedelsby 1995, "Neural Network Ensembles, Cross Validation, and Active Learning"
    """
    return float(np.square(probabilities - probabilities.mean(0)).sum(-1).mean())


def expected_gain(pair: float, k: int) -> float:
    """Return by how much less the squared error of k members is than that of one: 2(1 − 1/k) · pair.

    pair   the same for two members
    """
    return 2 * (1 - 1 / k) * pair

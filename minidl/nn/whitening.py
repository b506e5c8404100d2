"""`init.whitening_`: filters for a first convolution that make what follows see uncorrelated numbers of equal size."""

from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike

from minidl._numbers import check_between
from minidl.kernels.matmul import matmul
from minidl.nn.parameter import set_numbers
from minidl.tensor import Tensor

T = TypeVar("T", bound=Tensor)

__all__ = ["whitening_"]

_AT_ONCE = 100  # images whose patches are in memory together


def whitening_(tensor: T, images: ArrayLike, eps: float = 5e-4) -> T:
    """Make a convolution (kh, kw, C, O) that whitens the patches of images like these.

    Maths     S = Σ(p − mean)·(p − mean)ᵀ / m over all patches p (kh·kw·C numbers) = U·diag(λ)·Uᵀ;  filter i = uᵢ / √(λᵢ + ε)
              So outputs are uncorrelated, each with variance λᵢ / (λᵢ + ε): about 1, and less where patches hardly differ
    Order     λ falls; the sign makes each uᵢ's largest number positive. With O = 2·kh·kw·C the same filters follow,
              negated: ReLU or GELU then keeps both sides
    images    (N, H, W, C), as the network gets them, normalised; some thousands are enough
    eps       in units of a pixel's variance: keeps directions without variance from being blown up
    Frozen    if you say so: `layer.weight.requires_grad = False`. The bias, which may be trained, takes the mean
    Errors    ValueError for a tensor, images or eps that do not fit
    Source    Page 2018, "How to Train Your ResNet 8"; Jordan 2024 for the negated half
    """
    images = np.asarray(images)
    patches = _checked(tensor, images, eps)
    height, width = tensor.shape[:2]
    centre = images.mean((0, 1, 2), np.float64)
    total, square = np.zeros(patches), np.zeros((patches, patches))
    for first in range(0, len(images), _AT_ONCE):
        some = images[first : first + _AT_ONCE] - centre
        windows = np.lib.stride_tricks.sliding_window_view(some, (height, width), (1, 2))  # (…, C, kh, kw)
        rows = np.ascontiguousarray(windows.transpose(0, 1, 2, 4, 5, 3)).reshape(-1, patches)
        total += rows.sum(0)
        square += matmul(rows.T, rows)
    count = len(images) * (images.shape[1] - height + 1) * (images.shape[2] - width + 1)
    covariance = square / count - np.outer(total, total) / count**2
    values, vectors = np.linalg.eigh(covariance)
    values, vectors = np.maximum(values[::-1], 0), vectors[:, ::-1]
    if eps == 0 and values[-1] <= 1e-12 * values[0]:
        raise ValueError(
            f"whitening_: eps is 0, and the patches of {len(images)} images do not differ in every direction; eps must be "
            "above 0"
        )
    largest = vectors[np.abs(vectors).argmax(0), np.arange(patches)]
    filters = vectors * np.sign(largest) / np.sqrt(values + eps)
    if tensor.shape[-1] == 2 * patches:
        filters = np.concatenate((filters, -filters), axis=1)
    return set_numbers(tensor, filters.reshape(tensor.shape))


def _checked(tensor, images, eps):
    """Return how many numbers a patch has; check that everything fits."""
    if not isinstance(tensor, Tensor) or tensor.ndim != 4:
        what = tensor.shape if isinstance(tensor, Tensor) else f"a {type(tensor).__name__}"
        raise ValueError(f"whitening_: the tensor is {what}; it must be a convolution's weight, (kh, kw, C, O)")
    height, width, channels, out = tensor.shape
    patches = height * width * channels
    if out not in (patches, 2 * patches):
        raise ValueError(
            f"whitening_: the tensor is {tensor.shape}; its last size must be {patches}, one filter for each number of a "
            f"patch, or {2 * patches} for both signs"
        )
    fits = images.ndim == 4 and images.dtype.kind in "iuf" and images.shape[3] == channels and len(images)
    if not fits or images.shape[1] < height or images.shape[2] < width:
        raise ValueError(
            f"whitening_: the tensor is {tensor.shape} and images are {images.dtype} of shape {images.shape}; they must be "
            f"numbers (N, H, W, {channels}), at least one image and none smaller than a filter"
        )
    if not np.isfinite(images).all():
        raise ValueError("whitening_: images hold NaN or infinite numbers; all must be finite")
    check_between("whitening_", "eps", eps, 0)
    return patches

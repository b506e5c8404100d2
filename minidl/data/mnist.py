"""MNIST: 60,000 + 10,000 handwritten digits of 28 × 28 pixels (LeCun, Cortes and Burges).

The files come from a folder of yours, from minidl's cache, or from the internet; without any of the three, minidl
draws digits itself (`strokes`).
"""

import hashlib
import io
import os
import threading
from collections.abc import Mapping, Sequence, Set
from typing import Any

import numpy as np

from minidl._numbers import check_bool
from minidl.data._download import DownloadError, RemoteFile
from minidl.data._files import DataError
from minidl.data._sources import Folder, folder_name, named_folder, originals
from minidl.data._splits import Digits, Split
from minidl.data.idx import parse_idx, read_idx
from minidl.data.strokes import strokes
from minidl.system.terminal import note

_MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")

# The order of the four files here is their order everywhere below.
_FILES = (
    RemoteFile(
        "train-images-idx3-ubyte.gz", 9_912_422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"
    ),
    RemoteFile(
        "train-labels-idx1-ubyte.gz", 28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"
    ),
    RemoteFile(
        "t10k-images-idx3-ubyte.gz", 1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"
    ),
    RemoteFile("t10k-labels-idx1-ubyte.gz", 4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
)

# Of the pixels and labels themselves, which know MNIST however its files are packed.
_VALUES_SHA256 = (
    "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
    "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
    "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
    "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
)

_NAMES = tuple(file.name.removesuffix(".gz") for file in _FILES)

_one_at_a_time = threading.Lock()  # a second thread waits and finds what the first has downloaded


def mnist(folder: str | os.PathLike | None = None, *, download: bool = True, quiet: bool = False) -> Digits:
    """Load MNIST, or data of the same form: `(x, y), (x_test, y_test) = mnist()`.

    With a `folder`, or with the environment variable MINIDL_DATA, the four files there are read and nothing else is
    tried: train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, each
    plain or gzipped (.gz), `-idx` or `.idx`. They may also be in a folder `mnist` in it. They need not be MNIST:
    Fashion-MNIST and its kin work.

    Otherwise the original files are taken from `cache_dir()`, or downloaded to it unless `download` is False. If that
    fails, one line on stderr says so, and the digits are those of `strokes()`. `quiet` hides the progress, never that
    line.

    Returns `Digits`, whose `source` is "mnist" for the original digits only, else "strokes" or the folder's name
    Shapes  images uint8 (N, 28, 28), 0 … 255; labels int64 (N,). Other files may have other sizes and classes.
    Errors  DataError if a file of the folder is missing, damaged or does not fit the others; or if the cache lacks a
            file and `download` is False
    Source  LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition (1998)
    """
    check_bool("mnist", "download", download)
    check_bool("mnist", "quiet", quiet)
    if found := named_folder("mnist", folder, ["mnist"], lambda present: any(_spelling(n, present) for n in _NAMES)):
        return _from_folder(found)

    try:
        with _one_at_a_time:
            contents = originals("mnist", "MNIST", _FILES, _MIRRORS, download=download, quiet=quiet)
    except DownloadError as error:
        note(
            f"minidl: could not download MNIST ({error}); using the built-in strokes digits instead. If you have the files, "
            "name their folder by MINIDL_DATA"
        )
    else:
        return _assemble({name: parse_idx(io.BytesIO(data), name) for name, data in contents.items()}, "mnist")
    return strokes()


def _from_folder(folder: Folder) -> Digits:
    found = {name: _spelling(name, folder.present) for name in _NAMES}
    missing = [name for name in _NAMES if not found[name]]
    if missing:
        raise DataError(
            f"mnist: the folder {folder.path} lacks {', '.join(missing)}; put the four IDX files there, plain or as .gz"
            f"{folder.otherwise}"
        )
    arrays = {path: read_idx(path) for path in (folder.path / found[name] for name in _NAMES)}
    return _assemble(arrays, "mnist" if _is_mnist(list(arrays.values())) else folder_name(folder.path))


def _spelling(name: str, present: Set[str]) -> str:
    """How `name` is spelt in the folder: plain or gzipped, with a dash or a dot before `idx`; empty if it is absent."""
    spellings = (name, name.replace("-idx", ".idx"))
    return next((s + suffix for suffix in ("", ".gz") for s in spellings if s + suffix in present), "")


def _is_mnist(arrays: Sequence[np.ndarray]) -> bool:
    # backwards: the test labels are the smallest file, and settle most cases
    pairs = zip(reversed(arrays), reversed(_VALUES_SHA256), strict=True)
    return all(hashlib.sha256(array).hexdigest() == sha256 for array, sha256 in pairs)


def _assemble(arrays: Mapping[Any, np.ndarray], source: str) -> Digits:
    """The dataset in four arrays, given by the names of their files and in the order of `_FILES`."""
    files = list(arrays.items())
    train, test = _split(*files[0], *files[1]), _split(*files[2], *files[3])
    if train.images.shape[1:] != test.images.shape[1:]:
        raise DataError(
            f"mnist: {files[2][0]} has images of {test.images.shape[1:]} pixels but {files[0][0]} of "
            f"{train.images.shape[1:]}; both must come from the same dataset"
        )
    return Digits(train, test, source)


def _split(images_name: object, images: np.ndarray, labels_name: object, labels: np.ndarray) -> Split:
    if images.ndim != 3:
        raise DataError(f"mnist: {images_name} has shape {images.shape}; images must be (N, H, W): is it another file?")
    if labels.ndim != 1:
        raise DataError(f"mnist: {labels_name} has shape {labels.shape}; labels must be (N,): is it another file?")
    if len(images) != len(labels):
        raise DataError(
            f"mnist: {images_name} has {len(images):,} images but {labels_name} has {len(labels):,} labels; "
            "both must come from the same dataset"
        )
    return Split(images, labels.astype(np.int64))

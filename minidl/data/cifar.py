"""CIFAR-10 and CIFAR-100: 50,000 + 10,000 photographs of 32 × 32 pixels, in ten or a hundred classes (Krizhevsky).

The files come from a folder of yours, from minidl's cache, or from the internet. There is no stand-in for photographs:
without any of the three, there is an error.
"""

import hashlib
import io
import os
import threading
import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from minidl._numbers import check_bool
from minidl.data._cifar_names import CIFAR10, CIFAR100, CIFAR100_COARSE
from minidl.data._download import DownloadError, RemoteFile
from minidl.data._files import DataError, opened
from minidl.data._sources import Folder, folder_name, named_folder, originals
from minidl.data._splits import Photos, Split
from minidl.data.cifar_file import FORMAT10, FORMAT100, Format, parse_archive, read_records, turn

_HOME = "https://www.cs.toronto.edu/~kriz/"
_MIRRORS = (_HOME,)


class _Dataset(NamedTuple):
    op: str
    form: Format
    names: tuple[tuple[str, ...], ...]  # of the classes, for each byte of label
    files: tuple[str, ...]  # the last one is the test set
    sha256: tuple[str, ...]  # of the original files, in that order: taken from a public list, not from the files
    archive: RemoteFile
    unpacked: str  # the folder in the archive
    pickled: tuple[str, ...]  # names of the version that is not read
    contents: tuple[str, str] | None = None  # of training and test set whatever their order, as `_content` gives them


_CIFAR10 = _Dataset(
    "cifar10",
    FORMAT10,
    (CIFAR10,),
    (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"),
    (
        "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
        "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
        "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
        "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
        "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
        "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
    ),
    RemoteFile(
        "cifar-10-binary.tar.gz", 170_052_171, "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
    ),
    "cifar-10-batches-bin",
    ("cifar-10-python.tar.gz", "cifar-10-batches-py", "data_batch_1"),
    (
        "a1ebe7edf8231705b4b9342a3cb04bcccb0534f11e6aa301a6beda0fa94a3eb1",
        "9ff465cbc48b04b7d0d5c48a526ea487e3e5eb095cc324dee5dcb48b3ce1d348",
    ),
)
_CIFAR100 = _Dataset(
    "cifar100",
    FORMAT100,
    (CIFAR100_COARSE, CIFAR100),
    ("train.bin", "test.bin"),
    (
        "f31298fc616915fa142368359df1c4ca2ae984d6915ca468b998a5ec6aeebf29",
        "d8b1e6b7b3bee4020055f0699b111f60b1af1e262aeb93a0b659061746f8224a",
    ),
    RemoteFile(
        "cifar-100-binary.tar.gz", 168_513_733, "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec"
    ),
    "cifar-100-binary",
    ("cifar-100-python.tar.gz", "cifar-100-python", "train"),
)

_one_at_a_time = threading.Lock()  # a second thread waits and finds what the first has downloaded


def cifar10(folder: str | os.PathLike | None = None, *, download: bool = True, quiet: bool = False) -> Photos:
    """Load CIFAR-10, or data of the same form: `(x, y), (x_test, y_test) = cifar10()`.

    With a `folder`, or with the environment variable MINIDL_DATA, the files there are read and nothing else is tried:
    data_batch_1.bin to data_batch_5.bin and test_batch.bin, or cifar-10-binary.tar.gz, which is read without unpacking
    it to the disk. They may also be in a folder `cifar10` or `cifar-10-batches-bin` in it. Files may have any number of
    records. The pickled version is not read.

    Otherwise the original archive, 170 MB, is taken from `cache_dir()`, or downloaded to it unless `download` is False.
    `quiet` hides the progress.

    Returns `Photos`, whose `source` is "cifar10" for the original files only, "cifar10, in another order" for the same
            images in another order, else the folder's name
    Shapes  images uint8 (N, 32, 32, 3), red, green, blue, 0 … 255; labels int64 (N,), whose names are in `classes`
    Errors  DataError if a file is missing, damaged, another one or there twice, or if it cannot be downloaded
    Source  Krizhevsky: Learning multiple layers of features from tiny images (2009)
    """
    return _load(_CIFAR10, folder, download, quiet)


def cifar100(folder: str | os.PathLike | None = None, *, download: bool = True, quiet: bool = False) -> Photos:
    """Load CIFAR-100, or data of the same form: `(x, y), (x_test, y_test) = cifar100()`.

    The labels are the 100 fine ones; `cifar100().coarse` is the same dataset with the 20 coarse labels. Files are looked
    for as `cifar10` does: train.bin and test.bin, or cifar-100-binary.tar.gz (169 MB), in the folder itself, or in a folder
    `cifar100` or `cifar-100-binary` in it.

    Returns `Photos`, whose `source` is "cifar100" for the original files only, else the folder's name
    Shapes  images uint8 (N, 32, 32, 3), red, green, blue, 0 … 255; labels int64 (N,), whose names are in `classes`
    Errors  DataError if a file is missing, damaged, another one or there twice, or if it cannot be downloaded
    Source  Krizhevsky: Learning multiple layers of features from tiny images (2009)
    """
    return _load(_CIFAR100, folder, download, quiet)


def _load(this: _Dataset, folder, download, quiet):
    check_bool(this.op, "download", download)
    check_bool(this.op, "quiet", quiet)
    looked_for = {*this.files, *_archives(this)}
    inside = (this.op, f"{this.op}/{this.unpacked}", this.unpacked)
    if found := named_folder(this.op, folder, inside, lambda present: bool(present & looked_for)):
        return _assemble(this, _from_folder(this, found), found)

    try:
        with _one_at_a_time:
            (packed,) = originals(
                this.op, this.form.title, [this.archive], _MIRRORS, download=download, quiet=quiet
            ).values()
        records = parse_archive(io.BytesIO(packed), this.archive.name, this.form, this.files)
    except DownloadError as error:
        raise DataError(
            f"{this.op}: could not download {this.form.title} ({error}); if you have {_HOME}{this.archive.name}, name its "
            f"folder: {this.op}(folder), or MINIDL_DATA"
        ) from error
    del packed  # 170 MB
    return _assemble(this, records)


def _archives(this):
    """Names that the archive may have: some browsers unzip what they download."""
    return this.archive.name, this.archive.name.removesuffix(".gz")


def _from_folder(this: _Dataset, folder: Folder) -> dict[str, np.ndarray]:
    missing = [name for name in this.files if name not in folder.present]
    if not missing:
        return {name: read_records(folder.path / name, this.form) for name in this.files}
    for name in _archives(this):
        if name in folder.present:
            with opened(this.op, folder.path / name, "an archive") as file:
                return parse_archive(file, file.name, this.form, this.files)
    pickled = " (the pickled version that is there is not read)" if folder.present.intersection(this.pickled) else ""
    raise DataError(
        f"{this.op}: the folder {folder.path} lacks {', '.join(missing)}; put the {len(this.files)} .bin files there, or "
        f"{this.archive.name}{pickled}{folder.otherwise}"
    )


def _assemble(this: _Dataset, records: dict[str, np.ndarray], folder: Folder | None = None) -> Photos:
    """The dataset in the records of its files, which are used up: at no time is everything there twice."""
    digests = {name: hashlib.sha256(records[name].data).hexdigest() for name in this.files}
    _check_places(this, digests, folder)
    *first, last = this.files
    if folder is None or tuple(digests.values()) == this.sha256:
        source = this.op
    elif this.contents == (_content([records[name] for name in first]), _content([records[last]])):
        source = f"{this.op}, in another order"
    else:
        source = folder_name(folder.path)
    train, train_labels = _joined([records.pop(name) for name in first])
    test, test_labels = _joined([records.pop(last)])
    made: list[Photos] = []
    for names, y, y_test in zip(this.names, train_labels, test_labels, strict=True):  # the coarse labels come first
        made.append(Photos(Split(train, y), Split(test, y_test), source, names, made[-1] if made else None))
    return made[-1]


def _check_places(this: _Dataset, digests: dict[str, str], folder: Folder | None) -> None:
    """Check that no file is a copy of another one, and that no original file is in another's place."""
    known, seen = dict(zip(this.sha256, this.files, strict=True)), dict[str, str]()
    for name, digest in digests.items():
        other = seen.setdefault(digest, name)
        if other == name:
            other = known.get(digest, name)
        if other != name:
            where = folder.path if folder else this.archive.name
            raise DataError(
                f"{this.op}: {name} in {where} has the content of {other}; each file must have its own: copy it again"
            )


def _content(parts: Sequence[np.ndarray]) -> str:
    """What tells whether records are the same ones, in any order and divided among files in any way."""
    checksums = np.array([zlib.crc32(record) for part in parts for record in part], "<u4")
    return hashlib.sha256(np.sort(checksums).data).hexdigest()


def _joined(parts: list[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Images of all parts, and one array of labels for each byte of label. The parts go while the images come."""
    columns = parts[0].shape[1] - 3 * 1024
    labels = [np.concatenate([part[:, i] for part in parts]).astype(np.int64) for i in range(columns)]
    images = np.empty((len(labels[0]), 32, 32, 3), np.uint8)
    start = 0
    while parts:
        part = parts.pop(0)
        turn(part, images[start : start + len(part)])
        start += len(part)
    return images, labels

"""Small datasets in the form of CIFAR-10 and CIFAR-100: as files, as archives, and as what must come out."""

import gzip
import hashlib
import importlib
import io
import tarfile

import numpy as np

from minidl.data._download import RemoteFile

cifar_module = importlib.import_module("minidl.data.cifar")

NAMES10 = (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin")
NAMES100 = ("train.bin", "test.bin")


def photos(n, seed, classes):
    """Images (n, 32, 32, 3), and labels (n, one column for each number of classes)."""
    rng = np.random.default_rng(seed)
    labels = np.stack([rng.integers(0, k, n) for k in classes], axis=1)
    return rng.integers(0, 256, (n, 32, 32, 3), dtype=np.uint8), labels


def packed(images, labels):
    """The bytes of a file, written down record by record, as the format is described."""
    content = bytearray()
    for image, label in zip(images, labels, strict=True):
        content += bytes(label.tolist())
        for colour in range(3):
            for row in range(32):
                content += image[row, :, colour].tobytes()
    return bytes(content)


def archive(files, folder="", zipped=True, form=tarfile.GNU_FORMAT):
    """The bytes of a tar archive of files, or of `TarInfo`s as they are."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=form) as tar:
        for name, data in files.items():
            if isinstance(data, tarfile.TarInfo):
                tar.addfile(data)
                continue
            member = tarfile.TarInfo(folder + name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return gzip.compress(content.getvalue(), 1, mtime=0) if zipped else content.getvalue()


PARTS10 = {name: photos(4 + i, i, (10,)) for i, name in enumerate(NAMES10)}
PARTS100 = {name: photos(7 - 4 * i, 10 + i, (20, 100)) for i, name in enumerate(NAMES100)}
FILES10 = {name: packed(*part) for name, part in PARTS10.items()}
FILES100 = {name: packed(*part) for name, part in PARTS100.items()}
NOTES = {"batches.meta.txt": b"names\n", "readme.html": b"<html>"}
IN10, IN100 = "cifar-10-batches-bin/", "cifar-100-binary/"
# Backwards, with other files: neither is in any order.
ARCHIVES = {
    "cifar-10-binary.tar.gz": archive({**NOTES, **dict(reversed(FILES10.items()))}, IN10),
    "cifar-100-binary.tar.gz": archive({**FILES100, **NOTES}, IN100),
}


def _fake(real, files):
    content = ARCHIVES[real.archive.name]
    known = RemoteFile(real.archive.name, len(content), hashlib.sha256(content).hexdigest())
    return real._replace(archive=known, sha256=tuple(hashlib.sha256(data).hexdigest() for data in files.values()))


REAL10 = cifar_module._CIFAR10
FAKE10 = _fake(REAL10, FILES10)
FAKE100 = _fake(cifar_module._CIFAR100, FILES100)


def joined(parts):
    return np.concatenate([images for images, _ in parts]), np.concatenate([labels for _, labels in parts])


def assert_is_fake(loaded, source, parts=None):
    """That a dataset has the fake images in their order; the labels of CIFAR-100 are the fine ones."""
    parts = parts or (PARTS10 if len(loaded.classes) == 10 else PARTS100)
    *train, test = parts.values()
    for split, (images, labels) in zip(loaded, (joined(train), test), strict=True):
        np.testing.assert_array_equal(split.images, images)
        np.testing.assert_array_equal(split.labels, labels[:, 0 if len(loaded.classes) == 20 else -1])
        assert (split.images.dtype, split.labels.dtype) == (np.uint8, np.int64)
        assert split.images.flags.c_contiguous
        assert split.images.flags.writeable
        assert split.labels.flags.c_contiguous
    assert loaded.source == source

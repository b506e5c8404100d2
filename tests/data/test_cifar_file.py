"""Reading CIFAR's files and archives: what is right is read exactly, what is wrong is a DataError that names the file."""

import gzip
import io
import os
import tarfile
import tracemalloc

import numpy as np
import pytest

from minidl.data._files import DataError
from minidl.data.cifar_file import _MOST_BYTES, FORMAT10, FORMAT100, parse_archive, read_cifar
from tests.data.fake_cifar import (
    ARCHIVES,
    FILES10,
    FILES100,
    IN10,
    NAMES10,
    NAMES100,
    PARTS10,
    archive,
    packed,
    photos,
)

IMAGES, LABELS = PARTS10["data_batch_1.bin"]
PLAIN = FILES10["data_batch_1.bin"]


@pytest.fixture
def write(tmp_path):
    def write(content, name="data.bin"):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


# ---- one file


@pytest.mark.parametrize("n", [1, 2, 255, 256, 257, 600])  # images are turned 256 at a time
def test_pixels_and_labels_are_where_the_format_says(write, n):
    images, labels = photos(n, n, (10,))
    read = read_cifar(write(packed(images, labels)))
    np.testing.assert_array_equal(read.images, images)
    np.testing.assert_array_equal(read.labels, labels[:, 0])
    assert (read.images.dtype, read.labels.dtype) == (np.uint8, np.int64)
    assert read.images.flags.c_contiguous
    read.images[0] = 1  # writable, and its own memory
    read.labels[0] = 1


@pytest.mark.parametrize(("classes", "column"), [(20, 0), (100, 1), (np.int64(100), 1)])
def test_a_file_of_cifar100_has_coarse_and_fine_labels(write, classes, column):
    images, labels = photos(5, 1, (20, 100))
    read = read_cifar(str(write(packed(images, labels))), classes)
    np.testing.assert_array_equal(read.images, images)
    np.testing.assert_array_equal(read.labels, labels[:, column])


@pytest.mark.parametrize("classes", [9, 10.0, "10", None, True, [10]])
def test_other_numbers_of_classes_are_refused(write, classes):
    with pytest.raises(ValueError, match=r"classes is .*; it must be 10, or"):
        read_cifar(write(PLAIN), classes)


def with_label(data, record, value, at=0, size=3073):
    data = bytearray(data)
    data[record * size + at] = value
    return bytes(data)


DEFECTS = {
    "empty": (b"", 10, "is empty"),
    "cut": (PLAIN[:-1], 10, r"has 12,291 bytes; a file of CIFAR-10 must have a multiple of 3,073: it is cut or another"),
    "too long": (PLAIN + b"\0", 10, "has 12,293 bytes"),
    "web page": (b"<!DOCTYPE html>", 10, "has 15 bytes"),
    "gzip": (gzip.compress(PLAIN), 10, "is gzipped; unpack it, or give"),
    "archive": (ARCHIVES["cifar-10-binary.tar.gz"], 10, "is gzipped; unpack it, or give"),
    "CIFAR-100 as CIFAR-10": (FILES100["train.bin"], 10, "must have a multiple of 3,073: is it a file of CIFAR-100?"),
    "CIFAR-10 as CIFAR-100": (PLAIN, 100, "must have a multiple of 3,074: is it a file of CIFAR-10?"),
    "label": (with_label(PLAIN, 2, 10), 10, "record 2 of .* has the label 10, and it must be 0 to 9: the file is damaged"),
    "coarse": (
        with_label(FILES100["train.bin"], 1, 20, 0, 3074), 100, "record 1 of .* the coarse label 20, and it must be 0 to 19"
    ),
    "fine": (
        with_label(FILES100["train.bin"], 6, 100, 1, 3074), 20, "record 6 of .* the fine label 100, and it must be 0 to 99"
    ),
    "CIFAR-100 of a size that fits both": (bytes([19, 99]) * (3073 * 3074 // 2), 10, "has the label 19"),
}  # fmt: skip


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_is_named_with_its_file(write, defect):
    content, classes, message = DEFECTS[defect]
    path = write(content)
    with pytest.raises(DataError, match=message) as caught:
        read_cifar(path, classes)
    assert str(path) in str(caught.value)


def test_what_is_no_file(tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"read_cifar: there is no file .*absent; check the path"):
        read_cifar(tmp_path / "absent")
    with pytest.raises(DataError, match=r"is a folder; name a .bin file of CIFAR-100 in it"):
        read_cifar(tmp_path, 100)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a name are a thing of Unix")
def test_a_pipe_is_refused_without_waiting_for_a_writer(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="no regular file"):
        read_cifar(tmp_path / "pipe")


def test_a_huge_file_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "huge.bin"
    with path.open("wb") as file:
        file.truncate(3073 * 10**7)  # takes no room on the disk, 30 GB in memory
    with pytest.raises(DataError, match="has 30,730,000,000 bytes; a file of CIFAR-10 must have at most"):
        read_cifar(path)


# ---- an archive


def parse(content, form=FORMAT10, wanted=NAMES10):
    return parse_archive(io.BytesIO(content), "the archive", form, wanted)


def assert_has_all(records, files=FILES10):
    assert {name: record.tobytes() for name, record in records.items()} == files


@pytest.mark.parametrize("zipped", [True, False], ids=["gzip", "tar"])
@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("folder", ["", IN10, "./a/b/", "/", "../../"])
def test_an_archive_of_any_kind_with_any_folders(zipped, form, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert_has_all(parse(archive(FILES10, folder, zipped, form)))
    assert list(tmp_path.iterdir()) == []


def test_what_archivers_add_is_passed_over():
    """Times with fractions in headers of their own, named like the file, and the double files of macOS."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in FILES10.items():
            double, member = tarfile.TarInfo(f"._{name}"), tarfile.TarInfo(name)
            double.size, member.size, member.mtime = 3, len(data), 1.5
            tar.addfile(double, io.BytesIO(b"mac"))
            about = tarfile.TarInfo(f"PaxHeaders/{name}")
            about.type, about.size = tarfile.XHDTYPE, 3
            tar.addfile(about, io.BytesIO(b"mac"))
            tar.addfile(member, io.BytesIO(data))
    assert_has_all(parse(content.getvalue()))


def member(name, kind, size=0, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, size, target
    return {f"{name} of another kind": info}


def header(name, size, kind=tarfile.REGTYPE):
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


FIVE = {name: FILES10[name] for name in NAMES10[:5]}
WHOLE = archive(FILES10, zipped=False)
BAD = {
    "nothing": (b"", "is cut"),
    "no member": (archive({}), "lacks data_batch_1.bin, .*, test_batch.bin; it must be the archive of CIFAR-10"),
    "web page": (b"<html>" * 200, "is no tar archive"),
    "only gzip": (gzip.compress(b"<html>" * 200), "is no tar archive"),
    "one missing": (archive(FIVE), "the archive lacks test_batch.bin; it must"),
    "the other dataset": (archive(FILES100), "lacks data_batch_1.bin"),
    "symbolic link": (archive(FIVE | member("test_batch.bin", tarfile.SYMTYPE, 0, "data_batch_1.bin")), "regular file"),
    "hard link": (archive(FIVE | member("test_batch.bin", tarfile.LNKTYPE, 0, "data_batch_1.bin")), "regular file"),
    "folder": (archive(FIVE | member("test_batch.bin", tarfile.DIRTYPE)), "other than a regular file"),
    "device": (archive(FIVE | member("test_batch.bin", tarfile.CHRTYPE)), "other than a regular file"),
    "sparse file": (header("test_batch.bin", 3073, tarfile.GNUTYPE_SPARSE) + bytes(9000), "other than a regular file"),
    "twice": (archive({**FILES10, "again/test_batch.bin": FILES10["test_batch.bin"]}), "holds test_batch.bin twice"),
    "wrong size": (archive({**FILES10, "test_batch.bin": PLAIN[:-1]}), "test_batch.bin in the archive has 12,291 bytes"),
    "empty file": (archive({**FILES10, "test_batch.bin": b""}), "test_batch.bin in the archive is empty"),
    "of the other dataset": (
        archive({**FILES10, "test_batch.bin": FILES100["test.bin"]}), "test_batch.bin in .* is it a file of CIFAR-100?"
    ),
    "label": (archive({**FILES10, "test_batch.bin": with_label(PLAIN, 0, 77)}), "test_batch.bin in .* the label 77"),
    "cut in a file": (WHOLE[:3000], "is cut: 12,292 bytes are announced, it has 2,488"),
    "cut after a file": (WHOLE[: 512 * 26], "is cut: it stops where a file could begin"),
    "cut in what is passed over": (archive({"x": bytes(5000)}, zipped=False)[:2000], "is cut inside x"),
    "cut gzip": (ARCHIVES["cifar-10-binary.tar.gz"][:-1], "gzip data stops"),
    "checksum of gzip": (ARCHIVES["cifar-10-binary.tar.gz"][:-8] + bytes(8), "damaged gzip data"),
    "rubbish after gzip": (ARCHIVES["cifar-10-binary.tar.gz"] + b"rubbish", "damaged gzip data"),
    "checksum of a header": (WHOLE.replace(b"data_batch_3.bin", b"data_batch_8.bin"), "is no tar archive, or a damaged"),
    "absurd size": (header("x", 2**40) + bytes(512), "claims over"),
    "negative size": (header("x", -600) + bytes(512), "claims over|no tar archive"),
}  # fmt: skip


@pytest.mark.parametrize("defect", BAD)
def test_a_bad_archive_is_named(defect):
    content, message = BAD[defect]
    with pytest.raises(DataError, match=message) as caught:
        parse(content)
    assert "the archive" in str(caught.value)


def test_the_archive_of_cifar100():
    assert_has_all(parse(ARCHIVES["cifar-100-binary.tar.gz"], FORMAT100, NAMES100), FILES100)


BOMBS = {
    "a file": (header("data_batch_1.bin", 3073 * 60_000), 1000),
    "what is passed over": (header("x", 4 * 10**7), 4 * 10**7),
    "a header about the next": (header("x", 4 * 10**7, tarfile.XHDTYPE), 4 * 10**7),
    "a long name": (header("x", 4 * 10**7, tarfile.GNUTYPE_LONGNAME), 4 * 10**7),
    "after the end": (WHOLE, 4 * 10**7),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_memory_stays_within_what_is_declared_and_there(bomb):
    start, zeros = BOMBS[bomb]
    content = gzip.compress(start + bytes(zeros), compresslevel=1)
    tracemalloc.start()
    try:
        if bomb == "after the end":
            assert_has_all(parse(content))
        else:
            with pytest.raises(DataError):
                parse(content)
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()
    assert _MOST_BYTES > 6 * 30_730_000 + 10**7  # the originals fit

"""Reading IDX files: what is right is read exactly, what is wrong is a DataError that names the file."""

import gzip
import io
import math
import os
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidl.data.idx import DataError, parse_idx, read_idx

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 4, 3), dtype=np.uint8)


def idx(values, kind=8):
    return struct.pack(f">BBBB{values.ndim}I", 0, 0, kind, values.ndim, *values.shape) + values.tobytes()


PLAIN = idx(IMAGES)
ZIPPED = gzip.compress(PLAIN, mtime=0)
BOTH = pytest.mark.parametrize("packed", [PLAIN, ZIPPED], ids=["plain", "gzip"])


@pytest.fixture
def write(tmp_path):
    def write(content, name="images"):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


@BOTH
@pytest.mark.parametrize("name", ["images", "images.gz"])
def test_the_content_tells_whether_it_is_gzipped(write, packed, name):
    read = read_idx(write(packed, name))
    assert read.dtype == np.uint8
    assert np.array_equal(read, IMAGES)
    read[0] = 1  # writable, and its own memory


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.booleans())
def test_every_shape_survives(shape, zipped):
    values = np.arange(math.prod(shape), dtype=np.uint8).reshape(shape)
    packed = gzip.compress(idx(values)) if zipped else idx(values)
    assert np.array_equal(parse_idx(io.BytesIO(packed), "file"), values)


def test_a_string_is_a_path_too(write):
    assert np.array_equal(read_idx(str(write(PLAIN))), IMAGES)


def test_gzip_members_in_a_row_are_one_file(write):
    path = write(gzip.compress(PLAIN[:30]) + gzip.compress(PLAIN[30:]))
    assert np.array_equal(read_idx(path), IMAGES)


def header(*sizes, kind=8, start=b"\0\0"):
    return start + struct.pack(f">BB{len(sizes)}I", kind, len(sizes), *sizes)


DEFECTS = {
    "empty": (b"", "is empty"),
    "one byte": (b"\0", "cut inside its header, after 1 bytes"),
    "web page": (b"<!DOCTYPE html>", "no IDX file"),
    "little-endian magic": (b"\x03\x08\0\0" + PLAIN[4:], "no IDX file"),
    "signed bytes": (idx(IMAGES.view(np.int8), kind=9), "type 0x09"),
    "floats": (header(2, kind=0x0D) + bytes(8), "type 0x0d"),
    "type that does not exist": (header(2, kind=0x55) + bytes(2), "type 0x55"),
    "no axes": (header() + bytes(1), "0 axes"),
    "100 axes": (header(*[1] * 100) + bytes(1), "100 axes"),
    "cut in the sizes": (PLAIN[:13], "cut inside its header, after 13 bytes"),
    "cut after the header": (PLAIN[:16], r"cut.*needs 60 bytes of values, it has 0"),
    "last byte missing": (PLAIN[:-1], "needs 60 bytes of values, it has 59"),
    "a byte too many": (PLAIN + b"\0", "goes on after the 60 bytes"),
    "an axis of zero": (header(0, 28, 28), r"claims shape \(0, 28, 28\)"),
    "absurd sizes": (header(2**32 - 1, 2**32 - 1, 2**32 - 1) + bytes(60), "claims shape"),
    "sizes whose product wraps to 60 in 64 bits": (header(2**31, 2**31, 4) + PLAIN[16:], "claims shape"),
    "large but possible sizes": (header(2**31) + bytes(60), "needs 2,147,483,648 bytes of values, it has 60"),
}


@pytest.mark.parametrize("defect", DEFECTS)
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_defect_is_named_with_its_file(write, defect, pack):
    content, message = DEFECTS[defect]
    path = write(pack(content))
    with pytest.raises(DataError, match=message) as caught:
        read_idx(path)
    assert str(path) in str(caught.value)


def flipped(data, i):
    return data[:i] + bytes([data[i] ^ 0x40]) + data[i + 1 :]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (ZIPPED[:-1], "gzip data stops"),
        (ZIPPED[:20], "gzip data stops"),
        (ZIPPED[:2], "gzip data stops"),
        (flipped(ZIPPED, len(ZIPPED) - 6), "damaged gzip data"),  # in the checksum
        (flipped(ZIPPED, 2), "damaged gzip data"),  # the compression method
        (flipped(ZIPPED, 10), "damaged gzip data|gzip data stops"),
        (ZIPPED + b"rubbish", "damaged gzip data"),
        (gzip.compress(ZIPPED), "no IDX file"),
    ],
    ids=["last byte", "cut", "magic only", "checksum", "method", "data", "bytes after it", "zipped twice"],
)
def test_damaged_gzip_is_named(write, content, message):
    path = write(content)
    with pytest.raises(DataError, match=message) as caught:
        read_idx(path)
    assert str(path) in str(caught.value)


def test_what_is_no_file(tmp_path):
    with pytest.raises(DataError, match=r"no file .*absent; check the path"):
        read_idx(tmp_path / "absent")
    with pytest.raises(DataError, match="is a folder"):
        read_idx(tmp_path)
    (tmp_path / "file").write_bytes(PLAIN)
    with pytest.raises(DataError, match=r"cannot read|no file"):
        read_idx(tmp_path / "file" / "inside")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a name are a thing of Unix")
def test_a_pipe_is_refused_without_waiting_for_a_writer(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="no regular file"):
        read_idx(tmp_path / "pipe")


def test_a_file_that_may_not_be_read(write, monkeypatch):
    path = write(PLAIN)

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "open", refuse)
    with pytest.raises(DataError, match=r"cannot read .*Permission denied"):
        read_idx(path)


@pytest.mark.parametrize(
    "content",
    [header(60) + bytes(200_000_000), header(2**31) + bytes(1000)],
    ids=["bomb: more bytes than declared", "declared more than there is"],
)
def test_memory_stays_within_what_is_declared_and_there(write, content):
    path = write(gzip.compress(content, compresslevel=1))
    del content
    tracemalloc.start()
    try:
        with pytest.raises(DataError):
            read_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()

"""IDX, the file format of MNIST and its kin: a few numbers that tell the shape, then one byte a pixel.

    byte 0, 1    zero
    byte 2       what a value is: 8 stands for an unsigned byte
    byte 3       the number of axes
    then         the size of each axis, four bytes, the most significant first
    then         the values, last axis fastest, and nothing after them

A file may be gzipped; its first bytes tell, not its name. Every defect is a `DataError`, and no header is believed
before the bytes that it promises have arrived.
"""

import gzip
import math
import os
import struct
import zlib
from typing import BinaryIO

import numpy as np

from minidl.system.files import as_path

_GZIP_MAGIC = b"\x1f\x8b"
_UNSIGNED_BYTE = 8
_MOST_AXES = 4
_MOST_BYTES = 2**31  # the largest relative of MNIST, EMNIST by class, has 2**29
_CHUNK = 2**20
_GET_AGAIN = "download or copy the file again"


class DataError(ValueError):
    """A data file is missing or damaged; the message names the file and what to do."""


def read_idx(path: str | os.PathLike) -> np.ndarray:
    """Read an IDX file of unsigned bytes, gzipped or not.

    Shape   uint8, as the header says: (N, H, W) for images, (N,) for labels; values 0 … 255
    Errors  DataError for a file that cannot be read, is cut, is longer than its header says, is damaged, or holds
            something else
    Source  the description of the format on the MNIST page of LeCun, Cortes and Burges
    """
    path = as_path("read_idx", path)
    try:
        if path.is_dir():
            raise DataError(f"read_idx: {path} is a folder; name an IDX file in it")
        if path.exists() and not path.is_file():
            raise DataError(f"read_idx: {path} is no regular file; name an IDX file")
        with path.open("rb") as file:
            return parse_idx(file, path)
    except FileNotFoundError as error:
        raise DataError(f"read_idx: there is no file {path}; check the path") from error
    except OSError as error:
        raise DataError(f"read_idx: cannot read {path} ({error.strerror or error}); check the file's rights") from error


def parse_idx(file: BinaryIO, name: object) -> np.ndarray:
    """Read an IDX file from an open binary file that can seek, as `read_idx` does; errors call it `name`."""
    gzipped = file.read(2) == _GZIP_MAGIC
    file.seek(0)
    if not gzipped:
        return _parse(file, name)
    try:
        with gzip.GzipFile(fileobj=file) as unpacked:
            return _parse(unpacked, name)
    except EOFError as error:
        raise DataError(f"read_idx: {name} is cut: its gzip data stops before the end; {_GET_AGAIN}") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"read_idx: {name} is damaged gzip data ({error}); {_GET_AGAIN}") from error


def _parse(file: BinaryIO | gzip.GzipFile, name: object) -> np.ndarray:
    shape = _parse_header(file, name)
    size = math.prod(shape)
    body = _read_at_most(file, size)
    if len(body) < size:
        raise DataError(
            f"read_idx: {name} is cut: shape {shape} needs {size:,} bytes of values, it has {len(body):,}; {_GET_AGAIN}"
        )
    if file.read(1):  # at the end of gzip data this also verifies the checksum
        raise DataError(
            f"read_idx: {name} goes on after the {size:,} bytes of values of its shape {shape}; {_GET_AGAIN}"
        )
    return np.frombuffer(body, np.uint8).reshape(shape)


def _parse_header(file: BinaryIO | gzip.GzipFile, name: object) -> tuple[int, ...]:
    magic = file.read(4)
    if not magic:
        raise DataError(f"read_idx: {name} is empty; {_GET_AGAIN}")
    if magic[:2] != b"\0\0"[: len(magic)]:
        raise DataError(
            f"read_idx: {name} is no IDX file: it starts with {magic!r}, not with two zero bytes; {_GET_AGAIN}"
        )
    if len(magic) < 4:
        raise DataError(f"read_idx: {name} is cut inside its header, after {len(magic)} bytes; {_GET_AGAIN}")

    kind, axes = magic[2:]
    if kind != _UNSIGNED_BYTE:
        raise DataError(
            f"read_idx: {name} holds values of IDX type 0x{kind:02x}; only unsigned bytes, type 0x08, are supported"
        )
    if not 1 <= axes <= _MOST_AXES:
        raise DataError(f"read_idx: {name} claims to have {axes} axes, it must be 1 to {_MOST_AXES}; {_GET_AGAIN}")

    sizes = file.read(4 * axes)
    if len(sizes) < 4 * axes:
        raise DataError(f"read_idx: {name} is cut inside its header, after {4 + len(sizes)} bytes; {_GET_AGAIN}")
    shape = struct.unpack(f">{axes}I", sizes)
    if not 0 < math.prod(shape) <= _MOST_BYTES:
        raise DataError(
            f"read_idx: {name} claims shape {shape}; it must have 1 to {_MOST_BYTES:,} values; {_GET_AGAIN}"
        )
    return shape


def _read_at_most(file: BinaryIO | gzip.GzipFile, size: int) -> bytearray:
    """Read up to `size` bytes. Memory grows with what arrives, so a header that lies does not make us allocate."""
    body = bytearray()
    while len(body) < size and (chunk := file.read(min(_CHUNK, size - len(body)))):
        body += chunk
    return body

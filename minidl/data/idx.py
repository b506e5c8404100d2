"""IDX, the file format of MNIST and its kin: a few numbers that tell the shape, then one byte a pixel.

    byte 0, 1    zero
    byte 2       what a value is: 8 stands for an unsigned byte
    byte 3       the number of axes
    then         the size of each axis, four bytes, the most significant first
    then         the values, last axis fastest, and nothing after them

A file may be gzipped; its first bytes tell, not its name. Every defect is a `DataError`, and no header is believed
before the bytes that it promises have arrived.
"""

import math
import os
import struct
from typing import BinaryIO

import numpy as np

from minidl.data._files import GET_AGAIN, DataError, Readable, opened, read_at_most, unzipped

_UNSIGNED_BYTE = 8
_MOST_AXES = 4
_MOST_BYTES = 2**31  # the largest relative of MNIST, EMNIST by class, has 2**29


def read_idx(path: str | os.PathLike) -> np.ndarray:
    """Read an IDX file of unsigned bytes, gzipped or not.

    Shape   uint8, as the header says: (N, H, W) for images, (N,) for labels; values 0 … 255
    Errors  DataError for a file that cannot be read, is cut, is longer than its header says, is damaged, or holds
            something else
    Source  the description of the format on the MNIST page of LeCun, Cortes and Burges
    """
    with opened("read_idx", path, "an IDX file") as file:
        return parse_idx(file, file.name)


def parse_idx(file: BinaryIO, name: object) -> np.ndarray:
    """Read an IDX file from an open binary file that can seek, as `read_idx` does; errors call it `name`."""
    with unzipped("read_idx", file, name) as unpacked:
        return _parse(unpacked, name)


def _parse(file: Readable, name: object) -> np.ndarray:
    shape = _parse_header(file, name)
    size = math.prod(shape)
    body = read_at_most(file, size)
    if len(body) < size:
        raise DataError(
            f"read_idx: {name} is cut: shape {shape} needs {size:,} bytes of values, it has {len(body):,}; {GET_AGAIN}"
        )
    if file.read(1):  # at the end of gzip data this also verifies the checksum
        raise DataError(
            f"read_idx: {name} goes on after the {size:,} bytes of values of its shape {shape}; {GET_AGAIN}"
        )
    return np.frombuffer(body, np.uint8).reshape(shape)


def _parse_header(file: Readable, name: object) -> tuple[int, ...]:
    magic = file.read(4)
    if not magic:
        raise DataError(f"read_idx: {name} is empty; {GET_AGAIN}")
    if magic[:2] != b"\0\0"[: len(magic)]:
        raise DataError(
            f"read_idx: {name} is no IDX file: it starts with {magic!r}, not with two zero bytes; {GET_AGAIN}"
        )
    if len(magic) < 4:
        raise DataError(f"read_idx: {name} is cut inside its header, after {len(magic)} bytes; {GET_AGAIN}")

    kind, axes = magic[2:]
    if kind != _UNSIGNED_BYTE:
        raise DataError(
            f"read_idx: {name} holds values of IDX type 0x{kind:02x}; only unsigned bytes, type 0x08, are supported"
        )
    if not 1 <= axes <= _MOST_AXES:
        raise DataError(f"read_idx: {name} claims to have {axes} axes, it must be 1 to {_MOST_AXES}; {GET_AGAIN}")

    sizes = file.read(4 * axes)
    if len(sizes) < 4 * axes:
        raise DataError(f"read_idx: {name} is cut inside its header, after {4 + len(sizes)} bytes; {GET_AGAIN}")
    shape = struct.unpack(f">{axes}I", sizes)
    if not 0 < math.prod(shape) <= _MOST_BYTES:
        raise DataError(f"read_idx: {name} claims shape {shape}; it must have 1 to {_MOST_BYTES:,} values; {GET_AGAIN}")
    return shape

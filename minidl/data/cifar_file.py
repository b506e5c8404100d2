"""The binary files of CIFAR-10 and CIFAR-100: records of one size, one after the other, and nothing else.

    label        one byte in CIFAR-10; two in CIFAR-100, the coarse label and the fine one
    red          32 × 32 bytes, row by row
    green, blue  the same

The files are published in an archive, `.tar.gz`. It is read in memory, and nothing of it is written anywhere. Every
defect is a `DataError`.
"""

import os
import tarfile
from collections.abc import Collection
from pathlib import PurePosixPath
from typing import BinaryIO, NamedTuple

import numpy as np

from minidl.data._files import GET_AGAIN, DataError, Readable, is_zipped, opened, read_at_most, skip_at_most, unzipped
from minidl.data._splits import Split

_SIDE, _PIXELS = 32, 1024
_BLOCK = 512  # an archive's unit: headers have one, contents fill up their last one
_MOST_BYTES = 2**28  # of a file, and of all that an archive unpacks to; the original archives have 184 MB
_ABOUT_THE_NEXT = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME)
_TOGETHER = 256  # images turned at a time: they stay in the processor's cache for three visits


class Format(NamedTuple):
    """What is in a record: the dataset's name, and for each byte of label how many classes there are."""

    title: str
    classes: tuple[int, ...]

    @property
    def record(self) -> int:
        """Bytes of a record."""
        return len(self.classes) + 3 * _PIXELS


FORMAT10, FORMAT100 = Format("CIFAR-10", (10,)), Format("CIFAR-100", (20, 100))
_COLUMNS = {10: (FORMAT10, 0), 20: (FORMAT100, 0), 100: (FORMAT100, 1)}  # where the labels with so many classes are


def read_cifar(path: str | os.PathLike, classes: int = 10) -> Split:
    """Read one binary file (.bin) of CIFAR-10 or CIFAR-100, of any number of records: `images, labels = read_cifar(path)`.

    classes  10 for a file of CIFAR-10; for one of CIFAR-100 100, the fine labels, or 20, the coarse ones
    Shapes   images uint8 (N, 32, 32, 3), red, green, blue, 0 … 255; labels int64 (N,), 0 … classes - 1
    Errors   DataError for a file that cannot be read, is cut, or holds something else, such as the other dataset
    Source   the description of the binary version on the page of Alex Krizhevsky
    """
    if not isinstance(classes, int | np.integer) or int(classes) not in _COLUMNS:
        raise ValueError(f"read_cifar: classes is {classes!r}; it must be 10, or for a file of CIFAR-100 20 or 100")
    form, column = _COLUMNS[int(classes)]
    records = read_records(path, form)
    images = np.empty((len(records), _SIDE, _SIDE, 3), np.uint8)
    turn(records, images)
    return Split(images, records[:, column].astype(np.int64))


def read_records(path: str | os.PathLike, form: Format) -> np.ndarray:
    """Read a file's records, uint8 (N, bytes of a record), as they are there; all labels are known ones."""
    with opened("read_cifar", path, f"a .bin file of {form.title}") as file:
        return parse_records(file, file.name, form)


def parse_records(file: BinaryIO, name: object, form: Format) -> np.ndarray:
    """Read records from an open binary file that can seek, as `read_records` does; errors call it `name`."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if is_zipped(file):
        raise DataError(
            f"read_cifar: {name} is gzipped; unpack it, or give the folder of an archive to cifar10() or cifar100()"
        )
    return _records(file, size, name, form)


def _records(file: Readable, size: int, name: object, form: Format) -> np.ndarray:
    """The records in the next `size` bytes of a file."""
    if not size:
        raise DataError(f"read_cifar: {name} is empty; {GET_AGAIN}")
    if size > _MOST_BYTES:
        raise DataError(
            f"read_cifar: {name} has {size:,} bytes; a file of {form.title} must have at most {_MOST_BYTES:,}"
        )
    if size % form.record:
        others = (other for other in (FORMAT10, FORMAT100) if not size % other.record)
        guess = next((f"is it a file of {other.title}?" for other in others), f"it is cut or another file; {GET_AGAIN}")
        raise DataError(
            f"read_cifar: {name} has {size:,} bytes; a file of {form.title} must have a multiple of {form.record:,}: {guess}"
        )
    body = read_at_most(file, size)
    if len(body) < size:
        raise DataError(f"read_cifar: {name} is cut: {size:,} bytes are announced, it has {len(body):,}; {GET_AGAIN}")
    records = np.frombuffer(body, np.uint8).reshape(-1, form.record)
    wrong = np.argwhere(records[:, : len(form.classes)] >= form.classes)
    if len(wrong):
        record, column = wrong[0].tolist()
        kind = ("coarse ", "fine ")[column] if len(form.classes) == 2 else ""
        raise DataError(
            f"read_cifar: record {record} of {name} has the {kind}label {records[record, column]}, and it must be 0 to "
            f"{form.classes[column] - 1}: the file is damaged or another one; {GET_AGAIN}"
        )
    return records


def turn(records: np.ndarray, images: np.ndarray) -> None:
    """Write the pixels of N records, one colour after the other, to `images` (N, 32, 32, 3)."""
    planes = records[:, -3 * _PIXELS :].reshape(len(records), 3, _SIDE, _SIDE)
    for start in range(0, len(records), _TOGETHER):
        here = slice(start, start + _TOGETHER)
        for colour in range(3):
            images[here, :, :, colour] = planes[here, colour]


def parse_archive(file: BinaryIO, name: object, form: Format, wanted: Collection[str]) -> dict[str, np.ndarray]:
    """Read the records of all `wanted` files from an open tar archive that can seek, gzipped or not.

    The folders in the archive do not matter. Whatever else it holds is passed over, and no name in it is used as a path.
    """
    found: dict[str, np.ndarray] = {}
    left = _MOST_BYTES
    with unzipped("read_cifar", file, name) as unpacked:
        while member := _next_member(unpacked, name):
            short = PurePosixPath(member.name).name
            padded = -(-member.size // _BLOCK) * _BLOCK
            left -= _BLOCK + padded
            if member.size < 0 or left < 0:
                raise DataError(
                    f"read_cifar: {name} claims over {_MOST_BYTES:,} bytes: it is damaged or another archive; {GET_AGAIN}"
                )
            if short in wanted and member.type not in _ABOUT_THE_NEXT:
                if short in found or member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
                    what = "twice" if short in found else "as something other than a regular file"
                    raise DataError(f"read_cifar: {name} holds {short} {what}; {GET_AGAIN}")
                found[short] = _records(unpacked, member.size, f"{short} in {name}", form)
                padded -= member.size
            if skip_at_most(unpacked, padded) < padded:
                raise DataError(f"read_cifar: {name} is cut inside {short}; {GET_AGAIN}")
        rest = skip_at_most(unpacked, left + 1)  # zeros that fill the last tape; gzip verifies its checksum after them
        if rest > left:
            raise DataError(f"read_cifar: {name} goes on after its end; {GET_AGAIN}")
    if missing := [short for short in wanted if short not in found]:
        raise DataError(f"read_cifar: {name} lacks {', '.join(missing)}; it must be the archive of {form.title}")
    return found


def _next_member(file: Readable, name: object) -> tarfile.TarInfo | None:
    """What the next header of an archive says; None at the archive's end, a block of zeros."""
    block = file.read(_BLOCK)
    if len(block) < _BLOCK:
        raise DataError(f"read_cifar: {name} is cut: it stops where a file could begin, before its end; {GET_AGAIN}")
    if not block.strip(b"\0"):
        return None
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError) as error:
        raise DataError(f"read_cifar: {name} is no tar archive, or a damaged one ({error}); {GET_AGAIN}") from error

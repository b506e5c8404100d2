"""Opening, unzipping and reading files that may be damaged, or something else: every defect is a `DataError`."""

import contextlib
import gzip
import os
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from minidl.system.files import as_path

GET_AGAIN = "download or copy the file again"
_GZIP_MAGIC = b"\x1f\x8b"
_CHUNK = 2**20

Readable = BinaryIO | gzip.GzipFile


class DataError(ValueError):
    """A data file is missing or damaged; the message names the file and what to do."""


@contextlib.contextmanager
def opened(op: str, path: str | os.PathLike, kind: str) -> Iterator[BinaryIO]:
    """Open a regular file for reading; errors ask for `kind`, such as "an IDX file"."""
    path = as_path(op, path)
    try:
        if path.is_dir():
            raise DataError(f"{op}: {path} is a folder; name {kind} in it")
        if path.exists() and not path.is_file():
            raise DataError(f"{op}: {path} is no regular file; name {kind}")
        with path.open("rb") as file:
            yield file
    except FileNotFoundError as error:
        raise DataError(f"{op}: there is no file {path}; check the path") from error
    except OSError as error:
        raise DataError(f"{op}: cannot read {path} ({error.strerror or error}); check the file's rights") from error


def is_zipped(file: BinaryIO) -> bool:
    """Return whether a file that can seek begins as gzip data does; it is back at its beginning then."""
    start = file.read(len(_GZIP_MAGIC))
    file.seek(0)
    return start == _GZIP_MAGIC


@contextlib.contextmanager
def unzipped(op: str, file: BinaryIO, name: object) -> Iterator[Readable]:
    """Open a binary file that can seek, through gzip where its first bytes ask for it; errors call it `name`."""
    if not is_zipped(file):
        yield file
        return
    try:
        with gzip.GzipFile(fileobj=file) as unpacked:
            yield unpacked
    except EOFError as error:
        raise DataError(f"{op}: {name} is cut: its gzip data stops before the end; {GET_AGAIN}") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{op}: {name} is damaged gzip data ({error}); {GET_AGAIN}") from error


def read_at_most(file: Readable, size: int) -> bytearray:
    """Read up to `size` bytes. Memory grows with what arrives, so a header that lies does not make us allocate."""
    body = bytearray()
    while len(body) < size and (chunk := file.read(min(_CHUNK, size - len(body)))):
        body += chunk
    return body


def skip_at_most(file: Readable, size: int) -> int:
    """Read up to `size` bytes and forget them; return how many there were."""
    left = size
    while left and (read := len(file.read(min(_CHUNK // 8, left)))):
        left -= read
    return size - left

"""Where a dataset's files come from: a folder that the user names, minidl's cache, or the internet."""

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from minidl.data._download import RemoteFile, fetch_all
from minidl.data._files import DataError
from minidl.data.cache import cache_dir, store
from minidl.system.files import as_path

_DATASETS = ("mnist", "strokes", "cifar10", "cifar100", "shakespeare", "docstrings")


class Folder(NamedTuple):
    """A folder, the names of what is in it, and a word on how to do without it, for errors."""

    path: Path
    present: frozenset[str]
    otherwise: str


def named_folder(
    op: str, folder: str | os.PathLike | None, inside: Iterable[str], holds: Callable[[frozenset[str]], bool]
) -> Folder | None:
    """The folder that the user names, by the argument or by MINIDL_DATA; None if they name none.

    If there is none of the dataset's files in it, as `holds` finds, they may be in one of the folders `inside`.
    """
    otherwise = ""
    if folder is None:
        folder, otherwise = os.environ.get("MINIDL_DATA"), ", or unset MINIDL_DATA"
        if not folder:
            return None
    outer = _listed(op, as_path(op, folder), otherwise)
    if holds(outer.present):
        return outer
    inner = [_listed(op, path, otherwise) for path in map(outer.path.joinpath, inside) if path.is_dir()]
    return next((found for found in inner if holds(found.present)), (*inner, outer)[0])


def _listed(op: str, path: Path, otherwise: str) -> Folder:
    try:
        return Folder(path, frozenset(os.listdir(path)), otherwise)
    except OSError as error:
        raise DataError(
            f"{op}: cannot list the folder {path} ({error.strerror}); name an existing folder{otherwise}"
        ) from error


def folder_name(folder: Path) -> str:
    """Name of the folder, made different from the sources that vouch for what the data is."""
    name = folder.resolve().name
    return f"{name}, but not the original" if name in _DATASETS else name or str(folder)


def originals(
    op: str, title: str, files: Sequence[RemoteFile], mirrors: Sequence[str], *, download: bool, quiet: bool
) -> dict[str, bytes]:
    """Contents of a dataset's known files by name, from the folder `op` of the cache and, where that fails, from a mirror.

    Raises `DownloadError` if no mirror delivers, and `DataError` if none may be asked.
    """
    cache = cache_dir() / op
    contents = {file.name: _cached(cache, file) for file in files}
    missing = [file for file in files if not contents[file.name]]
    if not missing:
        return contents
    if not download:
        raise DataError(
            f"{op}: the cache {cache} lacks {', '.join(file.name for file in missing)}; "
            "allow the download, or name a folder that has the files"
        )
    for file, data in fetch_all(missing, mirrors, title=title, quiet=quiet):
        store(cache / file.name, data)  # if it cannot be kept, the data is here all the same
        contents[file.name] = data
    return contents


def _cached(cache: Path, file: RemoteFile) -> bytes:
    """The file's content, or nothing if it is not there, not readable or damaged."""
    path = cache / file.name
    try:
        data = path.read_bytes() if path.stat().st_size == file.size else b""
    except OSError:
        return b""
    return data if file.matches(data) else b""

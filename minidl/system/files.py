"""Paths as people write them; files that are written whole or not at all."""

import contextlib
import errno
import os
import stat
import uuid
from pathlib import Path

__all__ = ["append_lines", "as_path", "remove_parts", "write_atomically"]


def as_path(op: str, path: str | os.PathLike) -> Path:
    """Return a path that somebody wrote as a Path, with their home folder for `~`; check that it can be one."""
    try:
        text = os.path.expanduser(os.fsdecode(path))
    except TypeError:
        raise TypeError(
            f"{op}: the path is {path!r}, a {type(path).__name__}; it must be a text or a pathlib.Path"
        ) from None
    if not text or "\0" in text:
        raise ValueError(f"{op}: the path is {text!r}; it must be the name of a file or a folder")
    if text.startswith("~") and not Path(text).parent.exists():
        raise ValueError(
            f"{op}: the path is {text}, but nobody here has that home folder; write ./{text} if it is no home"
        )
    return Path(text)


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` to `path`: to a file of its own first, forced to the disk, then renamed.

    Neither Ctrl-C nor a power cut nor a second process can leave half a file under the final name. What is there before
    stays what it is: of a link the target is replaced, a file keeps its rights, a device or a pipe is written to. OSError
    passes; a folder and a file that is write-protected are refused.
    """
    path = Path(path)
    old = _status(path)
    if old and not stat.S_ISREG(old.st_mode):
        path.write_bytes(data)
        return
    if old and not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    if path.is_symlink():
        path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name[:40]}.{uuid.uuid4().hex}.part")  # a name may have 255 bytes
    try:
        with open(part, "wb") as file:
            if old:
                _inherit(part, old)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        _sync_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)


def append_lines(path: Path, lines: list[str]) -> None:
    """Append whole lines to a text file, all of them or none; a file that is not there is made.

    They go to the system in one piece, so that a process that dies leaves what it wrote; where there are locks, processes
    that write take turns. Half a line, left by a power cut, is ended first. OSError passes; then nothing was added.
    """
    data = "".join(f"{line}\n" for line in lines).encode()
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "ab+", buffering=0) as file:
        with contextlib.suppress(OSError, ImportError):  # Windows has no such lock, nor have some network disks
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)  # until the file is closed
        size = file.seek(0, os.SEEK_END) if file.seekable() else 0
        if size:
            file.seek(size - 1)
            data = data if file.read(1) == b"\n" else b"\n" + data
        written = file.write(data)
        if written != len(data):
            file.truncate(size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def _status(path):
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _inherit(path, old):
    """Give a new file the owner and the rights of the old one, as far as the system lets us."""
    with contextlib.suppress(OSError, AttributeError):  # Windows has no owners of this kind
        os.chown(path, old.st_uid, old.st_gid)
    with contextlib.suppress(OSError):
        path.chmod(stat.S_IMODE(old.st_mode))


def remove_parts(folder: Path) -> None:
    """Delete what writers that were killed have left in a folder. None may be at work there."""
    for part in Path(folder).glob(".*.part"):
        with contextlib.suppress(OSError):  # a folder of that name, say; litter is no reason to fail
            part.unlink()


def _sync_folder(folder):
    """Force the new name itself to the disk, where the system can: a power cut may not bring the old file back."""
    if os.name != "posix":
        return
    with contextlib.suppress(OSError):  # some network disks refuse; the file is whole in any case
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

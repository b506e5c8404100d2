"""Writing files whole or not at all."""

import contextlib
import os
import uuid
from pathlib import Path

__all__ = ["remove_parts", "write_atomically"]


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` to `path`: to a file of its own first, forced to the disk, then renamed.

    Neither Ctrl-C nor a power cut nor a second process can leave half a file under the final name. OSError passes.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        with open(part, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        _sync_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)


def remove_parts(folder: Path) -> None:
    """Delete what writers that were killed have left in a folder. None may be at work there."""
    for part in Path(folder).glob(".*.part"):
        part.unlink(missing_ok=True)


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

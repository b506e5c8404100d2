"""Where downloaded and generated data is kept between runs."""

import os
import uuid
from pathlib import Path


def cache_dir() -> Path:
    """Folder for data that can be made again: `$MINIDL_CACHE`, or the operating system's cache folder for minidl.

    The folder need not exist; whoever writes to it creates it.
    """
    chosen = os.environ.get("MINIDL_CACHE")
    if chosen:
        return Path(os.path.expanduser(chosen))
    import pooch  # a tenth of a second, which `import minidl` should not cost

    return Path(pooch.os_cache("minidl"))


def store(path: Path, data: bytes) -> bool:
    """Write `data` to `path` whole or not at all; returns whether it worked.

    A cache is a convenience: a full or read-only disk is no error. The data goes to a file of its own first and is
    then renamed, so that neither Ctrl-C nor a second process can leave half a file under the final name.
    """
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.write_bytes(data)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError:
        return False
    return True

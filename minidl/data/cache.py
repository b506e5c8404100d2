"""Where downloaded and generated data is kept between runs."""

import os
from pathlib import Path

from minidl.system.files import as_path, write_atomically


def cache_dir() -> Path:
    """Return the folder for data that can be made again: `$MINIDL_CACHE`, or the system's cache folder for minidl.

    The folder need not exist; whoever writes to it creates it.
    """
    chosen = os.environ.get("MINIDL_CACHE")
    if chosen:
        return as_path("cache_dir", chosen)
    import pooch  # a tenth of a second, which `import minidl` should not cost

    return Path(pooch.os_cache("minidl"))


def store(path: Path, data: bytes) -> bool:
    """Write `data` to `path` whole or not at all; returns whether it worked.

    A cache is a convenience: a full or read-only disk is no error.
    """
    try:
        write_atomically(path, data)
    except OSError:
        return False
    return True

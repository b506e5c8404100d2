"""The digits of commands that spread their runs over processes: the same ones in each."""

import functools
import hashlib

from minidl import data

__all__ = ["find_digits"]


def find_digits(folder):
    """Return a function that gives the digits in any process, and what is known of them: "data", "checksum"."""
    digits = data.mnist(folder)
    checksum = _checksum(digits)
    text = f"{digits.source}, {len(digits.train.labels):,} training and {len(digits.test.labels):,} test images"
    return functools.partial(_load, folder, checksum), {"data": text, "checksum": checksum}


@functools.lru_cache(maxsize=1)
def _load(folder, checksum):
    """Load the digits, in a worker as in the main process: others would give other results under the same name."""
    digits = data.mnist(folder, quiet=True)
    if _checksum(digits) != checksum:
        raise data.DataError(
            f"this process found other digits ({digits.source}) than the one that planned the runs; give all machines the "
            "same data, say with MINIDL_DATA"
        )
    return digits


def _checksum(digits):
    total = hashlib.sha256()
    for split in digits:
        for array in split:
            total.update(array.tobytes())
    return total.hexdigest()[:16]

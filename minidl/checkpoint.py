"""Saving arrays and settings to a file, without pickle: loading a file never runs code.

A file is NumPy's .npz: one array for each name, and the settings as JSON text under `_settings`.
"""

import io
import json
import zipfile
import zlib
from pathlib import Path

import numpy as np

from minidl._files import write_atomically

__all__ = ["CheckpointError", "load", "save"]

_SETTINGS = "_settings"


class CheckpointError(ValueError):
    """A file that is not a whole checkpoint."""


def save(path, arrays, settings=None):
    """Write arrays (such as `model.state_dict()`) and settings (anything JSON can say) to `path`, whole or not at all."""
    buffer = io.BytesIO()
    text = json.dumps(settings or {}, allow_nan=False)
    np.savez(buffer, **arrays, **{_SETTINGS: np.frombuffer(text.encode(), np.uint8)})
    write_atomically(Path(path), buffer.getvalue())


def load(path):
    """What `save` wrote: (arrays, settings). CheckpointError if the file is damaged, or something else."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"load: there is no file {path}")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        settings = json.loads(arrays.pop(_SETTINGS).tobytes())
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, AttributeError) as error:
        raise CheckpointError(f"load: {path} is damaged, or not a file that minidl saved ({error})") from None
    return arrays, settings

"""Saving arrays and settings to a file, without pickle: loading a file never runs code.

A file is NumPy's .npz: one array for each name, and the settings as JSON text under `_settings`.
"""

import io
import json
import zipfile
from pathlib import Path

import numpy as np

from minidl._files import write_atomically

__all__ = ["CheckpointError", "load", "save"]

_SETTINGS = "_settings"


class CheckpointError(ValueError):
    """A file that is not a whole checkpoint."""


def save(path, arrays, settings=None):
    """Write arrays (such as `model.state_dict()`) and settings (anything JSON can say) to `path`, whole or not at all."""
    text = json.dumps(settings or {}, allow_nan=False)
    if _SETTINGS in arrays:
        raise ValueError(f"save: the name {_SETTINGS} is taken; rename this array")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:  # what np.savez does, but for any name, and without pickle
        for name, array in {**arrays, _SETTINGS: np.frombuffer(text.encode(), np.uint8)}.items():
            array = np.asarray(array)
            if array.dtype.hasobject:
                raise TypeError(f"save: {name} is not an array of numbers; pass arrays, such as model.state_dict()")
            with file.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)
    write_atomically(Path(path), buffer.getvalue())


def load(path):
    """What `save` wrote: (arrays, settings). CheckpointError if the file is damaged, or something else."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"load: there is no file {path}")
    data = path.read_bytes()
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        settings = json.loads(arrays.pop(_SETTINGS).tobytes())
    except Exception as error:  # damaged bytes make zipfile and NumPy raise nearly anything
        raise CheckpointError(f"load: {path} is damaged, or not a file that minidl saved") from error
    return arrays, settings

"""Saving what a run needs to go on, without pickle: loading a file never runs code.

A file is NumPy's .npz, not compressed: one array for each name, which `numpy.load` reads too, and two texts in JSON, the
settings under `_settings` and how the arrays belong together under `_state`. Each part has a checksum. A name that ends in
.safetensors makes a file of that format instead, which other libraries read: see `exchange/safetensors.py`.

    checkpoints = Checkpoints("runs/mine")
    step, state = checkpoints.latest() or (0, None)      # None at first; damaged files are passed over, and named
    if state:
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        generator.bit_generator.state = state["generator"]
    while step < 10_000:
        …zero_grad, forward, backward, step…
        step += 1
        if step % 1000 == 0:
            checkpoints.save(step, {"model": model.state_dict(), "optimizer": optimizer.state_dict(),
                                    "generator": generator.bit_generator.state})
"""

import io
import json
import math
import os
import zipfile
from typing import Any

import numpy as np

from minidl._numbers import check_whole
from minidl.exchange import safetensors
from minidl.system.files import as_path, remove_parts, write_atomically
from minidl.system.terminal import note
from minidl.tensor import Tensor

__all__ = ["CheckpointError", "Checkpoints", "load", "save"]

_SETTINGS, _STATE = "_settings", "_state"
_ARRAY, _ITEMS = "_array", "_items"  # in the JSON of a state: here stood an array; a dict whose keys are not all text

_LONGEST = 65_000  # bytes of an array's name; a zip file counts them in 16 bits


class CheckpointError(ValueError):
    """A file that is not a whole checkpoint."""


def save(path: str | os.PathLike, state: Any, settings: Any = None) -> None:
    """Write a state and settings to `path`, whole or not at all; as safetensors if it ends in .safetensors.

    state       a dict of arrays, such as `model.state_dict()`; or of anything made of dicts, lists, arrays, tensors,
                numbers, texts and None, such as {"model": model.state_dict(), "step": 7}
    settings    anything that strict JSON can say
    Names       of arrays are paths, "model/0.weight"; in safetensors those of the entry "model" are as in `state_dict`
    Errors      TypeError or ValueError for what cannot be said this way, OSError from the disk; an older file stays.
                ModuleNotFoundError for safetensors where that package is missing
    """
    path = as_path("save", path)
    if path.is_dir():
        raise IsADirectoryError(f"save: {path} is a folder; name a file in it, such as {path / 'model.npz'}")
    said = _strict_json({} if settings is None else settings, "save: the settings")
    arrays: dict[str, np.ndarray] = {}
    if _is_safetensors(path):
        outline = _outline_with_names(state, arrays)
        write_atomically(path, safetensors.write(arrays, outline, said))
        return
    outline = _outline(state, "", arrays)
    arrays[_STATE] = _as_bytes(json.dumps(outline))
    arrays[_SETTINGS] = _as_bytes(said)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:  # what np.savez does, but for any name, and without pickle
        for name, array in arrays.items():
            with file.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)
    write_atomically(path, buffer.getvalue())


def load(path: str | os.PathLike) -> tuple[Any, Any]:
    """Load what `save` wrote: (state, settings); of safetensors that others wrote, the arrays by name, and the metadata.

    Arrays, numbers, texts and None come back as they were, tensors as arrays, tuples as lists, and NumPy's single numbers
    as Python's.
    Memory      at most twice their bytes for arrays, and sixty times for JSON, which becomes Python objects: no size in the
                file is believed before the bytes are there
    Errors      CheckpointError if the file is damaged, or something else; OSError if it cannot be read;
                ModuleNotFoundError for safetensors where that package is missing
    """
    path = as_path("load", path)
    if path.is_dir():
        raise IsADirectoryError(f"load: {path} is a folder; name a file in it, or use Checkpoints(folder).latest()")
    if not path.is_file():
        raise FileNotFoundError(f"load: there is no file {path}; check the path")
    with path.open("rb") as opened:
        try:
            if _is_safetensors(path):
                arrays, outline, settings = safetensors.read(opened.read())
                return (arrays if outline is None else _fill(outline, arrays)), settings
            with zipfile.ZipFile(opened) as file:
                arrays = _read_arrays(file, path.stat().st_size)
            settings = json.loads(arrays.pop(_SETTINGS).tobytes())
            state = _fill(json.loads(arrays.pop(_STATE).tobytes()), arrays)
        except ModuleNotFoundError:
            raise
        except Exception as error:  # damaged bytes make zipfile, NumPy and JSON raise nearly anything
            raise CheckpointError(
                f"load: {path} is damaged, or not a file that minidl saved; use another one"
            ) from error
    return state, settings


class Checkpoints:
    """The newest states of one run, in a folder of their own: `step-000001000.npz`, and the ones before it.

    folder      made by the first `save`; keep nothing else in it
    run         what the run depends on (JSON), stored in each file: states of another run are passed over
    keep        how many states to keep; with two or more, a damaged file costs little
    A run that starts over in the same folder replaces the old one with its first `save`.
    """

    def __init__(self, folder: str | os.PathLike, run: Any = None, keep: int = 2):
        self.folder, self.keep = as_path("Checkpoints", folder), check_whole("Checkpoints", "keep", keep)
        self.run = json.loads(_strict_json({} if run is None else run, "Checkpoints: run"))  # as it will come back

    def save(self, step: int, state: Any) -> None:
        """Write the state after so many steps; then delete all but the newest `keep`, and those of later steps, if any.

        Errors  as for `checkpoint.save`; then everything saved before is still there
        """
        step = check_whole("Checkpoints.save", "step", step, 0)
        path = self.folder / f"step-{step:09d}.npz"
        save(path, state, {"step": step, "run": self.run})
        remove_parts(self.folder)  # of a process that died while it wrote
        paths = self._paths()
        upto = [path for path in paths if _step_of(path) <= step]
        for old in paths[len(upto) :] + upto[: -self.keep]:
            old.unlink(missing_ok=True)

    def latest(self) -> tuple[int, Any] | None:
        """Load the newest whole state: (step, state), or None. stderr names files that are damaged or of another run."""
        for path in reversed(self._paths()):
            try:
                state, settings = load(path)
            except CheckpointError as error:
                note(f"minidl: {error}; {_set_aside(path)}")
                continue
            except OSError as error:
                note(f"minidl: cannot read {path} ({error.strerror or error}); trying the one before")
                continue
            if isinstance(settings, dict) and {"step": settings.get("step"), "run": self.run} == settings:
                return settings["step"], state
            note(f"minidl: {path} was saved by a run with other settings, and is passed over")
        return None

    def newest_step(self) -> int | None:
        """Return the step of the newest file, unread; None if there is none."""
        paths = self._paths()
        return _step_of(paths[-1]) if paths else None

    def _paths(self):
        names = (p for p in self.folder.glob("step-*.npz") if p.stem.removeprefix("step-").isdecimal())
        return sorted((path for path in names if path.is_file()), key=_step_of)


def _step_of(path):
    return int(path.stem.removeprefix("step-"))


def _set_aside(path):
    """Give a damaged file a name under which it takes no good one's place; returns what became of it."""
    aside = path.with_name(path.name + ".damaged")
    try:
        path.replace(aside)
    except OSError:
        return "it stays where it is"
    return f"it is set aside as {aside.name}"


# ---- a state as an outline in JSON, and the arrays in it ---------------------------------------------------------------


def _outline(value, path, arrays, bare=None):
    """`value` with every array replaced by its name, under which it is put into `arrays`.

    bare    the key of a dict whose path is no part of the names in it
    """
    if isinstance(value, np.ndarray | Tensor):
        return {_ARRAY: _add(path, value, arrays)}
    if isinstance(value, np.generic):
        return _outline(value.item(), path, arrays)
    if isinstance(value, dict):
        _check_keys(value, path)
        paths = {
            key: "" if key == bare and isinstance(value[key], dict) else f"{path}/{key}" if path else f"{key}"
            for key in value
        }
        items = [(key, _outline(item, paths[key], arrays)) for key, item in value.items()]
        plain = all(isinstance(key, str) for key in value) and not {_ARRAY, _ITEMS} & set(value)
        return dict(items) if plain else {_ITEMS: items}
    if isinstance(value, list | tuple):
        return [_outline(item, f"{path}/{i}", arrays) for i, item in enumerate(value)]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(
        f"save: {path or 'the state'} is a {type(value).__name__}; only arrays, numbers, texts, None, and dicts and lists "
        "of them can be saved: pass .state_dict() of a model or an optimizer"
    )


def _is_safetensors(path):
    return path.suffix.lower() == ".safetensors"


def _outline_with_names(state, arrays):
    """The outline of a state whose entry "model" keeps its own names; with all paths, if another array has one of those."""
    try:
        return _outline(state, "", arrays, bare="model")
    except ValueError:
        arrays.clear()
        return _outline(state, "", arrays)


def _check_keys(value, path):
    if wrong := [key for key in value if not isinstance(key, str | int)]:
        raise TypeError(f"save: {path or 'the state'} has the key {wrong[0]!r}; keys must be texts or whole numbers")


def _add(name, value, arrays):
    array = np.asarray(value, order="C")
    if array.dtype.kind not in "biufc":
        raise TypeError(f"save: {name} is an array of {array.dtype}, not of numbers; save texts and objects as lists")
    encoded = name.encode(errors="replace")
    if len(encoded) > _LONGEST:
        raise ValueError(
            f"save: the name {name[:40]!r} … has {len(encoded):,} bytes; it must have at most {_LONGEST:,}"
        )
    if (
        name in arrays
        or name in (_SETTINGS, _STATE)
        or encoded.decode() != name
        or zipfile.ZipInfo(name).filename != name
    ):
        raise ValueError(f"save: the name {name!r} is taken, or no name for a file; rename this array")
    arrays[name] = array
    return name


def _strict_json(value, what):
    try:
        return json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        reason = (
            f"{what} cannot be said in JSON ({error}); it must be made of texts, finite numbers, None, lists and dicts"
        )
        raise type(error)(reason) from None


def _as_bytes(text):
    return np.frombuffer(text.encode(), np.uint8)


def _fill(outline, arrays):
    """The state of which `outline` is the outline; in place, as a second copy would double the memory that it takes."""
    if isinstance(outline, dict) and _ARRAY in outline:
        return arrays[outline[_ARRAY]]
    if isinstance(outline, dict) and _ITEMS in outline:
        return {key: _fill(item, arrays) for key, item in outline[_ITEMS]}
    if isinstance(outline, dict | list):
        for place in outline if isinstance(outline, dict) else range(len(outline)):
            outline[place] = _fill(outline[place], arrays)
    return outline


# ---- reading bytes that may be anything --------------------------------------------------------------------------------


def _read_arrays(file, size):
    """All arrays of an open .npz of `size` bytes; any exception means that it is not whole."""
    entries = file.infolist()
    if any(entry.compress_type or entry.compress_size != entry.file_size for entry in entries):
        raise ValueError("compressed, which `save` never does")
    if sum(entry.file_size for entry in entries) > size:
        raise ValueError("more bytes are promised than there are")  # also by entries that lie over each other
    return {entry.filename.removesuffix(".npy"): _read_array(file.read(entry)) for entry in entries}


def _read_array(data):
    stream = io.BytesIO(data)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError("an unknown version")
    shape, in_fortran_order, dtype = np.lib.format.read_array_header_1_0(stream, max_header_size=2000)
    start = stream.tell()
    if dtype.kind not in "biufc" or in_fortran_order or math.prod(shape) * dtype.itemsize != len(data) - start:
        raise ValueError("the header does not fit the bytes after it")
    return np.ndarray(shape, dtype, data, start).astype(dtype.newbyteorder("="))  # a copy, which can be written to

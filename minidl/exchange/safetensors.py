"""Checkpoints as safetensors, a format whose reader runs no code, and which most libraries read: arrays by name, and texts.

What is more than arrays is one text under `minidl` in the file's metadata: JSON with the settings, with how the arrays
belong together, and with a checksum of everything, which the format itself lacks.
"""

import json
import zlib
from typing import Any

import numpy as np

__all__ = ["read", "write"]

_KEY, _MARK = (
    "minidl",
    " minidl 1 ",
)  # before the checksum, where the text ends: it tells a file of ours with a damaged key
_TYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "U64": "<u8", "I32": "<i4", "U32": "<u4",
    "I16": "<i2", "U16": "<u2", "I8": "|i1", "U8": "|u1", "BOOL": "|b1",
}  # fmt: skip


def write(arrays: dict[str, np.ndarray], outline: Any, settings: str) -> bytes:
    """Return the bytes of a file with arrays by name, the outline of a state, and settings as JSON.

    Errors    ModuleNotFoundError without the package safetensors; ValueError for the one name that the format keeps
    """
    if "__metadata__" in arrays:
        raise ValueError("save: the name '__metadata__' is taken in safetensors; rename this array")
    stored, kinds = {}, {}
    for name, array in arrays.items():
        native = np.ascontiguousarray(array, array.dtype.newbyteorder("=")).reshape(array.shape)
        if native.dtype.newbyteorder("<").str not in _TYPES.values():  # complex numbers, long doubles
            kinds[name] = [native.dtype.str, list(native.shape)]
            native = np.frombuffer(native.tobytes(), np.uint8)
        stored[name] = native
    text = json.dumps({"state": outline, "settings": json.loads(settings), "kinds": kinds})
    return _import("save").numpy.save(stored, {_KEY: f"{text}{_MARK}{_checksum(text, stored):08x}"})


def read(data: bytes) -> tuple[dict[str, np.ndarray], Any, Any]:
    """Return arrays by name, the outline of the state, and the settings; any exception means that the file is not whole.

    A file that minidl did not write has no outline, and for settings its metadata. Its bfloat16 become float32.
    """
    texts = _metadata(data)
    arrays = {name: _as_array(entry) for name, entry in _import("load").deserialize(data)}
    if _KEY not in texts and not any(_MARK in text for text in texts.values()):
        return arrays, None, texts
    text, _, checksum = texts[_KEY].rpartition(_MARK)
    if checksum != f"{_checksum(text, arrays):08x}":
        raise ValueError("the checksum is another one")
    content = json.loads(text)
    for name, (kind, shape) in content["kinds"].items():
        if np.dtype(kind).kind not in "fc":
            raise ValueError("no numbers")
        arrays[name] = np.frombuffer(bytearray(arrays[name]), kind).reshape(shape)
    return arrays, content["state"], content["settings"]


def _import(op):
    try:
        import safetensors.numpy
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{op}: {error}; it must be installed: pip install safetensors", name=error.name
        ) from None
    return safetensors


def _metadata(data):
    """The texts of a file, which `deserialize` passes over; it has checked that the header is one."""
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    texts = header.get("__metadata__", {})
    if not isinstance(texts, dict) or not all(isinstance(text, str) for text in texts.values()):
        raise ValueError("the metadata are not texts")
    return texts


def _as_array(entry):
    array = np.frombuffer(entry["data"], _TYPES[entry["dtype"]]).reshape(entry["shape"])
    if entry["dtype"] == "BF16":
        return (array.astype("<u4") << 16).view(np.float32).astype(np.float32)
    return array.astype(array.dtype.newbyteorder("="), copy=not array.flags.writeable)


def _checksum(text, arrays):
    total = zlib.crc32(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        total = zlib.crc32(
            f"{name} {array.dtype.newbyteorder('<').str} {array.shape} ".encode("utf-8", "replace"), total
        )
        total = zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8), total)
    return total

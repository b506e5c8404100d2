"""Reading checkpoints that somebody damaged, or made up: the right state or a CheckpointError, in little memory."""

import io
import json
import struct
import time
import zipfile
import zlib

import numpy as np
import pytest

from minidl import checkpoint
from minidl.checkpoint import CheckpointError
from tests.fuzz import attempt, damaged, within
from tests.test_checkpoint import NESTED, assert_same_tree

STATE = {
    "model": {"weight": np.arange(60.0).reshape(5, 12), "count": np.array(3)},
    "steps": [1, 2, {0: "a"}],
    "lr": 0.1,
}
SPARE = 1_000_000  # bytes of memory that any file may take: what zipfile, JSON and NumPy's header parser need


def memory(size, times=60):
    """What a file of that size may take: JSON becomes Python objects, and so takes up to sixty times its bytes."""
    return SPARE + times * size


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "state.npz"
    checkpoint.save(path, STATE, {"a": 1})
    return path.read_bytes()


@pytest.fixture
def load(tmp_path):
    """Loads bytes as a file: (refused, (state, settings))."""
    path = tmp_path / "damaged.npz"

    def load(content):
        path.write_bytes(content)
        return attempt(lambda: checkpoint.load(path), CheckpointError, memory(len(content)))

    return load


@pytest.mark.parametrize("cases", [1000, pytest.param(10_000, marks=pytest.mark.full)])
def test_random_damage_is_refused_or_did_no_harm(cases, whole, load):
    refused = 0
    for content in damaged(whole, cases):
        was_refused, loaded = load(content)
        refused += was_refused
        if not was_refused:
            assert_same_tree(loaded[0], STATE)
            assert loaded[1] == {"a": 1}
    assert 0.8 * cases < refused < cases  # a few bytes, such as the date of an entry, mean nothing


def test_damage_in_every_place_of_a_larger_one(load, tmp_path):
    checkpoint.save(tmp_path / "whole", NESTED)
    content = (tmp_path / "whole").read_bytes()
    for i in range(0, len(content), 97):
        was_refused, loaded = load(content[:i] + bytes([content[i] ^ 0x55]) + content[i + 1 :])
        if not was_refused:
            assert_same_tree(loaded[0], NESTED)


# ---- made up by somebody who knows the format ------------------------------------------------------------------------


def npy(header, body=b""):
    header = (repr(header) if isinstance(header, dict) else header).encode("latin1") + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + body


def described(shape=(2,), descr="<f8", fortran_order=False, body=bytes(16)):
    return npy({"descr": descr, "fortran_order": fortran_order, "shape": shape}, body)


def text(value):
    value = value if isinstance(value, bytes) else json.dumps(value).encode()
    return described((len(value),), "|u1", body=value)


def archive(entries, compression=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name, content in entries.items():
            file.writestr(f"{name}.npy", content)
    return buffer.getvalue()


def made_up(x=None, state=None, settings=None, **options):
    state = {"x": {"_array": "x"}} if state is None else state
    entries = {"x": described() if x is None else x, "_state": text(state), "_settings": text(settings or {})}
    return archive(entries, **options)


def test_what_is_made_up_right_is_accepted(load):
    refused, loaded = load(made_up())
    assert not refused
    assert_same_tree(loaded[0], {"x": np.zeros(2)})


def with_size(content, at_end, size):
    """The archive, its first entry said to have another size in the directory, at the end, or where the entry begins."""
    place = content.index(b"PK\x01\x02") + 20 if at_end else content.index(b"PK\x03\x04") + 18
    return content[:place] + struct.pack("<II", size, size) + content[place + 8 :]


def overlapping():
    """A hundred names for the same 20,000 bytes."""
    content = archive({"x": described((20_000,), "|u1", body=bytes(20_000))})
    start, end = content.index(b"PK\x01\x02"), content.index(b"PK\x05\x06")
    directory = content[start:end] * 100
    tail = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 100, 100, len(directory), start, 0)
    return content[:start] + directory + tail


CRAFTED = {
    "objects": made_up(described(descr="|O")),
    "texts": made_up(described(descr="<U2")),
    "bytes": made_up(described(descr="|S8")),
    "dates": made_up(described(descr="<M8[s]")),
    "records": made_up(described(descr=[("a", "<f4"), ("b", "<f4")])),
    "void": made_up(described(descr="|V8")),
    "a type of no bytes": made_up(described(descr="|V0", body=b"")),
    "no type": made_up(described(descr="nonsense")),
    "columns first": made_up(described((1, 2), fortran_order=True)),
    "more than there is": made_up(described((2**40,))),
    "less than there is": made_up(described((1,))),
    "a product that wraps": made_up(described((2**33, 2**33))),
    "negative": made_up(described((-1, -2))),
    "nothing times everything": made_up(described((0, 2**62, 2**62), body=b"")),
    "a hundred axes": made_up(described((1,) * 100, body=bytes(8))),
    "no tuple": made_up(described(2)),
    "no dict": made_up(npy("[1, 2]")),
    "code in the header": made_up(npy("__import__('os').system('false')")),
    "brackets in the header": made_up(npy("(" * 9_000)),
    "a huge header": made_up(npy("{" + " " * 60_000)),
    "no npy": made_up(b"hello"),
    "an empty entry": made_up(b""),
    "another version": made_up(b"\x93NUMPY\x02\x00" + described()[8:]),
    "compressed": made_up(compression=zipfile.ZIP_DEFLATED),
    "a bomb": made_up(described((10**8,), "|u1", body=bytes(10**8)), compression=zipfile.ZIP_DEFLATED),
    "a bomb of another kind": made_up(described((10**8,), "|u1", body=bytes(10**8)), compression=zipfile.ZIP_LZMA),
    "absurd size in the directory": with_size(made_up(), True, 2**32 - 2),
    "a little more in the directory": with_size(made_up(), True, len(described()) + 8),
    "many names for the same bytes": overlapping(),
    "an array that is not there": made_up(state={"x": {"_array": "y"}}),
    "an array by a list": made_up(state={"x": {"_array": [1]}}),
    "items that are none": made_up(state={"_items": [[1, 2, 3]]}),
    "a key that is a list": made_up(state={"_items": [[[1], 2]]}),
    "no JSON": made_up(state=b"{"),
    "no text": made_up(state=b"\xff\xfe\x00"),
    "deep JSON": made_up(state=b"[" * 100_000),
    "a number of a million digits": made_up(state=b"1" * 1_000_000),
    "settings that are no text": archive({"_state": text({}), "_settings": described((2,), "<f8", body=b"\xff" * 16)}),
    "no settings": archive({"_state": text({})}),
    "no state": archive({"_settings": text({})}),
}


@pytest.mark.parametrize("name", CRAFTED)
def test_what_is_made_up_wrong_is_refused(name, load):
    refused, loaded = load(CRAFTED[name])
    assert refused, loaded


def test_a_size_that_only_the_entry_believes_does_no_harm(load):
    refused, loaded = load(with_size(made_up(), False, 2**32 - 2))
    assert not refused
    assert_same_tree(loaded[0], {"x": np.zeros(2)})


def test_arrays_take_twice_their_bytes(tmp_path):
    checkpoint.save(tmp_path / "arrays", {f"{i}": np.ones(100_000) for i in range(10)})
    size = (tmp_path / "arrays").stat().st_size
    refused, _ = attempt(lambda: checkpoint.load(tmp_path / "arrays"), CheckpointError, memory(size, 2))
    assert not refused


JSON_OF_MUCH_MEMORY = {
    "empty lists": b"[]," * 60_000,
    "lists of one": b"[[]]," * 40_000,
    "lists in lists": (b"[" * 400 + b"]" * 400 + b",") * 240,
    "dicts": b'{"":0},' * 30_000,
    "dicts in dicts": (b'{"":' * 300 + b"0" + b"}" * 300 + b",") * 120,
    "pairs": b'{"_items":[["",0]]},' * 10_000,
    "behind a letter of four bytes": '"\U0001f600",'.encode() + b"[[]]," * 40_000,
}


@pytest.mark.parametrize("name", JSON_OF_MUCH_MEMORY)
def test_texts_in_json_take_memory_in_proportion(name, load):
    """The most that a byte can ask for: lists of 88 bytes and dicts of 232 for two to seven characters."""
    refused, _ = load(made_up(state=b"[" + JSON_OF_MUCH_MEMORY[name] + b"0]"))
    assert not refused


def test_many_entries_take_memory_in_proportion(load):
    load(archive({f"{i}": b"" for i in range(3000)}))


# ---- the watchman is awake -------------------------------------------------------------------------------------------


def test_too_much_memory_is_noticed(whole, tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(whole)

    def greedy(path, load=checkpoint.load):
        bytearray(memory(len(whole)) + 1)
        return load(path)

    with pytest.raises(AssertionError, match="bytes of memory"):
        attempt(lambda: greedy(tmp_path / "file"), CheckpointError, memory(len(whole)))


def test_numpys_own_reader_would_not_pass(tmp_path):
    """Which believes a header: it makes room for 800 MB before it looks for them."""
    (tmp_path / "file").write_bytes(made_up(described((10**8,))))

    def read():
        with np.load(tmp_path / "file") as file:
            return file["x"]

    with pytest.raises(AssertionError, match="bytes of memory"):
        attempt(read, ValueError, memory(2000))


def test_another_error_is_noticed():
    with pytest.raises(zlib.error):
        attempt(lambda: zlib.decompress(b"nonsense"), CheckpointError, 10**6)


def test_a_loop_without_end_is_noticed():
    with pytest.raises(TimeoutError), within(0.05):
        time.sleep(5)

"""Checkpoints as safetensors: what comes back is what went in; others read the arrays; damage is an error."""

import json
import struct
import sys

import numpy as np
import pytest

from minidl import Tensor, checkpoint, exchange, nn, optim
from minidl import functional as F
from minidl.checkpoint import CheckpointError
from tests.fuzz import attempt, damaged
from tests.test_checkpoint import ARRAYS as PLAIN
from tests.test_checkpoint import NESTED, SETTINGS, assert_same, assert_same_tree

load_file = pytest.importorskip("safetensors.numpy").load_file

ARRAYS = PLAIN | {
    "complex": np.array([1 + 2j, 3]), "half": np.ones(2, np.float16), "long": np.ones((2, 1), np.longdouble),
    "single complex": np.ones((1, 2), np.complex64), "turned": np.arange(3, dtype=">i4"), "number": np.array(1.5),
}  # fmt: skip
SPARE = 1_000_000


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new folder" / "checkpoint.safetensors"


def native(arrays):
    return {name: array.astype(array.dtype.newbyteorder("=")) for name, array in arrays.items()}


@pytest.mark.parametrize("suffix", [".safetensors", ".SafeTensors"])
def test_round_trip(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    checkpoint.save(path, ARRAYS, SETTINGS)
    arrays, settings = checkpoint.load(path)
    assert_same(arrays, native(ARRAYS))
    assert settings == SETTINGS
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    for array in arrays.values():
        array[...] = 0  # it can be written to


def test_a_nested_state_comes_back_as_it_was(path):
    checkpoint.save(path, NESTED, SETTINGS)
    npz = path.with_suffix(".npz")
    checkpoint.save(npz, NESTED, SETTINGS)
    assert_same_tree(checkpoint.load(path)[0], checkpoint.load(npz)[0])


def test_equal_content_gives_equal_bytes(path):
    checkpoint.save(path, ARRAYS, SETTINGS)
    first = path.read_bytes()
    checkpoint.save(path, ARRAYS, SETTINGS)
    assert path.read_bytes() == first


def trained():
    rng = np.random.default_rng(0)
    model = nn.Sequential(
        nn.Linear(6, 8, generator=rng), nn.BatchNorm(8), nn.Dropout(0.4, rng), nn.Linear(8, 3, generator=rng)
    )
    return model, optim.SGD(model.parameters(), lr=0.3, momentum=0.9), rng


def train(model, optimizer, rng, steps=3):
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(model(Tensor(rng.standard_normal((9, 6), np.float32))), rng.integers(0, 3, 9)).backward()
        optimizer.step()


def test_a_run_goes_on_to_the_same_bits(path):
    model, optimizer, rng = trained()
    train(model, optimizer, rng)
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "generator": rng.bit_generator.state}
    checkpoint.save(path, state)
    train(model, optimizer, rng)
    resumed, its_optimizer, its_rng = trained()
    state, _ = checkpoint.load(path)
    resumed.load_state_dict(state["model"])
    its_optimizer.load_state_dict(state["optimizer"])
    its_rng.bit_generator.state = state["generator"]
    train(resumed, its_optimizer, its_rng)
    assert_same(resumed.state_dict(), model.state_dict())


@pytest.mark.parametrize("inside", [False, True])
def test_others_read_the_weights_by_their_names(path, inside):
    """Also where the network's state is one entry of many."""
    model, optimizer, rng = trained()
    train(model, optimizer, rng)
    state = model.state_dict()
    checkpoint.save(path, {"model": state, "optimizer": optimizer.state_dict()} if inside else state)
    read = load_file(path)
    assert {name for name in read if not name.startswith("optimizer/")} == state.keys()
    for name, array in state.items():
        np.testing.assert_array_equal(read[name], array)
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file as load_tensors

    assert torch.equal(load_tensors(path)["0.weight"], torch.from_numpy(state["0.weight"]))


def test_a_name_that_another_array_has_is_a_path(path):
    state = {"model": {"w": np.ones(2)}, "w": np.zeros(3), "best": {"w": np.ones(4)}}
    checkpoint.save(path, state)
    assert load_file(path).keys() == {"model/w", "w", "best/w"}
    assert_same_tree(checkpoint.load(path)[0], state)


def test_what_pytorch_wrote(path, tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    theirs = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    save_file(theirs.state_dict(), tmp_path / "theirs.safetensors", {"format": "pt"})
    state, settings = checkpoint.load(tmp_path / "theirs.safetensors")
    assert settings == {"format": "pt"}
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm(2))
    exchange.torch.load_state_dict(model, state)
    np.testing.assert_array_equal(model[0].weight.data, theirs[0].weight.detach().numpy().T)
    numbers = torch.tensor([1.5, -3.0e38, float("inf"), 2.0**-130], dtype=torch.bfloat16)
    save_file({"w": numbers}, tmp_path / "half.safetensors")
    np.testing.assert_array_equal(checkpoint.load(tmp_path / "half.safetensors")[0]["w"], numbers.float().numpy())


# ---- what is refused ---------------------------------------------------------------------------------------------------


def test_what_cannot_be_saved_leaves_the_older_file(path):
    checkpoint.save(path, {"w": np.ones(2)})
    before = path.read_bytes()
    for state, kind, why in [
        ({"model": nn.Linear(2, 2)}, TypeError, "save: model is a Linear"),
        ({"w": np.array(["a"])}, TypeError, "save: w is an array of <U1"),
        ({"__metadata__": np.ones(2)}, ValueError, "save: the name '__metadata__' is taken in safetensors; rename"),
        ({1: np.ones(2), "1": np.ones(2)}, ValueError, "save: the name '1' is taken"),
    ]:
        with pytest.raises(kind, match=why):
            checkpoint.save(path, state)
    assert path.read_bytes() == before


def test_without_the_package(path, monkeypatch):
    checkpoint.save(path, {"w": np.ones(2)})
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    monkeypatch.setitem(sys.modules, "safetensors", None)
    for op, action in (("save", lambda: checkpoint.save(path, {})), ("load", lambda: checkpoint.load(path))):
        with pytest.raises(ModuleNotFoundError, match=f"{op}: .*; it must be installed: pip install safetensors"):
            action()


@pytest.fixture
def load(tmp_path):
    """Loads bytes as a file: (refused, (state, settings))."""
    path = tmp_path / "damaged.safetensors"

    def load(content):
        path.write_bytes(content)
        return attempt(lambda: checkpoint.load(path), CheckpointError, SPARE + 60 * len(content))

    return load


STATE = {"model": {"w": np.arange(60.0).reshape(5, 12), "n": np.array(3)}, "steps": [1, 2, {0: "a"}], "lr": 0.1}


@pytest.mark.parametrize("cases", [600, pytest.param(10_000, marks=pytest.mark.full)])
def test_random_damage_is_refused_or_did_no_harm(cases, load, path):
    checkpoint.save(path, STATE, {"a": 1})
    refused = 0
    for content in damaged(path.read_bytes(), cases):
        was_refused, loaded = load(content)
        refused += was_refused
        if not was_refused:
            assert_same_tree(loaded[0], STATE)
            assert loaded[1] == {"a": 1}
    assert 0.8 * cases < refused <= cases


def made_up(header, body=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def entry(dtype="F64", shape=(2,), offsets=(0, 16)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def named(text, body=bytes(16)):
    return made_up({"__metadata__": {"minidl": text}, "x": entry()}, body)


CRAFTED = {
    "nothing": b"", "few bytes": b"\x01\x00", "a zip": b"PK\x03\x04" + bytes(60), "a pickle": b"\x80\x04cos\nsystem\n",
    "a huge header": struct.pack("<Q", 2**63) + b"{}", "no JSON": made_up(b"{"), "a list": made_up([1]),
    "deep JSON": made_up(b'{"x":' + b"[" * 100_000), "more than there is": made_up({"x": entry(shape=(2**40,))}, bytes(16)),
    "a product that wraps": made_up({"x": entry(shape=(2**33, 2**33))}, bytes(16)),
    "negative": made_up({"x": entry(shape=(-1, -2))}, bytes(16)), "less than there is": made_up({"x": entry()}, bytes(99)),
    "outside": made_up({"x": entry(offsets=(16, 32))}, bytes(16)), "an unknown type": made_up({"x": entry("F4")}, bytes(16)),
    "twice the same bytes": made_up({"x": entry(), "y": entry()}, bytes(16)),
    "another checksum": named('{"state": null, "settings": {}, "kinds": {}} minidl 1 00000000'),
    "no checksum": named(" minidl 1 "), "no content": named(" minidl 1 00000000"), "no mark": named("{}"),
    "under another key": made_up({"__metadata__": {"minidk": "{} minidl 1 0"}, "x": entry()}, bytes(16)),
}  # fmt: skip


@pytest.mark.parametrize("name", CRAFTED)
def test_what_is_made_up_wrong_is_refused(name, load):
    refused, loaded = load(CRAFTED[name])
    assert refused, loaded


@pytest.mark.parametrize(
    "content",
    [{"state": {"_array": "y"}}, {"kinds": {"x": ["|O", [2]]}}, {"kinds": {"x": ["<c16", [5]]}},
     {"kinds": {"y": ["<c16", [1]]}}, {"state": {"_items": [[1, 2, 3]]}}, {"kinds": [1]}],
)  # fmt: skip
def test_made_up_with_the_right_checksum(content, load):
    from minidl.exchange.safetensors import _checksum

    for more, wrong in (({}, False), (content, True)):
        text = json.dumps({"state": {}, "settings": {}, "kinds": {}} | more)
        refused, loaded = load(named(f"{text} minidl 1 {_checksum(text, {'x': np.zeros(2)}):08x}"))
        assert refused == wrong, loaded


def test_arrays_take_twice_their_bytes(tmp_path):
    path = tmp_path / "arrays.safetensors"
    checkpoint.save(path, {f"{i}": np.ones(100_000) for i in range(10)})
    refused, _ = attempt(lambda: checkpoint.load(path), CheckpointError, SPARE + 2 * path.stat().st_size)
    assert not refused

"""Checkpoints: what comes back is what went in, or an error that names the file."""

import json
import pickle
import zipfile

import numpy as np
import pytest

from minidl import Tensor, checkpoint, nn, optim
from minidl import functional as F
from minidl.checkpoint import CheckpointError

ARRAYS = {
    "0.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "count": np.array(3), "empty": np.zeros((0, 4)),
    "strided": np.arange(12.0).reshape(3, 4)[:, ::2], "mask": np.array([True, False]), "bytes": np.arange(5, dtype=np.uint8),
}  # fmt: skip
SETTINGS = {"lr": 0.1, "name": "γ", "steps": [1, 2], "nested": {"none": None, "yes": True}}


def assert_same(arrays, expected):
    assert list(arrays) == list(expected)
    for name, array in expected.items():
        assert arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays[name], array)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new folder" / "checkpoint.npz"


def test_round_trip(path):
    checkpoint.save(path, ARRAYS, SETTINGS)
    arrays, settings = checkpoint.load(str(path))
    assert_same(arrays, ARRAYS)
    assert settings == SETTINGS
    assert [p.name for p in path.parent.iterdir()] == [path.name]  # under the given name, and nothing beside it


def test_tensors_are_saved_as_their_arrays(path):
    checkpoint.save(path, {"x": Tensor(np.ones(2))})
    assert_same(checkpoint.load(path)[0], {"x": np.ones(2)})


def test_settings_are_optional(path):
    checkpoint.save(path, ARRAYS)
    assert checkpoint.load(path)[1] == {}


@pytest.mark.parametrize("name", ["file", "allow_pickle", "self", "args", "a.b.c", "with space", "0"])
def test_any_name(path, name):
    checkpoint.save(path, {name: np.ones(2)})
    assert_same(checkpoint.load(path)[0], {name: np.ones(2)})


def test_it_is_an_npz_that_numpy_reads(path):
    checkpoint.save(path, ARRAYS, SETTINGS)
    with np.load(path, allow_pickle=False) as file:
        np.testing.assert_array_equal(file["0.weight"], ARRAYS["0.weight"])
        assert json.loads(file["_settings"].tobytes()) == SETTINGS


def test_equal_content_gives_equal_bytes(path):
    checkpoint.save(path, ARRAYS, SETTINGS)
    first = path.read_bytes()
    checkpoint.save(path, ARRAYS, SETTINGS)
    assert path.read_bytes() == first


def test_a_network_and_its_optimizer_go_on_to_the_same_bits(path):
    def fresh():
        rng = np.random.default_rng(0)
        model = nn.Sequential(nn.Linear(6, 8, generator=rng), nn.BatchNorm(8), nn.Linear(8, 3, generator=rng))
        return model, optim.SGD(model.parameters(), lr=0.3, momentum=0.9)

    def train(model, optimizer, steps):
        for step in steps:
            rng = np.random.default_rng([1, step])
            optimizer.zero_grad()
            images = Tensor(rng.standard_normal((10, 6)).astype(np.float32))
            F.cross_entropy(model(images), rng.integers(0, 3, 10)).backward()
            optimizer.step()

    model, optimizer = fresh()
    train(model, optimizer, range(3))
    state = optimizer.state_dict()
    buffers = {f"momentum.{i}": buffer for i, buffer in state["buffers"].items()}
    checkpoint.save(path, model.state_dict() | buffers, {"groups": state["groups"]})
    train(model, optimizer, range(3, 6))

    resumed, its_optimizer = fresh()
    arrays, settings = checkpoint.load(path)
    buffers = {int(name.removeprefix("momentum.")): a for name, a in arrays.items() if name.startswith("momentum.")}
    resumed.load_state_dict({name: a for name, a in arrays.items() if not name.startswith("momentum.")})
    its_optimizer.load_state_dict({"groups": settings["groups"], "buffers": buffers})
    train(resumed, its_optimizer, range(3, 6))
    assert_same(resumed.state_dict(), model.state_dict())


# ---- what cannot be saved --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arrays", "settings", "error"),
    [
        ({"x": np.array([{}, None])}, {}, TypeError),
        ({"x": nn.Parameter(np.ones(2))}, {}, RuntimeError),
        ({"_settings": np.ones(2)}, {}, ValueError),
        (ARRAYS, {"lr": float("nan")}, ValueError),
        (ARRAYS, {"what": object()}, TypeError),
    ],
)
def test_what_cannot_be_saved_leaves_the_old_file(path, arrays, settings, error):
    checkpoint.save(path, ARRAYS, SETTINGS)
    before = path.read_bytes()
    with pytest.raises(error):
        checkpoint.save(path, arrays, settings)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


# ---- what cannot be loaded -------------------------------------------------------------------------------------------


def test_a_file_that_is_not_there(path):
    with pytest.raises(FileNotFoundError, match=r"load: there is no file .*checkpoint\.npz"):
        checkpoint.load(path)


def test_a_truncated_file_is_an_error(path):
    checkpoint.save(path, {"x": np.arange(5.0)}, {"a": 1})
    whole = path.read_bytes()
    for n in {*range(0, len(whole), 5), len(whole) - 1}:
        path.write_bytes(whole[:n])
        with pytest.raises(CheckpointError, match=r"load: .*checkpoint\.npz is damaged"):
            checkpoint.load(path)


@pytest.mark.parametrize("flip", [0x01, 0xFF])
def test_a_damaged_byte_is_an_error_or_does_no_harm(path, flip):
    checkpoint.save(path, {"x": np.arange(5.0)}, {"a": 1})
    whole = path.read_bytes()
    errors = 0
    for i in range(len(whole)):
        path.write_bytes(whole[:i] + bytes([whole[i] ^ flip]) + whole[i + 1 :])
        try:
            arrays, settings = checkpoint.load(path)
        except CheckpointError:
            errors += 1
            continue
        assert_same(arrays, {"x": np.arange(5.0)})
        assert settings == {"a": 1}
    assert errors > len(whole) / 2


class Bomb:
    """Pickled, it runs code when it is loaded."""

    def __reduce__(self):
        return pytest.fail, ("loading ran code",)


def foreign_files(folder):
    (folder / "empty").write_bytes(b"")
    (folder / "text").write_text("no checkpoint")
    (folder / "pickle").write_bytes(pickle.dumps(Bomb()))
    np.save(folder / "array.npy", np.ones(3))
    np.savez(folder / "other.npz", x=np.ones(3))
    with zipfile.ZipFile(folder / "zip", "w") as file:
        file.writestr("readme.txt", "hello")
    for name, text in (("no json", b"{"), ("no text", b"\xff\xfe\xfd")):
        with open(folder / name, "wb") as file:
            np.savez(file, _settings=np.frombuffer(text, np.uint8))
    with open(folder / "objects", "wb") as file:
        np.savez(file, x=np.array([Bomb()]), _settings=np.frombuffer(b"{}", np.uint8))
    with zipfile.ZipFile(folder / "half foreign", "w") as file:
        file.writestr("_settings", b"{}")


FOREIGN = ["empty", "text", "pickle", "array.npy", "other.npz", "zip", "no json", "no text", "objects", "half foreign"]


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_file_is_an_error_and_runs_no_code(tmp_path, name):
    foreign_files(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == set(FOREIGN)
    with pytest.raises(CheckpointError, match="damaged, or not a file that minidl saved"):
        checkpoint.load(tmp_path / name)

"""Checkpoints: what comes back is what went in, or an error that names the file."""

import json
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from minidl import Tensor, checkpoint, nn, optim
from minidl import functional as F
from minidl.checkpoint import CheckpointError, Checkpoints

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


def test_a_network_its_schedule_and_generators_go_on_to_the_same_bits(tmp_path):
    """A loop of anyone's, with everything that has a state: it stops after every possible number of steps."""

    def fresh():
        rng = np.random.default_rng(0)
        model = nn.Sequential(nn.Linear(6, 8, generator=rng), nn.BatchNorm(8), nn.Dropout(0.4, rng))
        optimizer = optim.SGD(model.parameters(), lr=0.3, momentum=0.9, nesterov=True)
        warm_up, decay = optim.LinearLR(optimizer, total_iters=3), optim.CosineAnnealingLR(optimizer, 9)
        return model, optimizer, optim.SequentialLR(optimizer, [warm_up, decay], [3]), rng

    def train(parts, start, end, history):
        model, optimizer, schedule, rng = parts
        for _ in range(start, end):
            optimizer.zero_grad()
            images = Tensor(rng.standard_normal((10, 6), np.float32))
            loss = F.cross_entropy(model(images), rng.integers(0, 3, 10))
            loss.backward()
            optimizer.step()
            schedule.step()
            history.append(loss.item())

    def everything(parts, history):
        model, optimizer, schedule, rng = parts
        return {
            "model": model.state_dict(), "optimizer": optimizer.state_dict(), "schedule": schedule.state_dict(),
            "generator": rng.bit_generator.state, "history": history,
        }  # fmt: skip

    parts, history = fresh(), []
    train(parts, 0, 8, history)
    expected = everything(parts, history)
    for stop in range(9):
        checkpoints, parts, history = Checkpoints(tmp_path / str(stop)), fresh(), []
        train(parts, 0, stop, history)
        checkpoints.save(stop, everything(parts, history))

        (model, optimizer, schedule, rng), (step, state) = fresh(), checkpoints.latest()
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        rng.bit_generator.state = state["generator"]
        assert step == stop
        train((model, optimizer, schedule, rng), step, 8, state["history"])
        assert_same_tree(everything((model, optimizer, schedule, rng), state["history"]), expected)


# ---- states of any form ----------------------------------------------------------------------------------------------

NESTED = {
    "model": ARRAYS, "none": None, "text": "β", "number": 2**100, "float": 0.1, "yes": True, "nan": float("nan"),
    "list": [1, [np.arange(3), {"deep": np.ones((2, 2), np.float32)}], []], "by number": {0: np.ones(2), 1: {}, -3: "x"},
    "marks": {"_array": "model", "_items": 3}, "a/b": 1, "": 0, "empty": {},
    "generators": [kind(7).state for kind in (np.random.PCG64, np.random.MT19937, np.random.Philox, np.random.SFC64)],
}  # fmt: skip


def assert_same_tree(got, expected):
    if isinstance(expected, np.ndarray):
        assert isinstance(got, np.ndarray)
        assert got.dtype == expected.dtype
        assert got.flags.writeable
        np.testing.assert_array_equal(got, expected)
        return
    assert type(got) is type(expected)
    if isinstance(expected, dict):
        assert list(got) == list(expected)
        assert [type(key) for key in got] == [type(key) for key in expected]
        for key, value in expected.items():
            assert_same_tree(got[key], value)
    elif isinstance(expected, list):
        assert len(got) == len(expected)
        for a, b in zip(got, expected, strict=True):
            assert_same_tree(a, b)
    else:
        assert got == expected or (got != got and expected != expected)


def test_a_nested_state_comes_back_as_it_was(path):
    checkpoint.save(path, NESTED)
    assert_same_tree(checkpoint.load(path)[0], NESTED)


def test_what_comes_back_as_something_else(path):
    checkpoint.save(
        path, {"pair": (1, 2), "number": np.float32(0.5), "flag": np.bool_(True), "big": np.arange(3, dtype=">i4")}
    )
    expected = {"pair": [1, 2], "number": 0.5, "flag": True, "big": np.arange(3, dtype="i4")}
    assert_same_tree(checkpoint.load(path)[0], expected)


# ---- the newest states of a run --------------------------------------------------------------------------------------


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_newest_two_are_kept(tmp_path):
    checkpoints = Checkpoints(tmp_path / "run")
    assert checkpoints.latest() is None
    assert checkpoints.newest_step() is None
    for step in (0, 5, 900, 1000):
        checkpoints.save(step, {"x": np.array(step)})
        assert checkpoints.latest() == (step, {"x": step})
        assert checkpoints.newest_step() == step
    assert names(tmp_path / "run") == ["step-000000900.npz", "step-000001000.npz"]


def test_a_run_that_starts_anew_replaces_the_old_one(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=3)
    for step in (10, 20, 30, 15):
        checkpoints.save(step, {"x": np.array(step)})
    assert checkpoints.latest() == (15, {"x": 15})
    assert names(tmp_path) == ["step-000000010.npz", "step-000000015.npz"]


def test_damaged_ones_are_named_and_set_aside(tmp_path, capsys):
    checkpoints = Checkpoints(tmp_path)
    for step in (1, 2):
        checkpoints.save(step, {"x": np.arange(step)})
    newest = tmp_path / "step-000000002.npz"
    newest.write_bytes(newest.read_bytes()[:-1])
    assert checkpoints.latest()[0] == 1
    assert f"{newest} is damaged" in capsys.readouterr().err
    assert names(tmp_path) == ["step-000000001.npz", "step-000000002.npz.damaged"]
    checkpoints.save(2, {"x": np.arange(2)})
    assert checkpoints.latest()[0] == 2
    assert capsys.readouterr().err == ""


def test_damaged_ones_in_a_folder_that_may_only_be_read(tmp_path, capsys, monkeypatch):
    Checkpoints(tmp_path).save(1, {})
    (tmp_path / "step-000000002.npz").write_bytes(b"")

    def refuse(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "replace", refuse)
    assert Checkpoints(tmp_path).latest() == (1, {})
    assert "step-000000002.npz is damaged" in (told := capsys.readouterr().err)
    assert "it stays where it is" in told


def test_states_of_another_run_are_passed_over(tmp_path, capsys):
    Checkpoints(tmp_path, {"lr": 0.1, "sizes": (1, 2)}).save(3, {})
    assert Checkpoints(tmp_path, {"lr": 0.1, "sizes": [1, 2]}).latest() == (3, {})
    for other in ({"lr": 0.2, "sizes": [1, 2]}, None):
        assert Checkpoints(tmp_path, other).latest() is None
        assert "other settings" in capsys.readouterr().err
    checkpoint.save(tmp_path / "step-000000009.npz", {}, {"run": {}})  # by hand, and without a step
    assert Checkpoints(tmp_path).latest() is None


def test_a_full_disk_leaves_everything_saved_before(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, {"x": np.ones(3)})
    before = names(tmp_path)

    def refuse(descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        with pytest.raises(OSError, match="No space left"):
            checkpoints.save(2, {"x": np.ones(3)})
    assert names(tmp_path) == before
    assert checkpoints.latest()[0] == 1


def test_what_a_killed_writer_left_is_cleared_by_the_next_save(tmp_path):
    (tmp_path / ".step-000000001.npz.0123.part").write_bytes(b"half")
    Checkpoints(tmp_path).save(2, {})
    assert names(tmp_path) == ["step-000000002.npz"]


def test_another_process_may_delete_the_file_that_was_just_saved(tmp_path, monkeypatch):
    """Two runs by mistake in one folder: neither may end by it."""
    checkpoints = Checkpoints(tmp_path)
    for step in (1, 2):
        checkpoints.save(step, {})
    monkeypatch.setattr(checkpoint, "remove_parts", lambda folder: (folder / "step-000000003.npz").unlink())
    checkpoints.save(3, {})
    assert checkpoints.latest() == (2, {})


def test_steps_are_ordered_as_numbers_and_other_files_are_none(tmp_path):
    """Ten digits come after nine, NumPy's numbers are numbers, and a copy made by hand is no step."""
    checkpoints = Checkpoints(tmp_path)
    (tmp_path / "step-000000001 (copy).npz").write_bytes(b"something")
    for step in (999_999_999, np.int64(10**9)):
        checkpoints.save(step, {})
        assert checkpoints.newest_step() == step
    assert checkpoints.latest() == (10**9, {})


@pytest.mark.parametrize("step", [-1, 1.0, "1", None])
def test_what_is_no_step(tmp_path, step):
    with pytest.raises(ValueError, match=r"Checkpoints.save: step is .*; it must be a whole number"):
        Checkpoints(tmp_path / "run").save(step, {})
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("keep", [0, 1.5, None])
def test_at_least_one_is_kept(tmp_path, keep):
    with pytest.raises(ValueError, match=r"Checkpoints: keep is .*; it must be a whole number of at least 1"):
        Checkpoints(tmp_path, keep=keep)


# ---- what cannot be saved --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arrays", "settings", "error"),
    [
        ({"x": np.array([{}, None])}, {}, TypeError),
        ({"x": nn.Parameter(np.ones(2))}, {}, RuntimeError),
        ({"_settings": np.ones(2)}, {}, ValueError),
        ({"_state": np.ones(2)}, {}, ValueError),
        ({"a": {"b": np.ones(2)}, "a/b": np.ones(2)}, {}, ValueError),
        ({"nul\0": np.ones(2)}, {}, ValueError),
        ({"texts": np.array(["a"])}, {}, TypeError),
        ({"model": nn.ReLU()}, {}, TypeError),
        ({(1, 2): 3}, {}, TypeError),
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

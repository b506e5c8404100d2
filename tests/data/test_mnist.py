"""Where the digits come from: a folder, the cache, a mirror, or strokes; whole or not at all."""

import _thread
import gzip
import hashlib
import json
import os
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from minidl.data.cache import cache_dir
from minidl.data.idx import DataError
from minidl.data.mnist import mnist
from tests.data.fakes import (
    ARRAYS,
    FILES,
    NAMES,
    PLAIN,
    ZIPPED,
    assert_cache_is_whole,
    assert_is_fake_mnist,
    digits,
    fell_back,
    fill,
    mnist_module,
)
from tests.data.test_idx import idx

REAL = os.environ.get("MINIDL_DATA")

pytestmark = pytest.mark.usefixtures("alone")


# ---- a folder of the user's


@pytest.mark.parametrize(
    "files",
    [
        PLAIN,
        ZIPPED,
        {name.replace("-idx", ".idx"): data for name, data in PLAIN.items()},
        {name.replace("-idx", ".idx"): data for name, data in ZIPPED.items()},
        {NAMES[0]: PLAIN[NAMES[0]], **{f"{name}.gz": PLAIN[name] for name in NAMES[1:]}},
    ],
    ids=["plain", "gzip", "dots", "dots and gzip", "mixed, and .gz by name only"],
)
def test_a_folder_in_any_spelling(tmp_path, files):
    assert_is_fake_mnist(mnist(fill(tmp_path / "fashion", files)), "fashion")


def test_the_environment_names_the_folder_and_the_argument_wins(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIDL_DATA", str(fill(tmp_path / "kuzushiji", PLAIN)))
    assert_is_fake_mnist(mnist(), "kuzushiji")
    assert_is_fake_mnist(mnist(str(fill(tmp_path / "fashion", PLAIN))), "fashion")


def test_only_the_original_digits_are_called_mnist(tmp_path, monkeypatch):
    folder = fill(tmp_path / "mnist", PLAIN)
    assert_is_fake_mnist(mnist(folder), "mnist, but not the original")

    originals = [hashlib.sha256(array).hexdigest() for array in ARRAYS]
    monkeypatch.setattr(mnist_module, "_VALUES_SHA256", originals)
    assert_is_fake_mnist(mnist(folder), "mnist")
    assert_is_fake_mnist(mnist(fill(tmp_path / "other", ZIPPED)), "mnist")
    for i in range(4):
        monkeypatch.setattr(mnist_module, "_VALUES_SHA256", [*originals[:i], "0" * 64, *originals[i + 1 :]])
        assert mnist(folder).source == "mnist, but not the original"


def test_labels_beyond_nine_and_other_sizes_are_welcome(tmp_path):
    letters = {name: idx(np.full((3, 32, 30)[: 3 if "images" in name else 1], 26, np.uint8)) for name in NAMES}
    train, test = mnist(fill(tmp_path / "letters", letters))
    assert train.images.shape == test.images.shape == (3, 32, 30)
    assert train.labels.tolist() == [26, 26, 26]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:-1], "is cut"),
        (lambda data: b"", "is empty"),
        (lambda data: data + b"\0", "goes on after"),
        (lambda data: b"<html>", "no IDX file"),
        (lambda data: gzip.compress(data)[:-4], "gzip data stops"),
    ],
    ids=["cut", "empty", "too long", "web page", "gzip cut"],
)
def test_one_damaged_file_stops_everything(tmp_path, name, damage, message, capfd):
    folder = fill(tmp_path / "own", {**PLAIN, name: damage(PLAIN[name])})
    with pytest.raises(DataError, match=message) as caught:
        mnist(folder)
    assert str(folder / name) in str(caught.value)
    assert capfd.readouterr().err == ""


def test_missing_files_are_all_named(tmp_path):
    folder = fill(tmp_path / "own", {NAMES[0]: PLAIN[NAMES[0]], f"{NAMES[3]}.gz": ZIPPED[f"{NAMES[3]}.gz"]})
    with pytest.raises(DataError, match=f"own lacks {NAMES[1]}, {NAMES[2]}; put"):
        mnist(folder)


def test_a_folder_that_is_none(tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"cannot list the folder .*absent .*; name an existing folder$"):
        mnist(tmp_path / "absent")
    (tmp_path / "file").touch()
    monkeypatch.setenv("MINIDL_DATA", str(tmp_path / "file"))
    with pytest.raises(DataError, match="MINIDL_DATA"):
        mnist()


@pytest.mark.parametrize(
    ("name", "other", "message"),
    [
        (NAMES[0], idx(ARRAYS[1]), r"train-images.* has shape \(20,\); images must be"),
        (NAMES[3], idx(ARRAYS[2]), r"t10k-labels.* has shape \(10, 28, 28\); labels must be"),
        (NAMES[1], idx(ARRAYS[3]), "train-images.* 20 images but .*train-labels.* 10 labels"),
        (NAMES[2], idx(digits(10, 0, side=14)[0]), r"t10k-images.*\(14, 14\).*train-images.*\(28, 28\)"),
    ],
    ids=["labels as images", "images as labels", "counts differ", "sizes differ"],
)
def test_files_that_do_not_fit_each_other(tmp_path, name, other, message):
    with pytest.raises(DataError, match=message):
        mnist(fill(tmp_path / "own", {**PLAIN, name: other}))


@pytest.mark.skipif(not REAL, reason="MINIDL_DATA is not set")
def test_the_folder_in_the_environment():
    (x, y), (x_test, y_test) = loaded = mnist(REAL)
    assert x.dtype == np.uint8
    assert y.dtype == np.int64
    assert len(x) == len(y)
    assert len(x_test) == len(y_test)
    if loaded.source == "mnist":
        assert x.shape == (60_000, 28, 28)
        assert x_test.shape == (10_000, 28, 28)
        assert np.bincount(y_test).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


@pytest.mark.skipif(not REAL, reason="MINIDL_DATA is not set")
def test_the_checksums_are_those_of_the_original_files(monkeypatch):
    monkeypatch.undo()
    paths = [Path(REAL) / file.name for file in mnist_module._FILES]
    if mnist(REAL).source != "mnist" or not all(path.is_file() for path in paths):
        pytest.skip("MINIDL_DATA does not hold the original .gz files")
    assert all(file.matches(path.read_bytes()) for file, path in zip(mnist_module._FILES, paths, strict=True))


# ---- cache and mirrors


def test_download_then_cache(mirrors, capfd):
    asked = mirrors("good", "good")
    assert_is_fake_mnist(mnist(), "mnist")
    assert asked == [f"/good/{name}" for name in ZIPPED]
    assert_cache_is_whole()
    assert_is_fake_mnist(mnist(), "mnist")
    assert_is_fake_mnist(mnist(download=False), "mnist")
    assert len(asked) == 4
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: data[:-1] + b"!", lambda data: b""])
def test_a_damaged_file_in_the_cache_is_downloaded_again(mirrors, damage):
    name = FILES[2].name
    fill(cache_dir() / "mnist", {**ZIPPED, name: damage(ZIPPED[name])})
    asked = mirrors("good")
    assert_is_fake_mnist(mnist(), "mnist")
    assert asked == [f"/good/{name}"]
    assert_cache_is_whole()


def test_quiet_does_not_hide_that_line(mirrors, capfd):
    mirrors("missing", "wrong")
    assert fell_back(mnist(quiet=True), capfd) == "HTTP status 404, the server sent something else"


def test_without_permission_to_download(mirrors, capfd):
    asked = mirrors("good")
    fill(cache_dir() / "mnist", {FILES[0].name: ZIPPED[FILES[0].name]})
    with pytest.raises(DataError, match=f"lacks {FILES[1].name}, {FILES[2].name}, {FILES[3].name}; allow"):
        mnist(download=False)
    assert asked == []
    assert capfd.readouterr() == ("", "")


def test_a_cache_that_cannot_be_made(mirrors, tmp_path, monkeypatch, capfd):
    (tmp_path / "file").touch()
    monkeypatch.setenv("MINIDL_CACHE", str(tmp_path / "file"))
    mirrors("good")
    assert_is_fake_mnist(mnist(), "mnist")
    mirrors("missing")
    fell_back(mnist(), capfd)


ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
BY_MODE = pytest.param("by its mode", marks=pytest.mark.skipif(ROOT, reason="root may write everywhere"))


@pytest.mark.parametrize("how", ["by the system", BY_MODE])
def test_a_cache_that_may_only_be_read(mirrors, monkeypatch, how, capfd):
    """The digits come, without a word; and what the cache has is used."""
    folder = fill(cache_dir() / "mnist", {FILES[0].name: ZIPPED[FILES[0].name]})
    if how == "by its mode":
        folder.chmod(0o555)
    else:
        opened = open

        def refuse(file, mode="r", *args, **options):
            if "w" in mode:
                raise OSError(30, "Read-only file system", str(file))
            return opened(file, mode, *args, **options)

        monkeypatch.setattr("builtins.open", refuse)
    asked = mirrors("good")
    assert_is_fake_mnist(mnist(), "mnist")
    monkeypatch.undo()
    folder.chmod(0o755)
    assert asked == [f"/good/{file.name}" for file in FILES[1:]]
    assert [path.name for path in folder.iterdir()] == [FILES[0].name]
    assert capfd.readouterr() == ("", "")


def test_a_full_disk(mirrors, monkeypatch):
    def refuse(descriptor):
        raise OSError(28, "No space left on device")

    mirrors("good")
    monkeypatch.setattr(os, "fsync", refuse)
    assert_is_fake_mnist(mnist(), "mnist")
    assert list((cache_dir() / "mnist").iterdir()) == []


def test_a_disk_that_has_no_room_for_large_files(mirrors):
    """Here the system itself refuses: files may have 5,000 bytes. What fits is kept, the rest comes all the same."""
    resource = pytest.importorskip("resource")
    mirrors("good")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, before[1]))
    try:
        loaded = mnist()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert_is_fake_mnist(loaded, "mnist")
    kept = {path.name: path.read_bytes() for path in (cache_dir() / "mnist").iterdir()}
    assert kept == {name: data for name, data in ZIPPED.items() if len(data) <= 5000}
    assert len(kept) == 2


def test_threads_at_once_download_once(mirrors):
    asked = mirrors("slow")
    filters = list(warnings.filters)
    with ThreadPoolExecutor(4) as pool:
        for loaded in pool.map(lambda _: mnist(), range(4)):
            assert_is_fake_mnist(loaded, "mnist")
    assert len(asked) == 4
    assert warnings.filters == filters


def test_processes_at_once(mirrors):
    asked = mirrors("slow")
    program = (
        "import importlib, json, sys\n"
        "from minidl.data._download import RemoteFile\n"
        "m = importlib.import_module('minidl.data.mnist')\n"
        "m._MIRRORS, files = json.loads(sys.argv[1])\n"
        "m._FILES = [RemoteFile(*file) for file in files]\n"
        "print(m.mnist().source)\n"
    )
    command = [sys.executable, "-c", program, json.dumps([mnist_module._MIRRORS, FILES])]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate(timeout=60) for process in running] == [("mnist\n", "")] * 2
    assert len(asked) >= 4
    assert_cache_is_whole()


def test_an_interrupt_leaves_only_whole_files(mirrors):
    asked = mirrors("half", "silent")  # one file arrives, then nothing more

    def interrupt():
        until = time.monotonic() + 10
        while len(asked) < 3 and time.monotonic() < until:
            time.sleep(0.01)
        _thread.interrupt_main()

    helper = threading.Thread(target=interrupt)
    helper.start()
    with pytest.raises(KeyboardInterrupt):
        mnist()
    helper.join()
    assert [path.name for path in (cache_dir() / "mnist").iterdir()] == [FILES[0].name]
    asked.clear()
    mirrors("good")
    assert_is_fake_mnist(mnist(), "mnist")
    assert len(asked) == 3

"""Where the digits come from: a folder, the cache, a mirror (played by a server on this machine), or strokes."""

import _thread
import gzip
import hashlib
import importlib
import json
import os
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from minidl.data._digits import Digits, Split
from minidl.data._download import RemoteFile
from minidl.data.cache import cache_dir, store
from minidl.data.idx import DataError
from tests.data.test_idx import idx

mnist_module = importlib.import_module("minidl.data.mnist")  # the function of that name may hide it as an attribute
download_module = importlib.import_module("minidl.data._download")
mnist = mnist_module.mnist

NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
REAL = os.environ.get("MINIDL_DATA")


def digits(n, seed, side=28):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (n, side, side), dtype=np.uint8), rng.integers(0, 10, n, dtype=np.uint8)


ARRAYS = (*digits(20, 0), *digits(10, 1))
PLAIN = {name: idx(array) for name, array in zip(NAMES, ARRAYS, strict=True)}
ZIPPED = {f"{name}.gz": gzip.compress(data, mtime=0) for name, data in PLAIN.items()}
FILES = tuple(RemoteFile(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in ZIPPED.items())
BUILT_IN = Digits(Split(*digits(2, 2)), Split(*digits(1, 3)), "strokes")


def assert_is_fake_mnist(loaded, source):
    (x, y), (x_test, y_test) = loaded
    for got, expected in zip((x, y, x_test, y_test), ARRAYS, strict=True):
        assert np.array_equal(got, expected)
    assert x.dtype == x_test.dtype == np.uint8
    assert y.dtype == y_test.dtype == np.int64
    assert loaded.source == source
    assert repr(loaded) == f"Digits({source}: train (20, 28, 28), test (10, 28, 28))"


# ---- a folder of the user's


def fill(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    """No test sees the machine's data, cache or network."""
    monkeypatch.delenv("MINIDL_DATA", raising=False)
    monkeypatch.setenv("MINIDL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(mnist_module, "_MIRRORS", ())
    monkeypatch.setattr(mnist_module, "_FILES", FILES)
    monkeypatch.setattr(importlib.import_module("minidl.data.strokes"), "strokes", lambda: BUILT_IN)


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
    "damage, message",
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
    with pytest.raises(DataError, match=r"cannot list the folder .*absent"):
        mnist(tmp_path / "absent")
    (tmp_path / "file").touch()
    monkeypatch.setenv("MINIDL_DATA", str(tmp_path / "file"))
    with pytest.raises(DataError, match="MINIDL_DATA"):
        mnist()


@pytest.mark.parametrize(
    "name, other, message",
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
    assert x.dtype == np.uint8 and y.dtype == np.int64
    assert len(x) == len(y) and len(x_test) == len(y_test)
    if loaded.source == "mnist":
        assert x.shape == (60_000, 28, 28) and x_test.shape == (10_000, 28, 28)
        assert np.bincount(y_test).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


@pytest.mark.skipif(not REAL, reason="MINIDL_DATA is not set")
def test_the_checksums_are_those_of_the_original_files(monkeypatch):
    monkeypatch.undo()
    paths = [Path(REAL) / file.name for file in mnist_module._FILES]
    if mnist(REAL).source != "mnist" or not all(path.is_file() for path in paths):
        pytest.skip("MINIDL_DATA does not hold the original .gz files")
    assert all(file.matches(path.read_bytes()) for file, path in zip(mnist_module._FILES, paths, strict=True))


# ---- mirrors


class Mirror(ThreadingHTTPServer):
    """A server that behaves as the first part of the path says: /good/name, /missing/name, …; `asked` has all paths."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.asked = []
        self.over = threading.Event()

    def url(self, manner):
        return f"http://127.0.0.1:{self.server_port}/{manner}/"

    def handle_error(self, request, client_address):
        """A client that hangs up is part of the play."""


class Answer(BaseHTTPRequestHandler):
    def log_message(self, *args):
        """Keep stderr for what minidl says."""

    def do_GET(self):
        self.server.asked.append(self.path)
        _, manner, name = self.path.split("/")
        getattr(self, manner)(ZIPPED[name])

    def send(self, body, length=None):
        self.send_response(200)
        if self.path.split("/")[1] != "flood":
            self.send_header("Content-Length", str(length or len(body)))
        self.end_headers()
        self.wfile.write(body)

    def good(self, data):
        self.send(data)

    def missing(self, data):
        self.send_error(404)

    def page(self, data):
        self.send(b"<html>Please sign in to this network</html>")

    def flood(self, data):
        self.send(data)
        for _ in range(1000):  # more than any buffer on the way takes; ends early when the client hangs up
            self.wfile.write(bytes(65_536))
        self.server.asked.append("all of the flood")

    def wrong(self, data):
        self.send(data[:-1] + b"!")

    def cut(self, data):
        self.send(data[:-1], length=len(data))

    def half(self, data):
        """Good for images only: this mirror fails after a file that went well."""
        (self.good if len(data) > 1000 else self.missing)(data)

    def silent(self, data):
        self.server.over.wait()

    def trickle(self, data):
        """Slow enough to take for ever, fast enough for every timeout between two bytes."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        for i in range(len(data)):
            self.wfile.write(data[i : i + 1])
            if self.server.over.wait(0.02):
                return

    def steady(self, data):
        """Takes longer than is patient, but it gets on."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[:-1])
        if len(data) > 10_000:
            self.server.over.wait(1.5)
        self.wfile.write(data[-1:])

    def trickled_head(self, data):
        for _ in range(10_000):
            self.wfile.write(b"H")
            if self.server.over.wait(0.02):
                return

    def slow(self, data):
        self.server.over.wait(0.15)
        self.send(data)


@pytest.fixture
def server():
    with Mirror() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.over.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def mirrors(server, monkeypatch):
    def use(*manners):
        monkeypatch.setattr(mnist_module, "_MIRRORS", tuple(server.url(manner) for manner in manners))
        return server.asked

    return use


STALLS = ("silent", "trickle", "trickled_head")


def assert_cache_is_whole():
    assert {path.name: path.read_bytes() for path in (cache_dir() / "mnist").iterdir()} == ZIPPED


def fell_back(loaded, capfd):
    """Whether the built-in digits came, with one plain line; returns the reason in it."""
    assert loaded is BUILT_IN
    out, err = capfd.readouterr()
    assert out == ""
    start, end = "minidl: could not download MNIST (", "); using the built-in strokes digits instead\n"
    assert err.startswith(start) and err.endswith(end) and err.count("\n") == 1
    return err[len(start) : -len(end)]


def test_download_then_cache(mirrors, capfd):
    asked = mirrors("good", "good")
    assert_is_fake_mnist(mnist(), "mnist")
    assert asked == [f"/good/{name}" for name in ZIPPED]
    assert_cache_is_whole()
    assert_is_fake_mnist(mnist(), "mnist")
    assert_is_fake_mnist(mnist(download=False), "mnist")
    assert len(asked) == 4
    assert capfd.readouterr() == ("", "")


def test_a_terminal_sees_progress_unless_quiet(mirrors, monkeypatch, capsys):
    mirrors("slow")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert_is_fake_mnist(mnist(quiet=True), "mnist")
    assert capsys.readouterr().err == ""
    for path in (cache_dir() / "mnist").iterdir():
        path.unlink()
    assert_is_fake_mnist(mnist(), "mnist")
    assert "MNIST" in capsys.readouterr().err


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: data[:-1] + b"!", lambda data: b""])
def test_a_damaged_file_in_the_cache_is_downloaded_again(mirrors, damage):
    name = FILES[2].name
    fill(cache_dir() / "mnist", {**ZIPPED, name: damage(ZIPPED[name])})
    asked = mirrors("good")
    assert_is_fake_mnist(mnist(), "mnist")
    assert asked == [f"/good/{name}"]
    assert_cache_is_whole()


@pytest.mark.parametrize("manner", ["missing", "page", "flood", "wrong", "cut", *STALLS])
def test_a_bad_mirror_is_left_for_the_other(mirrors, monkeypatch, manner, capfd):
    if manner in STALLS:
        monkeypatch.setattr(download_module, "_PATIENCE", 1.0)  # enough for the good mirror on a busy machine
    asked = mirrors(manner, "good")
    assert_is_fake_mnist(mnist(), "mnist")
    assert asked == [f"/{manner}/{FILES[0].name}"] + [f"/good/{file.name}" for file in FILES]
    assert_cache_is_whole()
    assert capfd.readouterr() == ("", "")


def test_a_slow_mirror_that_gets_on_is_not_given_up(mirrors, monkeypatch):
    monkeypatch.setattr(download_module, "_PATIENCE", 1.0)
    monkeypatch.setattr(download_module, "_SLOWEST", 100.0)
    monkeypatch.setattr(download_module, "_CHUNK", 500)
    asked = mirrors("steady", "good")
    assert_is_fake_mnist(mnist(), "mnist")
    assert asked == [f"/steady/{name}" for name in ZIPPED]


def test_what_a_failing_mirror_has_delivered_is_kept(mirrors):
    asked = mirrors("half", "good")
    assert_is_fake_mnist(mnist(), "mnist")
    assert [path.split("/")[1] for path in asked] == ["half", "half", "good", "good", "good"]


@pytest.mark.parametrize(
    "manner, reason",
    [
        ("missing", "HTTP status 404"),
        ("page", "the server sent something else"),
        ("flood", "the server sent something else"),
        ("wrong", "the server sent something else"),
        ("cut", "no connection"),
        *((manner, "too slow") for manner in STALLS),
    ],
)
def test_when_all_mirrors_fail_one_line_says_so(mirrors, monkeypatch, manner, reason, capfd):
    if manner in STALLS:
        monkeypatch.setattr(download_module, "_PATIENCE", 0.3)
    asked = mirrors(manner, manner)
    assert fell_back(mnist(), capfd) == reason
    assert len(asked) == 2
    assert not cache_dir().exists()


def test_quiet_does_not_hide_that_line(mirrors, capfd):
    mirrors("missing", "wrong")
    assert fell_back(mnist(quiet=True), capfd) == "HTTP status 404, the server sent something else"


def test_silence_longer_than_the_read_timeout(mirrors, monkeypatch, capfd):
    monkeypatch.setattr(download_module, "_READ_TIMEOUT", 0.1)
    mirrors("silent")
    assert fell_back(mnist(), capfd) == "no answer in time"


def test_mirrors_that_refuse(server, mirrors, capfd):
    server.server_close()  # the port is free again, and nobody answers there
    mirrors("good", "good")
    assert fell_back(mnist(), capfd) == "no connection"


def test_any_other_trouble_counts_as_a_failed_mirror(monkeypatch, capfd):
    monkeypatch.setattr(mnist_module, "_MIRRORS", ("gopher://example/", "http://[/"))
    assert fell_back(mnist(), capfd) == "InvalidSchema, InvalidURL"


def test_without_permission_to_download(mirrors, capfd):
    asked = mirrors("good")
    fill(cache_dir() / "mnist", {FILES[0].name: ZIPPED[FILES[0].name]})
    with pytest.raises(DataError, match=f"lacks {FILES[1].name}, {FILES[2].name}, {FILES[3].name}; allow"):
        mnist(download=False)
    assert asked == []
    assert capfd.readouterr() == ("", "")


# ---- a cache in trouble


def test_a_cache_that_cannot_be_made(mirrors, tmp_path, monkeypatch, capfd):
    (tmp_path / "file").touch()
    monkeypatch.setenv("MINIDL_CACHE", str(tmp_path / "file"))
    mirrors("good")
    assert_is_fake_mnist(mnist(), "mnist")
    mirrors("missing")
    fell_back(mnist(), capfd)


def test_a_full_disk(mirrors, monkeypatch):
    def write_half(path, data):
        with path.open("wb") as file:
            file.write(data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    mirrors("good")
    monkeypatch.setattr(Path, "write_bytes", write_half)
    assert_is_fake_mnist(mnist(), "mnist")
    assert list((cache_dir() / "mnist").iterdir()) == []


def test_store_is_all_or_nothing(tmp_path, monkeypatch):
    path = tmp_path / "new" / "file"
    assert store(path, b"first") and path.read_bytes() == b"first"

    def interrupt(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "replace", interrupt)
        store(path, b"second")
    assert [p.read_bytes() for p in path.parent.iterdir()] == [b"first"]
    assert store(path, b"third") and path.read_bytes() == b"third"
    assert not store(path / "below a file", b"")


def test_the_cache_is_where_the_environment_or_the_system_says(monkeypatch, tmp_path):
    assert cache_dir() == tmp_path / "cache"
    monkeypatch.setenv("MINIDL_CACHE", "~/here")
    assert cache_dir() == Path.home() / "here"
    monkeypatch.delenv("MINIDL_CACHE")
    assert "minidl" in str(cache_dir())


# ---- several at once, and none to the end


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

"""A small dataset in MNIST's form, and a server on this machine that plays good and bad mirrors of it and of others."""

import gzip
import hashlib
import importlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

from minidl.data._download import RemoteFile
from minidl.data._splits import Digits, Split, split_text
from minidl.data.cache import cache_dir
from tests.data import fake_cifar
from tests.data.test_idx import idx

mnist_module = importlib.import_module("minidl.data.mnist")  # the function of that name may hide it as an attribute
shakespeare_module = importlib.import_module("minidl.data.shakespeare")

NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def digits(n, seed, side=28):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (n, side, side), dtype=np.uint8), rng.integers(0, 10, n, dtype=np.uint8)


ARRAYS = (*digits(20, 0), *digits(10, 1))
PLAIN = {name: idx(array) for name, array in zip(NAMES, ARRAYS, strict=True)}
ZIPPED = {f"{name}.gz": gzip.compress(data, mtime=0) for name, data in PLAIN.items()}
FILES = tuple(RemoteFile(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in ZIPPED.items())
BUILT_IN = Digits(Split(*digits(2, 2)), Split(*digits(1, 3)), "strokes")


PLAY = "First Citizen:\nSpeak, speak.\n\nAll:\nRésolved? – resolved.\n" * 10
PLAY_FILE = RemoteFile("input.txt", len(PLAY.encode()), hashlib.sha256(PLAY.encode()).hexdigest())
STAND_IN = split_text("What a function returns.\n" * 3, "docstrings")


def assert_is_fake_mnist(loaded, source):
    (x, y), (x_test, y_test) = loaded
    for got, expected in zip((x, y, x_test, y_test), ARRAYS, strict=True):
        assert np.array_equal(got, expected)
    assert x.dtype == x_test.dtype == np.uint8
    assert y.dtype == y_test.dtype == np.int64
    assert loaded.source == source
    assert repr(loaded) == f"Digits({source}: train (20, 28, 28), test (10, 28, 28))"


def assert_cache_is_whole():
    assert {path.name: path.read_bytes() for path in (cache_dir() / "mnist").iterdir()} == ZIPPED


def fell_back(loaded, capfd):
    """Whether the built-in digits came, with one plain line; returns the reason in it."""
    assert loaded is BUILT_IN
    out, err = capfd.readouterr()
    assert out == ""
    start = "minidl: could not download MNIST ("
    end = "); using the built-in strokes digits instead. If you have the files, name their folder by MINIDL_DATA\n"
    assert err.startswith(start)
    assert err.endswith(end)
    assert err.count("\n") == 1
    return err[len(start) : -len(end)]


def fill(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


class Mirror(ThreadingHTTPServer):
    """A server that behaves as the first part of the path says: /good/name, /missing/name, …; `asked` has all paths."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.files = {**ZIPPED, **fake_cifar.ARCHIVES, PLAY_FILE.name: PLAY.encode()}
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
        getattr(self, manner)(self.server.files[name])

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

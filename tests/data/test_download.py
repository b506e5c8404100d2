"""Mirrors that refuse, lie, stall or drip: the next one is asked, and after the last one line says why."""

import socket
import sys

import pytest

from minidl.data import _download
from minidl.data.cache import cache_dir
from minidl.data.mnist import mnist
from tests.data.fakes import FILES, ZIPPED, assert_cache_is_whole, assert_is_fake_mnist, fell_back, mnist_module

pytestmark = pytest.mark.usefixtures("alone")

STALLS = ("silent", "trickle", "trickled_head")


def test_a_terminal_sees_progress_unless_quiet(mirrors, monkeypatch, capsys):
    mirrors("slow")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert_is_fake_mnist(mnist(quiet=True), "mnist")
    assert capsys.readouterr().err == ""
    for path in (cache_dir() / "mnist").iterdir():
        path.unlink()
    assert_is_fake_mnist(mnist(), "mnist")
    assert "MNIST" in capsys.readouterr().err


@pytest.mark.parametrize("manner", ["missing", "page", "flood", "wrong", "cut", *STALLS])
def test_a_bad_mirror_is_left_for_the_other(mirrors, monkeypatch, manner, capfd):
    if manner in STALLS:
        monkeypatch.setattr(_download, "_PATIENCE", 1.0)  # enough for the good mirror on a busy machine
    asked = mirrors(manner, "good")
    assert_is_fake_mnist(mnist(), "mnist")
    assert asked == [f"/{manner}/{FILES[0].name}"] + [f"/good/{file.name}" for file in FILES]
    assert_cache_is_whole()
    assert capfd.readouterr() == ("", "")


def test_a_slow_mirror_that_gets_on_is_not_given_up(mirrors, monkeypatch):
    monkeypatch.setattr(_download, "_PATIENCE", 1.0)
    monkeypatch.setattr(_download, "_SLOWEST", 100.0)
    monkeypatch.setattr(_download, "_CHUNK", 500)
    asked = mirrors("steady", "good")
    assert_is_fake_mnist(mnist(), "mnist")
    assert asked == [f"/steady/{name}" for name in ZIPPED]


def test_what_a_failing_mirror_has_delivered_is_kept(mirrors):
    asked = mirrors("half", "good")
    assert_is_fake_mnist(mnist(), "mnist")
    assert [path.split("/")[1] for path in asked] == ["half", "half", "good", "good", "good"]


@pytest.mark.parametrize(
    ("manner", "reason"),
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
        monkeypatch.setattr(_download, "_PATIENCE", 0.3)
    asked = mirrors(manner, manner)
    assert fell_back(mnist(), capfd) == reason
    assert len(asked) == 2
    assert not cache_dir().exists()


def test_silence_longer_than_the_read_timeout(mirrors, monkeypatch, capfd):
    monkeypatch.setattr(_download, "_READ_TIMEOUT", 0.1)
    mirrors("silent")
    assert fell_back(mnist(), capfd) == "no answer in time"


def test_mirrors_that_refuse(server, mirrors, capfd):
    server.server_close()  # the port is free again, and nobody answers there
    mirrors("good", "good")
    assert fell_back(mnist(), capfd) == "no connection"


def test_a_dead_mirror_is_left_for_the_other(mirrors, server, monkeypatch):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # a port on which nobody listens
        asked = mirrors("good")
        dead = f"http://127.0.0.1:{nobody.getsockname()[1]}/dead/"
        monkeypatch.setattr(mnist_module, "_MIRRORS", (dead, server.url("good")))
        assert_is_fake_mnist(mnist(), "mnist")
    assert asked == [f"/good/{name}" for name in ZIPPED]


def test_any_other_trouble_counts_as_a_failed_mirror(monkeypatch, capfd):
    monkeypatch.setattr(mnist_module, "_MIRRORS", ("gopher://example/", "http://[/"))
    assert fell_back(mnist(), capfd) == "InvalidSchema, InvalidURL"

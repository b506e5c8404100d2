"""Fixtures of the tests that load MNIST, CIFAR and Shakespeare, without the machine's data, cache or network."""

import threading

import pytest

from tests.data.fake_cifar import FAKE10, FAKE100, cifar_module
from tests.data.fakes import BUILT_IN, FILES, PLAY_FILE, STAND_IN, Mirror, mnist_module, shakespeare_module


@pytest.fixture
def alone(monkeypatch, tmp_path):
    """No test sees the machine's data, cache or network."""
    monkeypatch.delenv("MINIDL_DATA", raising=False)
    monkeypatch.setenv("MINIDL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(mnist_module, "_MIRRORS", ())
    monkeypatch.setattr(shakespeare_module, "_MIRRORS", ())
    monkeypatch.setattr(shakespeare_module, "_FILE", PLAY_FILE)
    monkeypatch.setattr(shakespeare_module, "docstrings", lambda: STAND_IN)
    monkeypatch.setattr(cifar_module, "_MIRRORS", ())
    monkeypatch.setattr(cifar_module, "_CIFAR10", FAKE10)
    monkeypatch.setattr(cifar_module, "_CIFAR100", FAKE100)
    monkeypatch.setattr(mnist_module, "_FILES", FILES)
    monkeypatch.setattr(mnist_module, "strokes", lambda: BUILT_IN)


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
        for module in (mnist_module, cifar_module, shakespeare_module):
            monkeypatch.setattr(module, "_MIRRORS", tuple(server.url(manner) for manner in manners))
        return server.asked

    return use

"""Freed memory is kept, unless the user has decided otherwise."""

import ctypes

import pytest

from minidl.kernels import memory


class FakeLibrary:
    def __init__(self):
        self.calls = []

    def mallopt(self, parameter, value):
        self.calls.append((parameter, value))


@pytest.fixture
def library(monkeypatch):
    fake = FakeLibrary()
    monkeypatch.setattr(ctypes, "CDLL", lambda name: fake)
    monkeypatch.setattr(memory.sys, "platform", "linux")
    for name in ("MALLOC_TRIM_THRESHOLD_", "MALLOC_ARENA_MAX", "GLIBC_TUNABLES"):
        monkeypatch.delenv(name, raising=False)
    return fake


def test_no_block_is_mapped_on_its_own_and_the_end_is_kept(library):
    memory.keep_freed_memory()
    assert dict(library.calls) == {-1: 2**31 - 1, -4: 0}


@pytest.mark.parametrize("name", ["MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"])
def test_settings_of_the_user_stand(library, monkeypatch, name):
    monkeypatch.setenv(name, "1")
    memory.keep_freed_memory()
    assert library.calls == []


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_other_systems_are_left_alone(library, monkeypatch, platform):
    monkeypatch.setattr(memory.sys, "platform", platform)
    memory.keep_freed_memory()
    assert library.calls == []


def test_other_c_libraries_are_left_alone(monkeypatch, library):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    memory.keep_freed_memory()

"""The cache folder, and writing to it whole or not at all."""

from pathlib import Path

import pytest

from minidl.data.cache import cache_dir, store


def test_store_is_all_or_nothing(tmp_path, monkeypatch):
    path = tmp_path / "new" / "file"
    assert store(path, b"first")
    assert path.read_bytes() == b"first"

    def interrupt(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", interrupt)
        with pytest.raises(KeyboardInterrupt):
            store(path, b"second")
    assert [p.read_bytes() for p in path.parent.iterdir()] == [b"first"]
    assert store(path, b"third")
    assert path.read_bytes() == b"third"
    assert not store(path / "below a file", b"")


def test_the_cache_is_where_the_environment_or_the_system_says(monkeypatch, tmp_path):
    monkeypatch.setenv("MINIDL_CACHE", str(tmp_path / "cache"))
    assert cache_dir() == tmp_path / "cache"
    monkeypatch.setenv("MINIDL_CACHE", "~/here")
    assert cache_dir() == Path.home() / "here"
    monkeypatch.delenv("MINIDL_CACHE")
    assert "minidl" in str(cache_dir())

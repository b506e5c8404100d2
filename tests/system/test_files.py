"""Files are written whole or not at all, and forced to the disk, name and all."""

import os
import stat
from pathlib import Path

import pytest

from minidl.system.files import remove_parts, write_atomically


def test_a_file_and_its_folders(tmp_path):
    path = tmp_path / "a" / "b" / "file"
    for content in (b"first", b"second, longer", b""):
        write_atomically(path, content)
        assert path.read_bytes() == content
    assert [p.name for p in path.parent.iterdir()] == ["file"]


@pytest.mark.skipif(os.name != "posix", reason="only there can folders be forced to the disk")
def test_the_content_is_on_the_disk_before_the_name_and_the_name_before_the_end(tmp_path, monkeypatch):
    events, fsync, replace = [], os.fsync, os.replace

    def watched_fsync(descriptor):
        events.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "content")
        fsync(descriptor)

    def watched_rename(source, target):
        events.append("name")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(Path, "replace", watched_rename)
    write_atomically(tmp_path / "file", b"content")
    assert events == ["content", "name", "folder"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_what_goes_wrong_leaves_the_old_file_and_no_other(tmp_path, monkeypatch, error):
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def refuse(descriptor):
        raise error

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(type(error)):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_two_writers_at_once_do_not_mix(tmp_path, monkeypatch):
    """The second one does all its work while the first is in the middle of its own."""
    path, fsync = tmp_path / "file", os.fsync

    def fsync_and_be_overtaken(descriptor):
        fsync(descriptor)
        monkeypatch.setattr(os, "fsync", fsync)
        write_atomically(path, b"the second")
        assert path.read_bytes() == b"the second"

    monkeypatch.setattr(os, "fsync", fsync_and_be_overtaken)
    write_atomically(path, b"the first, longer")
    assert path.read_bytes() == b"the first, longer"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_what_killed_writers_left_is_removed(tmp_path):
    for name in (".file.0123.part", "file", "part", ".hidden"):
        (tmp_path / name).touch()
    remove_parts(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [".hidden", "file", "part"]
    remove_parts(tmp_path / "absent")

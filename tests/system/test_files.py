"""Files are written whole or not at all, and forced to the disk, name and all; and what is there before stays what it is."""

import errno
import os
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from minidl.system.files import append_lines, as_path, remove_parts, write_atomically
from tests.helpers import in_a_process

POSIX = pytest.mark.skipif(os.name != "posix", reason="what only Unix has")


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
    (tmp_path / ".folder.part").mkdir()
    remove_parts(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [".folder.part", ".hidden", "file", "part"]
    remove_parts(tmp_path / "absent")


# ---- what is there before ----------------------------------------------------------------------------------------------


@POSIX
@pytest.mark.parametrize("exists", [True, False])
def test_of_a_link_the_target_is_written(tmp_path, exists):
    target, link, second = tmp_path / "elsewhere" / "file", tmp_path / "link", tmp_path / "second"
    target.parent.mkdir()
    if exists:
        target.write_bytes(b"old")
    link.symlink_to(Path("elsewhere", "file"))
    second.symlink_to(link)
    write_atomically(second, b"new")
    assert second.is_symlink()
    assert link.is_symlink()
    assert not target.is_symlink()
    assert target.read_bytes() == b"new"
    assert [p.name for p in target.parent.iterdir()] == ["file"]


@POSIX
def test_links_in_a_circle_are_refused(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic links"):
        write_atomically(tmp_path / "a", b"")
    assert (tmp_path / "a").is_symlink()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="devices of Linux")
def test_a_device_stays_one(tmp_path):
    link = tmp_path / "link"
    link.symlink_to("/dev/null")
    for path in (Path("/dev/null"), link):
        before = path.stat()
        write_atomically(path, b"content")
        assert stat.S_ISCHR(path.stat().st_mode)
        assert path.stat().st_ino == before.st_ino
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        write_atomically(Path("/dev/full"), b"content")


@POSIX
def test_a_pipe_is_written_to(tmp_path):
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    write_atomically(pipe, b"content")
    reader.join()
    assert read == [b"content"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@POSIX
def test_a_socket_and_a_folder_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the name of a socket must be short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        Path("folder").mkdir()
        for name in ("socket", "folder", "."):
            before = Path(name).stat()
            with pytest.raises(OSError, match=name.replace(".", r"\.")):
                write_atomically(Path(name), b"content")
            assert Path(name).stat() == before
    assert sorted(os.listdir()) == ["folder", "socket"]


@POSIX
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755])
def test_a_file_keeps_its_rights(tmp_path, mode):
    path = tmp_path / "file"
    path.touch()
    path.chmod(mode)
    write_atomically(path, b"secret")
    assert stat.S_IMODE(path.stat().st_mode) == mode


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")
def test_a_file_keeps_its_owner(tmp_path):
    path = tmp_path / "file"
    path.touch()
    os.chown(path, 1234, 2345)
    write_atomically(path, b"content")
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 2345)


def test_a_file_that_is_write_protected_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o444)
    monkeypatch.setattr(os, "access", lambda path, mode: os.stat(path).st_mode & 0o200 != 0)  # root may do everything
    with pytest.raises(PermissionError, match="file"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    path.chmod(0o644)
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("name", ["n" * 250, "β" * 120])
def test_a_name_may_be_as_long_as_the_disk_allows(tmp_path, name):
    write_atomically(tmp_path / name, b"content")
    assert (tmp_path / name).read_bytes() == b"content"


# ---- paths from people -------------------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path, monkeypatch):
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.mark.parametrize("kind", [str, Path, os.fsencode])
def test_a_tilde_is_the_home_folder(home, kind):
    assert as_path("save", kind("~")) == home
    assert as_path("save", kind(os.path.join("~", "a", "b"))) == home / "a" / "b"


@pytest.mark.parametrize("path", ["a/~", "a~/b", "~draft.npz", "./~/a", "a", ".", "/"])
def test_other_paths_stay_as_they_are(home, path):
    assert as_path("save", path) == Path(path)


@pytest.mark.parametrize("path", ["", "a\0b", "~no such user/a"])
def test_what_can_be_no_path(home, path):
    with pytest.raises(ValueError, match=r"save: the path is .*(must be|write)"):
        as_path("save", path)


@pytest.mark.parametrize("path", [None, 3, 1.5, ["a"]])
def test_what_is_no_path_at_all(path):
    with pytest.raises(TypeError, match=r"it must be a text or a pathlib\.Path"):
        as_path("save", path)


# ---- lines -----------------------------------------------------------------------------------------------------------


def test_lines_are_appended_whole(tmp_path):
    path = tmp_path / "new" / "log.txt"
    append_lines(path, ["a", "b"])
    append_lines(path, [])
    append_lines(path, ["ö"])
    assert path.read_text(encoding="utf-8") == "a\nb\nö\n"
    path.write_text("half a li", encoding="utf-8")  # as a power cut leaves it
    append_lines(path, ["c"])
    assert path.read_text(encoding="utf-8") == "half a li\nc\n"


def test_a_disk_that_fills_up_keeps_whole_lines(tmp_path):
    """A write that the system cut short is taken back."""
    code = f"""
import resource, signal
from pathlib import Path
from minidl.system.files import append_lines
path = Path({str(tmp_path / "log.txt")!r})
append_lines(path, ["first line"])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20))
try:
    append_lines(path, ["second line"])
except OSError as error:
    print(type(error).__name__)
"""
    pytest.importorskip("resource")
    assert in_a_process(code) == "OSError"
    assert (tmp_path / "log.txt").read_text() == "first line\n"


def test_writers_take_turns(tmp_path):
    path = tmp_path / "log.txt"
    code = f"""
from pathlib import Path
from minidl.system.files import append_lines
for i in range(200):
    append_lines(Path({str(path)!r}), ["x" * 5000, "y" * 50])
"""
    writers = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    lines = path.read_text().splitlines()
    assert lines == ["x" * 5000, "y" * 50] * 400

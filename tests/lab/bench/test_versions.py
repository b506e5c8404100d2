"""Another version of minidl: a folder, or a commit of a repository made for the purpose."""

import shutil
import subprocess

import pytest

from minidl.lab.bench.versions import other_version


@pytest.fixture
def repository(tmp_path):
    """Two commits of a package minidl."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    (tmp_path / "minidl" / "inner").mkdir(parents=True)
    for number in (1, 2):
        (tmp_path / "minidl" / "__init__.py").write_text(f"number = {number}\n")
        (tmp_path / "minidl" / "inner" / "file.py").write_text("")
        (tmp_path / "README.md").write_text("")
        for command in (["init", "-q"], ["add", "."], ["commit", "-qm", f"{number}", "--allow-empty"]):
            who = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
            subprocess.run(["git", *who, *command], cwd=tmp_path, check=True, capture_output=True)
    return tmp_path


def test_a_commit_is_unpacked_and_removed_again(repository):
    with other_version("HEAD~1", repository) as folder:
        assert (folder / "minidl" / "__init__.py").read_text() == "number = 1\n"
        assert (folder / "minidl" / "inner" / "file.py").exists()
        assert not (folder / "README.md").exists()
    assert not folder.exists()
    assert (repository / "minidl" / "__init__.py").read_text() == "number = 2\n"


def test_a_folder_is_taken_as_it_is(repository):
    with other_version(repository) as folder:
        assert folder == repository.resolve()
    assert (repository / "minidl").exists()


def test_neither_a_folder_nor_a_commit(repository, tmp_path):
    with (
        pytest.raises(ValueError, match="neither a folder with minidl in it nor a commit"),
        other_version("v0", repository),
    ):
        pass
    with pytest.raises(ValueError, match="neither"), other_version(str(tmp_path / "minidl"), tmp_path / "none"):
        pass

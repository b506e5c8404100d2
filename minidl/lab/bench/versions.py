"""Another version of minidl to compare with: a folder that holds one, or a commit of this repository."""

import subprocess
import tempfile
import zipfile
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import minidl
from minidl.system.files import as_path

__all__ = ["other_version"]


@contextmanager
def other_version(where, repository=Path(minidl.__file__).parents[1]):
    """Give the folder that holds the package minidl of `where`, as a context; what it unpacked is deleted afterwards.

    where       a folder with minidl in it (a checkout, a site-packages), or a commit, branch or tag
    repository  where commits are looked for: that of this minidl
    Errors      ValueError if it is neither
    """
    place = as_path("other_version", where)
    if (place / "minidl" / "__init__.py").is_file():
        yield place.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="minidl-bench-") as folder:
        _unpack(where, repository, folder)
        yield Path(folder)


def _unpack(commit, repository, folder):
    """Unpack the package as it was at a commit. An archive, unlike a worktree, leaves no trace in the repository."""
    command = ["git", "-C", str(repository), "archive", "--format=zip", f"{commit}^{{tree}}", "minidl"]
    try:
        done = subprocess.run(command, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", b"").decode(errors="replace").strip() or str(error)
        raise ValueError(
            f"--against {commit} is neither a folder with minidl in it nor a commit of {repository} "
            f"({said.splitlines()[-1]})"
        ) from None
    with zipfile.ZipFile(BytesIO(done.stdout)) as archive:
        archive.extractall(folder)

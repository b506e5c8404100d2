"""A disk without room for the kernel cache, or with a damaged one, costs time and nothing else."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import JIT

ROOT = Path(__file__).parents[2]
PROGRAM = """
import resource, sys
import numpy as np
from minidl import Tensor, functional as F
from minidl.kernels import aside

aside.refused = True  # the second process would put more into the cache
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
print(F.relu(Tensor(np.array([-1.0, 2.0], np.float32))).data.tolist())
"""


@pytest.mark.skipif(not JIT or os.name != "posix", reason="needs compiled kernels, and a system with limits")
@pytest.mark.parametrize(("room", "kept"), [(100, 0), (3000, 1), (10_000_000, 2)], ids=["none", "half", "enough"])
def test_kernels_work_without_room_for_their_cache(room, kept, tmp_path):
    """With half of it, Numba writes its index, and not what that names; the next process must get on with this."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "NUMBA_CACHE_DIR": str(tmp_path)}
    for _ in range(2):
        command = [sys.executable, "-W", "error", "-c", PROGRAM, str(room)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert (done.stdout, done.stderr) == ("[0.0, 2.0]\n", "")
    assert len([path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size]) == kept


def _in_a_new_process(cache):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "NUMBA_CACHE_DIR": str(cache)}
    command = [sys.executable, "-W", "error", "-c", PROGRAM, "10000000"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    return done.stdout, done.stderr


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    assert _in_a_new_process(folder) == ("[0.0, 2.0]\n", "")
    return folder


DAMAGES = {
    "empty": lambda content: b"",
    "cut": lambda content: content[: len(content) // 2],
    "only zeros": lambda content: bytes(len(content)),
    "zeros inside": lambda content: content[: len(content) // 3] + bytes(512) + content[len(content) // 3 + 512 :],
}


@pytest.mark.skipif(not JIT or os.name != "posix", reason="needs compiled kernels, and a system with limits")
@pytest.mark.parametrize(("damage", "suffix"), [(damage, suffix) for damage in DAMAGES for suffix in (".nbi", ".nbc")])
def test_a_damaged_cache_is_compiled_anew(damage, suffix, cache, tmp_path):
    """And the new one is whole: a third process has nothing to mend."""
    shutil.copytree(cache, tmp_path, dirs_exist_ok=True)
    (damaged,) = tmp_path.rglob(f"*{suffix}")
    damaged.write_bytes(DAMAGES[damage](damaged.read_bytes()))
    assert _in_a_new_process(tmp_path) == ("[0.0, 2.0]\n", "")
    mended = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nb?")}
    assert _in_a_new_process(tmp_path) == ("[0.0, 2.0]\n", "")
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nb?")} == mended

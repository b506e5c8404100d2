"""A disk without room for the kernel cache costs time, and nothing else."""

import os
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

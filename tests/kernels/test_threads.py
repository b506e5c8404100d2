"""How many threads there are, in threads of the user's own and in forked processes."""

import multiprocessing
import os
import subprocess
import sys
import threading
from pathlib import Path

import numba
import numpy as np
import pytest

import minidl
from minidl import Tensor
from minidl import functional as F
from tests.helpers import JIT

ROOT = Path(__file__).parents[2]
PROGRAM = """
import multiprocessing
import numpy as np
from minidl import nn, optim
from minidl.replay import Replay

def step_of(model, seed):
    rng = np.random.default_rng(seed)
    return Replay(model), rng.standard_normal((64, 300)).astype(np.float32), rng.integers(0, 10, 64)

def train(seed):
    layers = [nn.Linear(300, 300, generator=np.random.default_rng(seed)), nn.BatchNorm(300), nn.Linear(300, 10)]
    model = nn.Sequential(*layers)
    step, x, labels = step_of(model, seed)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    losses = []
    for _ in range(4):
        optimizer.zero_grad()
        losses.append(step(x, labels))
        optimizer.step()
    return losses, step.why_not

old_step, old_x, old_labels = step_of(nn.Sequential(nn.Linear(300, 300), nn.Linear(300, 10)), 0)

def replay(_):
    return old_step(old_x, old_labels)

if __name__ == "__main__":
    expected = [train(1), train(2)], [replay(0), replay(1)]
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert (pool.map(train, [1, 2]), pool.map(replay, [0, 1])) == expected
"""


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs a system that can fork")
def test_forked_processes_train_to_the_same_bits(tmp_path):
    """Numba's threads stay with the parent; a parallel loop in the child would kill it, and the pool would wait for ever."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.replace("nn.Linear(300, 10)", "nn.Linear(300, 10, generator=np.random.default_rng(0))"))
    command = [sys.executable, "-W", "ignore", str(program)]
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=300
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="needs two cores")
def test_the_number_of_threads_holds_in_every_thread():
    def use_kernels():
        seen.append(minidl.get_num_threads())
        F.relu(Tensor(np.ones(2_100_000, np.float32)))  # large enough for all threads
        seen.append(numba.get_num_threads())

    for n in (1, 2):
        seen = []
        minidl.set_num_threads(n)
        thread = threading.Thread(target=use_kernels)
        thread.start()
        thread.join()
        assert seen == [n, n if JIT else numba.get_num_threads()]

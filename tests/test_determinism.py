"""Training gives the same bits from run to run, on one thread and on several, and in another process.

Batches of 61 and 7 leave a rest in every way in which kernels cut up their work.
"""

import functools
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

import minidl
from minidl import Tensor, optim
from minidl import functional as F
from minidl.models import cifar_conv, mnist_conv, paper_mlp
from tests.helpers import JIT

STEPS = 5
CASES = {
    ("paper_mlp", 61): (paper_mlp, (784,)),
    ("paper_mlp", 7): (paper_mlp, (784,)),
    ("mnist_conv", 61): (mnist_conv, (28, 28, 1)),
    ("mnist_conv", 7): (mnist_conv, (28, 28, 1)),
    ("cifar_conv", 7): (cifar_conv, (32, 32, 3)),
}
if not JIT:  # plain Python, which has no threads: that the generators decide everything is left to test
    CASES = {("small mlp", 7): (lambda **options: paper_mlp(sizes=(30, 20, 10), **options), (30,))}


def train(name, batch_size, seed=0):
    """A digest of all weights, buffers and losses after five steps."""
    make, shape = CASES[name, batch_size]
    rng = np.random.default_rng(seed)
    model = make(generator=rng)
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
    digest = hashlib.sha256()
    for _ in range(STEPS):
        optimizer.zero_grad()
        images = Tensor(rng.standard_normal((batch_size, *shape), np.float32))
        loss = F.cross_entropy(model(images), rng.integers(0, 10, batch_size))
        loss.backward()
        optimizer.step()
        digest.update(loss.data.tobytes())
    for array in model.state_dict().values():
        assert np.isfinite(array).all()
        digest.update(array.tobytes())
    return digest.hexdigest()


first_run = functools.cache(train)


@pytest.fixture
def threads():
    """minidl.set_num_threads, undone afterwards."""
    before = minidl.get_num_threads()
    yield minidl.set_num_threads
    minidl.set_num_threads(before)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_from_run_to_run_and_on_one_and_several_threads(case, threads):
    for n in {1, numba.config.NUMBA_NUM_THREADS}:
        threads(n)
        assert train(*case) == first_run(*case)


def test_the_digest_notices_a_difference():
    case = next(iter(CASES))
    assert train(*case, seed=1) != first_run(*case)


@pytest.mark.skipif(not JIT, reason="without compiled kernels there are no threads")
def test_these_batches_do_run_on_threads():
    from minidl._matmul import _nn
    from minidl.ops.norm import _batch_statistics

    train("mnist_conv", 61)
    for kernel in (_nn, _batch_statistics):
        assert kernel.parallel.signatures


def test_in_other_processes_with_one_and_two_threads():
    expected = {str(case): first_run(*case) for case in CASES}
    root = Path(__file__).parent.parent
    for n in (1, 2):
        environment = os.environ | {"NUMBA_NUM_THREADS": str(n), "PYTHONPATH": str(root)}
        command = [sys.executable, "-m", "tests.test_determinism"]
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=True)
        result = json.loads(done.stdout)
        assert result.pop("threads") == n
        assert result == expected


if __name__ == "__main__":
    answer = {str(case): train(*case) for case in CASES}
    print(json.dumps(answer | {"threads": minidl.get_num_threads()}))

"""Training gives the same bits from run to run, on one thread and on several, in another process and in several at once,
and with kernels fresh from the compiler as with those from the cache.

Batches of 61 and 7 leave a rest in every way in which kernels cut up their work.
"""

import functools
import hashlib
import json
import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numba
import numpy as np
import pytest

import minidl
from minidl import Tensor, optim
from minidl import functional as F
from minidl.lab.models import cifar_conv, mnist_conv, paper_mlp
from tests.helpers import JIT

ROOT = Path(__file__).parents[2]
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


@pytest.mark.skipif(not JIT, reason="NumPy's product, which plain Python uses, makes no such promise")
@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_example_has_the_same_bits_alone_and_in_company(case):
    """In evaluation mode; in training the batch is part of the function."""
    make, shape = CASES[case]
    rng = np.random.default_rng(0)
    model = make(generator=rng)
    batch = rng.standard_normal((case[1], *shape), np.float32)
    model(Tensor(batch))  # statistics that are not 0 and 1
    model.eval()
    together = model(Tensor(batch)).data
    for some in (np.s_[:1], np.s_[2:5], np.s_[-1:]):
        np.testing.assert_array_equal(model(Tensor(batch[some])).data, together[some])


def test_the_digest_notices_a_difference():
    case = next(iter(CASES))
    assert train(*case, seed=1) != first_run(*case)


@pytest.mark.skipif(not JIT, reason="without compiled kernels there are no threads")
def test_these_batches_do_run_on_threads():
    from minidl.kernels.matmul import product
    from minidl.ops.norm import _batch_statistics

    train("mnist_conv", 61)
    for kernel in (product, _batch_statistics):
        assert kernel.parallel.signatures


def test_in_other_processes_with_one_and_two_threads():
    expected = {str(case): first_run(*case) for case in CASES}
    for n in (1, 2):
        result = in_another_process(CASES, NUMBA_NUM_THREADS=str(n))
        assert result.pop("threads") == n
        assert result == expected


def in_another_process(cases, **environment):
    """What `python -m tests.whole.test_determinism` says of these cases."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | environment
    command = [sys.executable, "-m", "tests.whole.test_determinism", *(str(list(CASES).index(case)) for case in cases)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.skipif(not JIT, reason="what is not compiled is in no cache")
@pytest.mark.parametrize(
    "cases", [[("paper_mlp", 7)], pytest.param(list(CASES), marks=pytest.mark.full)], ids=["one", "all"]
)
def test_with_a_cold_and_a_warm_kernel_cache(cases, tmp_path):
    """Kernels fresh from the compiler, the same from the cache that they have just filled, and those of this process."""
    expected = {str(case): first_run(*case) for case in cases}
    for _ in range(2):
        result = in_another_process(cases, NUMBA_CACHE_DIR=str(tmp_path), NUMBA_NUM_THREADS="2")
        del result["threads"]
        assert result == expected
    assert list(tmp_path.rglob("*.nbc"))


@pytest.mark.parametrize(
    "workers", [3, pytest.param(1, marks=pytest.mark.full), pytest.param(7, marks=pytest.mark.full)]
)
def test_from_any_number_of_parallel_workers(workers):
    """Runs spread over processes that work at the same time: each comes out as it does alone, whoever does it."""
    name, batch_size = next(iter(CASES))
    seeds = [0, 1, 2, 1, 0]
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        results = list(pool.map(train, [name] * 5, [batch_size] * 5, seeds))
    assert results == [train(name, batch_size, seed) for seed in seeds]
    assert len(set(results)) == 3


if __name__ == "__main__":
    wanted = [list(CASES)[int(i)] for i in sys.argv[1:]]
    answer = {str(case): train(*case) for case in wanted}
    print(json.dumps(answer | {"threads": minidl.get_num_threads()}))

"""How many threads there are, in threads of the user's own and in forked processes."""

import contextlib
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from importlib import metadata
from pathlib import Path

import numba
import numpy as np
import pytest

import minidl
from minidl import Tensor
from minidl import functional as F
from minidl.kernels import load, threads
from minidl.lab.bench.parts import _one_core_taken
from tests.helpers import JIT, in_a_process

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
@pytest.mark.skipif(not JIT, reason="has no threads without")
def test_forked_processes_train_to_the_same_bits(tmp_path):
    """Numba's threads stay with the parent; a parallel loop in the child would kill it, and the pool would wait for ever."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.replace("nn.Linear(300, 10)", "nn.Linear(300, 10, generator=np.random.default_rng(0))"))
    command = [sys.executable, "-W", "ignore", str(program)]
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=300
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def quiet(monkeypatch):
    """Two cores or more, and no other program on them."""
    if numba.config.NUMBA_NUM_THREADS < 2:
        pytest.skip("needs two cores")
    monkeypatch.setattr(threads._watch, "due", float("inf"))
    monkeypatch.setattr(threads, "_here", threading.local())
    before = minidl.get_num_threads()
    yield
    minidl.set_num_threads(before)


@pytest.mark.usefixtures("quiet")
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
        assert seen[0] == n
        assert seen[1] == n or not JIT  # with the JIT off nobody asks Numba


def _stat(*busy, stolen=0):
    """What Linux says of cores that were idle for 1,000 s, and busy or taken away by a host for some."""
    rest = f"0 0 100000 50 0 0 {round(100 * stolen)} 0 0"
    return "cpu 1 2 3\n" + "".join(f"cpu{i} {round(100 * b)} {rest}\n" for i, b in enumerate(busy))


@pytest.mark.parametrize(
    ("busy", "own", "free"), [((0, 0), 0, 2), ((1, 0), 0, 1), ((1, 1), 2, 2), ((0.5, 1), 1, 1.5), ((1, 1), 0, 0)]
)
def test_cores_that_others_use_are_not_free(busy, own, free, tmp_path, monkeypatch):
    stat, spent, wanted = tmp_path / "stat", iter([5.0, 5.0 + own]), iter([3.0, 4.0])
    monkeypatch.setattr(load, "_STAT", stat)
    monkeypatch.setattr(load, "_cores", lambda: [0, 1])
    monkeypatch.setattr(load.time, "process_time", lambda: next(spent))
    monkeypatch.setattr(load.os, "sysconf", lambda name: 100, raising=False)
    watch = load.Watch()
    monkeypatch.setattr(load, "_wanted", lambda: next(wanted))
    stat.write_text(_stat(7, 8))
    watch.count(10.0)
    assert watch.free == 2
    stat.write_text(_stat(7 + busy[0], 8 + busy[1]))
    watch.count(11.0)
    assert watch.free == pytest.approx(free)


@pytest.mark.parametrize(("wanted", "stolen", "free"), [(0.9, 0, 1), (0.3, 0, 2), (0.3, 1, 0)])
def test_what_others_did_while_this_process_rested_says_nothing_of_now(wanted, stolen, free, tmp_path, monkeypatch):
    """A process that was halted, or waited for its turn, would otherwise begin on one thread."""
    monkeypatch.setattr(load, "_STAT", tmp_path / "stat")
    monkeypatch.setattr(load, "_cores", lambda: [0, 1])
    monkeypatch.setattr(load.os, "sysconf", lambda name: 100, raising=False)
    monkeypatch.setattr(load.time, "process_time", lambda: 0)
    times = iter([3.0, 3.0 + wanted])
    monkeypatch.setattr(load, "_wanted", lambda: next(times))
    watch = load.Watch()
    for now, busy, by_host in ((10.0, 7, 0), (11.0, 8, stolen)):  # seconds; of the host's, one on each core
        (tmp_path / "stat").write_text(_stat(busy - by_host, 0, stolen=by_host))
        watch.count(now)
    assert watch.free == pytest.approx(free)


@pytest.mark.skipif(not load.can_be_seen(), reason="the system does not tell")
def test_a_thread_that_sleeps_wants_no_core_and_one_that_works_does():
    before = load._wanted()
    time.sleep(0.1)
    slept = load._wanted() - before
    end = time.monotonic() + 0.1
    while time.monotonic() < end:
        pass
    assert slept < 0.05 < load._wanted() - before - slept


@pytest.mark.parametrize("content", [None, "", "cpu0 1 2\n", "nonsense"])
def test_where_the_system_does_not_tell_all_cores_count_as_free(content, tmp_path, monkeypatch):
    monkeypatch.setattr(load, "_STAT", tmp_path / "stat")
    if content is not None:
        (tmp_path / "stat").write_text(content)
    watch = load.Watch()
    for now in (1.0, 2.0):
        watch.count(now)
        assert watch.free == len(load._cores())


@pytest.mark.skipif(not JIT, reason="needs compiled kernels")
@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(("free", "n"), [(2, 2), (1.6, 2), (1.4, 1), (0.2, 1)])
def test_no_thread_is_started_for_a_core_that_is_taken(free, n, monkeypatch):
    minidl.set_num_threads(2)
    monkeypatch.setattr(threads._watch, "due", 0)
    monkeypatch.setattr(threads._watch, "count", lambda now: monkeypatch.setattr(threads._watch, "free", free))
    F.relu(Tensor(np.ones(2_100_000, np.float32)))
    assert (numba.get_num_threads(), minidl.get_num_threads()) == (n, 2)


LAYER = """
import hashlib, numba, numpy as np
from minidl import Tensor, functional as F, set_num_threads
from minidl.kernels import aside, threads
threads._watch.due = float("inf")  # two threads, also for a core that is taken
aside.refused = True  # and from the first call on
for n in (1, 2):
    n = min(n, numba.config.NUMBA_NUM_THREADS)
    set_num_threads(n)
    rng = np.random.default_rng(0)
    x, w = (Tensor(rng.standard_normal(s).astype(np.float32), requires_grad=True) for s in ((8, 28, 28, 16), (3, 3, 16, 32)))
    y = F.batch_norm(F.conv2d(x, w, padding=1), None, None, training=True)
    y.backward(np.cos(y.data))
    assert numba.get_num_threads() == n
    print(hashlib.sha256(b"".join(a.tobytes() for a in (y.data, x.grad, w.grad))).hexdigest())
print(numba.threading_layer())
"""


@pytest.mark.skipif(not JIT, reason="needs compiled kernels")
def test_all_thread_layers_give_the_same_bits_on_any_number_of_threads_quiet_and_busy():
    bits, layers = set(in_a_process(LAYER).split()[:2]), {}
    installed = ["omp", "workqueue"]
    with contextlib.suppress(metadata.PackageNotFoundError):
        assert metadata.version("tbb")
        installed.append("tbb")
    with _one_core_taken():
        for asked in ("default", *installed):
            *hashes, layers[asked] = in_a_process(LAYER, NUMBA_THREADING_LAYER=asked).split()
            bits |= set(hashes)
    assert len(bits) == 1
    default = layers.pop("default")
    assert layers == {name: name for name in installed}
    assert default == "omp" or not load.can_be_seen()


@pytest.mark.skipif(not JIT, reason="needs compiled kernels")
def test_a_process_that_has_used_pytorch_before_has_the_same_bits():
    """PyTorch brings an OpenMP of its own, whose threads are there already."""
    pytest.importorskip("torch")
    before = "import torch\ntorch.ones(999, 999).matmul(torch.ones(999, 999)).sum().item()\n"
    assert in_a_process(before + LAYER) == in_a_process(LAYER)


@pytest.mark.skipif(not JIT, reason="needs compiled kernels")
@pytest.mark.skipif(not load.can_be_seen(), reason="the system does not tell")
def test_beside_a_busy_program_the_cores_are_watched_and_the_bits_stay():
    """As LAYER, with the watch at work; each loop asks it, so the number of threads may change between any two."""
    watched = LAYER.replace('threads._watch.due = float("inf")', "load._EVERY = 0.001")
    watched = watched.replace("aside, threads", "aside, load, threads").replace(
        "    assert numba.get_num_threads() == n\n", ""
    )
    with _one_core_taken():
        seen = in_a_process(watched + "print(threads._watch._before is not None)")
    assert seen.split() == [*in_a_process(LAYER).split(), "True"]


@pytest.mark.skipif(not JIT, reason="needs compiled kernels")
@pytest.mark.parametrize("seen", [True, False])
def test_openmp_comes_first_where_busy_cores_can_be_seen(seen):
    """Its threads spin, which is the fastest as long as none is started for a core that is taken."""
    order = in_a_process(f"""
import numba
from minidl.kernels import load, threads
from minidl.lab.bench.parts import _one_core_taken
load.can_be_seen = lambda: {seen}
threads.parallel_from()
print(*numba.config.THREADING_LAYER_PRIORITY)
""").split()
    assert order == (["omp", "tbb", "workqueue"] if seen else ["tbb", "omp", "workqueue"])


@pytest.mark.skipif(not JIT, reason="needs compiled kernels")
def test_an_order_of_layers_that_somebody_asked_for_is_kept():
    order = "workqueue omp tbb"
    code = "import numba\nfrom minidl.kernels import threads\nthreads.parallel_from()\nprint(numba.threading_layer())"
    assert in_a_process(code, NUMBA_THREADING_LAYER_PRIORITY=order).split() == ["workqueue"]

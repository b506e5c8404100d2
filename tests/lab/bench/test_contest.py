"""Taking turns: who computes when, and that a contender which fails is left out and nobody else."""

import os
import subprocess
import sys
import time
from itertools import groupby
from pathlib import Path

import pytest

from minidl.lab.bench.cases import matmul, network
from minidl.lab.bench.contest import Budget, Team, agree, turns
from minidl.lab.bench.remote import Worker, WorkerError
from tests.lab.bench.fakes import fake

CASE = network("mlp", 2)
BUDGET = Budget(rounds=3, seconds=0, least=2)


def compare(*contenders, cases=(CASE,), log=""):
    with Team(contenders, lambda c: os.environ | {"FAKE_LOG": str(log)}, 1) as team:
        return [team.compare(case, BUDGET) for case in cases], team


def test_each_gets_its_steps_in_each_round():
    (measured,), team = compare(fake("a"), fake("b"))
    assert list(measured) == ["a", "b"]
    for one in measured.values():
        assert [len(times) for times in one.rounds] == [2, 2, 2]
        assert all(time > 0 for times in one.rounds for time in times)
        assert one.first > 0
        assert len(one.cores) == 3
    assert team.left_out == []
    assert team.about["a"]["instructions"] == {"Fake": "1 threads"}


def test_they_take_turns_and_another_begins_each_round(tmp_path):
    compare(fake("a"), fake("b"), fake("c"), log=tmp_path / "log")
    steps = (tmp_path / "log").read_text().split()
    runs = [(name, len(list(group))) for name, group in groupby(steps)]
    first = [("a", 3), ("b", 3), ("c", 3)]  # first step and warming up
    rounds = [("a", 3), ("b", 3), ("c", 3), ("b", 3), ("c", 3), ("a", 3), ("c", 3), ("a", 3), ("b", 3)]
    assert runs == [*first, *rounds]  # each turn: one step that is not timed, and two that are


def test_at_the_end_each_is_asked_what_came_of_it():
    with Team([fake("a"), fake("b", "speechless")], lambda c: os.environ, 1) as team:
        measured = team.compare(CASE, BUDGET, finish={"least": 20})
        assert measured["a"].result == {"steps": 20}
        assert measured["b"].result is None  # its times stay
        assert len(measured["b"].rounds) == 3
        assert team.left_out == [("b", "mlp batch 2", "RuntimeError: nothing to say")]
        assert team.compare(CASE, BUDGET)["a"].result is None  # nobody asked


def test_turns():
    assert turns(["a", "b", "c"], 0) == ["a", "b", "c"]
    assert turns(["a", "b", "c"], 4) == ["b", "c", "a"]
    assert turns([], 1) == []


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("refuses", "RuntimeError: compilation failed: fake.cpp:1: error: no compiler"),
        ("dies", "its process ended with status 3: Segmentation fault, they say"),
        ("stops", "MemoryError: no more"),
        ("differs", "it computes something else: [2.0, 1.0, 2.0, 2.0, 2.0, 3.0], not [1.0, 1.0, 1.0, 2.0, 1.0, 3.0]"),
    ],
)
def test_one_that_fails_is_left_out_with_its_reason(behaviour, reason):
    (measured,), team = compare(fake("a"), fake("b", behaviour), fake("c"))
    assert list(measured) == ["a", "c"]
    assert all(len(one.rounds) == 3 for one in measured.values())
    assert team.left_out == [("b", "mlp batch 2", reason)]


def test_one_that_does_not_start_is_left_out_of_all():
    measured, team = compare(fake("a"), fake("b", "no start"), cases=(CASE, matmul(2)))
    assert [list(m) for m in measured] == [["a"], ["a"]]
    assert team.left_out == [("b", None, "ImportError: libfake.so is missing")]


def test_a_dead_process_is_not_asked_again_but_one_that_refused_is():
    _, team = compare(fake("dead", "dies"), fake("alive", "refuses"), cases=(CASE, matmul(2)))
    assert [who for who, *_ in team.left_out] == ["dead", "alive", "alive"]


def test_nobody_left_is_no_crash():
    (measured,), _ = compare(fake("a", "refuses"))
    assert measured == {}


def test_agreement_is_relative_to_the_largest():
    assert agree([1000, 0.5], [1000, 0.6])
    assert not agree([1000, 0.5], [1002, 0.5])
    assert not agree([1.0], [1.0, 2.0])
    assert not agree([float("nan")], [1.0])
    assert agree([], [])


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_who_is_not_asked_is_halted():
    with Worker(fake("a"), dict(os.environ)) as worker:
        worker.start(1)
        assert state(worker) == "T"
        worker.ask("build", case=CASE.message())
        assert state(worker) == "T"
    assert worker._process.returncode is not None


def state(worker):
    status = Path(f"/proc/{worker._process.pid}/stat")
    for _ in range(1000):  # the signal is on its way
        found = status.read_text().rsplit(") ", 1)[1][0]
        if found == "T":
            break
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's help is Linux's")
def test_halted_workers_die_with_their_parent():
    code = """
import os, signal
from minidl.lab.bench.remote import Worker
from tests.lab.bench.fakes import fake
worker = Worker(fake("a"), dict(os.environ))
worker.start(1)
print(worker._process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
    status = Path(f"/proc/{int(done.stdout)}/status")
    for _ in range(500):
        if not status.exists() or "State:\tZ" in status.read_text():
            return
        time.sleep(0.01)
    pytest.fail("a halted worker outlived its parent")


def test_a_refusal_says_why_and_leaves_the_process_alive():
    with Worker(fake("a", "refuses"), dict(os.environ)) as worker:
        worker.start(1)
        for _ in range(2):
            with pytest.raises(WorkerError, match="compilation failed") as refused:
                worker.ask("build", case=CASE.message())
            assert refused.value.alive

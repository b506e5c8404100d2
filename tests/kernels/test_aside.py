"""A second process compiles parallel builds while serial ones do the work, and what usually comes later."""

import base64
import os
import pickle
import queue
import threading
import time
from pathlib import Path

import pytest

from minidl.kernels import aside
from tests.helpers import JIT, in_a_process

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not JIT, reason="nothing is compiled")

SQUARES = """
from minidl.kernels.jit import kernel, prange

@kernel
def squares(x, y):
    for i in prange(x.size):
        y[i] = x[i] * x[i]
"""
PROGRAM = """
import os, signal, sys
import numpy as np
from minidl.kernels import aside, jit
from squares import squares

jit._start()
jit._parallel_from = 0
aside._OURS = ("squares",)
def call(dtype=np.float64):
    x = np.arange(10, dtype=dtype)
    y = np.empty_like(x)
    squares[x.size](x, y)
    assert (y == x * x).all()
    return {name: len(getattr(squares, name).signatures) for name in ("serial", "parallel")}
"""


@pytest.fixture
def run(tmp_path):
    """run(code): what a new process prints that has a kernel `squares`, and a cache that lasts as long as the test."""
    (tmp_path / "squares.py").write_text(SQUARES)

    def run(code, program=PROGRAM, **environment):
        path = os.pathsep.join([str(tmp_path), str(ROOT)])
        environment = {"NUMBA_CACHE_DIR": str(tmp_path / "cache"), "NUMBA_NUM_THREADS": "2"} | environment
        return in_a_process(program + code, PYTHONPATH=path, **environment).splitlines()

    return run


def test_the_serial_build_runs_until_the_parallel_one_is_there(run):
    first, *rest = run(
        "print(call())\naside.wait()\nprint(call(), squares.for_many is squares.parallel)\nprint(call())"
    )
    assert first == "{'serial': 1, 'parallel': 0}"
    assert rest == ["{'serial': 1, 'parallel': 1} True", "{'serial': 1, 'parallel': 1}"]


def test_the_parallel_build_comes_from_the_cache_that_the_second_process_wrote(run):
    said = run("call()\naside.wait()\ncall()\nprint(sum(squares.parallel.stats.cache_hits.values()))")
    assert said == ["1"]


def test_the_next_process_finds_it_and_asks_nobody(run):
    run("call()\naside.wait()")
    assert run("print(call(), aside._second)") == ["{'serial': 0, 'parallel': 1} None"]


def test_what_was_asked_for_is_compiled_even_if_the_first_process_ends(run):
    run("call()")
    for _ in range(300):
        time.sleep(0.2)
        if run("print(squares.parallel.is_at_hand(tuple(map(squares.parallel.typeof_pyval, (np.empty(1),) * 2))))") == [
            "True"
        ]:
            return
    pytest.fail("it never came")


def test_each_type_of_arguments_is_asked_for(run):
    said = run(
        "meanwhile = squares.for_many\ncall()\ncall(np.float32)\nprint(len(meanwhile._asked))\naside.wait()\ncall()\n"
        "print(squares.for_many is squares.parallel)\nprint(call(np.float32), squares.for_many is squares.parallel)"
    )
    assert said == ["2", "False", "{'serial': 2, 'parallel': 2} True"]


def test_if_the_second_process_is_killed_the_first_one_compiles(run):
    said = run("""
call()
os.kill(aside._second._process.pid, signal.SIGKILL)
aside.wait()
print(call())
""")
    assert said == ["{'serial': 1, 'parallel': 1}"]


@pytest.mark.parametrize(
    "hindrance",
    ["sys.executable = ''", "sys.executable = '/nowhere/python'", "aside.refused = True", "aside._OURS = ('minidl',)",
     "squares.__qualname__ = 'other'"],
)  # fmt: skip
def test_without_a_second_process_all_is_compiled_at_once(hindrance, run):
    assert run(f"{hindrance}\nprint(call())") == ["{'serial': 0, 'parallel': 1}"]


def test_with_one_thread_nothing_is_compiled_for_many(run):
    alone = PROGRAM.replace("jit._parallel_from = 0", "assert jit._parallel_from == float('inf')")
    assert run("print(call(), aside._second)", alone, NUMBA_NUM_THREADS="1") == ["{'serial': 1, 'parallel': 0} None"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system that can fork")
def test_a_forked_process_does_not_write_into_the_pipe_of_its_parent(run):
    said = run("""
call()
pid = os.fork()
if not pid:
    print(aside._second, flush=True)
    os._exit(0)
os.waitpid(pid, 0)
aside.wait()
print(call())
""")
    assert said == ["None", "{'serial': 1, 'parallel': 1}"]


def test_a_replayed_step_takes_the_parallel_build_when_it_is_there(run):
    said = run("""
calls = []
jit.on_call = lambda function, args: calls.append((function, args))
call()
jit.on_call = None
aside.wait()
(function, args), = calls
function(*args)
print(len(squares.parallel.signatures), (args[1] == args[0] ** 2).all())
""")
    assert said == ["1 True"]


def test_a_request_that_cannot_be_met_is_answered_and_compiled_here(run):
    """The first process then says what is wrong."""
    said = run("""
aside._is_ours = lambda kernel: True  # but the second process will not find it
squares.__qualname__ = "nothing.like.that"
call()
aside.wait()
print(aside._second.ended, call())
""")
    assert said == ["False {'serial': 1, 'parallel': 1}"]


def test_waiting_without_a_second_process_takes_no_time():
    assert aside._second is None
    assert not aside.wait()


# --- kernels that usually come later ----------------------------------------------------------------------------------

LATER = """
from numba.core import types
given = (types.Array(types.float64, 1, "C"),) * 2
names = ["squares", "cubes", "fourths"]
aside._usual = lambda: [[("squares", name, given) for name in names]]
import squares as module
def hits(name):
    getattr(module, name).serial(np.ones(3), np.empty(3))
    return sum(getattr(module, name).serial.stats.cache_hits.values())
"""


def test_what_usually_follows_is_compiled_by_the_second_process(run, tmp_path):
    more = SQUARES[SQUARES.index("@kernel") :]
    (tmp_path / "squares.py").write_text(
        SQUARES + more.replace("squares", "cubes") + more.replace("squares", "fourths")
    )
    assert run(LATER + "print(hits('squares'))\naside.wait()\nprint(hits('cubes'), hits('fourths'))") == ["0", "1 1"]


class Process:
    """A second process that answers when it is told to, and keeps what it is sent."""

    def __init__(self, *args, **kwargs):
        self.sent, self.answers = [], queue.Queue()
        self.stdin, self.stdout = self, iter(self.answers.get, None)

    def write(self, line):
        _, name, _, build = pickle.loads(base64.b64decode(line))
        self.sent.append(f"{name} {build}")

    def flush(self):
        pass


@pytest.fixture
def second(monkeypatch):
    """A `_Second` before which lie kernels a, b, c, d and e."""
    monkeypatch.setattr(aside.subprocess, "Popen", Process)
    monkeypatch.setattr(aside.atexit, "register", lambda function: None)
    monkeypatch.setattr(
        aside, "_usual", lambda: [[("m", name, ()) for name in "abcde"], [("m", "a", ()), ("m", "z", ())]]
    )
    second = aside._Second()
    yield second
    second._process.answers.put(None)


def answer(second):
    """Let the process be done with what it is at, and wait until that is noted."""
    before = second.current
    second._process.answers.put("\n")
    second.wait_until(lambda: second.current is not before)


def test_it_compiles_from_the_end_until_both_meet(second):
    second.meet(("m", "a", ()))
    assert second._process.sent == ["e serial"]
    answer(second)
    second.meet(("m", "b", ()))
    assert second._process.sent == ["e serial", "d serial"]
    second.meet(("m", "c", ()))
    answer(second)
    assert second.current is None
    assert second._process.sent == ["e serial", "d serial"]


def test_parallel_builds_come_after_what_usually_follows(second):
    second.meet(("m", "c", ()))
    request = second.ask(("m", "c", ()))
    answer(second)
    assert second._process.sent == ["e serial", "d serial"]
    assert not request.is_settled()
    answer(second)
    assert second._process.sent == ["e serial", "d serial", "c parallel"]
    answer(second)
    assert request.is_settled()


def test_who_needs_what_is_being_compiled_waits_for_it(second):
    second.meet(("m", "a", ()))
    met = []
    thread = threading.Thread(target=lambda: met.append(second.meet(("m", "e", ()))))
    thread.start()
    thread.join(0.2)
    assert not met
    second._process.answers.put("\n")
    thread.join(10)
    assert met == [None]


def test_who_waits_goes_on_when_the_process_ends(second):
    second.meet(("m", "a", ()))
    request = second.ask(("m", "a", ()))
    second._process.answers.put(None)
    second.meet(("m", "e", ()))
    assert request.is_settled()


def test_another_network_changes_what_comes(second):
    second.meet(("m", "a", ()))
    second.meet(("m", "z", ()))
    answer(second)
    assert second._process.sent == ["e serial"]
    second.meet(("m", "b", ()))
    assert second._process.sent == ["e serial", "d serial"]


def test_at_the_end_all_that_is_wanted_is_sent(second):
    for name in "pq":
        second.ask(("m", name, ()))
    assert second._process.sent == ["p parallel"]
    second._leave()
    assert second._process.sent == ["p parallel", "q parallel"]

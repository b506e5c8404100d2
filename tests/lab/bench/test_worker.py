"""The commands of a contender's process, called in this one."""

import io
import json
import sys

import pytest

from minidl.lab.bench import worker
from minidl.lab.bench.cases import network
from tests.lab.bench.fakes import FAKE


@pytest.fixture
def session(monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setitem(sys.modules, "contender", None)
    session = worker.Session()
    session.start(str(FAKE), "", "a", 1)
    return session


def test_a_first_step_and_two_more_are_checked(session):
    answer = session.build(network("mlp", 2).message())
    assert answer["first"] > 0
    assert answer["check"] == [1, 1, 1, 2, 1, 3]


def test_steps_until_the_time_is_over_but_not_fewer_than_asked(session):
    session.build(network("mlp", 2).message())
    assert len(session.run(0, 5)["times"]) == 5
    answer = session.run(0.02, 1)
    assert sum(answer["times"]) <= 0.02 + max(answer["times"])
    assert len(answer["times"]) > 10
    assert answer["cores"] > 0


def test_the_minidl_to_be_measured_comes_first_and_the_benchmarks_own_folder_not_at_all(session, monkeypatch):
    here = str(FAKE.parents[3] / "minidl" / "lab" / "bench")
    monkeypatch.setattr(sys, "path", [here, "/elsewhere"])
    session.start(str(FAKE), "/another/version", "a", 1)
    assert sys.path == ["/another/version", "/elsewhere"]


def test_each_line_is_answered_by_one():
    lines = io.StringIO('{"do": "drop"}\n{"do": "dance"}\n{"do": "run", "seconds": 0, "least": 1}\n')
    answers = []
    worker.main(lines, lambda line: answers.append(json.loads(line)))
    assert answers[0] == {}
    assert "dance" in answers[1]["error"]
    assert set(answers[2]) == {"error"}  # nothing was built


def test_an_error_in_one_line():
    assert worker.one_line(ValueError("a\nb")) == "ValueError: a"
    assert worker.one_line(ValueError("")) == "ValueError"
    assert len(worker.one_line(ValueError("x" * 1000))) == 160


def test_peak_memory_is_in_bytes():
    some = bytearray(200_000_000)
    some[::4096] = b"x" * len(some[::4096])
    assert 200e6 < worker.peak_memory() < 100e9

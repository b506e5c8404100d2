"""Runs: planned in stages, kept at once, found again, the same wherever they happen."""

import json
import os

import numpy as np
import pytest

from minidl import get_num_threads
from minidl.lab.study.claim import Run, Scale
from minidl.lab.study.store import Store
from minidl.lab.study.sweep import conduct, perform
from tests.lab.study.fakes import claim, fail_at_one, run, run_and_tell, with_digits

THREE = Scale(seeds=3)


def counted(monkeypatch, function=run):
    calls = []

    def count(config, digits=None):
        calls.append(config)
        return function(config, digits)

    return claim(run=count), calls


def test_a_plan_learns_from_its_first_stage():
    result = conduct(claim(), THREE, quiet=True)
    assert [run.config["stage"] for run in result.runs] == [1, 1, 1, 2, 2, 2]
    values = result.values("value", stage=1)
    assert result.settings("best") == [int(np.argmax(values))]


def test_a_finished_run_is_found_again(tmp_path, monkeypatch):
    store = Store(tmp_path, "code")
    fake, calls = counted(monkeypatch)
    first = conduct(fake, THREE, store, quiet=True)
    assert len(calls) == len(list(tmp_path.iterdir())) == 6
    again = conduct(fake, THREE, store, quiet=True)
    assert len(calls) == 6
    assert [run.record for run in again.runs] == [run.record for run in first.runs]
    conduct(fake, Scale(seeds=4), store, quiet=True)
    assert (
        len(calls) == 6 + 2 or len(calls) == 6 + 5
    )  # another seed in each stage; all of the second if the best changed


def test_runs_are_kept_before_the_study_is_done(tmp_path, monkeypatch):
    store = Store(tmp_path, "code")
    with pytest.raises(RuntimeError, match=r'fake: the run \{"stage": 2, "seed": 1.*no number'):
        conduct(claim(run=fail_at_one), THREE, store, quiet=True)
    assert len(list(tmp_path.iterdir())) == 4
    fake, calls = counted(monkeypatch)
    conduct(fake, THREE, store, quiet=True)
    assert [(c["stage"], c["seed"]) for c in calls] == [(2, 1), (2, 2)]


@pytest.mark.parametrize("other", [("new code", None), ("code", "other data")])
def test_other_code_or_data_finds_nothing(tmp_path, other):
    config = {"seed": 0}
    Store(tmp_path, "code").put(Run(config, {"value": 1.0}))
    assert Store(tmp_path, "code").get(config).record == {"value": 1.0}
    assert Store(tmp_path, *other).get(config) is None
    assert Store(tmp_path, "code").get({"seed": 1}) is None


@pytest.mark.parametrize("damage", [b"", b"{", b"[1]", b'{"config": {"seed": 0}}'])
def test_a_damaged_file_is_no_run(tmp_path, damage):
    store = Store(tmp_path, "code")
    store.put(Run({"seed": 0}, {"value": 1.0}))
    (file,) = tmp_path.iterdir()
    file.write_bytes(damage)
    assert store.get({"seed": 0}) is None


def test_records_are_kept_as_json(tmp_path):
    conduct(claim(), Scale(seeds=2), Store(tmp_path, "code"), quiet=True)
    for file in tmp_path.iterdir():
        kept = json.loads(file.read_text(), parse_constant=lambda c: pytest.fail(f"{c} is not JSON"))
        assert kept["record"]["missing"] is None
        assert len(kept["record"]["noise"]) == 3


def test_processes_give_the_same_as_none():
    serial = conduct(claim(run=run_and_tell), THREE, quiet=True)
    parallel = conduct(claim(run=run_and_tell), THREE, jobs=2, quiet=True)
    assert {run.record.pop("process") for run in serial.runs} == {os.getpid()}
    assert os.getpid() not in {run.record.pop("process") for run in parallel.runs}
    assert {run.record["threads"] for run in (*serial.runs, *parallel.runs)} == {1}
    assert [(run.config, run.record) for run in serial.runs] == [(run.config, run.record) for run in parallel.runs]


def test_runs_in_processes_are_kept_as_they_arrive(tmp_path):
    with pytest.raises(RuntimeError, match="no number"):
        conduct(claim(run=fail_at_one), THREE, Store(tmp_path, "code"), jobs=2, quiet=True)
    assert len(list(tmp_path.iterdir())) >= 3


def test_threads_are_given_back():
    before = get_num_threads()
    perform(claim(), {"stage": 1, "seed": 0})
    assert get_num_threads() == before


def test_digits_are_loaded_only_for_claims_that_use_them():
    def load():
        raise OSError("no digits here")

    perform(claim(), {"stage": 1, "seed": 0}, load)
    with pytest.raises(RuntimeError, match="no digits here"):
        perform(claim(run=with_digits, data="mnist"), {"stage": 1, "seed": 0}, load)


def test_progress_counts_runs(capfd):
    conduct(claim(), Scale(seeds=2))
    assert "fake" in capfd.readouterr().err


@pytest.mark.filterwarnings("default")  # of Dask's own
def test_a_dask_cluster_gives_the_same():
    distributed = pytest.importorskip("distributed")
    from minidl.lab.registry import claims

    conv = claims()["conv"]
    serial = conduct(conv, Scale(seeds=2), quiet=True)
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, scheduler_port=0
    ) as cluster:
        spread = conduct(conv, Scale(seeds=2), scheduler=cluster.scheduler_address, quiet=True)
        with distributed.Client(cluster) as client:
            done = client.run(lambda dask_worker: dask_worker.state.executed_count)
    assert sum(done.values()) >= len(spread.runs) == 6
    assert [(run.config, run.record) for run in spread.runs] == [(run.config, run.record) for run in serial.runs]

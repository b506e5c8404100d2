"""The record: strict JSON, and numbers that can be worked out by hand."""

import json

import pytest

from minidl.lab.bench.cases import activation, copy, matmul, operations
from minidl.lab.bench.parts import Measurement
from minidl.lab.bench.report import as_markdown, as_text
from tests.lab.bench.fakes import a_record, measured, training

LIMITS = [
    Measurement("limits", matmul(1000), 2, {"numpy": measured([0.02])}),  # 100 GFLOP/s
    Measurement("limits", copy(10**9), 2, {"numpy": measured([0.8])}),  # 10 GB/s
]


def test_a_training_step():
    step = training(
        minidl=measured([0.001, 0.0015, 0.003], [0.0025], first=9),  # medians 1.5 and 2.5 ms
        eager=measured([0.003] * 3, [0.01]),
        jax=measured([0.003] * 3, [0.003]),
    )
    record = a_record(*LIMITS, step)
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert record["limits"] == {"gflops": 100.0, "gb_per_s": 10.0}
    (entry,) = [entry for entry in record["results"] if entry["part"] == "networks"]
    assert (entry["name"], entry["batch"], entry["threads"]) == ("mlp", 60, 2)
    assert entry["fastest_peer"] == "jax jit"
    ours = entry["contenders"]["minidl"]
    assert ours["ms"] == {"low": 1.75, "median": 2.0, "high": 2.25}
    assert ours["rounds_ms"] == [1.5, 2.5]
    assert ours["first_step_s"] == 9
    assert ours["peak_mb"] == 200
    assert ours["gflops"] == float(f"{entry['gflop'] / 0.002:.5g}")
    assert ours["against"]["torch eager"] == {"low": 2.5, "median": 3.0, "high": 3.5}
    assert ours["against"]["jax jit"] == {"low": 1.4, "median": 1.6, "high": 1.8}
    assert entry["contenders"]["torch eager"]["against"]["minidl"]["median"] == 0.375
    assert ours["of_roof"] == pytest.approx(entry["floor_ms"] / 2.0, rel=1e-3)


def test_an_operation():
    case = activation("relu", 10**6, backward=False)
    (entry,) = a_record(Measurement("ops", case, 1, {"minidl": measured([0.001])}))["results"]
    assert (entry["name"], entry["shape"], entry["passes"]) == ("relu", "1000000", "forward")
    assert (entry["gflop"], entry["mb"]) == (0.001, 8.0)
    assert entry["fastest_peer"] is None
    assert entry["floor_ms"] is None  # no limits were measured
    only = entry["contenders"]["minidl"]
    assert (only["gflops"], only["gb_per_s"], only["of_roof"], only["against"]) == (1.0, 8.0, None, {})
    assert "peak_mb" not in only  # other cases were in that process


@pytest.mark.parametrize("quick", [True, False])
def test_every_operation_has_an_entry_and_a_row(quick):
    """An embedding has no x, and neither has an optimizer: their entries stopped the whole benchmark at its end."""
    cases = operations(quick=quick)
    record = a_record(*(Measurement("ops", case, 2, {"minidl": measured([0.001])}) for case in cases))
    assert [(entry["name"], entry["shape"]) for entry in record["results"]] == [(c.name, c.shape) for c in cases]
    for text in (as_text(record), as_markdown(record)):
        assert all(case.shape in text for case in cases)


def test_a_case_that_nobody_could_do_leaves_no_entry():
    record = a_record(training())
    assert record["results"] == []
    assert record["left_out"] == [
        {"contender": "torch.compile", "case": "mlp batch 60", "reason": "RuntimeError: no compiler"}
    ]
